/**
 * Runs a server under `strace`, which makes chosen system calls of it fail. The server stays the direct child, so that
 * it is ended by its own process id; the tracer ends with it.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { ServerOptions } from "./server.ts";

export type Injection = {
  readonly call: "fdatasync" | "pwrite64";
  /** Of its calls, the first that fails with EIO, counted from 1; the others do not. */
  readonly when: number;
  /** Only calls on these files. */
  readonly paths: readonly string[];
  /** Where the calls are written down. */
  readonly trace: string;
};

export function failing(injection: Injection): ServerOptions {
  requireStrace();
  const { call, when, paths, trace } = injection;
  const only = paths.flatMap((path) => ["-P", path]);
  const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:error=EIO:when=${when}`];
  return {
    wrapper: ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", trace, ...only, ...inject],
    // `when` counts in each thread: with one thread it is an order of the whole process.
    env: { UV_THREADPOOL_SIZE: "1" },
  };
}

export type Traced = { readonly succeeded: number; readonly failed: number };

/** The calls so far. A call that is still running is not counted. */
export function tracedCalls(trace: string): Traced {
  const lines = readFileSync(trace, "utf8").split("\n");
  return {
    succeeded: lines.filter((line) => /\) += \d+$/.test(line)).length,
    failed: lines.filter((line) => line.includes("EIO")).length,
  };
}

function requireStrace(): void {
  const { status } = spawnSync("strace", ["-o", "/dev/null", "true"]);
  if (status !== 0) throw new Error("this test needs strace, and leave to trace a process: apt-get install strace");
}
