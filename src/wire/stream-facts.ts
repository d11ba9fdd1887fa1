/** What every answer about a stream says of it, and how that is encoded (SPEC.md, "Responses": facts, details). */
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import type { Expiry, Retention, StreamName } from "./command.ts";
import { WIRE_LIMITS } from "./limits.ts";
import { readExpiry, readRetention, writeExpiry, writeRetention } from "./settings-codec.ts";

export type StreamFacts = {
  readonly incarnation: Incarnation;
  readonly contentType: string;
  /** The first retained record. */
  readonly firstOffset: Offset;
  readonly tail: Offset;
  readonly closed: boolean;
};

/** Where a fork left its source: records before `offset` are the source's, and of the one there this many bytes. */
export type StreamOrigin = { readonly stream: StreamName; readonly offset: Offset; readonly partialBytes: number };

/**
 * How old an eventual answer may be: entries that the node knows to be committed and has not applied, and milliseconds since it
 * heard of a leader (0: it leads; absent: it never has). What it does not know of yet is in neither.
 */
export type Behind = { readonly entries: number; readonly silentMs?: number };

/** The rest of what there is to know. Times are log time, in milliseconds since 1970. */
export type StreamDetails = {
  readonly createdAtMs: number;
  readonly expiry: Expiry;
  /** When it ends unless it is used before; absent without expiry. */
  readonly expiresAtMs?: number;
  readonly retention: Retention;
  /** Before this only the newest record of each key is sure to be there; 0: nothing was compacted. */
  readonly compactedBefore: Offset;
  readonly forkedFrom?: StreamOrigin;
  /** Where the answer is eventual. */
  readonly behind?: Behind;
};

const HAS_EXPIRES_AT = 1;
const HAS_ORIGIN = 2;
const HAS_BEHIND = 4;
const HAS_SILENCE = 8;
const FLAGS_MAX = HAS_EXPIRES_AT | HAS_ORIGIN | HAS_BEHIND | HAS_SILENCE;

export function writeFacts(writer: ByteWriter, facts: StreamFacts): void {
  writer
    .varint(facts.incarnation)
    .string(facts.contentType)
    .varint(facts.firstOffset)
    .varint(facts.tail)
    .u8(facts.closed ? 1 : 0);
}

export function readFacts(reader: ByteReader): StreamFacts {
  const incarnation = reader.varint();
  const contentType = reader.string(WIRE_LIMITS.textBytesMax);
  const firstOffset = reader.varint();
  const tail = reader.varint();
  const closed = readBoolean(reader);
  return { incarnation, contentType, firstOffset, tail, closed };
}

export function writeDetails(writer: ByteWriter, details: StreamDetails): void {
  const { createdAtMs, expiry, expiresAtMs, retention, compactedBefore, forkedFrom, behind } = details;
  writer.varint(createdAtMs);
  writer.u8(
    (expiresAtMs === undefined ? 0 : HAS_EXPIRES_AT) |
      (forkedFrom === undefined ? 0 : HAS_ORIGIN) |
      (behind === undefined ? 0 : HAS_BEHIND) |
      (behind?.silentMs === undefined ? 0 : HAS_SILENCE),
  );
  writeExpiry(writer, expiry);
  if (expiresAtMs !== undefined) writer.varint(expiresAtMs);
  writeRetention(writer, retention);
  writer.varint(compactedBefore);
  if (forkedFrom !== undefined)
    writer.string(forkedFrom.stream).varint(forkedFrom.offset).varint(forkedFrom.partialBytes);
  if (behind !== undefined) writer.varint(behind.entries);
  if (behind?.silentMs !== undefined) writer.varint(behind.silentMs);
}

export function readDetails(reader: ByteReader): StreamDetails {
  const createdAtMs = reader.varint();
  const has = reader.u8();
  if (has > FLAGS_MAX) reader.fail();
  const expiry = readExpiry(reader);
  const expiresAtMs = (has & HAS_EXPIRES_AT) === 0 ? undefined : reader.varint();
  const retention = readRetention(reader);
  const compactedBefore = reader.varint();
  const forkedFrom = (has & HAS_ORIGIN) === 0 ? undefined : readOrigin(reader);
  const behind = (has & HAS_BEHIND) === 0 ? undefined : readBehind(reader, (has & HAS_SILENCE) !== 0);
  if (behind === undefined && (has & HAS_SILENCE) !== 0) reader.fail();
  return {
    createdAtMs,
    expiry,
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    retention,
    compactedBefore,
    ...(forkedFrom !== undefined && { forkedFrom }),
    ...(behind !== undefined && { behind }),
  };
}

function readBehind(reader: ByteReader, hasSilence: boolean): Behind {
  const entries = reader.varint();
  return hasSilence ? { entries, silentMs: reader.varint() } : { entries };
}

function readOrigin(reader: ByteReader): StreamOrigin {
  return {
    stream: reader.string(WIRE_LIMITS.nameBytesMax),
    offset: reader.varint(),
    partialBytes: reader.varint(),
  };
}

export function readBoolean(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) reader.fail();
  return value === 1;
}
