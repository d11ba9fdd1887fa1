/**
 * A worker process of `tidemark run`: one replica of every task, apart from servers and other workers. It is told what to run by the
 * process that started it, tells how it goes, and ends when that does.
 */
import { SYSTEM_CLOCK, SYSTEM_ENTROPY } from "../../../log-server/system.ts";
import { APP_RUN_DEFAULTS, AppRun } from "../../../src/runtime/app-run.ts";
import type { Evidence } from "../../../src/runtime/evidence.ts";
import type { ReplicaEnd } from "../../../src/runtime/replica-end.ts";
import { connect } from "../../client.ts";
import { loadApp } from "../apps/app-module.ts";
import { nodeZstd } from "../node-zstd.ts";
import { reportEvidence } from "./evidence-file.ts";
import { MeteredLog } from "./metered-log.ts";
import { TaskStates } from "./task-states.ts";
import { messageOf, workerEnd } from "./worker-end.ts";
import type { FromWorker, ToWorker, WorkerEnd, WorkerSettings } from "./worker-messages.ts";

const STATUS_EVERY_MS = 250;

// Of a terminal all processes hear of Ctrl-C; the one that started us says when to end.
process.on("SIGINT", () => undefined);
const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
process.once("disconnect", () => stopping.abort());
process.on("message", (message: ToWorker) => {
  if (message.kind === "stop") stopping.abort();
  else void work(message.settings);
});

async function work(settings: WorkerSettings): Promise<void> {
  let end: WorkerEnd | undefined;
  try {
    end = await run(settings);
  } catch (error) {
    end = { what: messageOf(error), next: "again" };
  }
  if (end !== undefined) tell({ kind: "ended", end });
  if (process.connected) process.disconnect();
}

/** Undefined: it was told to stop. */
async function run(settings: WorkerSettings): Promise<WorkerEnd | undefined> {
  const graph = (await loadApp(settings.file)).build();
  const zstd = nodeZstd();
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
    const isDoubtful = end.kind === "contradicted" || end.kind === "failed";
    const what = workerEnd(task, end);
    void (isDoubtful ? states.discard(task) : Promise.resolve()).finally(() => {
      if (what !== undefined) ended.resolve(what);
    });
  };
  const onDispute = (task: string, evidence: Evidence): void => reportEvidence(evidenceFolder, task, evidence, false);
  const ports = { clock: SYSTEM_CLOCK, entropy: SYSTEM_ENTROPY, openState: states.open, onEnd, onDispute };
  const log = new MeteredLog(client.taskLog());
  const app = new AppRun(log, ports, graph, { ...APP_RUN_DEFAULTS, poison, commitEveryMs });
  const telling = setInterval(() => {
    tell({ kind: "status", replicas: app.status, commits: log.take() });
  }, STATUS_EVERY_MS);
  stopping.signal.addEventListener("abort", () => ended.resolve(undefined), { once: true });
  if (stopping.signal.aborted) ended.resolve(undefined);
  try {
    return await ended.promise;
  } finally {
    clearInterval(telling);
    await app.stop();
    await states.close();
  }
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message);
}
