/**
 * Everything that is measured, behind one module. What merely is (positions, free space) is read from the node's
 * status when someone scrapes; what happens is counted here, by plain additions, for it is the hot path. Nothing is
 * labelled by stream: there may be a hundred thousand.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { CommandResult } from "../../src/wire/command.ts";
import type { NodeStatus } from "../node/node-status.ts";
import { exponentialBounds, type HotHistogram } from "./histogram.ts";
import { MetricSet } from "./metric-set.ts";
import type { Progress } from "./progress.ts";
import { addReplicationMetrics, type ReplicationSources } from "./replication-metrics.ts";
import { addStorageMetrics } from "./storage-metrics.ts";

export type MetricsOptions = ReplicationSources & {
  readonly progress: () => Progress;
  /** See `MetricSet.addProcess`. */
  readonly processMetrics: boolean;
};

const DURATION_BOUNDS = exponentialBounds(0.0001, 2, 17);
const COUNT_BOUNDS = exponentialBounds(1, 2, 13);
const BYTES_BOUNDS = exponentialBounds(256, 4, 10);
const LAG_RESOLUTION_MS = 20;
const NANOSECONDS = 1e9;

export class Metrics {
  readonly #set = new MetricSet();
  readonly #options: MetricsOptions;
  readonly #loopDelay: ReturnType<typeof monitorEventLoopDelay> = monitorEventLoopDelay({
    resolution: LAG_RESOLUTION_MS,
  });
  readonly #proposals = new Map<string, number>();
  readonly #events = new Map<string, number>();
  readonly #webhooks = new Map<string, number>();
  readonly #propose: HotHistogram;
  readonly #sync: HotHistogram;
  readonly #groupEntries: HotHistogram;
  readonly #groupBytes: HotHistogram;
  #appends = 0;
  #appendedRecords = 0;
  #appendedBytes = 0;
  #reads = 0;
  #readRecords = 0;
  #readBytes = 0;
  #liveReaders = 0;
  #slowReadersDropped = 0;
  #snapshotSeconds: number | undefined;
  #snapshotAt: number | undefined;
  #installedIndex = 0;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#loopDelay.enable();
    this.#propose = this.#set.histogram(
      "propose_duration_seconds",
      "From proposing a command to its answer",
      DURATION_BOUNDS,
    );
    this.#sync = this.#set.histogram("fsync_duration_seconds", "One group commit: write and sync", DURATION_BOUNDS);
    this.#groupEntries = this.#set.histogram("group_commit_entries", "Entries made durable by one sync", COUNT_BOUNDS);
    this.#groupBytes = this.#set.histogram("group_commit_bytes", "Bytes made durable by one sync", BYTES_BOUNDS);
    this.#registerStatus();
    this.#registerCounts();
    addStorageMetrics(this.#set, options.status);
    addReplicationMetrics(this.#set, options);
    if (options.processMetrics) this.#set.addProcess();
  }

  /* What the node tells (`NodeObserver`). */

  proposed(result: CommandResult["kind"] | "failed", milliseconds: number): void {
    add(this.#proposals, result);
    this.#propose.observe(milliseconds / 1_000);
  }

  synced(entries: number, bytes: number, milliseconds: number): void {
    this.#groupEntries.observe(entries);
    this.#groupBytes.observe(bytes);
    this.#sync.observe(milliseconds / 1_000);
  }

  /* What the HTTP faces tell. */

  appended(records: number, bytes: number): void {
    this.#appends += 1;
    this.#appendedRecords += records;
    this.#appendedBytes += bytes;
  }

  read(records: number, bytes: number): void {
    this.#reads += 1;
    this.#readRecords += records;
    this.#readBytes += bytes;
  }

  liveReaders(change: 1 | -1): void {
    this.#liveReaders += change;
  }

  slowReaderDropped(): void {
    this.#slowReadersDropped += 1;
  }

  webhook(outcome: "delivered" | "failed"): void {
    add(this.#webhooks, outcome);
  }

  /** Whatever is worth a log line is worth a count. Codes are few and fixed. */
  event(code: string, detail: Readonly<Record<string, unknown>>): void {
    add(this.#events, code);
    if (code === "snapshot" && typeof detail["milliseconds"] === "number") {
      this.#snapshotSeconds = detail["milliseconds"] / 1_000;
      this.#snapshotAt = performance.now();
    }
    if (code === "snapshot-installed" && typeof detail["position"] === "number")
      this.#installedIndex = detail["position"];
  }

  get contentType(): string {
    return this.#set.contentType;
  }

  text(): Promise<string> {
    return this.#set.text();
  }

  stop(): void {
    this.#loopDelay.disable();
    this.#set.clear();
  }

  #registerStatus(): void {
    const { progress } = this.#options;
    this.#status("has_leader", "Whether this node knows a leader", (status) => Number(status.hasLeader));
    this.#status("term", "The current term", (status) => status.term);
    this.#status("commit_index", "The last entry known to be committed", (status) => status.commitIndex);
    this.#status("applied_index", "The last entry applied", (status) => status.appliedIndex);
    this.#status("last_index", "The last entry in the log", (status) => status.lastIndex);
    this.#status("waiting_proposals", "Commands waiting to be written", (status) => status.waitingProposals);
    this.#status("waiting_readers", "Readers waiting for a change", (status) => status.waitingReaders);
    this.#status("waiting_barriers", "Linearizable reads waiting for their point", (status) => status.waitingBarriers);
    this.#status("streams", "Streams that exist", (status) => status.streams);
    this.#status("groups", "Consumer groups that exist", (status) => status.groups().count);
    this.#status(
      "group_lag_records",
      "Records that groups have not processed, over all of them",
      (status) => status.groups().lag,
    );
    this.#status("group_leased_records", "Of these, leased", (status) => status.groups().inFlight);
    this.#status(
      "group_resting_records",
      "Of these, resting until their next attempt",
      (status) => status.groups().resting,
    );
    this.#status(
      "group_dead_records",
      "Of these, dead and waiting for their dead-letter stream",
      (status) => status.groups().dead,
    );
    this.#status("apps", "Apps that are deployed", (status) => status.apps().count);
    this.#status("apps_paused", "Of these, paused", (status) => status.apps().paused);
    this.#status("app_tasks", "Tasks of all apps", (status) => status.apps().tasks);
    this.#status(
      "app_task_commits",
      "Commits of all tasks since each began; it falls where one begins anew",
      (status) => status.apps().commits,
    );
    this.#status(
      "app_task_due_timestamp_seconds",
      "Log time since which a task of an app that is not paused should have gone on and has not, as nobody runs it, say; some 10 s are usual; 0: none is late",
      (status) => (status.apps().dueSince ?? 0) / 1_000,
    );
    this.#status(
      "stands_back",
      "1 if this node is not to lead while another can: drained, or its clock is off",
      (status) => (status.standsBack.length > 0 ? 1 : 0),
    );
    this.#status(
      "clock_offset_seconds",
      "How far this node's clock is ahead of the voters' median; beyond a second it does not stand for election",
      (status) => status.clockOffMs / 1_000,
    );
    this.#status("snapshot_index", "The position of the newest snapshot", (status) => status.snapshotPosition);
    this.#set.gauge("snapshot_age_seconds", "Since the newest snapshot of this run", () =>
      this.#snapshotAt === undefined ? undefined : (performance.now() - this.#snapshotAt) / 1_000,
    );
    this.#set.gauge(
      "snapshot_duration_seconds",
      "How long the newest snapshot of this run took",
      () => this.#snapshotSeconds,
    );
    this.#set.gauge(
      "snapshot_installed_index",
      "The position of the snapshot that another node shipped and this run began with; 0 if it began with its own log",
      () => this.#installedIndex,
    );
    this.#set.gauge("restore_progress_ratio", "How much of recovery is done", () => {
      const { done, total } = progress();
      return total === 0 ? 1 : done / total;
    });
    this.#set.gauge("event_loop_lag_seconds", "The longest stall of the event loop since the last scrape", () => {
      const seconds = Math.max(0, this.#loopDelay.max / NANOSECONDS - LAG_RESOLUTION_MS / 1_000);
      this.#loopDelay.reset();
      return seconds;
    });
  }

  #registerCounts(): void {
    this.#set.counter(
      "leader_changes_total",
      "Leaders that were elected, as this node heard of them",
      () => this.#events.get("leader-elected") ?? 0,
    );
    this.#set.counter("appends_total", "Appends answered as done", () => this.#appends);
    this.#set.counter("appended_records_total", "Records appended", () => this.#appendedRecords);
    this.#set.counter("appended_bytes_total", "Bytes appended", () => this.#appendedBytes);
    this.#set.counter("reads_total", "Answers that carried records", () => this.#reads);
    this.#set.counter("read_records_total", "Records sent to readers", () => this.#readRecords);
    this.#set.counter("read_bytes_total", "Bytes sent to readers", () => this.#readBytes);
    this.#set.counter(
      "slow_consumers_dropped_total",
      "Live readers dropped for taking nothing",
      () => this.#slowReadersDropped,
    );
    this.#set.gauge("subscribers", "Live readers", () => this.#liveReaders);
    this.#set.counterBy("proposals_total", "Commands answered, by what came of them", "result", () => this.#proposals);
    this.#set.counterBy("webhooks_total", "Webhook attempts, by outcome", "outcome", () => this.#webhooks);
    this.#set.counterBy("events_total", "Events logged, by code", "code", () => this.#events);
  }

  #status(name: string, help: string, value: (status: NodeStatus) => number | undefined): void {
    this.#set.gauge(name, help, () => {
      const status = this.#options.status();
      return status === undefined ? undefined : value(status);
    });
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
