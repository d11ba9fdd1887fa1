/**
 * What all verbs have in common: an example in the help, how to print, where the exit status goes. A new noun is a file
 * with a function of type `Verb`, and a line in `main.ts`; completions and the rules that tests hold follow by themselves.
 */
import { Command, Option } from "commander";
import type { Io } from "./io.ts";

/** Makes a verb, or a noun with verbs below it. `onDone` gets the exit status, unless the action throws. */
export type Verb = (io: Io, onDone: (exitCode: number) => void) => Command;

export type OutputFormat = "text" | "json";

/** `examples`: whole command lines, without the prompt. */
export function newVerb(name: string, description: string, ...examples: readonly [string, ...string[]]): Command {
  const lines = examples.map((example) => `\n  $ ${example}`).join("");
  return new Command(name)
    .description(description)
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", `\n${examples.length === 1 ? "Example" : "Examples"}:${lines}`);
}

export function withOutputOption(command: Command): Command {
  return command.addOption(outputOption(["text", "json"]));
}

/** In JSON everything is one value a line: records and lists are as many lines as they have elements. */
export function outputOption(formats: readonly string[]): Option {
  return new Option("-o, --output <format>", "how to print").choices(formats).default("text");
}
