/** The entries of an append message, see `message-codec.ts`. Raft looks into none but configurations. */
import { assert } from "../../src/lib/assert.ts";
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Entry, EntryKind, Term } from "../../src/wire/entry.ts";
import { decodeConfiguration } from "./configuration-codec.ts";
import { GATHERED_BATCH_BYTES_MAX, MESSAGE_LIMITS } from "./limits.ts";
import type { LogPoint } from "./types.ts";

/** Never renumber: other versions of nodes read these. */
const KIND_CODES = { noop: 1, commands: 2, configuration: 3 } as const satisfies Record<EntryKind, number>;
const KINDS: readonly (EntryKind | undefined)[] = [undefined, "noop", "commands", "configuration"];

type Head = Omit<Entry, "batches"> & { readonly batches: readonly Omit<BatchRef, "bytes">[] };

export type EncodedEntries = {
  /** One behind the other: large batches as they are, small ones gathered, for each piece has its price. */
  readonly pieces: readonly Uint8Array[];
  /** At their end: bytes of batches. What is before them has the hash of each. */
  readonly batchBytes: number;
};

export function encodeEntries(entries: readonly Entry[]): EncodedEntries {
  const heads = new ByteWriter().varint(entries.length);
  let gathered = 0;
  let batchBytes = 0;
  for (const { kind, term, logTime, head, batches } of entries) {
    heads.u8(KIND_CODES[kind]).varint(term).varint(logTime).blob(head).varint(batches.length);
    for (const { hash, length, span } of batches) {
      heads.u64(hash).u32(length).u32(span);
      batchBytes += length;
      if (length <= GATHERED_BATCH_BYTES_MAX) gathered += length;
    }
  }
  const block = new Uint8Array(heads.length + gathered);
  block.set(heads.view());
  const pieces: Uint8Array[] = [];
  let from = 0;
  let to = heads.length;
  for (const { batches } of entries) {
    for (const { bytes, length } of batches) {
      assert(bytes?.length === length, "I13: an entry is sent whole or not at all");
      if (length <= GATHERED_BATCH_BYTES_MAX) {
        block.set(bytes, to);
        to += length;
        continue;
      }
      if (to > from) pieces.push(block.subarray(from, to));
      from = to;
      pieces.push(bytes);
    }
  }
  if (to > from) pieces.push(block.subarray(from, to));
  return { pieces, batchBytes };
}

/** Heads and batches are views of what is read. Undefined where they could not stand behind `prev` in a log of `term`. */
export function readEntries(reader: ByteReader, prev: LogPoint, term: Term): readonly Entry[] | undefined {
  const heads: Head[] = [];
  let before = prev;
  for (let left = reader.count(MESSAGE_LIMITS.entriesMax); left > 0; left -= 1) {
    const head = readHead(reader, before.index + 1);
    if (head === undefined || head.term < before.term || head.term > term) return undefined;
    heads.push(head);
    before = head;
  }
  const entries = heads.map(({ index, term: entryTerm, kind, logTime, head, batches: rows }): Entry => {
    // Field by field: a spread would be the dearest part of reading a small batch.
    const batches = rows.map(({ hash, length, span }): BatchRef => ({
      hash,
      length,
      span,
      bytes: reader.bytes(length),
    }));
    return { index, term: entryTerm, kind, logTime, head, batches };
  });
  return reader.failed || prev.term > term ? undefined : entries;
}

function readHead(reader: ByteReader, index: number): Head | undefined {
  const kind = KINDS[reader.u8()];
  const term = reader.varint();
  const logTime = reader.varint();
  const head = reader.blob(MESSAGE_LIMITS.entryHeadBytesMax);
  const batches: Omit<BatchRef, "bytes">[] = [];
  for (let left = reader.count(MESSAGE_LIMITS.batchesMax); left > 0; left -= 1)
    batches.push({ hash: reader.u64(), length: reader.u32(), span: reader.u32() });
  if (reader.failed || kind === undefined || term === 0 || !Number.isSafeInteger(index)) return undefined;
  if (kind === "configuration" && !decodeConfiguration(head).ok) return undefined;
  return { index, term, kind, logTime, head, batches };
}
