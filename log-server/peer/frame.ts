/**
 * Frames of the peer protocol, little-endian:
 *
 *      0  u64  hash     xxh64 of everything behind it
 *      8  u32  length   of the payload
 *     12  u8   kind     see below
 *     13  u8   more     1: the message goes on in the lane's next frame
 *     14  u16  0
 *     16       payload
 *
 * The header and the handshake's payloads are the same in every version of the protocol.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Lane } from "../../src/ports/link.ts";
import { xxh64, xxh64OfParts } from "../../src/record/checksum.ts";

export const FRAME_HEADER_LENGTH = 16;
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
  readonly kind: FrameKind | undefined;
  readonly more: boolean;
};

/** A frame's beginning: its header, with room for so much of its payload, to be filled by the caller and then sealed. */
export function beginFrame(kind: FrameKind, length: number, more: boolean, room: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_LENGTH + room);
  frame.writeUInt32LE(length, 8);
  frame[12] = KIND_CODES[kind];
  frame[13] = more ? 1 : 0;
  frame.writeUInt16LE(0, 14);
  return frame;
}

/** The first chunk begins with the header; the others are what is left of the payload. */
export function sealFrame(first: Buffer, others: readonly Uint8Array[]): void {
  const hashed = first.subarray(HASH_LENGTH);
  first.writeBigUInt64LE(others.length === 0 ? xxh64(hashed) : xxh64OfParts([hashed, ...others]), 0);
}

export function encodeFrame(kind: FrameKind, payload: Uint8Array): Buffer {
  const frame = beginFrame(kind, payload.length, false, payload.length);
  frame.set(payload, FRAME_HEADER_LENGTH);
  sealFrame(frame, []);
  return frame;
}

/** Reads a header; undefined if no version of the protocol writes such a one. */
export function readHeader(bytes: Buffer, place: number): FrameHeader | undefined {
  assert(bytes.length - place >= FRAME_HEADER_LENGTH, "a header is read whole");
  const more = bytes[place + 13] as number;
  if (more > 1 || bytes.readUInt16LE(place + 14) !== 0) return undefined;
  return {
    hash: bytes.readBigUInt64LE(place),
    length: bytes.readUInt32LE(place + 8),
    kind: KINDS.get(bytes[place + 12] as number),
    more: more === 1,
  };
}

/** Whether the frame at `place`, there whole, is what its hash says. */
export function intact(bytes: Buffer, place: number, header: FrameHeader): boolean {
  return xxh64(bytes.subarray(place + HASH_LENGTH, place + FRAME_HEADER_LENGTH + header.length)) === header.hash;
}
