/**
 * The real server as a child process of a hostile test: `tidemark serve` on a real folder, started anew on the same
 * folder again and again, stopped by any signal, perhaps under `strace`, perhaps with small limits. Every child is ended
 * by its own process id when its test ends; then its folder goes, too.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { afterEach } from "vitest";
import { COMPILE_CACHE } from "../compile-cache.ts";
import { ROOT } from "../source-tree.ts";
import { removeFolders } from "./folders.ts";

const COMMAND_LINE = join(ROOT, "client/cli/bin.ts");
const LIMITS_HOOK = pathToFileURL(join(import.meta.dirname, "patched-limits.ts")).href;
/** Far more than any start or stop needs, even on a busy machine: what hangs is killed, and its test fails. */
const PATIENCE_MS = 30_000;
const OUTPUT_MAX = 1_000_000;
/** A few are preallocated at each first start. */
const SMALL_SEGMENTS = ["--segment-bytes", "1MiB"];

export type Ended = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type ServerOptions = {
  /** `HOST:PORT`; a free port of this machine unless it must be known before. */
  readonly listen?: string;
  /** Besides `--data`, `--listen` and `--segment-bytes`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Constants of the log's and the node's limits, by name: see `patched-limits.ts`. */
  readonly limits?: Readonly<Record<string, number>>;
  /** A command that runs the server in its own place, so that the process id stays the server's. */
  readonly wrapper?: readonly string[];
};

const running = new Set<Server>();

afterEach(async () => {
  await Promise.all([...running].map((server) => server.kill()));
  removeFolders();
});

export class Server {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  readonly #ready: Promise<string | undefined>;
  readonly #output = { stdout: "", stderr: "" };
  #url = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#keep("stdout", text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#keep("stderr", text));
    this.#ready = firstLine(child);
    running.add(this);
    this.#ended = new Promise((resolve) => {
      const gone = (code: number | null, signal: NodeJS.Signals | null): void => {
        running.delete(this);
        resolve({ code, signal, ...this.#output });
      };
      child.once("close", gone);
      child.once("error", (error) => {
        this.#keep("stderr", String(error));
        gone(null, null);
      });
    });
  }

  /** Not ready yet. */
  static spawn(data: string, options: ServerOptions = {}): Server {
    const { listen = "127.0.0.1:0", args = [], env = {}, limits, wrapper = [] } = options;
    const serve = [COMMAND_LINE, "serve", "--data", data, "--listen", listen, ...SMALL_SEGMENTS, ...args];
    const [command, ...rest] = [...wrapper, process.execPath, ...serve] as [string, ...string[]];
    const child = spawn(command, rest, {
      env: {
        PATH: process.env["PATH"] ?? "",
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        ...(limits !== undefined && {
          NODE_OPTIONS: `--import ${LIMITS_HOOK}`,
          PATCHED_LIMITS: JSON.stringify(limits),
        }),
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    return new Server(child);
  }

  /** Serving. Fails with what the server said if it ends instead. */
  static async start(data: string, options: ServerOptions = {}): Promise<Server> {
    const server = Server.spawn(data, options);
    await server.ready();
    return server;
  }

  async ready(): Promise<void> {
    const line = await this.#patiently(this.#ready, "ready");
    if (line?.startsWith("ready http://") !== true) {
      const { code, signal, stderr } = await this.kill();
      throw new Error(`not ready: first line ${JSON.stringify(line)}, exit ${code ?? signal}\n${stderr}`);
    }
    this.#url = line.slice("ready ".length);
  }

  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** What it has said so far. */
  get stderr(): string {
    return this.#output.stderr;
  }

  /** Resolves with the first event of this name, and with this code, that it has logged; rejects if it ends without. */
  async logged(event: string, code?: string): Promise<Record<string, unknown>> {
    const seen = new Promise<Record<string, unknown>>((resolve, reject) => {
      const look = (): void => {
        const found = this.events.find(
          (logged) => logged["event"] === event && (code === undefined || logged["code"] === code),
        );
        if (found !== undefined) resolve(found);
      };
      this.#child.stderr?.on("data", look);
      look();
      void this.#ended.then(({ stderr }) => reject(new Error(`ended without ${event}\n${stderr}`)));
    });
    return await this.#patiently(seen, event);
  }

  /** The events it has logged so far. */
  get events(): Record<string, unknown>[] {
    return eventsIn(this.#output.stderr);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** `kill -9`: nothing is flushed, nobody is told. */
  kill(): Promise<Ended> {
    this.#child.kill("SIGKILL");
    return this.#ended;
  }

  /** As an operator would. */
  stop(): Promise<Ended> {
    this.#child.kill("SIGTERM");
    return this.ended();
  }

  /** By itself, within reason. */
  ended(): Promise<Ended> {
    return this.#patiently(this.#ended, "ended");
  }

  async #patiently<T>(awaited: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`not ${what} within ${PATIENCE_MS} ms\n${this.#output.stderr}`));
      }, PATIENCE_MS);
    });
    try {
      return await Promise.race([awaited, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #keep(name: "stdout" | "stderr", text: string): void {
    this.#output[name] = (this.#output[name] + text).slice(-OUTPUT_MAX);
  }
}

export function eventsIn(stderr: string): Record<string, unknown>[] {
  const lines = stderr.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** What the server says to people, one line each. */
export function complaintsIn(stderr: string): string[] {
  return stderr.split("\n").filter((line) => line.startsWith("tidemark: "));
}

function firstLine(child: ChildProcess): Promise<string | undefined> {
  const { stdout } = child;
  if (stdout === null) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const lines = createInterface({ input: stdout });
    lines.once("line", resolve);
    lines.once("close", () => resolve(undefined));
  });
}
