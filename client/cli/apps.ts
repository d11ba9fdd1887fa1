/** `tidemark apps`: the noun; its verbs are in `apps/`, a file each. */
import type { Command } from "commander";
import { deleteCommand } from "./apps/delete.ts";
import { describeCommand } from "./apps/describe.ts";
import { listCommand } from "./apps/list.ts";
import { pauseCommand, resumeCommand } from "./apps/pause.ts";
import { resetCommand } from "./apps/reset.ts";
import { showCommand } from "./apps/show.ts";
import type { Io } from "./io.ts";
import { newVerb, type Verb } from "./verb.ts";

const VERBS: readonly Verb[] = [
  listCommand,
  showCommand,
  describeCommand,
  pauseCommand,
  resumeCommand,
  resetCommand,
  deleteCommand,
];

export function appsCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "apps",
    "topologies of stream operators: look at them, pause them, begin them anew",
    "tidemark apps describe app.ts",
    "tidemark apps show delays",
  );
  for (const verb of VERBS) command.addCommand(verb(io, onDone));
  return command;
}
