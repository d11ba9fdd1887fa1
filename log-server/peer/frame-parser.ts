/**
 * Cuts what a socket gives into frames. It holds at most one unfinished frame, and allocates for a claimed length only
 * once that length is known to be allowed: a claim of 4 GiB costs the twenty bytes that made it.
 */
import { assert } from "../../src/lib/assert.ts";
import { type Frame, FRAME_HEADER_LENGTH, intact, readHeader } from "./frame.ts";

export type FrameViolation = "not-a-frame" | "frame-too-long" | "frame-damaged";

export class FrameParser {
  #payloadBytesMax: number;
  /** An unfinished frame's bytes: `#held` of them; the buffer is as long as is known to be needed. */
  #partial: Buffer = Buffer.alloc(0);
  #held = 0;

  constructor(payloadBytesMax: number) {
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** From the next frame on. */
  allow(payloadBytesMax: number): void {
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** Bytes that are kept until the rest of their frame comes. */
  get heldBytes(): number {
    return this.#held;
  }

  /** Calls `take` with each frame that is whole; false from it stops. After a violation the parser is not used again. */
  push(bytes: Buffer, take: (frame: Frame) => boolean): FrameViolation | undefined {
    let place = 0;
    while (this.#held > 0 && place < bytes.length) {
      place += this.#fill(bytes, place);
      if (this.#held < this.#partial.length) return undefined;
      const frame = this.#partial;
      const outcome = this.#one(frame, 0);
      if (typeof outcome === "string") return outcome;
      if (outcome === undefined) {
        this.#grow(frame);
        continue;
      }
      this.#held = 0;
      if (!take(outcome)) return undefined;
    }
    while (bytes.length - place >= FRAME_HEADER_LENGTH) {
      const outcome = this.#one(bytes, place);
      if (typeof outcome === "string") return outcome;
      if (outcome === undefined) break;
      place += FRAME_HEADER_LENGTH + outcome.payload.length;
      if (!take(outcome)) return undefined;
    }
    if (place < bytes.length) this.#keep(bytes.subarray(place));
    return undefined;
  }

  /** The frame at `place`, whose header is there; undefined if its rest is not. */
  #one(bytes: Buffer, place: number): Frame | FrameViolation | undefined {
    const header = readHeader(bytes, place);
    if (header === undefined) return "not-a-frame";
    if (header.length > this.#payloadBytesMax) return "frame-too-long";
    const start = place + FRAME_HEADER_LENGTH;
    if (bytes.length - start < header.length) return undefined;
    if (!intact(bytes, place, header)) return "frame-damaged";
    return { kind: header.kind, more: header.more, payload: bytes.subarray(start, start + header.length) };
  }

  /** Takes on what an unfinished frame lacks, as far as it is there. Returns how much that was. */
  #fill(bytes: Buffer, place: number): number {
    const count = Math.min(this.#partial.length - this.#held, bytes.length - place);
    bytes.copy(this.#partial, this.#held, place, place + count);
    this.#held += count;
    return count;
  }

  /** The header is whole and allowed: now its payload has room. */
  #grow(header: Buffer): void {
    const length = readHeader(header, 0)?.length ?? 0;
    assert(length <= this.#payloadBytesMax, "I15: a frame's length is checked before it is believed");
    this.#partial = Buffer.allocUnsafe(FRAME_HEADER_LENGTH + length);
    header.copy(this.#partial, 0, 0, FRAME_HEADER_LENGTH);
  }

  #keep(rest: Buffer): void {
    this.#partial = Buffer.allocUnsafe(FRAME_HEADER_LENGTH);
    this.#held = 0;
    const took = this.#fill(rest, 0);
    if (took < FRAME_HEADER_LENGTH) return;
    // The caller has looked at this header already: it is allowed, and its frame is not whole.
    this.#grow(this.#partial);
    this.#fill(rest, FRAME_HEADER_LENGTH);
  }
}
