/**
 * Processes of a benchmark: servers that say `ready URL`, and loads that print one line of JSON. Whatever still runs when
 * the benchmark ends, however it ends, ends with it, and its folder goes.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

const ROOT = join(import.meta.dirname, "..");
const KIB = 1_024;
const READY = "ready ";
/** A server that is not ready, or a load that has not ended, after this long never will. */
const PATIENCE_MS = 300_000;
const ASK_AGAIN_MS = 20;

const children = new Set<ChildProcess>();
const folders = new Set<string>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

export type RunningServer = {
  readonly url: URL;
  /** From its start until it said that it is ready. */
  readonly readyMs: number;
  readonly residentBytes: () => Promise<number>;
  readonly tell: (signal: NodeJS.Signals) => void;
  /** Resolves when it has ended. */
  readonly stop: (signal?: "SIGTERM" | "SIGKILL") => Promise<void>;
};

/** Starts a script and waits for its line `ready URL`. */
export async function startServer(script: string, args: readonly string[] = []): Promise<RunningServer> {
  const startedAt = performance.now();
  const { child, exited } = start(join(ROOT, script), args);
  const lines = createInterface(child.stdout as NodeJS.ReadableStream);
  const ready = new Promise<string>((resolve) => {
    lines.on("line", (line) => (line.startsWith(READY) ? resolve(line.slice(READY.length)) : undefined));
  });
  const ended = exited.then(() => Promise.reject<string>(new Error(`${script} ended before it was ready`)));
  const url = await within(`${script} to be ready`, Promise.race([ready, ended]));
  return {
    url: new URL(url),
    readyMs: performance.now() - startedAt,
    residentBytes: async () => {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * KIB;
    },
    tell: (signal) => void child.kill(signal),
    stop: async (signal = "SIGTERM") => {
      child.kill(signal);
      await within(`${script} to stop`, exited);
    },
  };
}

/** Our server on this data folder. */
export function startTidemark(data: string): Promise<RunningServer> {
  return startServer("client/cli/bin.ts", ["serve", "--data", data, "--listen", "127.0.0.1:0", "--log-level", "warn"]);
}

/** Runs a script of this folder with its options as JSON, and reads the result it prints. */
export async function runLoad<Result>(script: string, options: object): Promise<Result> {
  const { child, exited } = start(join(import.meta.dirname, script), [JSON.stringify(options)]);
  const ended = Promise.all([text(child.stdout as NodeJS.ReadableStream), exited]);
  const [output, code] = await within(`${script} to end`, ended);
  if (code !== 0) throw new Error(`${script} ended with ${code}`);
  return JSON.parse(output) as Result;
}

/** A folder for what is measured, on the disk that the project is on: `/tmp` may be memory, where a sync costs nothing. */
export async function withFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(ROOT, ".tidemark-bench-"));
  folders.add(folder);
  const result = await work(folder);
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
  return result;
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** Rejects, and says what was waited for, if it takes too long: nothing that is measured waits for ever. */
export async function within<Result>(what: string, promise: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooLong(what)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, overdue]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks until there is an answer; rejects as `within` does. */
export async function answered<Answer>(what: string, ask: () => Promise<Answer | undefined>): Promise<Answer> {
  const askedFrom = performance.now();
  for (;;) {
    const answer = await within(what, ask());
    if (answer !== undefined) return answer;
    if (performance.now() - askedFrom > PATIENCE_MS) throw tooLong(what);
    await wait(ASK_AGAIN_MS);
  }
}

function tooLong(what: string): Error {
  return new Error(`waited too long for ${what}`);
}

type Started = { readonly child: ChildProcess; readonly exited: Promise<number | null> };

function start(script: string, args: readonly string[]): Started {
  const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  const exited = once(child, "exit").then(([code]) => {
    children.delete(child);
    return code as number | null;
  });
  return { child, exited };
}
