/**
 * The first sector of a segment's file. It is written and synced before any frame, so a file that
 * begins with zeros is a spare that was never used. Little-endian:
 *
 *     0  u64  xxh64 of bytes 8..512, seed: the sequence
 *     8  u32  mark, "TMSG" · u16 version, 1 · u16 0
 *    16  u32  log · u32 0
 *    24  u64  sequence
 *    32  u64  first index
 *    40  u64 term · u64 hash · u64 log time   of the entry before it; log time is also when this segment began
 *    64       zeros
 */
import { xxh64 } from "../../../src/record/checksum.ts";
import type { LogEnd } from "../entries/closing.ts";
import { getInt, setInt } from "../entries/entry-codec.ts";
import { SECTOR_BYTES } from "../entries/frame.ts";

export const SEGMENT_HEADER_LENGTH = SECTOR_BYTES;
const MARK = 0x47534d54;
const VERSION = 1;
const HASH_LENGTH = 8;

export type SegmentHeader = {
  readonly logId: number;
  readonly sequence: number;
  /** The entry before the segment's first. */
  readonly previous: LogEnd;
};

/** Why a header is not one; `damaged` says nothing about what is behind it. */
export type HeaderFault =
  | { readonly kind: "damaged" }
  | { readonly kind: "unsupported-version"; readonly version: number };

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_LENGTH);
  const data = new DataView(bytes.buffer);
  data.setUint32(8, MARK, true);
  data.setUint16(12, VERSION, true);
  data.setUint32(16, header.logId, true);
  setInt(data, 24, header.sequence);
  setInt(data, 32, header.previous.index + 1);
  setInt(data, 40, header.previous.term);
  data.setBigUint64(48, header.previous.hash, true);
  setInt(data, 56, header.previous.logTime);
  data.setBigUint64(0, xxh64(bytes.subarray(HASH_LENGTH), BigInt(header.sequence)), true);
  return bytes;
}

export function readSegmentHeader(bytes: Uint8Array, sequence: number): SegmentHeader | HeaderFault {
  if (bytes.length < SEGMENT_HEADER_LENGTH) return { kind: "damaged" };
  const sector = bytes.subarray(0, SEGMENT_HEADER_LENGTH);
  const data = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  if (data.getBigUint64(0, true) !== xxh64(sector.subarray(HASH_LENGTH), BigInt(sequence))) return { kind: "damaged" };
  if (data.getUint32(8, true) !== MARK || getInt(data, 24) !== sequence) return { kind: "damaged" };
  const version = data.getUint16(12, true);
  if (version !== VERSION) return { kind: "unsupported-version", version };
  return {
    logId: data.getUint32(16, true),
    sequence,
    previous: {
      index: getInt(data, 32) - 1,
      term: getInt(data, 40),
      hash: data.getBigUint64(48, true),
      logTime: getInt(data, 56),
    },
  };
}
