/** Processes of a benchmark: servers that say `ready http://…`, and the load. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import type { LoadOptions, LoadResult } from "./http-load.ts";

const ROOT = join(import.meta.dirname, "..");

export type RunningServer = { readonly url: URL; readonly stop: () => Promise<void> };

/** Starts a script and waits for its first line, `ready URL`. */
export async function startServer(script: string, args: readonly string[] = []): Promise<RunningServer> {
  const child = spawn(process.execPath, [join(ROOT, script), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), "line"),
    exited.then(() => Promise.reject(new Error(`${script} ended before it was ready`))),
  ])) as [string];
  return {
    url: new URL(line.replace(/^ready /, "")),
    stop: async () => {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const child: ChildProcess = spawn(
    process.execPath,
    [join(import.meta.dirname, "http-load.ts"), JSON.stringify(options)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  if (child.stdout === null) throw new Error("the load has no output");
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "exit") as Promise<[number | null]>]);
  if (code !== 0) throw new Error(`the load ended with ${code}`);
  return JSON.parse(output) as LoadResult;
}
