/** `tidemark cluster`: the noun; its verbs are in `cluster/`. */
import type { Command } from "commander";
import {
  addCommand,
  drainCommand,
  removeCommand,
  replaceCommand,
  statusCommand,
  transferCommand,
  upgradeCommand,
} from "./cluster/change.ts";
import { recoverCommand } from "./cluster/recover.ts";
import { waitCommand } from "./cluster/wait.ts";
import type { Io } from "./io.ts";
import { newVerb, type Verb } from "./verb.ts";

const VERBS: readonly Verb[] = [
  statusCommand,
  addCommand,
  removeCommand,
  replaceCommand,
  transferCommand,
  drainCommand,
  upgradeCommand,
  waitCommand,
  recoverCommand,
];

export function clusterCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "cluster",
    "the nodes that share a log: look at them, and change which they are",
    "tidemark cluster status",
    "tidemark cluster replace n2",
  );
  for (const verb of VERBS) command.addCommand(verb(io, onDone));
  return command;
}
