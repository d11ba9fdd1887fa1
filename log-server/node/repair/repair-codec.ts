/**
 * What nodes ask each other to find out what damage took, as bytes: the bodies of calls (`peer-call-codec.ts`).
 *
 * `repair-entries`: varint from, varint to. Answered with what the log has of them from `from` on, up to the first that
 * cannot be read: u64 identity of the entry before, varint entries, then of each u8 kind, varint index, varint term, varint log time, blob
 * head, varint batches, and of each of these u64 hash, u32 length, u32 span, u8 whether its bytes follow; then those bytes.
 *
 * `repair-batches`: varint batches, then of each varint stream, varint first offset, u64 hash of what is stored. Answered with
 * varint batches, in the same order, of each u8 whether it is here, and if so u64 identity, u8 whether it was compressed when it
 * was appended, u32 length; then the bytes of all that are here.
 *
 * `repair-placements`: varint from, varint to. Answered with varint entries, from `from` on, of each varint batches, and of
 * each of these u64 hash, u8 whether it was accepted, and if so varint stream, varint incarnation, varint first offset, varint
 * span.
 *
 * Whoever asks believes nothing of it that it cannot prove.
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import type { Entry, EntryKind, LogIndex } from "../../../src/wire/entry.ts";
import type { OfferedEntries } from "../../log/repair/mending.ts";
import type { PlacedEntry } from "../../log/repair/reindexer.ts";
import type { KeptBatch, WantedBatch } from "../../log/repair/rewritten-mending.ts";
import type { BatchPlacement } from "../../log/segments/segment-index.ts";

/** Never renumber: other versions of nodes read these. */
const KIND_CODES = { noop: 1, commands: 2, configuration: 3 } as const satisfies Record<EntryKind, number>;
const KINDS: readonly (EntryKind | undefined)[] = [undefined, "noop", "commands", "configuration"];

export type EntriesRequest = { readonly from: LogIndex; readonly to: LogIndex };

export function encodeEntriesRequest({ from, to }: EntriesRequest): Uint8Array {
  return new ByteWriter(16).varint(from).varint(to).finish();
}

export function decodeEntriesRequest(bytes: Uint8Array): EntriesRequest | undefined {
  const reader = new ByteReader(bytes);
  const request = { from: reader.varint(), to: reader.varint() };
  return reader.complete && request.from > 0 && request.to >= request.from ? request : undefined;
}

/** In pieces; batches are not copied. */
export function encodeOffered({ previousHash, entries }: OfferedEntries): readonly Uint8Array[] {
  const writer = new ByteWriter(256);
  const batches: Uint8Array[] = [];
  writer.u64(previousHash).varint(entries.length);
  for (const entry of entries) {
    writer.u8(KIND_CODES[entry.kind]).varint(entry.index).varint(entry.term).varint(entry.logTime);
    writer.blob(entry.head).varint(entry.batches.length);
    for (const { hash, length, span, bytes } of entry.batches) {
      writer
        .u64(hash)
        .u32(length)
        .u32(span)
        .u8(bytes === undefined ? 0 : 1);
      if (bytes !== undefined) batches.push(bytes);
    }
  }
  return [writer.finish(), ...batches];
}

/** Undefined for what is malformed. Heads and batches are views of it. */
export function decodeOffered(body: Uint8Array): OfferedEntries | undefined {
  const reader = new ByteReader(body);
  const previousHash = reader.u64();
  const heads: Entry[] = [];
  const present: boolean[] = [];
  for (let left = reader.count(reader.remaining); left > 0 && !reader.failed; left -= 1) {
    const kind = KINDS[reader.u8()];
    const index = reader.varint();
    const term = reader.varint();
    const logTime = reader.varint();
    const head = reader.blob(reader.remaining);
    const batches: BatchRef[] = [];
    for (let batch = reader.count(reader.remaining); batch > 0 && !reader.failed; batch -= 1) {
      batches.push({ hash: reader.u64(), length: reader.u32(), span: reader.u32() });
      present.push(reader.u8() === 1);
    }
    if (kind === undefined || (heads.length > 0 && index !== (heads.at(-1)?.index ?? 0) + 1)) return undefined;
    heads.push({ index, term, kind, logTime, head, batches });
  }
  let next = 0;
  const entries = heads.map((entry): Entry => {
    const batches = entry.batches.map((batch): BatchRef => {
      const isPresent = present[next] === true;
      next += 1;
      return isPresent ? { ...batch, bytes: reader.bytes(batch.length) } : batch;
    });
    return { ...entry, batches };
  });
  return reader.complete ? { previousHash, entries } : undefined;
}

export function encodeBatchesRequest(wanted: readonly WantedBatch[]): Uint8Array {
  const writer = new ByteWriter(256).varint(wanted.length);
  for (const { streamId, firstOffset, hash } of wanted) writer.varint(streamId).varint(firstOffset).u64(hash);
  return writer.finish();
}

export function decodeBatchesRequest(bytes: Uint8Array): readonly WantedBatch[] | undefined {
  const reader = new ByteReader(bytes);
  const wanted: WantedBatch[] = [];
  for (let left = reader.count(reader.remaining); left > 0 && !reader.failed; left -= 1)
    wanted.push({ streamId: reader.varint(), firstOffset: reader.varint(), hash: reader.u64() });
  return reader.complete ? wanted : undefined;
}

/** In pieces; batches are not copied. */
export function encodeKept(kept: readonly (KeptBatch | undefined)[]): readonly Uint8Array[] {
  const writer = new ByteWriter(256).varint(kept.length);
  for (const batch of kept) {
    writer.u8(batch === undefined ? 0 : 1);
    if (batch !== undefined)
      writer
        .u64(batch.identity)
        .u8(batch.wasCompressed ? 1 : 0)
        .u32(batch.bytes.length);
  }
  return [writer.finish(), ...kept.flatMap((batch) => (batch === undefined ? [] : [batch.bytes]))];
}

/** Undefined for what is malformed. Batches are views of it. */
export function decodeKept(body: Uint8Array): readonly (KeptBatch | undefined)[] | undefined {
  const reader = new ByteReader(body);
  const heads: ({ identity: bigint; wasCompressed: boolean; length: number } | undefined)[] = [];
  for (let left = reader.count(reader.remaining); left > 0 && !reader.failed; left -= 1) {
    const isHere = reader.u8() === 1;
    heads.push(isHere ? { identity: reader.u64(), wasCompressed: reader.u8() === 1, length: reader.u32() } : undefined);
  }
  const kept = heads.map((head): KeptBatch | undefined => {
    if (head === undefined) return undefined;
    const { identity, wasCompressed, length } = head;
    return { identity, wasCompressed, bytes: reader.bytes(length) };
  });
  return reader.complete ? kept : undefined;
}

export function encodePlacements(placed: readonly PlacedEntry[]): Uint8Array {
  const writer = new ByteWriter(1_024).varint(placed.length);
  for (const { batches } of placed) {
    writer.varint(batches.length);
    for (const { hash, placement } of batches) {
      writer.u64(hash).u8(placement.accepted ? 1 : 0);
      if (!placement.accepted) continue;
      const { streamId, incarnation, firstOffset, span } = placement;
      writer.varint(streamId).varint(incarnation).varint(firstOffset).varint(span);
    }
  }
  return writer.finish();
}

/** `from`: as was asked. Undefined for what is malformed. */
export function decodePlacements(body: Uint8Array, from: LogIndex): readonly PlacedEntry[] | undefined {
  const reader = new ByteReader(body);
  const placed: PlacedEntry[] = [];
  for (let left = reader.count(reader.remaining); left > 0 && !reader.failed; left -= 1) {
    const batches: PlacedEntry["batches"][number][] = [];
    for (let batch = reader.count(reader.remaining); batch > 0 && !reader.failed; batch -= 1) {
      const hash = reader.u64();
      batches.push({ hash, placement: reader.u8() === 1 ? readAccepted(reader) : { accepted: false } });
    }
    placed.push({ index: from + placed.length, batches });
  }
  return reader.complete ? placed : undefined;
}

function readAccepted(reader: ByteReader): BatchPlacement {
  const streamId = reader.varint();
  const incarnation = reader.varint();
  const firstOffset = reader.varint();
  return { accepted: true, streamId, incarnation, firstOffset, span: reader.varint() };
}
