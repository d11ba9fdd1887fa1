/** The command line as a user's shell sees it: real processes, pipes, signals, and the demo. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Flight, loadFlights, OriginTable } from "../../client/examples/flights.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { ROOT } from "../source-tree.ts";

/** It gives up by itself before. */
const DEMO_TIMEOUT_MS = 120_000;
const COMMAND_LINE = join(ROOT, "client/cli/bin.ts");

let node: RunningNode;

beforeAll(async () => {
  node = await startNode();
});

afterAll(async () => {
  await node.close();
});

type Run = {
  readonly child: ChildProcess;
  readonly done: Promise<{ readonly status: number | null; readonly out: string; readonly err: string }>;
};

function tidemark(
  args: readonly string[],
  options: { readonly input?: string; readonly env?: Record<string, string> } = {},
): Run {
  const env = { ...process.env, TIDEMARK_URL: node.url, ...options.env };
  const child = spawn(process.execPath, [COMMAND_LINE, ...args], { env });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const done = new Promise<Awaited<Run["done"]>>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, out, err }));
  });
  return { child, done };
}

describe("processes", () => {
  it("append and tail, through pipes", async () => {
    const appended = await tidemark(["append", "s", "--create"], { input: "a\nb\n" }).done;
    expect(appended).toEqual({ status: 0, out: "appended 2 records (offsets 0 to 1) to s\n", err: "" });
    expect(await tidemark(["tail", "s", "--no-follow"]).done).toEqual({ status: 0, out: "a\nb\n", err: "" });
    expect(await tidemark(["tail", "none"]).done).toMatchObject({ status: 3, out: "" });
  });

  it("Ctrl-C ends a tail at once, with status 130 and nothing to say", async () => {
    const { child, done } = tidemark(["tail", "s"]);
    child.stdout?.once("data", () => child.kill("SIGINT"));
    expect(await done).toEqual({ status: 130, out: "a\nb\n", err: "" });
  });

  it("a reader that goes away ends a tail quietly", async () => {
    const lines = Array.from({ length: 50_000 }, (_, at) => `line ${at}\n`).join("");
    expect(await tidemark(["append", "long", "--create"], { input: lines }).done).toMatchObject({ status: 0 });
    const { child, done } = tidemark(["tail", "long"]);
    child.stdout?.once("data", () => child.stdout?.destroy());
    expect(await done).toMatchObject({ status: 0, err: "" });
    const read = tidemark(["read", "long", "-o", "json"]);
    read.child.stdout?.once("data", () => read.child.stdout?.destroy());
    expect(await read.done).toMatchObject({ status: 0, err: "" });
  });

  it("serve and config print tell what is wrong as every verb does", async () => {
    const served = await tidemark(["serve", "--nonsense", "-o", "json"]).done;
    expect(served).toMatchObject({ status: 2, out: "" });
    expect(JSON.parse(served.err)).toMatchObject({ error: { code: "misconfigured" } });
    const help = await tidemark(["serve", "--help"]).done;
    expect(help).toMatchObject({ status: 0, err: "" });
    expect(help.out).toContain("--listen <HOST:PORT>");
  });

  it("serve -o json says in JSON that it is ready", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidemark-serve-"));
    try {
      const args = ["serve", "--data", join(folder, "data"), "--listen", "127.0.0.1:0", "-o", "json"];
      const { child, done } = tidemark([...args, "--log-level", "silent"], {
        env: { TIDEMARK_URL: "http://unused:1" },
      });
      child.stdout?.once("data", () => child.kill("SIGTERM"));
      const { status, out } = await done;
      expect(status).toBe(0);
      expect(JSON.parse(out)).toEqual({ ready: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it(
    "the demo: flights flow, kill -9, nothing is lost, nothing is left behind",
    async () => {
      const temporary = mkdtempSync(join(tmpdir(), "tidemark-demo-test-"));
      try {
        const { status, out, err } = await tidemark(["demo"], { env: { TMPDIR: temporary } }).done;
        expect({ status, err }).toEqual({ status: 0, err: "" });
        expect(out).toMatch(
          /kill -9 \d+, the leader n\d: the subscriber has seen \d+ flights, [1-9]\d* appends are unacknowledged/,
        );
        expect(out).toMatch(/n\d was elected in term \d+, after \d+ ms/);
        expect(out).toMatch(/kill -9 \d+, the replica that commits: \d+ of 4118 results are there/);
        expect(out).toMatch(/The other replica, process \d+, committed after \d+ ms/);
        expect(out).toMatch(/The appends paused for \d+ ms .*, the app's results for \d+ ms/);
        expect(out).toContain(
          "4118 results, late flights per origin and hour, are each there once, and are the file's",
        );
        expect(out).toContain("All 20000 flights were seen once and in order, and every node has them");
        expect(out).toContain("/metrics");
        expect(readdirSync(temporary)).toEqual([]);
      } finally {
        rmSync(temporary, { recursive: true, force: true });
      }
    },
    DEMO_TIMEOUT_MS,
  );

  it("an interrupted demo takes its server and data with it", async () => {
    const temporary = mkdtempSync(join(tmpdir(), "tidemark-demo-test-"));
    try {
      const { child, done } = tidemark(["demo"], { env: { TMPDIR: temporary } });
      let server = 0;
      child.stdout?.on("data", (chunk: Buffer) => {
        const found = /runs as process (\d+)/.exec(chunk.toString())?.[1];
        if (found === undefined) return;
        server = Number(found);
        child.kill("SIGINT");
      });
      expect((await done).status).toBe(130);
      expect(server).toBeGreaterThan(0);
      expect(isRunning(server)).toBe(false);
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
});

/** A process that was killed and is not yet reaped counts as gone. */
function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}

describe("the demo's table", () => {
  const [first, ...rest] = loadFlights() as [Flight, ...Flight[]];

  function tableOf(flights: readonly Flight[]): OriginTable {
    const table = new OriginTable();
    for (const flight of flights) table.add(flight);
    return table;
  }

  it("tells a lost, a repeated and a changed flight", () => {
    const whole = tableOf([first, ...rest]);
    expect(whole.differences(tableOf([first, ...rest]))).toEqual([]);
    expect(whole.differences(tableOf(rest))).toHaveLength(1);
    expect(whole.differences(tableOf([first, first, ...rest]))).toHaveLength(1);
    expect(whole.differences(tableOf([{ ...first, delay: first.delay + 1 }, ...rest]))).toHaveLength(1);
  });

  it("lists the busiest origins first", () => {
    const rows = tableOf([first, ...rest]).rows();
    expect(rows.map(({ flights }) => flights)).toEqual(rows.map(({ flights }) => flights).toSorted((a, b) => b - a));
    expect(rows.reduce((sum, { flights }) => sum + flights, 0)).toBe(20_000);
  });
});
