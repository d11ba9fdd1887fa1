/**
 * Frames: what a segment's file is made of behind its header sector. Little-endian, each padded with zeros to 8
 * bytes, so that a scan that lost its way finds the next one.
 *
 *     0  u64  frame hash    xxh64 of bytes 8..32, seed: the segment's sequence · 2^32 + the frame's place
 *     8  u32  length        of the frame, this header included, without padding
 *    12  u8   kind          1 entry, 2 mark, 3 footer; 4 batch, of a rewritten segment (`compacted-file.ts`)
 *    13  u8   version       1
 *    14  u16  0
 *    16  u32  synced up to  the place in this segment before which all had been synced before this was written
 *    20  u32  head length   of what the entry hash covers, right behind this header
 *    24  u64  entry hash    xxh64 of that head: of an entry or a batch, its identity
 *    32       head, then whatever it describes
 *
 * The seed ties a frame to its place: one from another place or segment, or an older one, does not pass for it. The
 * header stands for itself, so that with a damaged head the frame's length and the entry's identity are still known.
 *
 * The kinds do not mix: a batch stands only in a rewritten segment, the others never do. A reader that does not know a
 * kind or version refuses the segment.
 */
import { xxh64 } from "../../../src/record/checksum.ts";

export const SECTOR_BYTES = 512;
export const FRAME_HEADER_LENGTH = 32;
const FRAME_ALIGNMENT = 8;
const VERSION = 1;
const HASH_LENGTH = 8;
const PLACE_BITS = 32n;

/** Never renumber: these are on disk. */
const KIND_CODES = { entry: 1, mark: 2, footer: 3, batch: 4 } as const;
const KIND_CODE_MAX = 15;

export type FrameKind = keyof typeof KIND_CODES;

export type FrameHeader = {
  readonly kind: FrameKind;
  readonly length: number;
  readonly syncedUpTo: number;
  readonly headLength: number;
  readonly entryHash: bigint;
};

/** Of a segment; the seed of a frame in it is this and its place. */
export function seedOfSegment(sequence: number): bigint {
  return BigInt(sequence) << PLACE_BITS;
}

/** Where the next frame begins behind one that ends here. */
export function aligned(place: number): number {
  return Math.ceil(place / FRAME_ALIGNMENT) * FRAME_ALIGNMENT;
}

/** The first sector boundary at or behind a place. */
export function sectorAfter(place: number): number {
  return Math.ceil(place / SECTOR_BYTES) * SECTOR_BYTES;
}

/** Writes the header at `at`; the head must already stand behind it. Returns the entry hash. */
export function writeFrameHeader(
  bytes: Uint8Array,
  data: DataView,
  at: number,
  frame: {
    readonly kind: FrameKind;
    readonly segmentSeed: bigint;
    readonly place: number;
    readonly length: number;
    readonly syncedUpTo: number;
    readonly headLength: number;
  },
): bigint {
  const headStart = at + FRAME_HEADER_LENGTH;
  const entryHash = xxh64(bytes.subarray(headStart, headStart + frame.headLength));
  data.setUint32(at + 8, frame.length, true);
  data.setUint32(at + 12, KIND_CODES[frame.kind] | (VERSION << 8), true);
  data.setUint32(at + 16, frame.syncedUpTo, true);
  data.setUint32(at + 20, frame.headLength, true);
  data.setBigUint64(at + 24, entryHash, true);
  const seed = frame.segmentSeed + BigInt(frame.place);
  data.setBigUint64(at, xxh64(bytes.subarray(at + HASH_LENGTH, headStart), seed), true);
  return entryHash;
}

/** The header at `at`, if it is one and intact; `place` is where in the segment that is. */
export function readFrameHeader(
  bytes: Uint8Array,
  data: DataView,
  at: number,
  segmentSeed: bigint,
  place: number,
): FrameHeader | "unsupported" | undefined {
  if (at + FRAME_HEADER_LENGTH > bytes.length) return undefined;
  // Most places that a scan tries fail here, before anything is hashed.
  const code = bytes[at + 12] as number;
  const length = data.getUint32(at + 8, true);
  if (code === 0 || code > KIND_CODE_MAX || length < FRAME_HEADER_LENGTH) return undefined;
  const hash = xxh64(bytes.subarray(at + HASH_LENGTH, at + FRAME_HEADER_LENGTH), segmentSeed + BigInt(place));
  if (hash !== data.getBigUint64(at, true)) return undefined;
  const kind = kindOf(code);
  if (kind === undefined || bytes[at + 13] !== VERSION || data.getUint16(at + 14, true) !== 0) return "unsupported";
  return {
    kind,
    length,
    syncedUpTo: data.getUint32(at + 16, true),
    headLength: data.getUint32(at + 20, true),
    entryHash: data.getBigUint64(at + 24, true),
  };
}

/** Whether the head behind the header is the one that was hashed. */
export function headIsIntact(bytes: Uint8Array, at: number, header: FrameHeader): boolean {
  const start = at + FRAME_HEADER_LENGTH;
  const end = start + header.headLength;
  return end <= bytes.length && end <= at + header.length && xxh64(bytes.subarray(start, end)) === header.entryHash;
}

function kindOf(code: number): FrameKind | undefined {
  switch (code) {
    case KIND_CODES.entry:
      return "entry";
    case KIND_CODES.mark:
      return "mark";
    case KIND_CODES.footer:
      return "footer";
    case KIND_CODES.batch:
      return "batch";
    default:
      return undefined;
  }
}
