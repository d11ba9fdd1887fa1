/**
 * The tree of verbs. Each is loaded when it is asked for, so that a verb costs the start of no other; help and
 * completions load them all.
 */
import { Command } from "commander";
import { EXIT_HELP } from "./exit-codes.ts";
import type { Io } from "./io.ts";
import type { Verb } from "./verb.ts";
import { packageVersion } from "./package-version.ts";

/** In the order of the help. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  serve: async () => (await import("./serve.ts")).serveCommand,
  append: async () => (await import("./append.ts")).appendCommand,
  read: async () => (await import("./read.ts")).readCommand,
  tail: async () => (await import("./tail.ts")).tailCommand,
  streams: async () => (await import("./streams.ts")).streamsCommand,
  groups: async () => (await import("./groups.ts")).groupsCommand,
  run: async () => (await import("./run.ts")).runCommand,
  apps: async () => (await import("./apps.ts")).appsCommand,
  cluster: async () => (await import("./cluster.ts")).clusterCommand,
  tx: async () => (await import("./tx.ts")).txCommand,
  inspect: async () => (await import("./inspect.ts")).inspectCommand,
  verify: async () => (await import("./verify.ts")).verifyCommand,
  config: async () => (await import("./serve.ts")).configCommand,
  completion: async () => (await import("./completion.ts")).completionCommand,
  demo: async () => (await import("./demo.ts")).demoCommand,
  version: async () => (await import("./version.ts")).versionCommand,
};

const EXAMPLE = `
Example:
  $ tidemark serve &
  $ echo hello | tidemark append greetings --create
  $ tidemark tail greetings`;

export type ProgramOptions = {
  /** The only verb that is needed; with an unknown one, or none, all are there. */
  readonly verb?: string | undefined;
  readonly onDone: (exitCode: number) => void;
  /** Told of what is wrong with a command line, instead of standard error. */
  readonly onUsage: (message: string) => void;
};

export async function createProgram(io: Io, options: ProgramOptions): Promise<Command> {
  const { verb, onDone } = options;
  const program = new Command("tidemark")
    .description("A shared-log service: durable, ordered, replayable streams.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show a command's help")
    .addHelpText("after", `${EXIT_HELP}\n${EXAMPLE}`);
  const names = verb !== undefined && Object.hasOwn(VERBS, verb) ? [verb] : Object.keys(VERBS);
  for (const name of names) {
    const create = await (VERBS[name] as () => Promise<Verb>)();
    program.addCommand(create(io, onDone));
  }
  settle(program, io, options);
  return program;
}

function settle(command: Command, io: Io, options: ProgramOptions): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => io.stdout.write(text),
    writeErr: (text) => io.stderr.write(text),
    outputError: (text) => options.onUsage(text.replace(/^error: /, "").trimEnd()),
  });
  for (const child of command.commands) settle(child, io, options);
}
