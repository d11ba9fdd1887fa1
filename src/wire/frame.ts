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
import { readU32, writeU32 } from "../lib/bytes.ts";
import { err, ok, type Err, type Result } from "../lib/result.ts";
import { sharedBytes } from "../lib/shared-bytes.ts";
import { WIRE_LIMITS } from "./limits.ts";

export const FRAME_HEADER_LENGTH = 12;
export const FRAME_VERSION = 1;
const LENGTH_FIELD = 4;
const U32_MAX = 0xffff_ffff;

export type FrameErrorCode = "malformed-frame" | "unsupported-version" | "body-too-large";
export type FrameError = { readonly code: FrameErrorCode; readonly message: string };

export type Frame = { readonly kind: number; readonly requestId: number; readonly body: Uint8Array };

/** The bytes of a frame whose body is these chunks. Short ones may share memory (`shared-bytes.ts`). */
export function encodeFrame(kind: number, requestId: number, chunks: readonly Uint8Array[]): Uint8Array {
  return begunFrame(kind, requestId, chunks, []);
}

/** The bytes of a frame whose body goes on with these chunks behind `start`, up to them: they are sent from where they are. */
export function beginFrame(
  kind: number,
  requestId: number,
  start: Uint8Array,
  chunks: readonly Uint8Array[],
): Uint8Array {
  return begunFrame(kind, requestId, [start], chunks);
}

function begunFrame(
  kind: number,
  requestId: number,
  here: readonly Uint8Array[],
  behind: readonly Uint8Array[],
): Uint8Array {
  let end = FRAME_HEADER_LENGTH;
  for (const chunk of here) end += chunk.length;
  let whole = end;
  for (const chunk of behind) whole += chunk.length;
  assert(requestId >>> 0 === requestId, "a request's number is a u32");
  assert(whole - LENGTH_FIELD <= U32_MAX, "a frame's length is a u32");
  const frame = sharedBytes(end);
  writeU32(frame, 0, whole - LENGTH_FIELD);
  frame[4] = FRAME_VERSION;
  frame[5] = kind;
  writeU32(frame, 8, requestId);
  let place = FRAME_HEADER_LENGTH;
  for (const chunk of here) {
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
    let at = 0;
    while (at < bytes.length) {
      if (this.#heldLength > 0 || bytes.length - at < LENGTH_FIELD) {
        at += this.#hold(bytes, at, LENGTH_FIELD);
        if (this.#heldLength < LENGTH_FIELD) break;
      }
      const isHeld = this.#heldLength > 0;
      const length = LENGTH_FIELD + (isHeld ? readU32(this.#held, 0) : readU32(bytes, at));
      if (length < FRAME_HEADER_LENGTH) return malformed("a frame is shorter than its header");
      if (length > this.#frameBytesMax) {
        return err({
          code: "body-too-large",
          message: `a frame claims ${length} bytes; at most ${this.#frameBytesMax} are allowed`,
        });
      }
      let source = bytes;
      let start = at;
      if (isHeld || bytes.length - at < length) {
        at += this.#hold(bytes, at, length);
        if (this.#heldLength < length) break;
        source = this.#held;
        start = 0;
        this.#release();
      } else {
        at += length;
      }
      if (frames.length === framesMax) return malformed(`there are more than ${framesMax} frames`);
      const frame = readFrame(source, start, start + length);
      if (!frame.ok) return frame;
      frames.push(frame.value);
    }
    return ok(frames);
  }

  /** Keeps bytes, from `at` on, until `end` are held; returns how many it took. */
  #hold(bytes: Uint8Array, at: number, end: number): number {
    const taken = Math.max(0, Math.min(end - this.#heldLength, bytes.length - at));
    const needed = this.#heldLength + taken;
    if (needed > this.#held.length) {
      const doubled = Math.max(this.#held.length * 2, WIRE_LIMITS.frameBufferBytes);
      const grown = new Uint8Array(Math.max(needed, Math.min(end, doubled)));
      grown.set(this.#held.subarray(0, this.#heldLength));
      this.#held = grown;
    }
    this.#held.set(bytes.subarray(at, at + taken), this.#heldLength);
    this.#heldLength = needed;
    return taken;
  }

  #release(): void {
    this.#held = new Uint8Array(0);
    this.#heldLength = 0;
  }
}

/** The frame from `start` to before `end`. Only its body has a view made of it. */
function readFrame(bytes: Uint8Array, start: number, end: number): Result<Frame, FrameError> {
  const version = bytes[start + 4] as number;
  if (version !== FRAME_VERSION)
    return err({ code: "unsupported-version", message: `frame version ${version} is not known here` });
  if (bytes[start + 6] !== 0 || bytes[start + 7] !== 0) return malformed("a frame has unknown flags");
  const body = bytes.subarray(start + FRAME_HEADER_LENGTH, end);
  return ok({ kind: bytes[start + 5] as number, requestId: readU32(bytes, start + 8), body });
}

function malformed(message: string): Err<FrameError> {
  return err({ code: "malformed-frame", message });
}
