/**
 * `npm run conformance`: starts a real server on the real disk, runs the public Durable Streams suite against it, and
 * fails unless every one of its tests ran and passed. With `--cluster` there are three servers, and the suite talks to one
 * that does not lead. Other arguments go to vitest (`-t NAME`); then the count is not checked.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DemoCluster } from "../../client/examples/demo-cluster.ts";
import { ServerChild } from "../../client/examples/server-child.ts";
import { generateSigningKeyPem } from "../../log-server/http/subscriptions/signing.ts";

/** How many tests this version of the suite has: fewer means that some were not run. */
const TESTS = 338;
const LED_WITHIN_MS = 30_000;

const here = import.meta.dirname;

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
  const subject = args.length < all.length ? await startCluster(data) : await startServer(data);
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
  const server = await ServerChild.start(["--data", join(data, "data"), "--listen", "127.0.0.1:0"]);
  return { url: server.url, stop: () => server.stop() };
}

/** One does not lead: it alone is known to the suite, and to those whom webhooks call. */
async function startCluster(data: string): Promise<Subject> {
  const webhookKey = join(data, "webhook-key.pem");
  await writeFile(webhookKey, generateSigningKeyPem());
  const cluster = await DemoCluster.plan(data, AbortSignal.timeout(LED_WITHIN_MS), (urls) => [
    ...["--webhook-key-file", webhookKey],
    ...["--public-url", urls.at(-1) ?? ""],
  ]);
  try {
    await cluster.start();
    const last = cluster.names.at(-1) ?? "";
    let leader = await cluster.leader();
    if (leader.name === last) {
      await cluster.kill(last);
      leader = await cluster.leader(last);
      await cluster.startNode(last);
    }
    console.log(`conformance: at ${last}, which follows ${leader.name}`);
    return { url: cluster.urlOf(last), stop: () => cluster.stop() };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
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

function run(command: string, args: readonly string[], environment: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { cwd: here, stdio: "inherit", env: { ...process.env, ...environment } });
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
