/** What can be completed, read off the tree of verbs, so that completions never lag behind it. */
import type { Argument, Command, Option } from "commander";

/** What may stand behind an option, or as an argument: one of these words, a file, or what only the user knows. */
export type Value =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "file" }
  | { readonly kind: "free" };

export type CompletedOption = {
  /** `--from`, `-o`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Absent: a switch. */
  readonly value?: Value;
};

export type CompletedVerb = {
  /** `streams list`; empty for the program. */
  readonly path: string;
  readonly description: string;
  /** The verbs below it, by their own names. */
  readonly verbs: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly CompletedOption[];
  /** What its arguments may be; the last of them holds for all that follow. */
  readonly argument: Value;
};

const FILE = /file|dir/i;

/** The program first, then every verb below it. */
export function completionTree(program: Command): readonly CompletedVerb[] {
  return verbsOf(program, "");
}

function verbsOf(command: Command, path: string): CompletedVerb[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command);
  const verb: CompletedVerb = {
    path,
    description: command.description(),
    verbs: below.map((child) => ({ name: child.name(), description: child.description() })),
    options: help.visibleOptions(command).map(optionOf),
    argument: argumentOf(command.registeredArguments),
  };
  const deeper = command.commands.flatMap((child) =>
    verbsOf(child, path === "" ? child.name() : `${path} ${child.name()}`),
  );
  return [verb, ...deeper];
}

function optionOf(option: Option): CompletedOption {
  const names = [option.short, option.long].filter((name) => name !== undefined && name !== null);
  const takesValue = option.required || option.optional;
  return {
    names,
    description: option.description,
    ...(takesValue && { value: valueOf(option.argChoices, option.flags) }),
  };
}

function argumentOf(args: readonly Argument[]): Value {
  const last = args.at(-1);
  return last === undefined ? { kind: "free" } : valueOf(last.argChoices, last.name());
}

function valueOf(choices: readonly string[] | undefined, name: string): Value {
  if (choices !== undefined) return { kind: "words", words: choices };
  return FILE.test(name) ? { kind: "file" } : { kind: "free" };
}
