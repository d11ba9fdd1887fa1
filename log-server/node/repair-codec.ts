/**
 * What nodes ask each other to find out what damage took, as bytes: the bodies of calls (`peer-call-codec.ts`).
 *
 * `repair-entries`: varint from, varint to. Answered with what the log has of them from `from` on, up to the first that
 * cannot be read: u64 identity of the entry before, varint entries, then of each u8 kind, varint index, varint term, varint log time, blob
 * head, varint batches, and of each of these u64 hash, u32 length, u32 span, u8 whether its bytes follow; then those bytes.
 *
 * `log-end`: nothing. Answered with varint index and term of the proven end, u8 whether damage behind it may yet be made
 * good, varint applied, varint voters and their names as of that.
 *
 * Whoever asks believes nothing of it that it cannot prove.
 */
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Entry, EntryKind, LogIndex } from "../../src/wire/entry.ts";
import type { OfferedEntries } from "../log/mending.ts";
import { MEMBERS_MAX } from "../raft/limits.ts";
import type { LogPoint, NodeId } from "../raft/types.ts";

/** Never renumber: other versions of nodes read these. */
const KIND_CODES = { noop: 1, commands: 2, configuration: 3 } as const satisfies Record<EntryKind, number>;
const KINDS: readonly (EntryKind | undefined)[] = [undefined, "noop", "commands", "configuration"];

export type EntriesRequest = { readonly from: LogIndex; readonly to: LogIndex };

/** Where a node's log ends. */
export type LogEndAnswer = {
  readonly last: LogPoint;
  /** Behind it something is damaged, and others have not all been asked for it yet. */
  readonly mending: boolean;
  readonly applied: LogIndex;
  readonly voters: readonly NodeId[];
};

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

export function encodeLogEnd({ last, mending, applied, voters }: LogEndAnswer): Uint8Array {
  const writer = new ByteWriter(64)
    .varint(last.index)
    .varint(last.term)
    .u8(mending ? 1 : 0)
    .varint(applied);
  writer.varint(voters.length);
  for (const voter of voters) writer.blob(utf8(voter));
  return writer.finish();
}

export function decodeLogEnd(bytes: Uint8Array): LogEndAnswer | undefined {
  const reader = new ByteReader(bytes);
  const last = { index: reader.varint(), term: reader.varint() };
  const mending = reader.u8() === 1;
  const applied = reader.varint();
  const voters: NodeId[] = [];
  for (let left = reader.count(MEMBERS_MAX); left > 0 && !reader.failed; left -= 1)
    voters.push(text(reader.blob(reader.remaining)) ?? "");
  return reader.complete ? { last, mending, applied, voters } : undefined;
}
