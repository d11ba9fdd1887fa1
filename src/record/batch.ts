/**
 * Batches: records appended together to one stream, by one call or by several that the SDK puts together; the unit of
 * encoding, checksum, index and read.
 *
 * A batch is encoded once, by whoever makes it (the SDK, or the server for plain HTTP bodies). Its xxh64 is
 * checked by the server, stored, and checked again by the reader: nothing in between rewrites it. It holds no
 * offset: that is assigned when the command is applied (I9) and travels beside the batch.
 *
 * Layout, little-endian (src/wire/SPEC.md, "Batch"):
 *
 *     0  u64  xxh64 of bytes 8..length, seed 0
 *     8  u32  length      of the whole batch, this header included
 *    12  u8   version     1
 *    13  u8   flags       bits 0-1 compression: 0 none, 1 zstd; bit 2 sparse; others 0
 *    14  u16  0
 *    16  u32  count       records held
 *    20  u32  span        offsets covered; equal to count unless sparse (compacted: survivors carry their delta)
 *    24  u32  rawLength   of the body before compression
 *    28  i64  baseTime    milliseconds; record timestamps are deltas to it
 *    36       body
 *
 * A record in the body: varint length of what follows; u8 attributes (bit 0 key, 1 headers, 2 timestamp, 3 null
 * value); if sparse, varint offset delta to the batch's first; if bit 2, zigzag varint delta to baseTime; if
 * bit 0, varint length and key; if bit 1, varint count and (varint length, name, varint length, value) each;
 * unless bit 3, the value: the rest of the record.
 */

export const BATCH_HEADER_LENGTH = 36;

/**
 * Offsets that a batch covers at most. A record takes two bytes at least, its object some hundred: without this bound
 * a small compressed batch could fill a reader's memory.
 */
export const BATCH_RECORDS_MAX = 262_144;

/**
 * What the log and the state machine know of a batch without looking inside. `bytes` is absent where only the
 * directory of an entry was read, or its payload is damaged.
 */
export type BatchRef = {
  /** xxh64 of the batch: its identity, which survives damage to the payload. */
  readonly hash: bigint;
  /** Bytes of the whole batch. */
  readonly length: number;
  /** Offsets it covers. */
  readonly span: number;
  readonly bytes?: Uint8Array;
};
