/**
 * Frames: how requests and answers are cut out of a stream of bytes (SPEC.md, "Frames"). The same frames travel in
 * HTTP bodies and over WebSocket. What a body means is `request.ts`'s and `response.ts`'s business.
 *
 *     0  u32  length of what follows this field
 *     4  u8   version   1
 *     5  u8   kind      of the request or response
 *     6  u16  flags     0
 *     8  u32  request   the requester's number; an answer carries the number of its request
 *    12       body
 */
import { assert } from "../lib/assert.ts";
import { err, ok, type Err, type Result } from "../lib/result.ts";
import { WIRE_LIMITS } from "./limits.ts";

export const FRAME_HEADER_LENGTH = 12;
export const FRAME_VERSION = 1;
const LENGTH_FIELD = 4;
const U32_MAX = 0xffff_ffff;

export type FrameErrorCode = "malformed-frame" | "unsupported-version" | "body-too-large";
export type FrameError = { readonly code: FrameErrorCode; readonly message: string };

export type Frame = { readonly kind: number; readonly requestId: number; readonly body: Uint8Array };

/** The bytes of a frame whose body is these chunks. */
export function encodeFrame(kind: number, requestId: number, chunks: readonly Uint8Array[]): Uint8Array {
  let end = FRAME_HEADER_LENGTH;
  for (const chunk of chunks) end += chunk.length;
  assert(requestId >>> 0 === requestId, "a request's number is a u32");
  assert(end - LENGTH_FIELD <= U32_MAX, "a frame's length is a u32");
  const frame = new Uint8Array(end);
  const data = new DataView(frame.buffer);
  data.setUint32(0, end - LENGTH_FIELD, true);
  frame[4] = FRAME_VERSION;
  frame[5] = kind;
  data.setUint32(8, requestId, true);
  let place = FRAME_HEADER_LENGTH;
  for (const chunk of chunks) {
    frame.set(chunk, place);
    place += chunk.length;
  }
  return frame;
}

/** The frames of a whole body. Nothing may be left over. Their bodies are views of `bytes`. */
export function splitFrames(bytes: Uint8Array, frameBytesMax: number, framesMax: number): Result<Frame[], FrameError> {
  const splitter = new FrameSplitter(frameBytesMax);
  const frames = splitter.push(bytes, framesMax);
  return frames.ok && splitter.pendingBytes > 0 ? malformed("the last frame is cut short") : frames;
}

/**
 * Cuts a stream of bytes into frames. It holds the bytes of at most one unfinished frame, in a buffer that grows with
 * what has arrived, not with what is claimed; a claim over `frameBytesMax` (header included) fails at once.
 */
export class FrameSplitter {
  readonly #frameBytesMax: number;
  #held: Uint8Array = new Uint8Array(0);
  #heldLength = 0;
  #error: FrameError | undefined;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Bytes held of a frame that is not complete. */
  get pendingBytes(): number {
    return this.#heldLength;
  }

  /**
   * The frames that these bytes complete, at most `framesMax`. Their bodies may be views of `bytes`, which is not to be
   * written to again. An error is final: where the next frame begins is not known any more.
   */
  push(bytes: Uint8Array, framesMax: number = Number.MAX_SAFE_INTEGER): Result<Frame[], FrameError> {
    if (this.#error !== undefined) return err(this.#error);
    const cut = this.#cut(bytes, framesMax);
    if (!cut.ok) {
      this.#error = cut.error;
      this.#release();
    }
    return cut;
  }

  #cut(bytes: Uint8Array, framesMax: number): Result<Frame[], FrameError> {
    const frames: Frame[] = [];
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#heldLength > 0 || rest.length < LENGTH_FIELD) rest = this.#hold(rest, LENGTH_FIELD);
      if (this.#heldLength > 0 && this.#heldLength < LENGTH_FIELD) break;
      const end = LENGTH_FIELD + readU32(this.#heldLength > 0 ? this.#held : rest, 0);
      if (end < FRAME_HEADER_LENGTH) return malformed("a frame is shorter than its header");
      if (end > this.#frameBytesMax) {
        return err({
          code: "body-too-large",
          message: `a frame claims ${end} bytes; at most ${this.#frameBytesMax} are allowed`,
        });
      }
      let whole = rest;
      if (this.#heldLength > 0 || rest.length < end) {
        rest = this.#hold(rest, end);
        if (this.#heldLength < end) break;
        whole = this.#held;
        this.#release();
      } else {
        rest = rest.subarray(end);
      }
      if (frames.length === framesMax) return malformed(`there are more than ${framesMax} frames`);
      const frame = readFrame(whole.subarray(0, end));
      if (!frame.ok) return frame;
      frames.push(frame.value);
    }
    return ok(frames);
  }

  /** Keeps bytes until `end` are held; returns those left over. */
  #hold(bytes: Uint8Array, end: number): Uint8Array {
    const taken = Math.max(0, Math.min(end - this.#heldLength, bytes.length));
    const needed = this.#heldLength + taken;
    if (needed > this.#held.length) {
      const doubled = Math.max(this.#held.length * 2, WIRE_LIMITS.frameBufferBytes);
      const grown = new Uint8Array(Math.max(needed, Math.min(end, doubled)));
      grown.set(this.#held.subarray(0, this.#heldLength));
      this.#held = grown;
    }
    this.#held.set(bytes.subarray(0, taken), this.#heldLength);
    this.#heldLength = needed;
    return bytes.subarray(taken);
  }

  #release(): void {
    this.#held = new Uint8Array(0);
    this.#heldLength = 0;
  }
}

function readFrame(bytes: Uint8Array): Result<Frame, FrameError> {
  const version = bytes[4] as number;
  if (version !== FRAME_VERSION)
    return err({ code: "unsupported-version", message: `frame version ${version} is not known here` });
  if (bytes[6] !== 0 || bytes[7] !== 0) return malformed("a frame has unknown flags");
  return ok({ kind: bytes[5] as number, requestId: readU32(bytes, 8), body: bytes.subarray(FRAME_HEADER_LENGTH) });
}

function readU32(bytes: Uint8Array, place: number): number {
  const [a, b, c, d] = [bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]] as [
    number,
    number,
    number,
    number,
  ];
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

function malformed(message: string): Err<FrameError> {
  return err({ code: "malformed-frame", message });
}
