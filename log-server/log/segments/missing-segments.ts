/**
 * A segment that was not sealed and whose file is gone: no index knows of it, it is told by the entries that lack between its
 * neighbours. An empty file takes its place, in which all of them are lost: so it is one more segment that damage has reached,
 * refused to readers, and mended by what others give (I13).
 */
import type { Disk } from "../../../src/ports/disk.ts";
import { createAnew } from "../disk/create-anew.ts";
import type { LogEnd } from "../entries/closing.ts";
import { SECTOR_BYTES } from "../entries/frame.ts";
import type { LogLayout } from "../log-layout.ts";
import type { LogLimits } from "../limits.ts";
import { encodeSegmentHeader, SEGMENT_HEADER_LENGTH } from "./segment-header.ts";
import type { SegmentScan } from "./segment-scan.ts";

/** Entries that no file has. */
export type Gap = {
  /** The segment behind them. */
  readonly before: number;
  /** How many sequences below that are of no file; 0: it cannot be filled. */
  readonly files: number;
  /** The entry before them. */
  readonly previous: LogEnd;
  readonly lastIndex: number;
};

export type MissingParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly limits: LogLimits;
  readonly logId: number;
};

/** Places in a file are of 32 bits. */
const FILE_BYTES_MAX = 2 ** 32 - 1;
/** Room for a footer, which may begin a sector later. */
const NEWEST_BYTES = SEGMENT_HEADER_LENGTH + 2 * SECTOR_BYTES;

/** Durable files in which nothing is written but what is before their first entries. Those that cannot be made are left out. */
export async function makeMissing(parts: MissingParts, gaps: readonly Gap[]): Promise<readonly SegmentScan[]> {
  const { disk, layout, limits, logId } = parts;
  const scans: SegmentScan[] = [];
  for (const { before, files, previous } of gaps) {
    const fileBytes = files * limits.segmentBytes;
    if (files === 0 || fileBytes > FILE_BYTES_MAX) continue;
    const sequence = before - 1;
    const header = { logId, sequence, previous };
    const temporary = layout.file(sequence, "log.new");
    const file = await createAnew(disk, temporary);
    try {
      await file.allocate(fileBytes);
      await file.write(0, [encodeSegmentHeader(header)]);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(temporary, layout.file(sequence, "log"));
    scans.push({ sequence, header, pieces: [], dirtyEnd: SEGMENT_HEADER_LENGTH, fileBytes });
  }
  if (scans.length > 0) await disk.syncDirectory(layout.segments);
  return scans;
}

/**
 * Likewise of the newest segment: what it held nobody here can tell, so it has not even a header, and the log's end is ambiguous
 * until the others have said. All that is ever written to it is that nothing in it counts.
 */
export async function makeNewest(
  { disk, layout }: Pick<MissingParts, "disk" | "layout">,
  sequence: number,
): Promise<SegmentScan> {
  const temporary = layout.file(sequence, "log.new");
  const file = await createAnew(disk, temporary);
  try {
    await file.allocate(NEWEST_BYTES);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, layout.file(sequence, "log"));
  await disk.syncDirectory(layout.segments);
  return { sequence, header: undefined, pieces: [], dirtyEnd: SEGMENT_HEADER_LENGTH, fileBytes: NEWEST_BYTES };
}
