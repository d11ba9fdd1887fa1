/**
 * A worker process, as those of `tidemark run`, of which more can be said: what its commits are worth, and when it takes snapshots.
 * It says `ready replica:ID` when its replicas have come to where the app is committed. SIGTERM ends it between two inputs.
 */
import { connect } from "../../client/index.ts";
import { ClientSnapshots } from "../../client/apps/snapshot-stream.ts";
import { limitHeapGrowth } from "../../log-server/observe/heap-growth.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY, SYSTEM_ZSTD, THREADED_ZSTD } from "../../log-server/system.ts";
import { ok } from "../../src/lib/result.ts";
import { APP_RUN_DEFAULTS, AppRun, type OpenTaskState } from "../../src/runtime/app-run.ts";
import { openTaskState } from "../../src/runtime/snapshots/open-task-state.ts";
import type { TaskLog } from "../../src/runtime/task-log.ts";
import { snapshotsStream } from "../../src/wire/app-streams.ts";
import { wait } from "../processes.ts";
import { type BenchApp, outputOf, topologyOf } from "./apps.ts";

export type WorkerOptions = {
  readonly url: string;
  readonly app: BenchApp;
  /** `appends`: outputs are appended as any records are, so that a worker that dies repeats some. */
  readonly commits: "transactions" | "appends";
  /** So often, between a SIGUSR2 and the next; absent: as a worker does unless it is set up otherwise. */
  readonly snapshotEveryMs?: number;
};

const LOOK_EVERY_MS = 10;

const { url, app, commits, snapshotEveryMs } = JSON.parse(process.argv[2] as string) as WorkerOptions;
limitHeapGrowth("worker");
let taking = false;
process.on("SIGUSR2", () => {
  taking = !taking;
});
const client = connect(url, { zstd: SYSTEM_ZSTD });

const openState: OpenTaskState = async (task, facts) => {
  const stream = new ClientSnapshots(client.stream(snapshotsStream(app.name, task)));
  const state = await openTaskState({ plan: { stream, zstd: THREADED_ZSTD }, clock: SYSTEM_CLOCK, facts });
  const { snapshots } = state;
  if (snapshots === undefined || snapshotEveryMs === undefined) return state;
  const plan = Object.defineProperty({ ...snapshots }, "everyMs", {
    get: () => (taking ? snapshotEveryMs : Number.POSITIVE_INFINITY),
  });
  return { ...state, snapshots: plan };
};

/** What exactly-once is measured beside: the same outputs in the same batches, each of what would be a commit, and no word of how far the task is. */
function withoutTransactions(log: TaskLog): TaskLog {
  const output = client.stream(outputOf(app));
  return {
    follow: (...args) => log.follow(...args),
    readCommit: (record) => log.readCommit(record),
    say: (...args) => log.say(...args),
    tell: (...args) => log.tell(...args),
    task: (...args) => log.task(...args),
    commit: async (_, outputs) => {
      if (outputs.length > 0) await output.append(outputs);
      return ok(undefined);
    },
  };
}

const log = client.taskLog();
const run = new AppRun(
  commits === "transactions" ? log : withoutTransactions(log),
  { clock: SYSTEM_CLOCK, entropy: SYSTEM_ENTROPY, openState },
  topologyOf(app).build(),
  APP_RUN_DEFAULTS,
);
process.once("SIGTERM", () => void run.stop().then(() => client.close()));
void run.finished.then((ends) => {
  const failed = ends.find(({ end }) => end.kind !== "stopped");
  if (failed === undefined) return;
  console.error(failed);
  process.exit(1);
});
while (run.status.some(({ state }) => state !== "running")) await wait(LOOK_EVERY_MS);
console.log(`ready replica:${run.status[0]?.replica}`);
