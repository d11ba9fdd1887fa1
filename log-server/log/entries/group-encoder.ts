/**
 * Encodes entries into frames for one gathered write, and stages them in the segment's index. What is gathered counts
 * only once it is synced.
 */
import { assert } from "../../../src/lib/assert.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import type { LogEnd } from "./closing.ts";
import { headLengthOf, writeEntryHead } from "./entry-codec.ts";
import { frameLengthOf } from "./entry-frame.ts";
import { aligned, FRAME_HEADER_LENGTH, writeFrameHeader } from "./frame.ts";
import { GroupBuffer } from "./group-buffer.ts";
import type { LogLimits } from "../limits.ts";
import type { TailCache } from "../index/tail-cache.ts";
import type { UnsealedSegment } from "../segments/unsealed-segment.ts";

export type EncodedGroup = {
  readonly chunks: readonly Uint8Array[];
  readonly place: number;
  readonly writeEnd: number;
  readonly end: LogEnd;
};

export class GroupEncoder {
  readonly #logId: number;
  readonly #buffer: GroupBuffer;
  readonly #cache: TailCache;

  constructor(limits: LogLimits, logId: number, cache: TailCache) {
    this.#logId = logId;
    this.#buffer = new GroupBuffer(limits);
    this.#cache = cache;
  }

  /** The entries `from` to before `to` of the list, to be written at the segment's write end. */
  encode(segment: UnsealedSegment, entries: readonly Entry[], from: number, to: number): EncodedGroup {
    const place = segment.writeEnd;
    let next = place;
    let previous = segment.end;
    for (let at = from; at < to; at += 1) {
      const entry = entries[at] as Entry;
      const hash = this.#encodeEntry(segment, entry, next, previous.hash);
      previous = { index: entry.index, term: entry.term, hash, logTime: entry.logTime };
      next = aligned(next + frameLengthOf(entry));
    }
    return { chunks: this.#buffer.finish(), place, writeEnd: next, end: previous };
  }

  #encodeEntry(segment: UnsealedSegment, entry: Entry, place: number, previousHash: bigint): bigint {
    const buffer = this.#buffer;
    const { index } = segment;
    const headLength = headLengthOf(entry);
    const length = frameLengthOf(entry);
    const at = buffer.take(FRAME_HEADER_LENGTH + headLength);
    const head = at + FRAME_HEADER_LENGTH;
    writeEntryHead(buffer.bytes, buffer.data, head, this.#logId, entry, previousHash);
    const hash = writeFrameHeader(buffer.bytes, buffer.data, at, {
      kind: "entry",
      segmentSeed: segment.seed,
      place,
      length,
      syncedUpTo: segment.syncedUpTo,
      headLength,
    });
    const slot = index.entries.count;
    const firstRow = index.rows.count;
    let batchPlace = place + FRAME_HEADER_LENGTH + headLength;
    for (const batch of entry.batches) {
      const bytes = batch.bytes;
      assert(bytes !== undefined && bytes.length === batch.length, "an entry to append has the bytes of its batches");
      const copiedAt = buffer.put(bytes);
      index.rows.add(batchPlace, batch.length, batch.span, batch.hash, slot);
      if (copiedAt === undefined) index.rows.keepBytes(bytes, 0);
      else index.rows.keepBytes(buffer.bytes, copiedAt);
      batchPlace += batch.length;
    }
    this.#cache.keep(index.rows, firstRow, length - FRAME_HEADER_LENGTH - headLength);
    const { term, logTime } = entry;
    index.stage({ place, length, term, hash, logTime, firstRow, rowCount: entry.batches.length, intact: true });
    buffer.pad(aligned(length) - length);
    return hash;
  }
}
