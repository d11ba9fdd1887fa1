/**
 * Reads records of a stream from the log, across the streams it was forked from. It returns batches as stored,
 * except where a fork leaves its source inside a batch or a record: there it makes the part that is inherited.
 */
import { assert } from "../../../src/lib/assert.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { Zstd } from "../../../src/ports/zstd.ts";
import { type DecodedRecord, decodeBatch, encodeBatch, encodeSparseBatch } from "../../../src/record/batch-codec.ts";
import type { LogPlace } from "../../../src/record/log-place.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamRecord } from "../../../src/record/record.ts";
import type { Damage } from "../../log/repair/damage.ts";
import type { SegmentedLog } from "../../log/segmented-log.ts";
import type { StreamsMachine } from "../../streams/machine.ts";
import type { ReadRange, StreamView } from "../../streams/views.ts";

export type ReadBatch = LogPlace & {
  /** Offset of the batch's first record; may be before the offset asked for: skip those records. */
  readonly firstOffset: Offset;
  readonly span: number;
  /** Of the entry that appended it: the event time of records that carry none. */
  readonly logTime: number;
  readonly bytes: Uint8Array;
};

export type ReadResult = {
  readonly batches: readonly ReadBatch[];
  /** One past the last record returned; where to read on. */
  readonly nextOffset: Offset;
};

/** Damage hides it: for good, as far as is known here, or until others have given it back. */
export type HiddenError = { readonly code: "damaged" | "repairing"; readonly message: string };

export type ReadError =
  | HiddenError
  | { readonly code: "offset-trimmed"; readonly message: string; readonly firstOffset: Offset };

export type ReadOptions = {
  /** Stops after the batch that reaches this; at least one batch is returned if there is one. */
  readonly maxBytes: number;
  /** Read no record at or past this; default the tail. */
  readonly to?: Offset;
};

export class Reader {
  readonly #log: Pick<SegmentedLog, "read">;
  readonly #machine: Pick<StreamsMachine, "readRanges" | "streamById">;
  readonly #told: (damage: Damage) => HiddenError;
  readonly #zstd: Zstd | undefined;
  readonly #rawBytesMax: number;

  /** `told`: what is said of damage. */
  constructor(
    log: Pick<SegmentedLog, "read">,
    machine: Pick<StreamsMachine, "readRanges" | "streamById">,
    told: (damage: Damage) => HiddenError,
    zstd: Zstd | undefined,
    rawBytesMax: number,
  ) {
    this.#log = log;
    this.#machine = machine;
    this.#told = told;
    this.#zstd = zstd;
    this.#rawBytesMax = rawBytesMax;
  }

  async read(stream: StreamView, from: Offset, options: ReadOptions): Promise<Result<ReadResult, ReadError>> {
    const to = Math.min(options.to ?? stream.nextOffset, stream.nextOffset);
    if (from < stream.firstOffset) return err(trimmed(stream));
    const batches: ReadBatch[] = [];
    let next = from;
    let room = options.maxBytes;
    for (const range of this.#machine.readRanges(stream.id, from, to)) {
      if (room <= 0) break;
      const part = await this.#readRange(range, room);
      if (!part.ok) {
        // The frontier may have moved while the disk was read: trimmed is then the better answer.
        const now = this.#machine.streamById(stream.id);
        if (now !== undefined && from < now.firstOffset) return err(trimmed(now));
        return batches.length > 0 ? ok({ batches, nextOffset: next }) : part;
      }
      for (const batch of part.value) {
        batches.push(batch);
        room -= batch.bytes.length;
        next = batch.firstOffset + batch.span;
      }
      // Compaction has left nothing of it.
      if (part.value.length === 0) next = range.to;
      if (next < range.to) break;
    }
    return ok({ batches, nextOffset: Math.max(from, next) });
  }

  async #readRange(range: ReadRange, maxBytes: number): Promise<Result<readonly ReadBatch[], ReadError>> {
    const stored = await this.#log.read(range.streamId, range.from, range.to, maxBytes);
    if (!stored.ok) return err(this.#told(stored.error));
    const batches: ReadBatch[] = [];
    for (const batch of stored.value) {
      const end = batch.firstOffset + batch.span;
      const inside = range.partialBytes === undefined && end <= range.to;
      const part = inside ? ok(batch) : this.#cut(batch, range);
      if (!part.ok) return part;
      batches.push(part.value);
    }
    // What is before the first batch, or between two, was compacted: the log tells that from what it has lost.
    const [first] = batches;
    assert(first === undefined || first.firstOffset + first.span > range.from, "I7: a read goes on");
    return ok(batches);
  }

  /** The part of a batch that a fork inherits: the records before `range.to`, the last one perhaps shortened. */
  #cut(batch: ReadBatch, range: ReadRange): Result<ReadBatch, ReadError> {
    const decoded = decodeBatch(batch.bytes, {
      ...(this.#zstd && { zstd: this.#zstd }),
      rawBytesMax: this.#rawBytesMax,
    });
    if (!decoded.ok) return err({ code: "damaged", message: decoded.error.message });
    const partial = range.partialBytes;
    const firstOffset = partial === undefined ? batch.firstOffset : range.from;
    const records: DecodedRecord[] = [];
    for (const decodedRecord of decoded.value.records) {
      const offset = batch.firstOffset + decodedRecord.offsetDelta;
      if (offset >= range.to || (partial !== undefined && offset < range.from)) continue;
      records.push({ offsetDelta: offset - firstOffset, record: leadingPart(decodedRecord.record, partial) });
    }
    const { position, ordinal, logTime } = batch;
    const span = range.to - firstOffset;
    const isDense = records.length === span;
    const bytes = isDense ? encodeBatch(records.map(({ record }) => record)) : encodeSparseBatch(records, span);
    return ok({ firstOffset, span, position, ordinal, logTime, bytes });
  }
}

function leadingPart(record: StreamRecord, bytes: number | undefined): StreamRecord {
  if (bytes === undefined || record.value === null) return record;
  return { ...record, value: record.value.subarray(0, bytes) };
}

function trimmed(stream: StreamView): ReadError {
  return {
    code: "offset-trimmed",
    message: `records before offset ${stream.firstOffset} are no longer kept`,
    firstOffset: stream.firstOffset,
  };
}
