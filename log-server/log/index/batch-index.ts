/**
 * The sparse index: which sealed segments hold a stream's batches, and what is known of each sealed segment. Rows in
 * the `Kv` beside the image; all of it can be rebuilt from the index blocks, and is when the image is discarded.
 *
 *     3 · u32 stream · u64 first offset   → segment, rows in its block, end offset, bytes, last log time
 *     4 · u64 sequence                    → a sealed segment's facts and terms; or that it is being dropped
 *     5                                   → the horizon
 *
 * Keys are big-endian, so that they sort. A value begins with the hash of key and rest; one that does not match is as
 * if it were not there.
 */
import { assert } from "../../../src/lib/assert.ts";
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { Kv, KvWrite } from "../../../src/ports/kv.ts";
import type { LogEnd } from "../entries/closing.ts";
import type { StreamRecord } from "./index-block.ts";
import type { LogLimits } from "../limits.ts";
import { rowHash } from "../../../src/record/row.ts";
import { SealedSegment } from "../segments/sealed-segment.ts";
import type { TermRun } from "../segments/term-runs.ts";

const FAMILY = { stream: 3, segment: 4, horizon: 5 } as const;
const HASH_LENGTH = 8;
const STREAM_KEY_LENGTH = 13;
const SEGMENT_KEY_LENGTH = 9;
const HIGH = 0x1_0000_0000;
const TERM_RUNS_MAX = 0x1_0000_0000;
const SOURCES_MAX = 0x1_0000_0000;

/** Where in one sealed segment a stream's batches are. */
export type StreamSegment = Omit<StreamRecord, "streamId" | "incarnation"> & { readonly sequence: number };

/** First offsets of streams' batches in some segments. */
export type StreamKeys = ReadonlyMap<number, readonly number[]>;

/** The position below which entries may exist only as compacted data. */
export type Horizon = LogEnd & { readonly configuration: Uint8Array };

export class BatchIndex {
  readonly #kv: Kv;
  readonly #limits: LogLimits;

  constructor(kv: Kv, limits: LogLimits) {
    this.#kv = kv;
    this.#limits = limits;
  }

  /** The segment whose rows of this stream begin at or before `offset`, the nearest one. */
  before(streamId: number, offset: number): StreamSegment | undefined {
    const found = this.#kv.range(streamKey(streamId, 0), streamKey(streamId, offset + 1), { reverse: true, limit: 1 });
    for (const [key, value] of found) return decodeStream(key, value);
    return undefined;
  }

  /** All sealed segments with batches of this stream that are not damaged here, by offset. */
  segmentsOf(streamId: number): StreamSegment[] {
    const segments: StreamSegment[] = [];
    for (const [key, value] of this.#kv.range(streamKey(streamId, 0), streamKey(streamId + 1, 0))) {
      const decoded = decodeStream(key, value);
      if (decoded !== undefined) segments.push(decoded);
    }
    return segments;
  }

  /** All sealed segments that were entered, and those that were being dropped. */
  segments(): { readonly sealed: readonly SealedSegment[]; readonly dropped: readonly number[] } {
    const sealed: SealedSegment[] = [];
    const dropped: number[] = [];
    for (const [key, value] of this.#kv.range(segmentKey(0), segmentKey(Number.MAX_SAFE_INTEGER))) {
      const segment = decodeSegment(key, value);
      if (typeof segment === "number") dropped.push(segment);
      else if (segment !== undefined) sealed.push(segment);
    }
    return { sealed, dropped };
  }

  /** Enters a sealed segment: durable when it resolves. The segment itself comes last: with it, all is there. */
  async enter(segment: SealedSegment, streams: readonly StreamRecord[]): Promise<void> {
    await this.#writeStreams(streams, (record) => putStream(segment, record));
    await this.#kv.write([putSegment(segment)]);
  }

  /** Corrects what is said of one stream in a sealed segment. */
  correct(segment: SealedSegment, record: StreamRecord): Promise<void> {
    return this.#kv.write([putStream(segment, record)]);
  }

  /**
   * A rewritten segment takes the place of its sources: of each stream in one transaction, so that a reader finds it here or
   * there, and nothing twice. The segments come last: from then on the sources' files are to be removed.
   */
  async replace(rewritten: SealedSegment, streams: readonly StreamRecord[], stale: StreamKeys): Promise<void> {
    const fresh = new Map(streams.map((record) => [record.streamId, record]));
    let writes: KvWrite[] = [];
    for (const streamId of new Set([...stale.keys(), ...fresh.keys()])) {
      const record = fresh.get(streamId);
      for (const firstOffset of stale.get(streamId) ?? [])
        if (firstOffset !== record?.firstOffset) writes.push({ kind: "delete", key: streamKey(streamId, firstOffset) });
      if (record !== undefined) writes.push(putStream(rewritten, record));
      if (writes.length < this.#limits.indexRowsPerWrite) continue;
      await this.#kv.write(writes);
      writes = [];
    }
    if (writes.length > 0) await this.#kv.write(writes);
    await this.#kv.write([putSegment(rewritten), ...rewritten.sources.map(dropped)]);
  }

  /** Everything that is said of streams in these segments; all rows are looked at. */
  rowsIn(sequences: ReadonlySet<number>): StreamKeys {
    const rows = new Map<number, number[]>();
    for (const [key, value] of this.#kv.range(streamKey(0, 0), Uint8Array.of(FAMILY.stream + 1))) {
      const decoded = decodeStream(key, value);
      if (decoded === undefined || !sequences.has(decoded.sequence)) continue;
      const streamId = new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(1);
      const offsets = rows.get(streamId);
      if (offsets === undefined) rows.set(streamId, [decoded.firstOffset]);
      else offsets.push(decoded.firstOffset);
    }
    return rows;
  }

  /** What is said of each stream in a segment, by stream; all rows are looked at. */
  streamsIn(sequence: number): readonly { readonly streamId: number; readonly part: StreamSegment }[] {
    const found: { streamId: number; part: StreamSegment }[] = [];
    for (const [key, value] of this.#kv.range(streamKey(0, 0), Uint8Array.of(FAMILY.stream + 1))) {
      const part = decodeStream(key, value);
      if (part?.sequence !== sequence) continue;
      found.push({ streamId: new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(1), part });
    }
    return found;
  }

  /** Forgets a segment's streams, and remembers that its files are to be removed. */
  async drop(segment: SealedSegment, streams: readonly StreamRecord[]): Promise<void> {
    await this.#writeStreams(streams, (record) => ({
      kind: "delete",
      key: streamKey(record.streamId, record.firstOffset),
    }));
    await this.#kv.write([dropped(segment.sequence)]);
  }

  /** In pieces: a segment may hold a hundred thousand streams, and nobody is to wait for all of them. */
  async #writeStreams(streams: readonly StreamRecord[], encode: (record: StreamRecord) => KvWrite): Promise<void> {
    const { indexRowsPerWrite } = this.#limits;
    for (let from = 0; from < streams.length; from += indexRowsPerWrite) {
      await this.#kv.write(streams.slice(from, from + indexRowsPerWrite).map(encode));
    }
  }

  /** The files of these segments are gone. */
  forget(sequences: readonly number[]): Promise<void> {
    return this.#kv.write(sequences.map((sequence) => ({ kind: "delete", key: segmentKey(sequence) })));
  }

  horizon(): Horizon | undefined {
    const key = Uint8Array.of(FAMILY.horizon);
    const reader = opened(key, this.#kv.get(key));
    if (reader === undefined) return undefined;
    const horizon = { index: reader.int(), term: reader.int(), hash: reader.u64(), logTime: reader.int() };
    const configuration = reader.blob(reader.remaining).slice();
    return reader.complete ? { ...horizon, configuration } : undefined;
  }

  saveHorizon(horizon: Horizon): Promise<void> {
    return this.#kv.write([
      put(Uint8Array.of(FAMILY.horizon), (value) => {
        value.int(horizon.index).int(horizon.term).u64(horizon.hash).int(horizon.logTime).blob(horizon.configuration);
      }),
    ]);
  }
}

function put(key: Uint8Array, encode: (value: ByteWriter) => void): KvWrite {
  const writer = new ByteWriter(96);
  writer.u64(0n);
  encode(writer);
  writer.patchU64(0, rowHash(key, writer.view().subarray(HASH_LENGTH)));
  return { kind: "put", key, value: writer.finish() };
}

function putStream(segment: SealedSegment, record: StreamRecord): KvWrite {
  return put(streamKey(record.streamId, record.firstOffset), (value) => {
    value.int(segment.sequence).u32(record.firstRow).u32(record.rowCount);
    value.int(record.endOffset).int(record.bytes).int(record.lastLogTime);
  });
}

function putSegment(segment: SealedSegment): KvWrite {
  return put(segmentKey(segment.sequence), (value) => encodeSegment(value, segment));
}

/** The segment's files are to be removed. */
function dropped(sequence: number): KvWrite {
  return put(segmentKey(sequence), (value) => value.u8(1));
}

/** A reader of a value's content, if its hash is right. */
function opened(key: Uint8Array, value: Uint8Array | undefined): ByteReader | undefined {
  if (value === undefined || value.length < HASH_LENGTH) return undefined;
  const reader = new ByteReader(value);
  return reader.u64() === rowHash(key, value.subarray(HASH_LENGTH)) ? reader : undefined;
}

function decodeStream(key: Uint8Array, value: Uint8Array): StreamSegment | undefined {
  const reader = opened(key, value);
  if (reader === undefined || key.length !== STREAM_KEY_LENGTH) return undefined;
  const decoded: StreamSegment = {
    firstOffset: bigEndian(key, 5),
    sequence: reader.int(),
    firstRow: reader.u32(),
    rowCount: reader.u32(),
    endOffset: reader.int(),
    bytes: reader.int(),
    lastLogTime: reader.int(),
  };
  return reader.complete ? decoded : undefined;
}

function encodeSegment(value: ByteWriter, { facts, terms, sources }: SealedSegment): void {
  const { end } = facts;
  value.u8(0).u32(facts.logId).int(facts.firstIndex).int(end.index).int(end.term).u64(end.hash).int(end.logTime);
  value
    .int(facts.order)
    .int(facts.fileBytes)
    .int(facts.dataBytes)
    .u32(facts.streamCount)
    .u32(facts.rowCount)
    .u32(facts.entryCount);
  value.varint(terms.length);
  for (const run of terms) value.varint(run.firstIndex).varint(run.term);
  value.varint(sources.length);
  for (const source of sources) value.varint(source);
}

/** A number: the sequence of a segment that was being dropped. */
function decodeSegment(key: Uint8Array, value: Uint8Array): SealedSegment | number | undefined {
  const reader = opened(key, value);
  if (reader === undefined || key.length !== SEGMENT_KEY_LENGTH) return undefined;
  const sequence = bigEndian(key, 1);
  if (reader.u8() === 1) return sequence;
  const logId = reader.u32();
  const firstIndex = reader.int();
  const end = { index: reader.int(), term: reader.int(), hash: reader.u64(), logTime: reader.int() };
  const sizes = { order: reader.int(), fileBytes: reader.int(), dataBytes: reader.int() };
  const counts = { streamCount: reader.u32(), rowCount: reader.u32(), entryCount: reader.u32() };
  const termCount = reader.count(TERM_RUNS_MAX);
  const terms: TermRun[] = [];
  for (let run = 0; run < termCount && !reader.failed; run += 1)
    terms.push({ firstIndex: reader.varint(), term: reader.varint() });
  const sourceCount = reader.count(SOURCES_MAX);
  const sources: number[] = [];
  for (let source = 0; source < sourceCount && !reader.failed; source += 1) sources.push(reader.varint());
  if (!reader.complete) return undefined;
  const facts = { logId, sequence, firstIndex, end, ...sizes, ...counts, termCount, sourceCount };
  return new SealedSegment(facts, terms, sources);
}

function streamKey(streamId: number, offset: number): Uint8Array {
  const key = new Uint8Array(STREAM_KEY_LENGTH);
  const data = new DataView(key.buffer);
  key[0] = FAMILY.stream;
  data.setUint32(1, streamId);
  setBigEndian(data, 5, offset);
  return key;
}

function segmentKey(sequence: number): Uint8Array {
  const key = new Uint8Array(SEGMENT_KEY_LENGTH);
  key[0] = FAMILY.segment;
  setBigEndian(new DataView(key.buffer), 1, sequence);
  return key;
}

function setBigEndian(data: DataView, at: number, value: number): void {
  const safe = Math.min(value, Number.MAX_SAFE_INTEGER);
  assert(safe >= 0, "keys are of integers from 0");
  data.setUint32(at, Math.floor(safe / HIGH));
  data.setUint32(at + 4, safe % HIGH);
}

function bigEndian(key: Uint8Array, at: number): number {
  const data = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return data.getUint32(at) * HIGH + data.getUint32(at + 4);
}
