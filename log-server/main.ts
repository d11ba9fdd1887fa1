/**
 * `tidemark serve`: a server as a process. Configuration in, `ready http://HOST:PORT` out as the first line of
 * standard output, signals, exit codes:
 *
 *     0  stopped when asked to        1  could not start, or could not go on        2  the configuration is wrong
 */
import { readFileSync } from "node:fs";
import closeWithGrace from "close-with-grace";
import { loadConfig, type LoadedConfig } from "./config/load.ts";
import { describeOptions, effectiveConfig, formatConfig } from "./config/show.ts";
import { openLog } from "./observe/logging.ts";
import { runServer, type RunningServer } from "./run-server.ts";

const EXIT_FAILED = 1;
const EXIT_MISCONFIGURED = 2;
/** What is not finished by then is cut off. */
const CLOSE_GRACE_MS = 10_000;

export const SERVE_HELP: string = `Usage: tidemark serve [options]

Runs a server until it gets SIGTERM or SIGINT. Prints "ready http://HOST:PORT" once it serves.

Options, with the environment variables that do the same:
${describeOptions()}`;

/** `args`: what follows `serve`. Returns when the server runs; the process ends by a signal, or by a failure. */
export async function serve(args: readonly string[]): Promise<void> {
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(SERVE_HELP);
    return;
  }
  const loaded = configOrExit(args);
  if (loaded === undefined) return;
  const { config } = loaded;
  const log = openLog(config.logLevel);
  const running: { server?: RunningServer } = {};
  // From the start: whoever is told to stop while it still recovers has nothing to lose by stopping at once.
  const grace = closeWithGrace({ delay: CLOSE_GRACE_MS, logger: false }, async ({ err, signal }) => {
    if (err !== undefined) {
      log.event("crash-failed", { error: err, stack: err.stack });
      complain(`stopping: ${err.message}`);
    }
    log.event("stopping", { signal: signal ?? "failure" });
    await running.server?.close();
    log.event("stopped");
  });
  const started = await runServer(config, { log, processMetrics: true });
  if (!started.ok) {
    log.event("start-failed", { code: started.error.code });
    complain(started.error.message);
    process.exit(EXIT_FAILED);
  }
  const server = started.value;
  running.server = server;
  void server.failed.then(async (error) => {
    grace.uninstall();
    complain(`the server cannot go on: ${error.message}`);
    await Promise.race([server.close(), new Promise((resolve) => setTimeout(resolve, CLOSE_GRACE_MS))]);
    process.exit(EXIT_FAILED);
  });
  process.stdout.write(`ready ${server.url}\n`);
}

/** `tidemark config print [-o json]`: `args` as for `serve`. */
export function printConfig(args: readonly string[]): void {
  const json = args[0] === "-o" && args[1] === "json";
  const loaded = configOrExit(json ? args.slice(2) : args);
  if (loaded === undefined) return;
  process.stdout.write(json ? `${JSON.stringify(effectiveConfig(loaded), undefined, 2)}\n` : formatConfig(loaded));
}

function configOrExit(args: readonly string[]): LoadedConfig | undefined {
  const loaded = loadConfig({ args, env: process.env, readFile: (path) => readFileSync(path, "utf8") });
  if (loaded.ok) return loaded.value;
  complain(`the configuration is wrong:\n${loaded.error.map((problem) => `  - ${problem}`).join("\n")}`);
  process.exitCode = EXIT_MISCONFIGURED;
  return undefined;
}

function complain(message: string): void {
  process.stderr.write(`tidemark: ${message}\n`);
}
