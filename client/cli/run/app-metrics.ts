/**
 * What Prometheus hears of a run: how each of its replicas stands, and how its workers' commits go. Series are by the worker's number,
 * which stays when it is started again; counts of a task's are since the task's beginning.
 */
import { exponentialBounds, type HotHistogram } from "../../../log-server/observe/histogram.ts";
import { type Labels, MetricSet } from "../../../log-server/observe/metric-set.ts";
import type { Graph } from "../../../src/operators/engine/graph.ts";
import { taskSpecsOf } from "../../../src/runtime/app-streams.ts";
import type { AppTaskDescription } from "../../apps/app-description.ts";
import type { ReplicaReport } from "../../apps/worker-report.ts";
import type { InputEnds } from "../../apps/input-ends.ts";
import { lagOf } from "../apps/lag.ts";
import type { CommitTally } from "./metered-log.ts";
import type { WorkerSample } from "./replica-reports.ts";

const MS_PER_SECOND = 1_000;
const COMMIT_SECONDS = exponentialBounds(0.0005, 2, 14);
const REPLICA = ["app", "task", "worker"];

type OfReplica = (report: ReplicaReport) => number | boolean | undefined;
type OfTask = (task: AppTaskDescription) => number | undefined;

export class AppMetrics {
  readonly set: MetricSet = new MetricSet();
  readonly #app: string;
  readonly #inputs: ReadonlyMap<string, readonly string[]>;
  readonly #commitSeconds: HotHistogram;
  /** By worker, and by what came of them. */
  readonly #commits = new Map<number, Map<string, number>>();
  readonly #deaths = new Map<number, number>();
  #samples: readonly WorkerSample[] = [];
  #ends: InputEnds = new Map();
  #tasks: readonly AppTaskDescription[] = [];

  constructor(graph: Graph) {
    this.#app = graph.app;
    this.#inputs = new Map(taskSpecsOf(graph).map(({ task, inputs }) => [task, inputs]));
    this.#commitSeconds = this.set.histogram(
      "app_commit_duration_seconds",
      "From handing a commit to the SDK to its answer, of those that counted",
      COMMIT_SECONDS,
    );
    this.#addReplicas();
    this.#addTasks();
    this.set.counterByAll("app_commits_total", "Commits by what came of them", ["app", "worker", "outcome"], () =>
      this.#commitCounts(),
    );
    this.set.counterByAll("app_worker_deaths_total", "Workers that ended by themselves", ["app", "worker"], () =>
      [...this.#deaths].map(([worker, deaths]) => [{ app: this.#app, worker: String(worker) }, deaths] as const),
    );
  }

  committed(worker: number, { seconds, refused }: CommitTally): void {
    for (const each of seconds) this.#commitSeconds.observe(each);
    this.#count(worker, "committed", seconds.length);
    for (const [why, count] of Object.entries(refused)) this.#count(worker, why, count);
  }

  died(worker: number): void {
    this.#deaths.set(worker, (this.#deaths.get(worker) ?? 0) + 1);
  }

  /** How the replicas are. */
  sampled(samples: readonly WorkerSample[]): void {
    this.#samples = samples;
  }

  /** What the log knows of the tasks, and how far their inputs reach. */
  asked(tasks: readonly AppTaskDescription[], ends: InputEnds): void {
    this.#tasks = tasks;
    this.#ends = ends;
  }

  #addReplicas(): void {
    this.set.gaugeByAll("app_replica_state", "1 for the state that a replica is in", [...REPLICA, "state"], () =>
      this.#replicas().map(([labels, { state }]) => [{ ...labels, state }, 1] as const),
    );
    this.#gauge("committing", "1 for the replica that made the task's last commit", ({ committing }) => committing);
    this.#gauge("lag_records", "Records of its inputs that a replica has yet to read", ({ task, nextOffsets }) =>
      lagOf(this.#inputs.get(task) ?? [], nextOffsets, this.#ends),
    );
    this.#gauge("watermark_timestamp_seconds", "How far event time has come", ({ watermark }) =>
      watermark === undefined ? undefined : watermark / MS_PER_SECOND,
    );
    this.#gauge("pending_outputs", "Outputs that wait for a commit", ({ pending }) => pending);
    this.#gauge("state_rows", "Rows of a task's state", ({ rows }) => rows);
    this.#gauge("state_bytes", "Bytes of a task's state", ({ stateBytes }) => stateBytes);
    this.#gauge(
      "snapshot_read_ratio",
      "Of the snapshot that it begins with; while it does",
      (report) => report.snapshotRead,
    );
    this.#gauge(
      "restore_positions",
      "Positions of the log until it is where the task is committed; while it restores",
      (report) => report.positionsLeft,
    );
    this.#gauge("disputed", "1 for a replica that differs from others", ({ disputed }) => disputed);
    this.#counter("records_total", "Records that a task has taken in", ({ records }) => records);
    this.#counter("outputs_total", "Outputs that a task has made", ({ outputs }) => outputs);
    this.#counter("late_total", "Records that were too late for their window", ({ late }) => late);
    this.#counter("skipped_total", "Records that a task had no use for", ({ skipped }) => skipped);
    this.#counter(
      "dead_letters_total",
      "Records that went to dead letters, since the replica began",
      ({ poisoned }) => poisoned,
    );
  }

  #addTasks(): void {
    const ageOf = (logTime: number | undefined): number | undefined =>
      logTime === undefined ? undefined : Math.max(0, Date.now() - logTime) / MS_PER_SECOND;
    this.#taskGauge("snapshot_age_seconds", "Since the newest snapshot of a task", ({ snapshot, verified }) =>
      ageOf((snapshot ?? verified)?.point.logTime),
    );
    this.#taskGauge("verified_snapshot_age_seconds", "Since the newest one that two came to alike", ({ verified }) =>
      ageOf(verified?.point.logTime),
    );
  }

  #gauge(name: string, help: string, of: OfReplica): void {
    this.set.gaugeByAll(`app_${name}`, help, REPLICA, () => this.#values(of));
  }

  #counter(name: string, help: string, of: OfReplica): void {
    this.set.counterByAll(`app_${name}`, help, REPLICA, () => this.#values(of));
  }

  #taskGauge(name: string, help: string, of: OfTask): void {
    this.set.gaugeByAll(`app_${name}`, help, ["app", "task"], () =>
      this.#tasks.flatMap((task) => {
        const value = of(task);
        return value === undefined ? [] : [[{ app: this.#app, task: task.task }, value] as const];
      }),
    );
  }

  #replicas(): (readonly [Labels, ReplicaReport])[] {
    return this.#samples.flatMap(({ worker, tasks }) =>
      tasks.map((report) => [{ app: this.#app, task: report.task, worker: String(worker) }, report] as const),
    );
  }

  #values(of: OfReplica): (readonly [Labels, number])[] {
    return this.#replicas().flatMap(([labels, report]) => {
      const value = of(report);
      return value === undefined ? [] : [[labels, Number(value)] as const];
    });
  }

  #count(worker: number, outcome: string, count: number): void {
    const counts = this.#commits.get(worker) ?? new Map<string, number>();
    this.#commits.set(worker, counts.set(outcome, (counts.get(outcome) ?? 0) + count));
  }

  #commitCounts(): (readonly [Labels, number])[] {
    return [...this.#commits].flatMap(([worker, counts]) =>
      [...counts].map(([outcome, count]) => [{ app: this.#app, worker: String(worker), outcome }, count] as const),
    );
  }
}
