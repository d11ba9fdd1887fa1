/**
 * Fetches pieces of a segment's file, in the order of their places, with few calls: neighbours are read together. If
 * such a read fails, each piece is read by itself, so that what can be read is.
 */
import type { DiskFile } from "../../../src/ports/disk.ts";
import type { LogLimits } from "../limits.ts";
import { isUnreadable } from "../repair/unreadable.ts";

export type Extent = { readonly place: number; readonly length: number };

/** How a file is reached for one call. */
export type FileAccess = <T>(work: (file: DiskFile) => Promise<T>) => Promise<T>;

/** The bytes of each piece; undefined where the file does not give them. */
export async function fetchExtents(
  access: FileAccess,
  extents: readonly Extent[],
  limits: LogLimits,
): Promise<(Uint8Array | undefined)[]> {
  const fetched: (Uint8Array | undefined)[] = [];
  for (let from = 0; from < extents.length;) {
    const to = endOfNeighbours(extents, from, limits);
    await fetchNeighbours(access, extents, from, to, fetched);
    from = to;
  }
  return fetched;
}

function endOfNeighbours(extents: readonly Extent[], from: number, limits: LogLimits): number {
  const start = (extents[from] as Extent).place;
  let end = start + (extents[from] as Extent).length;
  let at = from + 1;
  for (; at < extents.length; at += 1) {
    const { place, length } = extents[at] as Extent;
    if (place < end || place - end > limits.readGapBytes || place + length - start > limits.readBytesMax) break;
    end = place + length;
  }
  return at;
}

async function fetchNeighbours(
  access: FileAccess,
  extents: readonly Extent[],
  from: number,
  to: number,
  fetched: (Uint8Array | undefined)[],
): Promise<void> {
  const start = (extents[from] as Extent).place;
  const last = extents[to - 1] as Extent;
  const bytes = Buffer.allocUnsafeSlow(last.place + last.length - start);
  let count: number;
  try {
    count = await access((file) => file.read(start, bytes));
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    if (to === from + 1) fetched.push(undefined);
    else for (let at = from; at < to; at += 1) await fetchNeighbours(access, extents, at, at + 1, fetched);
    return;
  }
  for (let at = from; at < to; at += 1) {
    const { place, length } = extents[at] as Extent;
    const end = place - start + length;
    fetched.push(end <= count ? bytes.subarray(place - start, end) : undefined);
  }
}
