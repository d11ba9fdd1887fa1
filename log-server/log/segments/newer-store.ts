/**
 * Says so where the store beside the log is newer than the disk, of which an older copy was put back: it knows rewritten segments that
 * the disk has not had yet. What such a store says of the log cannot be proven here, not even how far that goes.
 */
import type { Disk } from "../../../src/ports/disk.ts";
import type { BatchIndex } from "../index/batch-index.ts";
import { type LogLayout, parseSegmentFileName } from "../log-layout.ts";

export async function newerThanDisk(
  disk: Disk,
  layout: LogLayout,
  batchIndex: BatchIndex,
): Promise<string | undefined> {
  const names = await disk.list(layout.segments);
  const there = new Set(names.flatMap((name) => parseSegmentFileName(name)?.sequence ?? []));
  // A disk without any segment has lost them, and the store says what they covered.
  if (there.size === 0) return undefined;
  const highest = Math.max(...there);
  const { sealed, dropped } = batchIndex.segments();
  const known = new Set([...sealed.map(({ sequence }) => sequence), ...dropped]);
  const replaced = [...there].filter((sequence) => !known.has(sequence));
  let before = 0;
  for (const { sequence, order, sources, isRewritten } of sealed.toSorted((a, b) => a.order - b.order)) {
    // What it was made of, or a part of that, is still there.
    const isFormer = (one: number): boolean => sources.includes(one) || (one > before && one <= order);
    if (isRewritten && !there.has(sequence) && (order > highest || replaced.some(isFormer)))
      return `its sparse index knows segment ${sequence}, which the disk has not had yet`;
    before = order;
  }
  return undefined;
}
