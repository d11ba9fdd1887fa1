/**
 * Runs one command line. Verbs throw `TidemarkError`s; how a failure is printed, and the exit status, are decided here,
 * once: a line `tidemark: what is wrong (code)`, or with `-o json` `{"error": problem}`.
 */
import { CommanderError } from "commander";
import { asErrorCode, errorTitle, TidemarkError } from "../error.ts";
import { ERRORS } from "../../src/wire/errors.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { PartialFailure } from "./failure.ts";
import { OutputClosedError, processIo, type Io } from "./io.ts";
import { nodeObjection } from "./node-version.ts";
import { jsonLine, visible } from "./output.ts";
import { createProgram } from "./program.ts";

/** `args` are without the program's own name. Resolves to the exit status. */
export async function main(args: readonly string[], io: Io = processIo()): Promise<number> {
  const objection = nodeObjection(process.versions.node);
  if (objection !== undefined) {
    io.stderr.write(`${objection}\n`);
    return EXIT.failure;
  }
  const json = wantsJson(args);
  try {
    return await run(args, io, json);
  } catch (thrown) {
    if (thrown instanceof OutputClosedError) return EXIT.ok;
    // It has been told of.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(thrown instanceof TidemarkError)) throw thrown;
    report(io, thrown, json);
    return exitCodeOf(thrown);
  }
}

async function run(args: readonly string[], io: Io, json: boolean): Promise<number> {
  const [verb, below] = args;
  // The server reads its own options.
  if (!args.includes("--help") && !args.includes("-h")) {
    if (verb === "serve") return (await import("./serve.ts")).runServe(args.slice(1));
    if (verb === "config" && below === "print") return (await import("./serve.ts")).runConfigPrint(io, args.slice(2));
  }
  let exitCode: number = EXIT.ok;
  const program = await createProgram(io, {
    verb,
    onDone(code) {
      exitCode = code;
    },
    onUsage(message) {
      if (json) io.stderr.write(jsonLine({ error: { code: "usage", detail: message, retryable: false } }));
      else io.stderr.write(`tidemark: ${visible(message.replaceAll(/\s+/g, " "))} (add --help for more)\n`);
    },
  });
  await program.parseAsync(args, { from: "user" });
  return exitCode;
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

function report(io: Io, error: TidemarkError, json: boolean): void {
  if (!json) {
    io.stderr.write(`tidemark: ${visible(error.message)} (${error.code})\n`);
    return;
  }
  const { code, message, retryable, outcome } = error;
  const known = asErrorCode(code);
  const problem = {
    type: `urn:tidemark:error:${code}`,
    title: errorTitle(code),
    ...(known !== undefined && { status: ERRORS[known].status }),
    detail: message,
    code,
    retryable,
    outcome,
    ...(error instanceof PartialFailure && error.account),
  };
  io.stderr.write(jsonLine({ error: problem }));
}
