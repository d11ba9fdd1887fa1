/** A server as a child process, for the demo: started by the command line as a user would, and killed without mercy. */
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Beside us, as source or as built. */
const COMMAND_LINE = fileURLToPath(new URL(`../cli/bin${extname(import.meta.url)}`, import.meta.url));
const READY = /^ready (http:\/\/\S+)$/;
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;
/** Of what the server logged, for when it fails. */
const LOG_LINES_MAX = 20;

export class ServerChild {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  constructor(child: ChildProcess, url: string, exited: Promise<void>) {
    this.#child = child;
    this.url = url;
    this.#exited = exited;
  }

  /** `options`: of `tidemark serve`. Resolves when it serves. */
  static async start(options: readonly string[]): Promise<ServerChild> {
    const args = [COMMAND_LINE, "serve", ...options, "--log-level", "warn"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    const exited = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => resolve());
    });
    const log: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => {
      log.push(line);
      if (log.length > LOG_LINES_MAX) log.shift();
    });
    try {
      return new ServerChild(child, await readyUrl(child, exited), exited);
    } catch (error) {
      child.kill("SIGKILL");
      throw new Error([(error as Error).message, ...log].join("\n  "), { cause: error });
    }
  }

  get processId(): number | undefined {
    return this.#child.pid;
  }

  /** `kill -9`: nothing is flushed, nobody is told. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  /** As an operator would. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  /** For the last moment of a process, when nothing can be awaited. */
  killNow(): void {
    this.#child.kill("SIGKILL");
  }
}

async function readyUrl(child: ChildProcess, exited: Promise<void>): Promise<string> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), START_TIMEOUT_MS);
  try {
    const ready = new Promise<string>((resolve) => {
      if (child.stdout === null) return;
      createInterface({ input: child.stdout }).on("line", (line) => {
        const url = READY.exec(line)?.[1];
        if (url !== undefined) resolve(url);
      });
    });
    const late = new Promise<undefined>((resolve) =>
      timeout.signal.addEventListener("abort", () => resolve(undefined)),
    );
    const url = await Promise.race([ready, late, exited]);
    if (url !== undefined) return url;
    throw new Error(
      timeout.signal.aborted
        ? `the server was not ready within ${START_TIMEOUT_MS} ms`
        : `the server ended before it was ready (status ${child.exitCode})`,
    );
  } finally {
    clearTimeout(timer);
  }
}

/** A loopback port that nobody uses at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
