/** How expiry and retention are encoded (SPEC.md, "Commands"), in commands, results and answers alike. */
import { unreachable } from "../lib/assert.ts";
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import type { Expiry, Retention } from "./command.ts";

const HAS_MAX_AGE = 1;
const HAS_MAX_BYTES = 2;
const HAS_COMPACTION = 4;
const FLAGS_MAX = HAS_MAX_AGE | HAS_MAX_BYTES | HAS_COMPACTION;

export function writeExpiry(writer: ByteWriter, expiry: Expiry): void {
  switch (expiry.kind) {
    case "never":
      writer.u8(0);
      return;
    case "sliding":
      writer.u8(1).varint(expiry.ttlSeconds);
      return;
    case "absolute":
      writer.u8(2).varint(expiry.atMs);
      return;
    default:
      return unreachable(expiry);
  }
}

export function readExpiry(reader: ByteReader): Expiry {
  const kind = reader.u8();
  if (kind === 1) return { kind: "sliding", ttlSeconds: reader.varint() };
  if (kind === 2) return { kind: "absolute", atMs: reader.varint() };
  if (kind !== 0) reader.fail();
  return { kind: "never" };
}

export function writeRetention(writer: ByteWriter, { maxAgeMs, maxBytes, compaction }: Retention): void {
  writer.u8(
    (maxAgeMs === undefined ? 0 : HAS_MAX_AGE) |
      (maxBytes === undefined ? 0 : HAS_MAX_BYTES) |
      (compaction === undefined ? 0 : HAS_COMPACTION),
  );
  if (maxAgeMs !== undefined) writer.varint(maxAgeMs);
  if (maxBytes !== undefined) writer.varint(maxBytes);
  if (compaction !== undefined) writer.varint(compaction.tombstoneMs);
}

export function readRetention(reader: ByteReader): Retention {
  const has = reader.u8();
  if (has > FLAGS_MAX) reader.fail();
  return {
    ...((has & HAS_MAX_AGE) !== 0 && { maxAgeMs: reader.varint() }),
    ...((has & HAS_MAX_BYTES) !== 0 && { maxBytes: reader.varint() }),
    ...((has & HAS_COMPACTION) !== 0 && { compaction: { tombstoneMs: reader.varint() } }),
  };
}
