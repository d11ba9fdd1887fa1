/** What is measured of what a node keeps: damage and its repair, the scrub, space, compaction. */
import type { NodeStatus } from "../node/node-status.ts";
import type { MetricSet } from "./metric-set.ts";

const MS_PER_SECOND = 1_000;

/** `status`: undefined until the log is open. */
export function addStorageMetrics(set: MetricSet, status: () => NodeStatus | undefined): void {
  addDamage(set, status);
  addScrub(set, status);
  addSpace(set, status);
}

function addDamage(set: MetricSet, status: () => NodeStatus | undefined): void {
  set.gauge("damaged_places", "Damaged places found on this disk", () => status()?.damage.length);
  set.gauge(
    "repair_damaged_segments",
    "Segments in which these are, that are to be made good from other nodes",
    () => status()?.repair?.damagedSegments ?? 0,
  );
  set.gauge(
    "repair_oldest_damage_seconds",
    "Since the one of them is damaged that is so longest; 0 without one",
    () => {
      return (status()?.repair?.oldestMs ?? 0) / MS_PER_SECOND;
    },
  );
  set.gauge("repair_under_way", "Whether other nodes are being asked for what is missing", () =>
    Number(status()?.repair?.underWay ?? false),
  );
  set.counter("repaired_entries_total", "Entries and batches that damage had taken and other nodes gave back", () => {
    const { entries = 0, batches = 0 } = status()?.repair ?? {};
    return entries + batches;
  });
  set.counter(
    "repaired_segments_total",
    "Segments, each as often as something in it was made good",
    () => status()?.repair?.segments ?? 0,
  );
  set.counter(
    "repair_fetched_bytes_total",
    "What other nodes gave for it, used or not",
    () => status()?.repair?.fetchedBytes ?? 0,
  );
  set.gauge("log_renewal_under_way", "Whether the leader ships its log in the place of this damaged one", () =>
    Number(status()?.renewal?.underWay ?? false),
  );
  set.counter(
    "log_renewals_total",
    "Times that it began to, for damage that nobody made good otherwise",
    () => status()?.renewal?.tries ?? 0,
  );
  set.counter(
    "state_differences_total",
    "Times that another node had another state after the same entry",
    () => status()?.digests?.differences ?? 0,
  );
}

function addScrub(set: MetricSet, status: () => NodeStatus | undefined): void {
  set.counter("scrubbed_bytes_total", "Read of sealed segments, to see that they are whole", () => {
    return status()?.scrub.bytes ?? 0;
  });
  set.counter("scrub_passes_total", "Times that all sealed segments were read from end to end", () => {
    return status()?.scrub.passes ?? 0;
  });
  set.gauge("scrub_progress_ratio", "Of the pass under way: segments read, of all; 0 between two", () => {
    const { underWay, checked, segments } = status()?.scrub ?? { underWay: false, checked: 0, segments: 0 };
    return underWay && segments > 0 ? checked / segments : 0;
  });
}

function addSpace(set: MetricSet, status: () => NodeStatus | undefined): void {
  set.gauge("disk_full", "Whether new data is refused for want of space", () => {
    const full = status()?.diskFull;
    return full === undefined ? undefined : Number(full);
  });
  set.gauge("disk_free_bytes", "Space left on the data folder's disk", () => {
    const free = status()?.freeBytes;
    return free !== undefined && free < Number.MAX_SAFE_INTEGER ? free : undefined;
  });
  set.gauge(
    "compaction_dirty_bytes",
    "Behind the compaction frontiers of all streams that have one",
    () => status()?.compaction.dirtyBytes,
  );
  set.counter(
    "segments_rewritten_total",
    "Sealed segments rewritten without what is gone, by this run",
    () => status()?.compaction.segmentsRewritten ?? 0,
  );
  set.counter("rewrite_freed_bytes_total", "Disk space given back by rewriting segments, by this run", () =>
    Math.max(0, status()?.compaction.bytesGivenBack ?? 0),
  );
}
