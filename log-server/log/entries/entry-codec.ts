/**
 * An entry's head as it stands in a frame: envelope, the commands' head, and the directory of the batches. Their hash
 * is the entry's identity; the batches' bytes follow and are covered by their own hashes, which the directory names.
 *
 *     0  u32  log
 *     4  u8   version       1
 *     5  u8   kind          1 no-op, 2 commands, 3 configuration
 *     6  u16  0
 *     8  u64  index
 *    16  u64  term
 *    24  u64  previous      the identity of the entry before: entries form a chain
 *    32  u64  log time
 *    40  u32  head length
 *    44  u32  batch count
 *    48       head, then per batch: u64 hash, u32 length, u32 span
 */
import { assert } from "../../../src/lib/assert.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import type { Entry, EntryKind, LogIndex, Term } from "../../../src/wire/entry.ts";

export const ENVELOPE_LENGTH = 48;
export const DIRECTORY_ROW_LENGTH = 16;
const VERSION = 1;
const HIGH = 0x1_0000_0000;

/** Never renumber: these are on disk. */
const KIND_CODES = { noop: 1, commands: 2, configuration: 3 } as const satisfies Record<EntryKind, number>;

/** An entry's head, read back. `batches` are as its directory has them, without bytes. */
export type EntryHead = {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly previousHash: bigint;
  readonly logTime: number;
  readonly head: Uint8Array;
  readonly batches: readonly BatchRef[];
};

export function headLengthOf(entry: Entry): number {
  return ENVELOPE_LENGTH + entry.head.length + entry.batches.length * DIRECTORY_ROW_LENGTH;
}

export function writeEntryHead(
  bytes: Uint8Array,
  data: DataView,
  at: number,
  logId: number,
  entry: Entry,
  previousHash: bigint,
): void {
  assert(Number.isSafeInteger(entry.index) && Number.isSafeInteger(entry.term), "index and term are safe integers");
  assert(Number.isSafeInteger(entry.logTime) && entry.logTime >= 0, "log time is whole milliseconds");
  data.setUint32(at, logId, true);
  data.setUint32(at + 4, VERSION | (KIND_CODES[entry.kind] << 8), true);
  setInt(data, at + 8, entry.index);
  setInt(data, at + 16, entry.term);
  data.setBigUint64(at + 24, previousHash, true);
  setInt(data, at + 32, entry.logTime);
  data.setUint32(at + 40, entry.head.length, true);
  data.setUint32(at + 44, entry.batches.length, true);
  bytes.set(entry.head, at + ENVELOPE_LENGTH);
  let row = at + ENVELOPE_LENGTH + entry.head.length;
  for (const batch of entry.batches) {
    data.setBigUint64(row, batch.hash, true);
    data.setUint32(row + 8, batch.length, true);
    data.setUint32(row + 12, batch.span, true);
    row += DIRECTORY_ROW_LENGTH;
  }
}

/**
 * Reads a head whose hash was checked: what is wrong with it all the same was written wrongly, and is `undefined`.
 * The commands' head is a view of `bytes`.
 */
export function readEntryHead(
  bytes: Uint8Array,
  data: DataView,
  at: number,
  headLength: number,
  logId: number,
): EntryHead | undefined {
  if (headLength < ENVELOPE_LENGTH || data.getUint32(at, true) !== logId || bytes[at + 4] !== VERSION) return undefined;
  const kind = kindOf(bytes[at + 5] as number);
  const commandsLength = data.getUint32(at + 40, true);
  const batchCount = data.getUint32(at + 44, true);
  if (kind === undefined || ENVELOPE_LENGTH + commandsLength + batchCount * DIRECTORY_ROW_LENGTH !== headLength)
    return undefined;
  const index = getInt(data, at + 8);
  const term = getInt(data, at + 16);
  const logTime = getInt(data, at + 32);
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(term) || !Number.isSafeInteger(logTime)) return undefined;
  const directory = at + ENVELOPE_LENGTH + commandsLength;
  const batches: BatchRef[] = [];
  for (let row = directory; row < directory + batchCount * DIRECTORY_ROW_LENGTH; row += DIRECTORY_ROW_LENGTH) {
    batches.push({
      hash: data.getBigUint64(row, true),
      length: data.getUint32(row + 8, true),
      span: data.getUint32(row + 12, true),
    });
  }
  const head = bytes.subarray(at + ENVELOPE_LENGTH, directory);
  return { index, term, kind, previousHash: data.getBigUint64(at + 24, true), logTime, head, batches };
}

function kindOf(code: number): EntryKind | undefined {
  switch (code) {
    case KIND_CODES.noop:
      return "noop";
    case KIND_CODES.commands:
      return "commands";
    case KIND_CODES.configuration:
      return "configuration";
    default:
      return undefined;
  }
}

/** Safe integers as u64, without a bigint: this runs for every entry. */
export function setInt(data: DataView, at: number, value: number): void {
  data.setUint32(at, value % HIGH, true);
  data.setUint32(at + 4, Math.floor(value / HIGH), true);
}

/** May be beyond the safe integers: the caller checks. */
export function getInt(data: DataView, at: number): number {
  return data.getUint32(at + 4, true) * HIGH + data.getUint32(at, true);
}
