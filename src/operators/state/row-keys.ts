/**
 * How a task's rows are named. Their order is of use: a bucket of state, all timers that are due, are one range each.
 *
 *   00 + name                                            the task's own: its progress
 *   01 + bucket (u16) + node + key + what the node adds    state
 *   02 + kind + due + node + key + name                  timers, in the order in which they fire
 *
 * Numbers are big-endian; node, key, and what follows are in the key codec, so that each ends by itself.
 */
import { ByteWriter } from "../../lib/byte-writer.ts";
import { equalBytes, utf8 } from "../../lib/bytes.ts";
import { assert } from "../../lib/assert.ts";
import { xxh64 } from "../../record/checksum.ts";
import { decodeKeys, encodeKey, type Key, writeKey } from "../encoding/key-codec.ts";
import { EncodingError } from "../encoding/encoding-error.ts";
import { OPERATOR_LIMITS } from "../limits.ts";

const TASK = 0x00;
const STATE = 0x01;
const TIMER = 0x02;

const LOG_TIMER = 0x00;
const EVENT_TIMER = 0x01;
const TIMER_HEAD_LENGTH = 2;
const STATE_HEAD_LENGTH = 3;

/** Behind everything that begins with a prefix: no encoded key begins so. */
const BEHIND = 0xff;

const BUCKETS = BigInt(OPERATOR_LIMITS.stateBuckets);

/** Reused. */
const WRITER = new ByteWriter(128);

/** From here on, and before here, are all rows: a key's first byte is one of the above. */
export const ROWS_FROM: Uint8Array = new Uint8Array(0);
export const ROWS_TO: Uint8Array = Uint8Array.of(0xff);

export const PROGRESS_ROW: Uint8Array = Uint8Array.of(TASK, ...utf8("progress"));

/** Of all rows that a node has of one key; what the node adds follows. `node`: its id, encoded. */
export function statePrefix(node: Uint8Array, key: Key): Uint8Array {
  const encoded = encodeKey(key);
  const bucket = Number(xxh64(encoded) % BUCKETS);
  WRITER.reset();
  return WRITER.u8(STATE)
    .u8(bucket >> 8)
    .u8(bucket & 0xff)
    .bytes(node)
    .bytes(encoded)
    .finish();
}

/** Throws `EncodingError` for what is longer than any store takes: in memory too, for replicas must agree. */
export function withParts(prefix: Uint8Array, parts: readonly Key[]): Uint8Array {
  if (parts.length === 0) return prefix;
  WRITER.reset();
  WRITER.bytes(prefix);
  for (const part of parts) writeKey(WRITER, part);
  const { rowKeyBytesMax } = OPERATOR_LIMITS;
  if (WRITER.length > rowKeyBytesMax)
    throw new EncodingError(`a row's key has at most ${rowKeyBytesMax} bytes encoded, this one has ${WRITER.length}`);
  return WRITER.finish();
}

/** Before the first key that does not begin so. */
export function behind(prefix: Uint8Array): Uint8Array {
  const end = new Uint8Array(prefix.length + 1);
  end.set(prefix);
  end[prefix.length] = BEHIND;
  return end;
}

/** What a node added behind the prefix. */
export function partsBehind(prefix: Uint8Array, row: Uint8Array): readonly Key[] {
  const parts = decodeKeys(row.subarray(prefix.length));
  assert(parts.ok, "a row's key is made of keys");
  return parts.value;
}

export type TimerKind = "log" | "event";
export type TimerParts = { readonly due: number; readonly node: string; readonly key: Key; readonly name: Key };

export function timerPrefix(kind: TimerKind): Uint8Array {
  return Uint8Array.of(TIMER, kind === "log" ? LOG_TIMER : EVENT_TIMER);
}

export function timerRow(kind: TimerKind, { due, node, key, name }: TimerParts): Uint8Array {
  return withParts(timerPrefix(kind), [due, node, key, name]);
}

export function timerOfRow(row: Uint8Array): TimerParts {
  const parts = decodeKeys(row.subarray(TIMER_HEAD_LENGTH));
  assert(parts.ok, "a timer's row is made of keys");
  const [due, node, key, name] = parts.value as [number, string, Key, Key];
  return { due, node, key, name };
}

/** What a row is, for people; it may be damaged. */
export type RowMeaning =
  | { readonly kind: "progress" | "unknown" }
  | { readonly kind: "state"; readonly node: Key; readonly key: Key; readonly parts: readonly Key[] }
  | { readonly kind: "timer"; readonly due: Key; readonly node: Key; readonly key: Key; readonly name: Key };

export function meaningOfRow(row: Uint8Array): RowMeaning {
  if (equalBytes(row, PROGRESS_ROW)) return { kind: "progress" };
  const isTimer = row[0] === TIMER;
  const decoded = decodeKeys(row.subarray(isTimer ? TIMER_HEAD_LENGTH : STATE_HEAD_LENGTH));
  const [first, second, ...rest] = decoded.ok ? decoded.value : [];
  if (first === undefined || second === undefined) return { kind: "unknown" };
  if (!isTimer) return { kind: "state", node: first, key: second, parts: rest };
  const [key, name] = rest;
  if (key === undefined || name === undefined) return { kind: "unknown" };
  return { kind: "timer", due: first, node: second, key, name };
}
