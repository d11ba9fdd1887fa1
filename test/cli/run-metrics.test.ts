/** What `tidemark run` makes of what its workers tell: rates, reports, metrics. The processes are in test/process/run.test.ts. */
import { describe, expect, it } from "vitest";
import { lagOf } from "../../client/cli/apps/lag.ts";
import { AppMetrics } from "../../client/cli/run/app-metrics.ts";
import { ReplicaReports } from "../../client/cli/run/replica-reports.ts";
import { Reporter } from "../../client/cli/run/reporter.ts";
import { summaryOf, summaryText } from "../../client/cli/run/status-lines.ts";
import type { WorkerStatus } from "../../client/cli/run/workers.ts";
import type { Client } from "../../client/client.ts";
import type { ToldReport } from "../../client/apps/worker-report.ts";
import { topology } from "../../src/operators/build/topology.ts";
import { BEFORE_RECORDS } from "../../src/record/record-place.ts";

type Told = WorkerStatus["replicas"][number];
type Work = NonNullable<Told["work"]>;

function graph() {
  const app = topology("counts");
  app
    .stream("in")
    .groupBy((value) => String(value))
    .count()
    .to("out");
  return app.build();
}

const WORK: Work = {
  committing: true,
  place: { cursor: BEFORE_RECORDS, outputs: 20 },
  committed: { cursor: BEFORE_RECORDS, outputs: 18 },
  records: 10,
  nextOffsets: { in: 10 },
  readPosition: 30,
  readLogTime: 5,
  watermark: 4_000,
  counters: { late: 1, skipped: 2 },
  rows: 3,
  stateBytes: 300,
  digest: "0f",
  pendingOutputs: 2,
  poisoned: 4,
  disputed: false,
  snapshot: undefined,
};

function told(worker: number, more: Partial<Told>): WorkerStatus {
  const status: Told = {
    ...{ task: "0.0", replica: `r${worker}`, state: "running", restoreTo: 0, restored: undefined },
    ...{ work: WORK, ...more },
  };
  return { worker, process: 100 + worker, replicas: [status], hangs: undefined };
}

const working = (more: Partial<Work>): Partial<Told> => ({ work: { ...WORK, ...more } });

describe("a run's replicas", () => {
  it("have rates since the last look; of one that is new nobody knows any", () => {
    const reports = new ReplicaReports();
    const rates = (statuses: readonly WorkerStatus[], nowMs: number): unknown =>
      reports.sample(statuses, nowMs).map(({ tasks }) => [tasks[0]?.recordsPerSecond, tasks[0]?.outputsPerSecond]);
    expect(rates([told(1, {})], 1_000)).toEqual([[0, 0]]);
    const later = told(1, working({ records: 40, place: { cursor: BEFORE_RECORDS, outputs: 80 } }));
    expect(rates([later, told(2, {})], 3_000)).toEqual([
      [15, 30],
      [0, 0],
    ]);
    // Begun anew, it has less than before.
    expect(rates([told(1, {})], 4_000)).toEqual([[0, 0]]);
  });

  it("lag by what their inputs have behind what they read, as far as it is kept", () => {
    const ends = new Map([
      ["a", { firstOffset: 5, nextOffset: 9 }],
      ["b", { firstOffset: 0, nextOffset: 3 }],
    ]);
    expect(lagOf(["a", "b", "none"], { a: 7, b: 3 }, ends)).toBe(2);
    expect(lagOf(["a", "b"], { a: 2 }, ends)).toBe(7);
    // What was read since the ends were asked for.
    expect(lagOf(["b"], { b: 4 }, ends)).toBe(0);
  });

  it("tell how far a restore is", () => {
    const restored = { doneBytes: 30, totalBytes: 120 };
    const starting = told(1, { state: "starting", restored, work: undefined });
    const restoring = told(2, { state: "restoring", restoreTo: 37 });
    const [one, two] = new ReplicaReports().sample([starting, restoring], 0).flatMap(({ tasks }) => tasks);
    expect([one?.snapshotRead, one?.positionsLeft]).toEqual([0.25, undefined]);
    expect([two?.snapshotRead, two?.positionsLeft]).toEqual([undefined, 7]);
    const summary = summaryOf([starting, restoring]);
    expect(summary.restore).toEqual({ snapshotRead: 0.25, positionsLeft: 7 });
    expect(summaryText(summary, 20, 1_000)).toMatch(
      /^0 of 2 replicas running, snapshot read to 25 %, 7 positions of the log to go, 18 outputs/,
    );
    expect(summaryOf([told(1, {})]).restore).toBeUndefined();
  });

  it("that are paused are no more said to run", () => {
    const summary = summaryOf([told(1, { state: "paused" }), told(2, {})]);
    expect(summaryText(summary, 18, 1_000)).toMatch(/^1 of 2 replicas running, 1 paused, 18 outputs/);
  });

  it("that are gone are said to have stopped, once, as soon as the log can be told", async () => {
    const appended: unknown[] = [];
    let isThere = true;
    const append = (records: readonly { readonly key: string; readonly json: ToldReport }[]): Promise<void> => {
      if (!isThere) return Promise.reject(new Error("not now"));
      appended.push(records.map(({ key, json }) => [key, json.tasks[0]?.state]));
      return Promise.resolve();
    };
    const reporter = new Reporter({ stream: () => ({ append }) } as unknown as Client, "counts", 2);
    const reports = new ReplicaReports();
    const tell = (...statuses: readonly WorkerStatus[]): Promise<void> =>
      reporter.tell(reports.sample(statuses, 0), {});
    await tell(told(1, {}), told(2, {}));
    isThere = false;
    await tell(told(1, {}), { worker: 2, process: undefined, replicas: [], hangs: undefined });
    isThere = true;
    for (let time = 0; time < 2; time += 1)
      await tell(told(1, {}), { worker: 2, process: 102, replicas: [], hangs: undefined });
    expect(appended).toEqual([
      [
        ["r1", "running"],
        ["r2", "running"],
      ],
      [
        ["r1", "running"],
        ["r2", "stopped"],
      ],
      [["r1", "running"]],
    ]);
  });

  it("are metrics by app, task and worker", async () => {
    const metrics = new AppMetrics(graph());
    const dead = { ...told(2, {}), replicas: [] };
    metrics.sampled(new ReplicaReports().sample([told(1, {}), dead], 0));
    metrics.asked([], new Map([["in", { firstOffset: 0, nextOffset: 14 }]]));
    metrics.committed(1, { seconds: [0.003, 0.2], refused: { moved: 2 } });
    metrics.committed(1, { seconds: [0.003], refused: {} });
    metrics.died(2);
    const lines = (await metrics.set.text()).split("\n").filter((line) => !line.startsWith("#"));
    const labels = 'app="counts",task="0.0",worker="1"';
    expect(lines).toEqual(
      expect.arrayContaining([
        `tidemark_app_replica_state{${labels},state="running"} 1`,
        `tidemark_app_committing{${labels}} 1`,
        `tidemark_app_lag_records{${labels}} 4`,
        `tidemark_app_watermark_timestamp_seconds{${labels}} 4`,
        `tidemark_app_records_total{${labels}} 10`,
        `tidemark_app_outputs_total{${labels}} 20`,
        `tidemark_app_pending_outputs{${labels}} 2`,
        `tidemark_app_dead_letters_total{${labels}} 4`,
        'tidemark_app_commits_total{app="counts",worker="1",outcome="committed"} 3',
        'tidemark_app_commits_total{app="counts",worker="1",outcome="moved"} 2',
        'tidemark_app_worker_deaths_total{app="counts",worker="2"} 1',
        "tidemark_app_commit_duration_seconds_count 3",
      ]),
    );
    expect(lines.join("\n")).not.toContain('task="0.0",worker="2"');
  });
});
