/**
 * Everything that is measured, behind one module. What merely is (positions, free space) is read from the node's
 * status when someone scrapes; what happens is counted here, by plain additions, for it is the hot path. Nothing is
 * labelled by stream: there may be a hundred thousand.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { collectDefaultMetrics, Counter, Gauge, type Metric, Registry } from "prom-client";
import type { CommandResult } from "../../src/wire/command.ts";
import { NODE_LIMITS } from "../node/limits.ts";
import type { NodeStatus } from "../node/node-status.ts";
import { exponentialBounds, HotHistogram } from "./histogram.ts";
import type { Progress } from "./progress.ts";

export type MetricsOptions = {
  /** Undefined until the log is open. */
  readonly status: () => NodeStatus | undefined;
  readonly progress: () => Progress;
  /** The connections to the other nodes. */
  readonly peers: () => readonly PeerFacts[];
  /** Also the process's own (memory, CPU, garbage collection): once per process. */
  readonly processMetrics: boolean;
};

export type PeerFacts = {
  readonly node: string;
  readonly connected: boolean;
  /** Of the last ping; undefined before the first answer. */
  readonly rttMs: number | undefined;
  /** Messages that found no connection, or no room. */
  readonly dropped: number;
};

type FollowerStatus = NodeStatus["followers"][number];

const DURATION_BOUNDS = exponentialBounds(0.0001, 2, 17);
const COUNT_BOUNDS = exponentialBounds(1, 2, 13);
const BYTES_BOUNDS = exponentialBounds(256, 4, 10);
const LAG_RESOLUTION_MS = 20;
const NANOSECONDS = 1e9;

export class Metrics {
  readonly #registry = new Registry();
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
  #leaderChanges = 0;
  #lastTerm: number | undefined;
  #snapshotSeconds: number | undefined;
  #snapshotAt: number | undefined;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#loopDelay.enable();
    this.#propose = this.#histogram(
      "propose_duration_seconds",
      "From proposing a command to its answer",
      DURATION_BOUNDS,
    );
    this.#sync = this.#histogram("fsync_duration_seconds", "One group commit: write and sync", DURATION_BOUNDS);
    this.#groupEntries = this.#histogram("group_commit_entries", "Entries made durable by one sync", COUNT_BOUNDS);
    this.#groupBytes = this.#histogram("group_commit_bytes", "Bytes made durable by one sync", BYTES_BOUNDS);
    this.#registerStatus();
    this.#registerCounts();
    this.#registerReplication();
    this.#registerPeers();
    if (options.processMetrics) collectDefaultMetrics({ register: this.#registry });
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
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  stop(): void {
    this.#loopDelay.disable();
    this.#registry.clear();
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
    this.#status("damaged_places", "Damaged places found on this disk", (status) => status.damage.length);
    this.#counter(
      "repaired_entries_total",
      "Entries and batches that damage had taken and other nodes gave back",
      () => {
        const { entries = 0, batches = 0 } = this.#options.status()?.repair ?? {};
        return entries + batches;
      },
    );
    this.#counter(
      "state_differences_total",
      "Times that another node had another state after the same entry",
      () => this.#options.status()?.digests?.differences ?? 0,
    );
    this.#counter("scrubbed_bytes_total", "Read of sealed segments, to see that they are whole", () => {
      return this.#options.status()?.scrub.bytes ?? 0;
    });
    this.#counter("scrub_passes_total", "Times that all sealed segments were read from end to end", () => {
      return this.#options.status()?.scrub.passes ?? 0;
    });
    this.#status("disk_full", "Whether new data is refused for want of space", (status) => Number(status.diskFull));
    this.#status("disk_free_bytes", "Space left on the data folder's disk", (status) =>
      status.freeBytes < Number.MAX_SAFE_INTEGER ? status.freeBytes : undefined,
    );
    this.#status(
      "compaction_dirty_bytes",
      "Behind the compaction frontiers of all streams that have one",
      (status) => status.compaction.dirtyBytes,
    );
    this.#status("snapshot_index", "The position of the newest snapshot", (status) => status.snapshotPosition);
    this.#gauge("snapshot_age_seconds", "Since the newest snapshot of this run", () =>
      this.#snapshotAt === undefined ? undefined : (performance.now() - this.#snapshotAt) / 1_000,
    );
    this.#gauge(
      "snapshot_duration_seconds",
      "How long the newest snapshot of this run took",
      () => this.#snapshotSeconds,
    );
    this.#gauge("restore_progress_ratio", "How much of recovery is done", () => {
      const { done, total } = progress();
      return total === 0 ? 1 : done / total;
    });
    this.#gauge("event_loop_lag_seconds", "The longest stall of the event loop since the last scrape", () => {
      const seconds = Math.max(0, this.#loopDelay.max / NANOSECONDS - LAG_RESOLUTION_MS / 1_000);
      this.#loopDelay.reset();
      return seconds;
    });
  }

  #registerCounts(): void {
    this.#counter("leader_changes_total", "Terms seen, each with one leader at most", () => this.#countLeaderChanges());
    this.#counter("appends_total", "Appends answered as done", () => this.#appends);
    this.#counter("appended_records_total", "Records appended", () => this.#appendedRecords);
    this.#counter("appended_bytes_total", "Bytes appended", () => this.#appendedBytes);
    this.#counter("reads_total", "Answers that carried records", () => this.#reads);
    this.#counter("read_records_total", "Records sent to readers", () => this.#readRecords);
    this.#counter("read_bytes_total", "Bytes sent to readers", () => this.#readBytes);
    this.#counter(
      "slow_consumers_dropped_total",
      "Live readers dropped for taking nothing",
      () => this.#slowReadersDropped,
    );
    this.#counter(
      "segments_rewritten_total",
      "Sealed segments rewritten without what is gone, by this run",
      () => this.#options.status()?.compaction.segmentsRewritten ?? 0,
    );
    this.#counter("rewrite_freed_bytes_total", "Disk space given back by rewriting segments, by this run", () =>
      Math.max(0, this.#options.status()?.compaction.bytesGivenBack ?? 0),
    );
    this.#gauge("subscribers", "Live readers", () => this.#liveReaders);
    this.#counterBy("proposals_total", "Commands answered, by what came of them", "result", () => this.#proposals);
    this.#counterBy("webhooks_total", "Webhook attempts, by outcome", "outcome", () => this.#webhooks);
    this.#counterBy("events_total", "Events logged, by code", "code", () => this.#events);
  }

  #registerReplication(): void {
    this.#status("raft_is_leader", "Whether this node leads the log", ({ role }) => Number(role === "leader"));
    this.#counter(
      "raft_refused_messages_total",
      "Messages of other nodes that were damaged, or not meant for this log on this node",
      () => this.#options.status()?.refusedMessages ?? 0,
    );
    this.#status(
      "forwarded_commands",
      "Commands that came here, went to the leader, and are not answered yet",
      ({ forwards }) => forwards.underWay,
    );
    this.#counterBy(
      "forwarded_commands_total",
      "Of these, what came of them: answered, refused with nothing done, or unknown",
      "outcome",
      () => {
        const { answered = 0, refused = 0, unknown = 0 } = this.#options.status()?.forwards ?? {};
        return new Map(Object.entries({ answered, refused, unknown }));
      },
    );
    this.#counter(
      "forwarded_commands_repeated_total",
      "Times that one was sent again, since its producer's sequence allows that",
      () => this.#options.status()?.forwards.repeated ?? 0,
    );
    this.#followers(
      "raft_follower_lag_entries",
      "Entries of the leader that this follower is not known to have synced",
      ({ match }, { lastIndex }) => Math.max(0, lastIndex - match),
    );
    this.#followers(
      "raft_follower_silent_seconds",
      "Since this follower was last heard by the leader",
      ({ silentTicks }) => (silentTicks * NODE_LIMITS.tickMs) / 1_000,
    );
  }

  #registerPeers(): void {
    this.#peers("peer_connected", "Whether there is a connection to this node", ({ connected }) => Number(connected));
    this.#peers("peer_round_trip_seconds", "Of the last ping to this node", ({ rttMs }) =>
      rttMs === undefined ? undefined : rttMs / 1_000,
    );
    this.#peers(
      "peer_dropped_messages",
      "Messages to this node that found no connection, or no room, since it is known",
      ({ dropped }) => dropped,
    );
  }

  #countLeaderChanges(): number {
    const term = this.#options.status()?.term;
    if (term !== undefined && term !== this.#lastTerm) {
      this.#leaderChanges += 1;
      this.#lastTerm = term;
    }
    return this.#leaderChanges;
  }

  #status(name: string, help: string, value: (status: NodeStatus) => number | undefined): void {
    this.#gauge(name, help, () => {
      const status = this.#options.status();
      return status === undefined ? undefined : value(status);
    });
  }

  /** The leader shows each of its followers, by name; another node none. */
  #followers(name: string, help: string, value: (follower: FollowerStatus, status: NodeStatus) => number): void {
    const gauge: Gauge = new Gauge({
      name: prefixed(name),
      help,
      labelNames: ["follower"],
      registers: [this.#registry],
      collect: () => {
        gauge.reset();
        const status = this.#options.status();
        if (status === undefined) return;
        for (const follower of status.followers) gauge.set({ follower: follower.id }, value(follower, status));
      },
    });
  }

  #peers(name: string, help: string, value: (peer: PeerFacts) => number | undefined): void {
    const gauge: Gauge = new Gauge({
      name: prefixed(name),
      help,
      labelNames: ["peer"],
      registers: [this.#registry],
      collect: () => {
        gauge.reset();
        for (const peer of this.#options.peers()) {
          const current = value(peer);
          if (current !== undefined) gauge.set({ peer: peer.node }, current);
        }
      },
    });
  }

  /** Nothing is shown while `value` is undefined. */
  #gauge(name: string, help: string, value: () => number | undefined): void {
    const gauge: Gauge = new Gauge({
      name: prefixed(name),
      help,
      registers: [this.#registry],
      collect: () => {
        const current = value();
        if (current === undefined) gauge.remove();
        else gauge.set(current);
      },
    });
  }

  #counter(name: string, help: string, value: () => number): void {
    const counter: Counter = new Counter({
      name: prefixed(name),
      help,
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        counter.inc(value());
      },
    });
  }

  #counterBy(name: string, help: string, label: string, counts: () => ReadonlyMap<string, number>): void {
    const counter: Counter = new Counter({
      name: prefixed(name),
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        for (const [value, count] of counts()) counter.inc({ [label]: value }, count);
      },
    });
  }

  #histogram(name: string, help: string, bounds: readonly number[]): HotHistogram {
    const histogram = new HotHistogram(prefixed(name), help, bounds);
    // The registry asks its metrics for a name and for `get()`, and this has both.
    this.#registry.registerMetric(histogram as unknown as Metric);
    return histogram;
  }
}

function prefixed(name: string): string {
  return `tidemark_${name}`;
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
