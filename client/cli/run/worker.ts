/**
 * A worker process of `tidemark run`: one replica of every task, apart from servers and other workers. It is told what to run by the
 * process that started it, tells how it goes, and ends when that does.
 */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { limitHeapGrowth } from "../../../log-server/observe/heap-growth.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY } from "../../../log-server/system.ts";
import { messageOf } from "../../../src/lib/thrown.ts";
import type { Graph } from "../../../src/operators/engine/graph.ts";
import type { TaskWatch } from "../../../src/operators/engine/task-watch.ts";
import { shapeOf } from "../../../src/runtime/app-shape.ts";
import { APP_RUN_DEFAULTS, AppRun, type OpenTaskState } from "../../../src/runtime/app-run.ts";
import type { Evidence } from "../../../src/runtime/evidence.ts";
import { RUNTIME_LIMITS } from "../../../src/runtime/limits.ts";
import type { ReplicaStatus } from "../../../src/runtime/replica.ts";
import { DOUBTFUL, Ended, type ReplicaEnd } from "../../../src/runtime/replica-end.ts";
import { shapeDifference } from "../../../src/wire/app-shape.ts";
import { connect } from "../../client.ts";
import { PLATFORM_ZSTD } from "../../reading/platform-zstd.ts";
import { loadApp } from "../apps/app-module.ts";
import { reportEvidence } from "./evidence-file.ts";
import { MeteredLog } from "./metered-log.ts";
import { RunningPlace, taskNodesOf } from "./running-place.ts";
import { TaskStates } from "./task-states.ts";
import type { WatchdogData } from "./watchdog.ts";
import { workerEnd } from "./worker-end.ts";
import {
  ALIVE_EVERY_MS,
  type FromWorker,
  type ToldStatus,
  type ToWorker,
  type WorkerEnd,
  type WorkerSettings,
} from "./worker-messages.ts";

/** Beside us, as source or as built. */
const WATCHDOG = new URL(`./watchdog${extname(import.meta.url)}`, import.meta.url);
const STATUS_EVERY_MS = 250;

limitHeapGrowth("worker");
// Of a terminal all processes hear of Ctrl-C; the one that started us says when to end.
process.on("SIGINT", () => undefined);
const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
process.once("disconnect", () => stopping.abort());
process.on("message", (message: ToWorker) => {
  if (message.kind === "stop") stopping.abort();
  else void work(message.settings, message.epoch);
});

// From the beginning, for the app's module is loaded here, too.
const alive = (): void => void tell({ kind: "alive" });
alive();
setInterval(alive, ALIVE_EVERY_MS).unref();

async function work(settings: WorkerSettings, epoch: number): Promise<void> {
  try {
    await run(settings, epoch);
  } catch (error) {
    // Who was told to end ends for that, whatever it broke off.
    if (!stopping.signal.aborted) await tell({ kind: "ended", end: { what: messageOf(error), next: "again" } });
  }
  // Whatever the app's module still holds open.
  process.exit();
}

/** Until it is told to stop, or has told why it ends. */
async function run(settings: WorkerSettings, epoch: number): Promise<void> {
  const graph = (await loadApp(settings.file, stopping.signal)).build();
  checkDeployed(graph, settings);
  const zstd = PLATFORM_ZSTD;
  await using client = connect(settings.urls, {
    timeout: settings.timeoutMs,
    ...(settings.token !== undefined && { token: settings.token }),
    ...(zstd !== undefined && { zstd }),
  });
  const { poison, commitEveryMs, stateFolder, evidenceFolder } = settings;
  const states = new TaskStates(graph.app, client, stateFolder);
  const ended = Promise.withResolvers<WorkerEnd | undefined>();
  const onEnd = (task: string, end: ReplicaEnd): void => {
    if (end.kind === "contradicted") reportEvidence(evidenceFolder, task, end.evidence, true);
    const isDoubtful = DOUBTFUL.has(end.kind);
    const what = workerEnd(task, end);
    void (isDoubtful ? states.discard(task) : Promise.resolve())
      .catch((error: unknown) => process.stderr.write(`tidemark: task ${task}: ${messageOf(error)}\n`))
      .finally(() => {
        if (what !== undefined) ended.resolve(what);
      });
  };
  const onDispute = (task: string, evidence: Evidence): void => reportEvidence(evidenceFolder, task, evidence, false);
  const openState: OpenTaskState = async (task, facts, opening) => {
    // Commits name the epoch. In another one these operators may not be those that are deployed.
    if (facts.epoch !== epoch) throw new Ended({ kind: "fenced" });
    return states.open(task, facts, opening);
  };
  const running = watched(graph);
  const watch = (task: string): TaskWatch => running.watch(task);
  const ports = { clock: SYSTEM_CLOCK, entropy: SYSTEM_ENTROPY, openState, watch, onEnd, onDispute };
  const log = new MeteredLog(client.taskLog());
  const app = new AppRun(log, ports, graph, { ...APP_RUN_DEFAULTS, poison, commitEveryMs });
  const tellStatus = (): Promise<void> => tell({ kind: "status", replicas: app.status.map(told), commits: log.take() });
  // At once, for it may hang in what it reads first: then it is known by this.
  void tellStatus();
  const telling = setInterval(() => void tellStatus(), STATUS_EVERY_MS);
  stopping.signal.addEventListener("abort", () => ended.resolve(undefined), { once: true });
  if (stopping.signal.aborted) ended.resolve(undefined);
  try {
    const end = await ended.promise;
    // Before it closes anything, so that there is a bound on that.
    if (end !== undefined) {
      await tellStatus();
      await tell({ kind: "ended", end });
    }
  } finally {
    clearInterval(telling);
    const stopped = app.stop();
    states.interrupt();
    await stopped;
    await states.close();
  }
}

/** By a thread of its own, so that it can be told which operator does not return. Without that thread all goes on, and less can be told. */
function watched(graph: Graph): RunningPlace {
  const tasks = taskNodesOf(graph);
  const running = new RunningPlace(tasks);
  const workerData: WatchdogData = { tasks, memory: running.memory };
  const watchdog = new Worker(WATCHDOG, { workerData });
  watchdog.unref();
  watchdog.on("error", (error) => process.stderr.write(`tidemark: the watchdog ended: ${messageOf(error)}\n`));
  setInterval(() => running.beat(), ALIVE_EVERY_MS).unref();
  return running;
}

/** The file may have been written anew since it was deployed. */
function checkDeployed(graph: Graph, { file, version, shape }: WorkerSettings): void {
  const change = shapeDifference(shape, shapeOf(graph));
  const isOther = graph.version !== version || change !== undefined;
  const what = change ?? `its version is ${graph.version}`;
  if (isOther)
    throw new Error(`${file} is not what is deployed any more (${what}): it runs when "tidemark run" is started anew`);
}

function told({ end, ...status }: ReplicaStatus): ToldStatus {
  const why = end === undefined ? undefined : workerEnd(status.task, end)?.what;
  return { ...status, ...(why !== undefined && { why: why.slice(0, RUNTIME_LIMITS.errorCharactersMax) }) };
}

/** Resolves when it was sent, or cannot be. */
function tell(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}
