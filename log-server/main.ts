/**
 * `tidemark serve`: a server as a process. Configuration in, `ready http://HOST:PORT` out as the first line of
 * standard output, signals, exit codes:
 *
 *     0  stopped when asked to        1  could not start, or could not go on        2  the configuration is wrong
 */
import { readFileSync } from "node:fs";
import closeWithGrace from "close-with-grace";
import { loadConfig } from "./config/load.ts";
import { formatProblems } from "./config/show.ts";
import { limitHeapGrowth } from "./observe/heap-growth.ts";
import { openLog } from "./observe/logging.ts";
import { runServer, type RunningServer, type StartError } from "./run-server.ts";

const EXIT_RUNNING = 0;
const EXIT_FAILED = 1;
const EXIT_MISCONFIGURED = 2;
/** What is not finished by then is cut off. */
const CLOSE_GRACE_MS = 10_000;

/** As `serve` prints: text for people, JSON for programs, one value a line. */
export type ServeOutput = "text" | "json";

/**
 * `args`: what follows `serve`. Resolves to the exit status: at once if it cannot start, else when the server runs; the
 * process then ends by a signal, or by a failure.
 */
export async function serve(args: readonly string[], output: ServeOutput): Promise<number> {
  const loaded = loadConfig({ args, env: process.env, readFile: (path) => readFileSync(path, "utf8") });
  if (!loaded.ok) {
    process.stderr.write(formatProblems(loaded.error, output));
    return EXIT_MISCONFIGURED;
  }
  limitHeapGrowth("server");
  const { config } = loaded.value;
  const log = openLog(config.logLevel);
  const running: { server?: RunningServer } = {};
  // From the start: whoever is told to stop while it still recovers has nothing to lose by stopping at once.
  const grace = closeWithGrace({ delay: CLOSE_GRACE_MS, logger: false }, async ({ err, signal }) => {
    if (err !== undefined) {
      log.event("crash-failed", { error: err, stack: err.stack });
      complain(output, { code: "internal", message: `stopping: ${err.message}` });
    }
    log.event("stopping", { signal: signal ?? "failure" });
    await running.server?.close();
    log.event("stopped");
  });
  const started = await runServer(config, { log, processMetrics: true });
  if (!started.ok) {
    log.event("start-failed", { code: started.error.code });
    complain(output, started.error);
    process.exit(EXIT_FAILED);
  }
  const server = started.value;
  running.server = server;
  void server.failed.then(async (error) => {
    grace.uninstall();
    complain(output, { code: "internal", message: `the server cannot go on: ${error.message}` });
    await Promise.race([server.close(), new Promise((resolve) => setTimeout(resolve, CLOSE_GRACE_MS))]);
    process.exit(EXIT_FAILED);
  });
  process.stdout.write(output === "json" ? `${JSON.stringify({ ready: server.url })}\n` : `ready ${server.url}\n`);
  return EXIT_RUNNING;
}

function complain(output: ServeOutput, { code, message }: StartError): void {
  const error = { code, detail: message, retryable: false };
  process.stderr.write(output === "json" ? `${JSON.stringify({ error })}\n` : `tidemark: ${message}\n`);
}
