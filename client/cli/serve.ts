/**
 * `tidemark serve` and `tidemark config print`: the server's own verbs. Their options are the server's table, which also
 * reads them, so that all that is wrong is told at once; what is declared here is for help and completions.
 */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { loadConfig } from "../../log-server/config/load.ts";
import { describeOptions, effectiveConfig, formatConfig, formatProblems } from "../../log-server/config/show.ts";
import { TidemarkError } from "../error.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";
import { jsonLine } from "./output.ts";
import { newVerb, type OutputFormat, withOutputOption } from "./verb.ts";

const READY_HELP = `
Prints "ready http://HOST:PORT" once it serves, and runs until Ctrl-C or SIGTERM. It logs JSON lines to standard error.`;

export function serveCommand(): Command {
  const command = newVerb(
    "serve",
    "run a server",
    "tidemark serve --data /var/lib/tidemark",
    "tidemark serve --listen 0.0.0.0:4437 --token-file token",
  ).addHelpText("after", READY_HELP);
  return withServerSettings(withOutputOption(command));
}

export function configCommand(): Command {
  const print = newVerb(
    "print",
    "print the effective configuration, and where each value comes from",
    "tidemark config print --listen 127.0.0.1:0 -o json",
  );
  return newVerb("config", "look at a server's configuration", "tidemark config print").addCommand(
    withServerSettings(withOutputOption(print)),
  );
}

/** `args`: what follows `serve`. */
export async function runServe(args: readonly string[]): Promise<number> {
  const { serve } = await import("../../log-server/main.ts");
  const { output, rest } = takeOutput(args);
  return serve(rest, output);
}

/** `args`: what follows `config print`, as for `serve`. */
export async function runConfigPrint(io: Io, args: readonly string[]): Promise<number> {
  const { output, rest } = takeOutput(args);
  const loaded = loadConfig({ args: rest, env: io.env, readFile: (path) => readFileSync(path, "utf8") });
  if (!loaded.ok) {
    io.stderr.write(formatProblems(loaded.error, output));
    return EXIT.usage;
  }
  await write(io.stdout, output === "json" ? jsonLine(effectiveConfig(loaded.value)) : formatConfig(loaded.value));
  return EXIT.ok;
}

function withServerSettings(command: Command): Command {
  for (const { flag, help } of describeOptions()) command.option(flag, help);
  return command;
}

/** The one option that is not a setting of the server. */
function takeOutput(args: readonly string[]): { readonly output: OutputFormat; readonly rest: readonly string[] } {
  const rest: string[] = [];
  let output: string = "text";
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] as string;
    const inline = /^(?:--output=|-o=?)(.+)$/.exec(arg)?.[1];
    if (arg === "-o" || arg === "--output") {
      at += 1;
      output = args[at] ?? "";
    } else if (inline !== undefined) output = inline;
    else rest.push(arg);
  }
  if (output !== "text" && output !== "json") {
    throw new TidemarkError("invalid-argument", `--output must be text or json, not "${output}"`);
  }
  return { output, rest };
}
