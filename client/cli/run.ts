/** `tidemark run`: runs a topology on a cluster, in worker processes of its own, until it is stopped. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type HostPort, parseHostPort } from "../../log-server/config/values.ts";
import { DirectoryLock } from "../../log-server/log/disk/directory-lock.ts";
import { Rounds } from "../../log-server/node/rounds.ts";
import { SYSTEM_CLOCK } from "../../log-server/system.ts";
import { messageOf } from "../../src/lib/thrown.ts";
import { shapeOf } from "../../src/runtime/app-shape.ts";
import { TidemarkError } from "../error.ts";
import { loadApp } from "./apps/app-module.ts";
import { openClient, serverOf, withConnectionOptions, type ConnectionOptions } from "./connection-options.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";
import { counted, jsonLine } from "./output.ts";
import { awaitedInputs } from "./run/awaited-inputs.ts";
import { Deployment } from "./run/deployment.ts";
import { Exporter } from "./run/exporter.ts";
import { ReplicaReports } from "./run/replica-reports.ts";
import { Reporter } from "./run/reporter.ts";
import { summaryOf, summaryText } from "./run/status-lines.ts";
import { AppEnded, isPassing, Workers } from "./run/workers.ts";
import { newVerb } from "./verb.ts";

const REPLICAS_DEFAULT = 1;
const REPLICAS_MAX = 64;
const COMMIT_EVERY_MS_DEFAULT = 3;
const COMMIT_EVERY_MS_MAX = 60_000;
const STATE_FOLDER_DEFAULT = ".tidemark-apps";
const MS_PER_SECOND = 1_000;
const STATUS_EVERY_MS = 10_000;
/** While a replica restores. */
const PROGRESS_EVERY_MS = 1_000;
const WATCH_EVERY_MS = 1_000;
const SHOWN_STREAMS_MAX = 5;
/** So soon it is said that no server answers. */
const WATCH_TIMEOUT_MS = 5_000;

type RunOptions = ConnectionOptions & {
  readonly replicas: number;
  readonly commitEvery: number;
  readonly poison: "dead-letter" | "stop";
  readonly state: "memory" | "disk";
  readonly stateDir: string;
  readonly metricsListen?: HostPort;
};

const RUN_HELP = `
The module's default export is a topology. Streams that it writes are made where they are missing; those that it reads are waited
for, and told. Each replica runs in a process of its own, which is started again when it dies. Prints "ready NAME" once all replicas
have caught up, and how it goes now and then, until Ctrl-C or SIGTERM; whoever runs it next goes on where it was.`;

export function runCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "run",
    "run a topology of stream operators",
    "tidemark run app.ts",
    "tidemark run app.ts --replicas 2 --poison stop",
  )
    .argument("<file>", "a module whose default export is a topology")
    .addHelpText("after", RUN_HELP);
  return withConnectionOptions(command)
    .option("--replicas <count>", "how many copies of each task run", wholeArgument(REPLICAS_MAX), REPLICAS_DEFAULT)
    .option(
      "--commit-every <ms>",
      "what a task has done is committed this often",
      wholeArgument(COMMIT_EVERY_MS_MAX),
      COMMIT_EVERY_MS_DEFAULT,
    )
    .addOption(
      new Option("--poison <what>", "what becomes of a record that a task fails at")
        .choices(["dead-letter", "stop"])
        .default("dead-letter"),
    )
    .addOption(
      new Option(
        "--state <where>",
        "where state is: on disk it may be larger than memory, and is there after a restart",
      )
        .choices(["memory", "disk"])
        .default("memory"),
    )
    .option(
      "--state-dir <folder>",
      "where state on disk is, on a local disk, and what replicas differ in",
      STATE_FOLDER_DEFAULT,
    )
    .option(
      "--metrics-listen <host:port>",
      "serve metrics of the replicas there, at /metrics, for Prometheus",
      hostPortArgument,
    )
    .action(async (file: string, options: RunOptions) => {
      onDone(await run(io, file, options));
    });
}

function wholeArgument(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
  };
}

function hostPortArgument(text: string): HostPort {
  const place = parseHostPort(text);
  if (!place.ok) throw new InvalidArgumentError(`It ${place.error}.`);
  return place.value;
}

async function run(io: Io, file: string, options: RunOptions): Promise<number> {
  const { replicas, commitEvery, poison, output, timeout } = options;
  const app = await loadApp(file, io.interrupted);
  const graph = app.build();
  const { app: name, version, stages } = graph;
  await using client = openClient(io, options);
  const deployment = new Deployment(client, app, { poison }, io.interrupted);
  const folder = join(options.stateDir, name);
  const stateFolder = options.state === "memory" ? undefined : folder;
  const lock = stateFolder === undefined ? undefined : lockFolder(stateFolder);
  await deployment.put();

  const tell = (text: string, json: object): void => {
    void write(io.stdout, output === "json" ? jsonLine({ app: name, ...json }) : `${text}\n`).catch(() => undefined);
  };
  const { urls, token } = serverOf(io, options);
  // Many streams are followed over WebSockets, which a server speaks at the same address.
  const socketUrls = urls.map((url) => url.replace(/^http/, "ws"));
  const settings = {
    file,
    version,
    shape: shapeOf(graph),
    urls: socketUrls,
    token,
    timeoutMs: timeout * MS_PER_SECOND,
    poison,
    commitEveryMs: commitEvery,
    evidenceFolder: join(folder, "evidence"),
  };
  const folderOf = (worker: number): string | undefined =>
    stateFolder === undefined ? undefined : join(stateFolder, String(worker));
  const tasks = stages.reduce((sum, { partitions }) => sum + partitions, 0);
  const { metricsListen } = options;
  const exporter =
    metricsListen === undefined ? undefined : await Exporter.listen(metricsListen, client, graph, io.interrupted);
  if (exporter !== undefined) tell(`metrics are at ${exporter.url}`, { event: "metrics", url: exporter.url });
  let isReady = false;
  const workers = new Workers(
    Array.from({ length: replicas }, (_, at) => ({ ...settings, stateFolder: folderOf(at + 1) })),
    {
      onStart(worker, processId) {
        tell(`worker ${worker} is process ${processId}`, { event: "started", worker, process: processId });
      },
      onDeath(worker, why, restartMs) {
        exporter?.metrics.died(worker);
        tell(`worker ${worker}: ${why}; it is started again in ${restartMs} ms`, {
          event: "died",
          worker,
          why,
          restartMs,
        });
      },
      onOver(worker, why) {
        exporter?.metrics.died(worker);
        tell(`worker ${worker}: ${why}; it is not started again`, { event: "died", worker, why });
      },
      onStatus(worker, commits) {
        exporter?.metrics.committed(worker, commits);
        if (isReady || summaryOf(workers.statuses).running < tasks * replicas) return;
        isReady = true;
        const what = `version ${version}, ${counted(tasks, "task")}, ${counted(replicas, "replica")} of each`;
        tell(`ready ${name} (${what})`, { event: "ready", version, tasks, replicas });
      },
      epoch: () => deployment.epoch,
      redeploy: () => deployment.put(),
    },
  );
  /** Why nothing may come of it, in words. */
  let hindered: string | undefined;
  const hinder = (why: string | undefined): void => {
    if (why !== undefined && why !== hindered) tell(why, { event: "hindered", why });
    hindered = why;
  };
  const call = { signal: io.interrupted, timeout: WATCH_TIMEOUT_MS };
  // A task that has nothing to commit is told by nobody that the app was reset, or is another.
  const watching = new Rounds(SYSTEM_CLOCK, {
    everyMs: WATCH_EVERY_MS,
    async work() {
      if (await deployment.isOver(call)) {
        await deployment.put();
        workers.restart("another version of the app was deployed, or it was reset");
      }
      const awaited = await awaitedInputs(client, graph, workers.statuses, call);
      hinder(awaited.length === 0 ? undefined : `waits for streams that do not exist: ${shownStreams(awaited)}`);
    },
    failed(error) {
      const code = error instanceof TidemarkError ? error.code : undefined;
      if (isPassing(error)) hinder(`no server answers: ${messageOf(error)}`);
      else workers.fail(code === "app-not-found" ? new AppEnded("the app was deleted", EXIT.notFound) : error);
    },
  });
  watching.start();
  let before = { outputs: 0, atMs: performance.now() };
  const telling = setInterval(() => {
    const summary = summaryOf(workers.statuses);
    const nowMs = performance.now();
    if (summary.restore === undefined && nowMs - before.atMs < STATUS_EVERY_MS) return;
    const text = summaryText(summary, before.outputs, nowMs - before.atMs);
    tell(hindered === undefined ? text : `${text}; ${hindered}`, { event: "status", ...summary, hindered });
    before = { outputs: summary.outputs, atMs: nowMs };
  }, PROGRESS_EVERY_MS);
  const reports = new ReplicaReports();
  const reporter = new Reporter(client, name, tasks * replicas);
  const reporting = setInterval(() => {
    const samples = reports.sample(workers.statuses, performance.now());
    exporter?.metrics.sampled(samples);
    void reporter.tell(samples, { signal: io.interrupted });
  }, reporter.everyMs);
  const interrupted = new Promise<void>((resolve) => {
    io.interrupted.addEventListener("abort", () => resolve(), { once: true });
    if (io.interrupted.aborted) resolve();
  });
  try {
    await Promise.race([interrupted, workers.failed]);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof AppEnded)) throw error;
    tell(error.message, { event: "ended", why: error.message });
    return error.exitCode;
  } finally {
    clearInterval(telling);
    // What it asks just now ends with the client.
    void watching.stop();
    clearInterval(reporting);
    const last = reports.sample(workers.statuses, performance.now());
    await workers.stop();
    await reporter.tellEnd(last);
    await exporter?.close();
    lock?.release();
  }
}

function shownStreams(streams: readonly string[]): string {
  const more = streams.length - SHOWN_STREAMS_MAX;
  return `${streams.slice(0, SHOWN_STREAMS_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Two that run the same app keep its state in different folders. */
function lockFolder(folder: string): DirectoryLock {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new TidemarkError("invalid-argument", `the state's folder cannot be made: ${messageOf(cause)}`, { cause });
  }
  const lock = DirectoryLock.acquire(folder);
  if (lock.ok) return lock.value;
  throw new TidemarkError("invalid-argument", `${lock.error.message}; choose another --state-dir`);
}
