/**
 * What nodes ask each other of stretches of streams, as bytes: the body of a call (`peer-call-codec.ts`).
 *
 * `repair-ranges`: varint ranges, then of each varint stream, varint from, varint to. Answered with varint position, up to which
 * the node has applied; varint the sequence of its newest rewritten segment; varint ranges, in the same order, as many as it got
 * to, of each varint incarnation, varint next, u8 whether what is at `next` cannot be given, varint batches, and of each of these
 * varint first offset, varint span, varint position, varint ordinal, varint log time, u64 identity, u64 hash of what is stored,
 * u8 whether it was compressed when it was appended, u32 length; then the bytes of all. What is before `next` and of no batch was
 * trimmed or compacted there.
 *
 * Whoever asks believes nothing of it that it can check (`range-exchange.ts`).
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { RangeBatch, StreamRange } from "../../log/repair/stream-range.ts";

/** What a node says of a range. */
export type ToldRange = {
  readonly incarnation: number;
  readonly batches: readonly RangeBatch[];
  /** Up to here this is all of it. */
  readonly next: number;
  /** What is at `next` cannot be given. */
  readonly damaged: boolean;
};

export type ToldRanges = {
  /** It had applied everything up to here. */
  readonly position: LogIndex;
  /** Answers with the same number are of one state of its rewritten segments. */
  readonly rewrittenTo: number;
  readonly ranges: readonly ToldRange[];
};

export function encodeRangesRequest(ranges: readonly StreamRange[]): Uint8Array {
  const writer = new ByteWriter(256).varint(ranges.length);
  for (const { streamId, from, to } of ranges) writer.varint(streamId).varint(from).varint(to);
  return writer.finish();
}

export function decodeRangesRequest(bytes: Uint8Array): readonly StreamRange[] | undefined {
  const reader = new ByteReader(bytes);
  const ranges: StreamRange[] = [];
  for (let left = reader.count(reader.remaining); left > 0 && !reader.failed; left -= 1)
    ranges.push({ streamId: reader.varint(), from: reader.varint(), to: reader.varint() });
  return reader.complete && ranges.every(({ from, to }) => from < to) ? ranges : undefined;
}

/** In pieces; batches are not copied. */
export function encodeRanges({ position, rewrittenTo, ranges }: ToldRanges): readonly Uint8Array[] {
  const writer = new ByteWriter(1_024).varint(position).varint(rewrittenTo).varint(ranges.length);
  for (const { incarnation, next, damaged, batches } of ranges) {
    writer
      .varint(incarnation)
      .varint(next)
      .u8(damaged ? 1 : 0)
      .varint(batches.length);
    for (const batch of batches) {
      writer.varint(batch.firstOffset).varint(batch.span).varint(batch.position).varint(batch.ordinal);
      writer.varint(batch.logTime).u64(batch.identity).u64(batch.hash);
      writer.u8(batch.wasCompressed ? 1 : 0).u32(batch.bytes.length);
    }
  }
  return [writer.finish(), ...ranges.flatMap(({ batches }) => batches.map(({ bytes }) => bytes))];
}

/** Undefined for what is malformed. Batches are views of it. */
export function decodeRanges(body: Uint8Array): ToldRanges | undefined {
  const reader = new ByteReader(body);
  const position = reader.varint();
  const rewrittenTo = reader.varint();
  const heads: (Omit<ToldRange, "batches"> & { batches: (Omit<RangeBatch, "bytes"> & { length: number })[] })[] = [];
  for (let left = reader.count(reader.remaining); left > 0 && !reader.failed; left -= 1) {
    const range = { incarnation: reader.varint(), next: reader.varint(), damaged: reader.u8() === 1 };
    const batches: (typeof heads)[number]["batches"] = [];
    for (let batch = reader.count(reader.remaining); batch > 0 && !reader.failed; batch -= 1)
      batches.push({
        firstOffset: reader.varint(),
        span: reader.varint(),
        position: reader.varint(),
        ordinal: reader.varint(),
        logTime: reader.varint(),
        identity: reader.u64(),
        hash: reader.u64(),
        wasCompressed: reader.u8() === 1,
        length: reader.u32(),
      });
    heads.push({ ...range, batches });
  }
  const ranges = heads.map(({ batches, ...range }): ToldRange => ({
    ...range,
    batches: batches.map(({ length, ...batch }): RangeBatch => ({ ...batch, bytes: reader.bytes(length) })),
  }));
  return reader.complete ? { position, rewrittenTo, ranges } : undefined;
}
