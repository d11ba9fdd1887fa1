/** `tidemark apps`: the noun; its verbs are in `apps/`, a file each. */
import type { Command } from "commander";
import { describeCommand } from "./apps/describe.ts";
import type { Io } from "./io.ts";
import { newVerb, type Verb } from "./verb.ts";

const VERBS: readonly Verb[] = [describeCommand];

export function appsCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb("apps", "topologies of stream operators: look at them", "tidemark apps describe app.ts");
  for (const verb of VERBS) command.addCommand(verb(io, onDone));
  return command;
}
