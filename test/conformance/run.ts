/**
 * `npm run conformance`: starts a real server on the real disk, runs the public Durable Streams suite against it, and
 * fails unless every one of its tests ran and passed. With `--cluster` there are three nodes, on simulated disks in this
 * process, and the suite talks to one that does not lead. Other arguments go to vitest (`-t NAME`); then the count is not
 * checked.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort } from "../../client/examples/server-child.ts";
import { ThreeNodes } from "../http/three-nodes.ts";

/** How many tests this version of the suite has: fewer means that some were not run. */
const TESTS = 338;
const READY = /^ready (http:\/\/\S+)/;
const READY_WITHIN_MS = 30_000;
const STOPPED_WITHIN_MS = 15_000;

const here = import.meta.dirname;
const root = join(here, "../..");

type Report = {
  readonly numTotalTests: number;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
};

process.exitCode = await main(process.argv.slice(2));

type Subject = { readonly url: string; readonly stop: () => Promise<void> };

async function main(all: readonly string[]): Promise<number> {
  const args = all.filter((arg) => arg !== "--cluster");
  if (!existsSync(join(here, "node_modules/vitest"))) await run("npm", ["ci", "--no-audit", "--no-fund"], {});
  const data = await mkdtemp(join(tmpdir(), "tidemark-conformance-"));
  const subject = args.length < all.length ? await startCluster() : await startServer(data);
  try {
    const reportFile = join(data, "report.json");
    const status = await run(
      process.execPath,
      [
        join(here, "node_modules/vitest/vitest.mjs"),
        "run",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${reportFile}`,
        ...args,
      ],
      { TIDEMARK_URL: subject.url },
    );
    return conclude(status, JSON.parse(await readFile(reportFile, "utf8")) as Report, args.length === 0);
  } finally {
    await subject.stop();
    await rm(data, { recursive: true, force: true });
  }
}

async function startServer(data: string): Promise<Subject> {
  const server = spawn(
    process.execPath,
    [join(root, "client/cli/bin.ts"), "serve", "--data", data, "--listen", "127.0.0.1:0"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    return { url: await ready(server), stop: () => stop(server) };
  } catch (error) {
    await stop(server);
    throw error;
  }
}

async function startCluster(): Promise<Subject> {
  const port = await freePort();
  const nodes = await ThreeNodes.behindFollower(port);
  const at = nodes.followers.find(({ url }) => url.endsWith(`:${port}`));
  if (at === undefined) throw new Error("the node that the suite talks to does not follow");
  console.log(`conformance: at ${at.name}, which follows ${nodes.leader.name}`);
  return { url: at.url, stop: () => nodes.close() };
}

function conclude(status: number, report: Report, whole: boolean): number {
  const skipped = report.numPendingTests + report.numTodoTests;
  console.log(
    `conformance: ${report.numPassedTests} of ${TESTS} passed, ${report.numFailedTests} failed, ${skipped} skipped`,
  );
  if (!whole) return status;
  const all = report.numTotalTests === TESTS && report.numPassedTests === TESTS && skipped === 0;
  return status === 0 && all ? 0 : 1;
}

/** The address in the server's first line. */
function ready(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the server did not become ready in time")), READY_WITHIN_MS);
    server.on("error", reject);
    server.on("exit", (code) => reject(new Error(`the server ended with ${code} before it was ready`)));
    if (server.stdout === null) throw new Error("the server's output is not piped");
    createInterface(server.stdout).on("line", (line) => {
      const url = READY.exec(line)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
  });
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  server.kill("SIGTERM");
  const timer = setTimeout(() => server.kill("SIGKILL"), STOPPED_WITHIN_MS);
  await ended;
  clearTimeout(timer);
}

function run(command: string, args: readonly string[], environment: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { cwd: here, stdio: "inherit", env: { ...process.env, ...environment } });
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
