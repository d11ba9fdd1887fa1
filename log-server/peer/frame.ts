/**
 * Frames of the peer protocol, little-endian:
 *
 *      0  u64  hash     xxh64 of what is behind it, but for what proves itself
 *      8  u32  length   of the payload
 *     12  u32  proven   the last so many bytes of the payload prove themselves: the hash is not of these; 0 but of entries
 *     16  u8   kind     see below
 *     17  u8   more     1: the message goes on in the lane's next frame
 *     18  u16  0
 *     20       payload
 *
 * The header and the handshake's payloads are the same in every version of the protocol.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Lane } from "../../src/ports/link.ts";
import { xxh64, xxh64OfParts } from "../../src/record/checksum.ts";

export const FRAME_HEADER_LENGTH = 20;
const HASH_LENGTH = 8;

/** Never renumber: other versions of nodes read these. */
const KIND_CODES = {
  hello: 1,
  welcome: 2,
  refusal: 3,
  goodbye: 4,
  ping: 5,
  pong: 6,
  control: 16,
  entries: 17,
  bulk: 18,
  requests: 19,
} as const satisfies Record<Lane, number> & Record<string, number>;

export type FrameKind = keyof typeof KIND_CODES;

const KINDS = new Map<number, FrameKind>(Object.entries(KIND_CODES).map(([kind, code]) => [code, kind as FrameKind]));

export type Frame = {
  /** Undefined: of a newer version, to be passed over. */
  readonly kind: FrameKind | undefined;
  readonly more: boolean;
  /** Not a copy: valid as long as what was parsed. */
  readonly payload: Uint8Array;
};

export type FrameHeader = {
  readonly hash: bigint;
  readonly length: number;
  readonly proven: number;
  readonly kind: FrameKind | undefined;
  readonly more: boolean;
};

/** Of a payload: its length, and how much at its end proves itself. */
export type Extent = Pick<FrameHeader, "length" | "proven">;

/** A frame's beginning: its header, with room for so much of its payload, to be filled by the caller and then sealed. */
export function beginFrame(kind: FrameKind, { length, proven }: Extent, more: boolean, room: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_LENGTH + room);
  frame.writeUInt32LE(length, 8);
  frame.writeUInt32LE(proven, 12);
  frame[16] = KIND_CODES[kind];
  frame[17] = more ? 1 : 0;
  frame.writeUInt16LE(0, 18);
  return frame;
}

/** The first chunk begins with the header; the others are what is left of the payload. */
export function sealFrame(first: Buffer, others: readonly Uint8Array[]): void {
  const { length, proven } = extentOf(first, 0);
  let left = FRAME_HEADER_LENGTH - HASH_LENGTH + length - proven;
  const hashed: Uint8Array[] = [];
  for (const chunk of [first.subarray(HASH_LENGTH), ...others]) {
    if (left === 0) break;
    const part = chunk.length <= left ? chunk : chunk.subarray(0, left);
    left -= part.length;
    hashed.push(part);
  }
  const [only, ...more] = hashed as [Uint8Array, ...Uint8Array[]];
  first.writeBigUInt64LE(more.length === 0 ? xxh64(only) : xxh64OfParts(hashed), 0);
}

export function encodeFrame(kind: FrameKind, payload: Uint8Array): Buffer {
  const frame = beginFrame(kind, { length: payload.length, proven: 0 }, false, payload.length);
  frame.set(payload, FRAME_HEADER_LENGTH);
  sealFrame(frame, []);
  return frame;
}

/** Reads a header; undefined if no version of the protocol writes such a one. */
export function readHeader(bytes: Buffer, place: number): FrameHeader | undefined {
  assert(bytes.length - place >= FRAME_HEADER_LENGTH, "a header is read whole");
  const { length, proven } = extentOf(bytes, place);
  const more = bytes[place + 17] as number;
  const kind = KINDS.get(bytes[place + 16] as number);
  // What is in frames of other kinds nobody looks at once more. Those of a newer version are passed over.
  const provenMax = kind === undefined || kind === "entries" ? length : 0;
  if (proven > provenMax || more > 1 || bytes.readUInt16LE(place + 18) !== 0) return undefined;
  return { hash: bytes.readBigUInt64LE(place), length, proven, kind, more: more === 1 };
}

/** Whether the frame at `place`, there whole, is what its hash says. */
export function intact(bytes: Buffer, place: number, { hash, length, proven }: FrameHeader): boolean {
  return xxh64(bytes.subarray(place + HASH_LENGTH, place + FRAME_HEADER_LENGTH + length - proven)) === hash;
}

function extentOf(bytes: Buffer, place: number): Extent {
  return { length: bytes.readUInt32LE(place + 8), proven: bytes.readUInt32LE(place + 12) };
}
