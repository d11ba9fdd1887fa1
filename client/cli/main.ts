/**
 * The command line but for `serve`, which the entry script starts itself. Verbs throw `TidemarkError`s; what they print
 * and the exit status are decided here, once.
 */
import { Command, CommanderError } from "commander";
import { TidemarkError } from "../error.ts";
import { appendCommand } from "./append.ts";
import { demoCommand } from "./demo.ts";
import { EXIT, EXIT_HELP, exitCodeOf } from "./exit-codes.ts";
import { OutputClosedError, processIo, type Io } from "./io.ts";
import { nodeObjection } from "./node-version.ts";
import { tailCommand } from "./tail.ts";
import { packageVersion, versionCommand } from "./version.ts";

/** The entry script runs these itself; here they are only listed. */
const SERVER_VERBS = [
  ["serve", "run a server"],
  ["config", "show a server's effective configuration: config print"],
] as const;

/** Runs one command line, without the program's own name; resolves to the exit status. */
export async function main(args: readonly string[], io: Io = processIo()): Promise<number> {
  const objection = nodeObjection(process.versions.node);
  if (objection !== undefined) {
    io.stderr.write(`${objection}\n`);
    return EXIT.failure;
  }
  let exitCode: number = EXIT.ok;
  const program = createProgram(io, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (thrown) {
    return report(io, thrown, wantsJson(args));
  }
}

function createProgram(io: Io, onDone: (exitCode: number) => void): Command {
  const program = new Command("tidemark")
    .description("A shared-log service: durable, ordered, replayable streams.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpCommand("help [command]", "show a command's help")
    .addHelpText(
      "after",
      `${EXIT_HELP}\n\nExample:\n  $ tidemark serve &\n  $ echo hello | tidemark append greetings --create\n  $ tidemark tail greetings`,
    );
  program.addCommand(appendCommand(io, onDone));
  program.addCommand(tailCommand(io, onDone));
  for (const [verb, description] of SERVER_VERBS) {
    program
      .command(verb)
      .description(description)
      .allowUnknownOption()
      .allowExcessArguments()
      .action(() => {
        throw new TidemarkError("invalid-argument", `"${verb}" is run by the tidemark executable, not from here`);
      });
  }
  program.addCommand(demoCommand(onDone));
  program.addCommand(versionCommand(io, onDone));
  for (const command of [program, ...program.commands]) {
    command.exitOverride();
    command.showHelpAfterError("(add --help for more)");
    command.configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) });
  }
  return program;
}

/** Before the options are parsed, or when they could not be. */
function wantsJson(args: readonly string[]): boolean {
  return args.some(
    (arg, at) =>
      arg === "--output=json" ||
      arg === "-ojson" ||
      (arg === "json" && ["-o", "--output"].includes(args[at - 1] ?? "")),
  );
}

function report(io: Io, thrown: unknown, json: boolean): number {
  if (thrown instanceof OutputClosedError) return EXIT.ok;
  // Commander has printed it.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (!(thrown instanceof TidemarkError)) throw thrown;
  if (json) {
    const { code, message, retryable, outcome } = thrown;
    io.stderr.write(`${JSON.stringify({ error: { code, message, retryable, outcome } })}\n`);
  } else {
    io.stderr.write(`tidemark: ${thrown.message} [${thrown.code}]\n`);
  }
  return exitCodeOf(thrown);
}
