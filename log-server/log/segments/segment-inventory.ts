/**
 * What files a log has in `segments/`, and which of its segments are sealed. The sparse index knows of those, and is
 * brought up to date here: a crash may have come between a block and its entry, or in the middle of a drop.
 */
import type { Disk } from "../../../src/ports/disk.ts";
import type { BatchIndex } from "../index/batch-index.ts";
import type { DamageList } from "../repair/damage.ts";
import { type LogLayout, parseSegmentFileName } from "../log-layout.ts";
import type { IndexReader, SealedSegment } from "./sealed-segment.ts";
import { staleSegments } from "./stale-segments.ts";

export type InventoryParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly damage: DamageList;
  readonly snapshotPosition: number;
};

/** The files, by sequence. */
export type Inventory = {
  readonly logs: Set<number>;
  readonly compacted: Set<number>;
  readonly indexes: Set<number>;
  readonly highest: number;
};

export async function takeInventory({ disk, layout }: InventoryParts): Promise<Inventory> {
  const logs = new Set<number>();
  const compacted = new Set<number>();
  const indexes = new Set<number>();
  let highest = 0;
  for (const name of await disk.list(layout.segments)) {
    const parsed = parseSegmentFileName(name);
    if (parsed === undefined) continue;
    highest = Math.max(highest, parsed.sequence);
    if (parsed.kind === "log") logs.add(parsed.sequence);
    else if (parsed.kind === "compacted") compacted.add(parsed.sequence);
    else if (parsed.kind === "index") indexes.add(parsed.sequence);
    else await disk.remove(`${layout.segments}/${name}`);
  }
  // What is seen here must stay: a name may have been given by a process that was killed before it was durable.
  await disk.syncDirectory(layout.segments);
  return { logs, compacted, indexes, highest };
}

export type SealedFound = {
  readonly sealed: ReadonlyMap<number, SealedSegment>;
  /** Those of which the sparse index knows, neither file is there, and entries may be needed. In order. */
  readonly lost: readonly SealedSegment[];
};

/**
 * The sealed segments, as the sparse index knows them or else their blocks. Removes what a trim or a rewrite had meant to
 * remove.
 */
export async function findSealed(parts: InventoryParts, inventory: Inventory): Promise<SealedFound> {
  const { batchIndex, damage, snapshotPosition } = parts;
  const known = batchIndex.segments();
  await finishDrops(parts, known.dropped, inventory);
  const entered = new Map(known.sealed.map((segment) => [segment.sequence, segment]));
  const unknown = await openUnknown(parts, inventory, entered);
  const there = [...entered.values(), ...unknown.values()].filter((segment) => hasData(inventory, segment));
  await finishDrops(parts, await staleSegments(parts.indexReader, [...unknown.values()], there), inventory);
  await finishRewrites(parts, inventory, entered, unknown);
  const sealed = new Map<number, SealedSegment>();
  for (const sequence of [...inventory.indexes].sort((a, b) => a - b)) {
    const segment = entered.get(sequence) ?? (await enterAgain(parts, inventory, sequence, unknown.get(sequence)));
    if (segment === "dropped") continue;
    if (segment !== undefined) sealed.set(sequence, segment);
    else damage.add({ kind: "index", segment: sequence, message: `the index of segment ${sequence} cannot be read` });
  }
  for (const segment of new Set([...entered.values(), ...sealed.values()])) reportMissing(damage, inventory, segment);
  // Of a rewritten segment the index has its name before the batches have theirs: it was lost.
  for (const sequence of inventory.compacted) {
    if (inventory.indexes.has(sequence) || entered.has(sequence)) continue;
    damage.add({ kind: "index", segment: sequence, message: `the index of segment ${sequence} is missing` });
  }
  // What it covers stays known without its files, and they are made again.
  for (const [sequence, segment] of entered) {
    const isCovered = segment.isRewritten || segment.lastIndex <= snapshotPosition;
    if (isCovered && !sealed.has(sequence)) sealed.set(sequence, segment);
  }
  const lost = [...entered.values()].filter(({ sequence }) => !hasFiles(inventory, sequence) && !sealed.has(sequence));
  return { sealed, lost: lost.sort((a, b) => a.order - b.order) };
}

/** Blocks that the sparse index does not know of: the ones that can be read. */
async function openUnknown(
  { indexReader }: InventoryParts,
  { indexes }: Inventory,
  entered: ReadonlyMap<number, SealedSegment>,
): Promise<ReadonlyMap<number, SealedSegment>> {
  const unknown = new Map<number, SealedSegment>();
  for (const sequence of indexes) {
    const segment = entered.has(sequence) ? undefined : await indexReader.open(sequence);
    if (segment !== undefined) unknown.set(sequence, segment);
  }
  return unknown;
}

function reportMissing(damage: DamageList, inventory: Inventory, segment: SealedSegment): void {
  const { sequence, firstIndex, lastIndex } = segment;
  const concerned = { segment: sequence, firstIndex, lastIndex };
  if (!hasData(inventory, segment)) {
    damage.add({ kind: "segment", ...concerned, message: `the file of segment ${sequence} is missing` });
  } else if (!inventory.indexes.has(sequence)) {
    damage.add({ kind: "index", ...concerned, message: `the index of segment ${sequence} is missing` });
  }
}

function hasData({ logs, compacted }: Inventory, segment: SealedSegment): boolean {
  return (segment.isRewritten ? compacted : logs).has(segment.sequence);
}

/** A block that the sparse index does not know of; undefined where it cannot be read. */
async function enterAgain(
  { disk, layout, batchIndex, indexReader, snapshotPosition }: InventoryParts,
  inventory: Inventory,
  sequence: number,
  segment: SealedSegment | undefined,
): Promise<SealedSegment | "dropped" | undefined> {
  if (segment !== undefined && !hasData(inventory, segment)) {
    // A rewrite was not decided: all of its sources are there. Or a trim was interrupted, and the store that would say
    // so is lost, too.
    const isUndecided = segment.isRewritten && segment.sources.every((source) => inventory.indexes.has(source));
    if (isUndecided || segment.lastIndex <= snapshotPosition) {
      await disk.remove(layout.file(sequence, "index"));
      await disk.syncDirectory(layout.segments);
      return "dropped";
    }
  }
  const streams = segment && (await indexReader.streams(segment));
  if (segment === undefined || streams === undefined) return undefined;
  await batchIndex.enter(segment, streams);
  return segment;
}

/** A rewritten segment whose batches have their name has replaced its sources, whatever else came to pass. */
async function finishRewrites(
  parts: InventoryParts,
  inventory: Inventory,
  entered: Map<number, SealedSegment>,
  unknown: ReadonlyMap<number, SealedSegment>,
): Promise<void> {
  const { batchIndex, indexReader } = parts;
  for (const sequence of [...inventory.compacted].sort((a, b) => a - b)) {
    if (!inventory.indexes.has(sequence)) continue;
    const rewritten = entered.get(sequence) ?? unknown.get(sequence);
    if (rewritten?.isRewritten !== true) continue;
    const { sources } = rewritten;
    const isFinished = sources.every(
      (source) => !entered.has(source) && !hasFiles(inventory, source) && entered.has(sequence),
    );
    if (isFinished) continue;
    const streams = await indexReader.streams(rewritten);
    // Damage came between: the sources are still there, and serve.
    if (streams === undefined) continue;
    await batchIndex.replace(rewritten, streams, batchIndex.rowsIn(new Set(sources)));
    await finishDrops(parts, sources, inventory);
    for (const source of sources) entered.delete(source);
    entered.set(sequence, rewritten);
  }
}

function hasFiles({ logs, compacted, indexes }: Inventory, sequence: number): boolean {
  return logs.has(sequence) || compacted.has(sequence) || indexes.has(sequence);
}

async function finishDrops(
  { disk, layout, batchIndex }: InventoryParts,
  dropped: readonly number[],
  { logs, compacted, indexes }: Inventory,
): Promise<void> {
  if (dropped.length === 0) return;
  for (const sequence of dropped) {
    if (logs.delete(sequence)) await disk.remove(layout.file(sequence, "log"));
    if (compacted.delete(sequence)) await disk.remove(layout.file(sequence, "compacted"));
    await disk.syncDirectory(layout.segments);
    if (indexes.delete(sequence)) await disk.remove(layout.file(sequence, "index"));
  }
  await disk.syncDirectory(layout.segments);
  await batchIndex.forget(dropped);
}
