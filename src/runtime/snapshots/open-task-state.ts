/**
 * A task's rows where a replica begins: those on its disk, if there are some that can be believed; else those of the newest snapshot; else
 * none, and the input is read from the beginning.
 */
import { placeIn } from "../../operators/engine/progress.ts";
import { MemoryStore } from "../../operators/state/memory-store.ts";
import type { StateStore } from "../../operators/state/state-store.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Kv } from "../../ports/kv.ts";
import { compareTaskPlaces } from "../../record/task-place.ts";
import { KvStore } from "../state/kv-store.ts";
import type { Opening } from "../replica.ts";
import type { TaskFacts } from "../task-log.ts";
import type { TaskState } from "../task-state.ts";
import { SNAPSHOT_DEFAULTS } from "./limits.ts";
import { firstNeeded } from "./manifest.ts";
import { KvTarget } from "./kv-target.ts";
import { MemoryTarget } from "./memory-target.ts";
import { type Restored, restore } from "./restore.ts";
import type { OpenSpare, RestoredSnapshot, SnapshotPlan } from "./snapshotter.ts";

export type OpenTaskStateOptions = {
  readonly plan: Pick<SnapshotPlan, "stream" | "zstd"> & Partial<SnapshotPlan>;
  readonly clock: Clock;
  readonly facts: TaskFacts;
  /** Where the rows are kept; absent, in memory. `label` says whose they are. `openSpare`: where there is room for as many once more. */
  readonly disk?: { readonly kv: Kv; readonly label: string; readonly openSpare: OpenSpare };
  readonly opening?: Opening;
  /** What could not be used, and why. */
  readonly onObjection?: (message: string) => void;
};

/** Rejects where the log cannot be reached. */
export async function openTaskState(options: OpenTaskStateOptions): Promise<TaskState> {
  const { clock, facts, disk, opening, onObjection } = options;
  const snapshots: SnapshotPlan = {
    ...SNAPSHOT_DEFAULTS,
    born: facts.born,
    ...(disk !== undefined && { openSpare: disk.openSpare }),
    ...options.plan,
  };
  const { stream, zstd, born } = snapshots;
  const restoring = {
    born,
    committed: facts.place,
    writer: facts.committing ?? "",
    ...(facts.verified !== undefined && { verified: facts.verified }),
    ...(opening !== undefined && { onProgress: opening.onProgress }),
  };
  if (disk === undefined) {
    const { restored, objections } = await restore(stream, zstd, new MemoryTarget(clock), restoring);
    for (const objection of objections) onObjection?.(objection);
    if (restored === undefined) return { store: new MemoryStore(), snapshots };
    return { store: restored.store, totals: restored.totals, snapshots, restored: snapshotOf(restored, facts) };
  }
  const { kv, label } = disk;
  if (opening?.anew === true) await kv.clear();
  const { store: kept, totals: keptTotals, discarded } = await KvStore.open(kv, label, clock);
  // It was written behind its commits: the log has lost some since.
  const isAhead = compareTaskPlaces(placeIn(kept), facts.place) > 0;
  const objection = isAhead ? "it is ahead of what the task has committed" : discarded;
  if (objection !== undefined) onObjection?.(`the state on disk cannot be used: ${objection}`);
  if (isAhead) await kv.clear();
  else if (keptTotals.rows > 0) return { store: kept, totals: keptTotals, durable: kept, snapshots };
  const { restored, objections } = await restore(stream, zstd, new KvTarget(kv, label, clock), restoring);
  for (const objection of objections) onObjection?.(objection);
  const { store, totals } = restored ?? (await KvStore.open(kv, label, clock));
  return {
    ...{ store, totals, durable: store, snapshots },
    ...(restored !== undefined && { restored: snapshotOf(restored, facts) }),
  };
}

function snapshotOf(
  { offset, incarnation, manifest }: Restored<StateStore>,
  { verified }: TaskFacts,
): RestoredSnapshot {
  const { point } = manifest;
  const neededFrom = firstNeeded(manifest, offset);
  return { manifest: offset, neededFrom, incarnation, point, verified: offset === verified };
}
