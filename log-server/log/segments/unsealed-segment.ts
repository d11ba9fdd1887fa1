/**
 * A segment that is being written, or is full and waits for its entries to be applied. Its index is in memory.
 * Who writes to it is `log-writer.ts`; this is what is known of it.
 */
import type { Disk } from "../../../src/ports/disk.ts";
import type { LogEnd } from "../entries/closing.ts";
import { aligned, seedOfSegment } from "../entries/frame.ts";
import { SegmentIndex } from "./segment-index.ts";
import { SEGMENT_HEADER_LENGTH } from "./segment-header.ts";
import { SharedFile } from "./shared-file.ts";

export class UnsealedSegment {
  readonly kind = "unsealed";
  readonly sequence: number;
  readonly path: string;
  /** Another one once the segment was mended. */
  file: SharedFile;
  readonly index: SegmentIndex;
  readonly seed: bigint;
  /** The entry before the segment's first. */
  readonly previous: LogEnd;
  /** Where the next frame goes. */
  writeEnd: number = SEGMENT_HEADER_LENGTH;
  /** Everything before it is synced. */
  syncedUpTo: number = SEGMENT_HEADER_LENGTH;
  /** The file's size. */
  allocatedBytes: number;
  /** Where the entries end that count. */
  endPlace: number = SEGMENT_HEADER_LENGTH;
  /** The end of the log as far as this segment knows it; `previous` while it is empty. */
  end: LogEnd;
  /** Nothing more is appended to it. */
  closed = false;
  /** The newest frame is a mark: all before it is proven. */
  marked = false;

  constructor(options: {
    readonly sequence: number;
    readonly path: string;
    readonly file: SharedFile;
    readonly previous: LogEnd;
    readonly allocatedBytes: number;
  }) {
    this.sequence = options.sequence;
    this.path = options.path;
    this.file = options.file;
    this.previous = options.previous;
    this.end = options.previous;
    this.allocatedBytes = options.allocatedBytes;
    this.seed = seedOfSegment(options.sequence);
    this.index = new SegmentIndex(options.previous.index + 1);
  }

  get firstIndex(): number {
    return this.index.firstIndex;
  }

  get lastIndex(): number {
    return this.index.lastIndex;
  }

  /** The term of an entry; undefined where damage hides it. */
  term(index: number): number | undefined {
    const slot = this.index.slotOf(index);
    if (slot < 0 || slot >= this.index.count) return undefined;
    const term = this.index.entries.term[slot] as number;
    return term === 0 ? undefined : term;
  }

  /** The end of the log if it ended with this entry, one of this segment's or the one before; undefined where damage hides it. */
  endAt(index: number): LogEnd | undefined {
    if (index === this.previous.index) return this.previous;
    if (index === this.end.index) return this.end;
    const slot = this.index.slotOf(index);
    if (slot < 0 || slot >= this.index.count) return undefined;
    const { entries } = this.index;
    const term = entries.term[slot] as number;
    const hash = entries.hash[slot] as bigint;
    if (term === 0) return undefined;
    return { index, term, hash, logTime: entries.logTime[slot] as number };
  }

  /** Where the segment ends if it is cut before this entry, one of its own. */
  placeBefore(index: number): number {
    const { entries } = this.index;
    const slot = this.index.slotOf(index);
    const place = entries.place[slot] as number;
    if (place > 0) return place;
    // It stood in a hole, of which only the beginning is known.
    for (let before = slot - 1; before >= 0; before -= 1) {
      if ((entries.place[before] as number) > 0)
        return aligned((entries.place[before] as number) + (entries.length[before] as number));
    }
    return SEGMENT_HEADER_LENGTH;
  }
}

/** A file of zeros, durable under its name. */
export type Spare = {
  readonly sequence: number;
  readonly path: string;
  readonly file: SharedFile;
  readonly allocatedBytes: number;
};

export async function openSpare(disk: Disk, sequence: number, path: string, allocatedBytes: number): Promise<Spare> {
  return { sequence, path, file: new SharedFile(await disk.open(path, "read-write")), allocatedBytes };
}

export function beginSegment(spare: Spare, previous: LogEnd): UnsealedSegment {
  return new UnsealedSegment({ ...spare, previous });
}
