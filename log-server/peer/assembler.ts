/** Puts a lane's frames together to messages again, never more than a message's bound (I15). */
import { type Lane, LINK_LIMITS } from "../../src/ports/link.ts";

/** A message that lies in a buffer this much larger than itself is copied out, so as not to keep the rest alive. */
const WASTE_MAX = 4;

export class Assembler {
  readonly #bytesMax: number;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(lane: Lane) {
    this.#bytesMax = LINK_LIMITS.messageBytesMax[lane];
  }

  /** The message, if it is whole; "too-long" is a violation of the protocol. */
  add(payload: Uint8Array, more: boolean): Uint8Array | "too-long" | undefined {
    this.#bytes += payload.length;
    if (this.#bytes > this.#bytesMax) return "too-long";
    if (more) {
      // A frame of nothing that goes on would make parts without bytes: no sender needs one.
      if (payload.length === 0) return "too-long";
      this.#parts.push(payload);
      return undefined;
    }
    if (this.#parts.length === 0) {
      this.#bytes = 0;
      return payload.length * WASTE_MAX < payload.buffer.byteLength ? new Uint8Array(payload) : plain(payload);
    }
    const message = plain(Buffer.allocUnsafeSlow(this.#bytes));
    let place = 0;
    for (const part of [...this.#parts, payload]) {
      message.set(part, place);
      place += part.length;
    }
    this.#parts = [];
    this.#bytes = 0;
    return message;
  }
}

/** Not a `Buffer`, whose every `subarray` costs several times as much: messages are taken apart by those. */
function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}
