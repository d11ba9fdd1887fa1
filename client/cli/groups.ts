/** `tidemark groups`: the noun; its verbs are in `groups/`, a file each. */
import type { Command } from "commander";
import { consumeCommand } from "./groups/consume.ts";
import { createCommand } from "./groups/create.ts";
import { deleteCommand } from "./groups/delete.ts";
import { lagCommand } from "./groups/lag.ts";
import { listCommand } from "./groups/list.ts";
import { resetCommand } from "./groups/reset.ts";
import { ackCommand, nackCommand, releaseCommand } from "./groups/settle.ts";
import { showCommand } from "./groups/show.ts";
import { takeCommand } from "./groups/take.ts";
import type { Io } from "./io.ts";
import { newVerb, type Verb } from "./verb.ts";

const VERBS: readonly Verb[] = [
  listCommand,
  createCommand,
  showCommand,
  deleteCommand,
  lagCommand,
  resetCommand,
  consumeCommand,
  takeCommand,
  ackCommand,
  nackCommand,
  releaseCommand,
];

export function groupsCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "groups",
    "consumers that share streams, or as a queue their records: look at, change and work in groups",
    "tidemark groups create mailers mails --queue",
    "tidemark groups consume mailers",
  );
  for (const verb of VERBS) command.addCommand(verb(io, onDone));
  return command;
}
