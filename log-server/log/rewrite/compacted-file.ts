/**
 * The file of a rewritten segment: what survived of the segments that it replaced, in log order. A header sector like
 * that of a segment, then a frame (`frame.ts`) of kind 4 for each batch:
 *
 *     0  u32  log
 *     4  u8   version       1
 *     5  u8   flags         bit 0: the batch was compressed when it was appended
 *     6  u16  0
 *     8  u64  position      of the entry that appended it
 *    16  u32  ordinal       among that entry's batches, from 0
 *    20  u32  stream
 *    24  u64  incarnation
 *    32  u64  first offset
 *    40  u64  log time
 *    48  u32  span
 *    52  u32  length        of what is stored, right behind this head
 *    56  u64  identity      hash of the batch as it was appended
 *    64  u64  hash          of what is stored: another one once records were taken out
 *
 * Entries do not survive, only batches: below a verified snapshot nobody applies entries again, log matching never looks
 * there, and the heads of small appends would be most of what is left. What is said of a batch says nothing of this
 * disk, neither segment nor place nor time: at one frontier a batch is byte for byte the same on every node, and one
 * node can give another what it has lost. The head's hash proves that it is the same.
 *
 *     header   u64 xxh64 of bytes 8..512, seed: the sequence · u32 mark, "TMSC" · u16 version, 1 · u16 0 · u32 log ·
 *              u32 0 · u64 sequence · u64 first index · u64 last index · zeros
 */
import { xxh64 } from "../../../src/record/checksum.ts";
import { getInt, setInt } from "../entries/entry-codec.ts";
import {
  aligned,
  FRAME_HEADER_LENGTH,
  headIsIntact,
  readFrameHeader,
  SECTOR_BYTES,
  seedOfSegment,
  writeFrameHeader,
} from "../entries/frame.ts";
import type { Extent } from "./batch-fetch.ts";

export const COMPACTED_HEADER_LENGTH = SECTOR_BYTES;
const HEAD_LENGTH = 72;
/** From a frame's beginning to the bytes of its batch. */
export const BATCH_FRAME_OVERHEAD: number = FRAME_HEADER_LENGTH + HEAD_LENGTH;
const MARK = 0x43534d54;
const VERSION = 1;
const HASH_LENGTH = 8;
const COMPRESSED = 1;

/** What is known of a batch, wherever it is kept. */
export type BatchHead = {
  readonly logId: number;
  readonly position: number;
  readonly ordinal: number;
  readonly streamId: number;
  readonly incarnation: number;
  readonly firstOffset: number;
  readonly logTime: number;
  readonly span: number;
  readonly length: number;
  readonly identity: bigint;
  readonly hash: bigint;
  /** When it was appended: what is stored need not be. */
  readonly wasCompressed: boolean;
};

export function encodeCompactedHeader(header: {
  readonly logId: number;
  readonly sequence: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
}): Uint8Array {
  const bytes = new Uint8Array(COMPACTED_HEADER_LENGTH);
  const data = new DataView(bytes.buffer);
  data.setUint32(8, MARK, true);
  data.setUint16(12, VERSION, true);
  data.setUint32(16, header.logId, true);
  setInt(data, 24, header.sequence);
  setInt(data, 32, header.firstIndex);
  setInt(data, 40, header.lastIndex);
  data.setBigUint64(0, xxh64(bytes.subarray(HASH_LENGTH), BigInt(header.sequence)), true);
  return bytes;
}

/** Of a batch's frame, padding included. */
export function batchFrameBytes(length: number): number {
  return aligned(BATCH_FRAME_OVERHEAD + length);
}

/** Where the frame is, unpadded, of a batch whose bytes are at `place`. */
export function frameOf({ place, length }: Extent): Extent {
  return { place: place - BATCH_FRAME_OVERHEAD, length: length + BATCH_FRAME_OVERHEAD };
}

/** The frame of a batch that will stand at `place`, padded. */
export function encodeBatchFrame(head: BatchHead, bytes: Uint8Array, sequence: number, place: number): Uint8Array {
  const frame = new Uint8Array(batchFrameBytes(bytes.length));
  const data = new DataView(frame.buffer);
  const at = FRAME_HEADER_LENGTH;
  data.setUint32(at, head.logId, true);
  data.setUint32(at + 4, VERSION | (head.wasCompressed ? COMPRESSED << 8 : 0), true);
  setInt(data, at + 8, head.position);
  data.setUint32(at + 16, head.ordinal, true);
  data.setUint32(at + 20, head.streamId, true);
  setInt(data, at + 24, head.incarnation);
  setInt(data, at + 32, head.firstOffset);
  setInt(data, at + 40, head.logTime);
  data.setUint32(at + 48, head.span, true);
  data.setUint32(at + 52, head.length, true);
  data.setBigUint64(at + 56, head.identity, true);
  data.setBigUint64(at + 64, head.hash, true);
  frame.set(bytes, BATCH_FRAME_OVERHEAD);
  writeFrameHeader(frame, data, 0, {
    kind: "batch",
    segmentSeed: seedOfSegment(sequence),
    place,
    length: BATCH_FRAME_OVERHEAD + bytes.length,
    syncedUpTo: 0,
    headLength: HEAD_LENGTH,
  });
  return frame;
}

/** The head of the batch frame that stands at `place` and begins with `bytes`, if it is intact. */
export function readBatchHead(bytes: Uint8Array, sequence: number, place: number): BatchHead | undefined {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frame = readFrameHeader(bytes, data, 0, seedOfSegment(sequence), place);
  if (frame === undefined || frame === "unsupported" || frame.kind !== "batch") return undefined;
  const at = FRAME_HEADER_LENGTH;
  if (frame.headLength !== HEAD_LENGTH || !headIsIntact(bytes, 0, frame) || bytes[at + 4] !== VERSION) return undefined;
  return {
    logId: data.getUint32(at, true),
    wasCompressed: ((bytes[at + 5] as number) & COMPRESSED) !== 0,
    position: getInt(data, at + 8),
    ordinal: data.getUint32(at + 16, true),
    streamId: data.getUint32(at + 20, true),
    incarnation: getInt(data, at + 24),
    firstOffset: getInt(data, at + 32),
    logTime: getInt(data, at + 40),
    span: data.getUint32(at + 48, true),
    length: data.getUint32(at + 52, true),
    identity: data.getBigUint64(at + 56, true),
    hash: data.getBigUint64(at + 64, true),
  };
}
