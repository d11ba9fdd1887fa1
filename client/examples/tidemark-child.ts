/** `tidemark` as a child process, for the demo: started by the command line as a user would, and killed without mercy. */
import { type ChildProcess, spawn } from "node:child_process";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Beside us, as source or as built. */
const COMMAND_LINE = fileURLToPath(new URL(`../cli/bin${extname(import.meta.url)}`, import.meta.url));
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;
/** Of what it said on standard error, for when it fails. */
const LOG_LINES_MAX = 20;

export class TidemarkChild {
  /** What it said when it was ready, as the pattern's groups have it. */
  readonly ready: readonly string[];
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  private constructor(child: ChildProcess, ready: readonly string[], exited: Promise<void>) {
    this.#child = child;
    this.ready = ready;
    this.#exited = exited;
  }

  /** Resolves once it has said a line like this. */
  static async start(args: readonly string[], ready: RegExp): Promise<TidemarkChild> {
    const child = spawn(process.execPath, [COMMAND_LINE, ...args], { stdio: ["ignore", "pipe", "pipe"] });
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
      return new TidemarkChild(child, await said(child, ready, exited), exited);
    } catch (error) {
      child.kill("SIGKILL");
      throw new Error([`tidemark ${args[0]}: ${(error as Error).message}`, ...log].join("\n  "), { cause: error });
    }
  }

  get processId(): number | undefined {
    return this.#child.pid;
  }

  /** `kill -9`: nothing is flushed, nobody is told. */
  async kill(): Promise<void> {
    this.killNow();
    await this.#exited;
  }

  /** As an operator would. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.killNow(), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  /** For the last moment of a process, when nothing can be awaited. */
  killNow(): void {
    this.#child.kill("SIGKILL");
  }
}

async function said(child: ChildProcess, pattern: RegExp, exited: Promise<void>): Promise<readonly string[]> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), START_TIMEOUT_MS);
  try {
    const ready = new Promise<readonly string[]>((resolve) => {
      if (child.stdout === null) return;
      createInterface({ input: child.stdout }).on("line", (line) => {
        const found = pattern.exec(line);
        if (found !== null) resolve(found.slice(1));
      });
    });
    const late = new Promise<undefined>((resolve) =>
      timeout.signal.addEventListener("abort", () => resolve(undefined)),
    );
    const found = await Promise.race([ready, late, exited]);
    if (found !== undefined) return found;
    throw new Error(
      timeout.signal.aborted
        ? `it was not ready within ${START_TIMEOUT_MS} ms`
        : `it ended before it was ready (status ${child.exitCode})`,
    );
  } finally {
    clearTimeout(timer);
  }
}
