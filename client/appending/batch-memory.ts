/**
 * Memory for the batches of appends, used again for later ones: new memory for each makes the collector run every few
 * thousand. Whoever takes some gives it back when nothing reads it any more, which is when its append is answered: all that
 * was sent of it has been copied by then. A batch that ends in any other way may still be on its way somewhere; its memory
 * is not given back, and goes when nobody knows it any more.
 */
import { assert } from "../../src/lib/assert.ts";
import { BatchEncoder } from "../../src/record/batch-codec.ts";
import { CLIENT_LIMITS } from "../limits.ts";

/** Filled from its beginning, and begun anew once all of it was given back. */
type Slab = { readonly bytes: Uint8Array; used: number; held: number };

export class BatchMemory {
  #slab: Slab | undefined;
  readonly #free: Slab[] = [];
  readonly #slabs = new WeakMap<ArrayBufferLike, Slab>();
  /** Of batches that are done. */
  readonly #encoders: BatchEncoder[] = [];

  /** So many bytes, with anything in them. What is long has memory of its own. */
  readonly take = (length: number): Uint8Array => {
    const { batchSlabBytes } = CLIENT_LIMITS;
    if (length * 2 > batchSlabBytes) return new Uint8Array(length);
    if (this.#slab === undefined || this.#slab.used + length > batchSlabBytes) this.#slab = this.#next();
    const slab = this.#slab;
    const at = slab.used;
    slab.used += length;
    slab.held += 1;
    return slab.bytes.subarray(at, slab.used);
  };

  /** Once for each that was taken. What came from elsewhere stays what it is. */
  giveBack({ buffer }: Uint8Array): void {
    const slab = this.#slabs.get(buffer);
    if (slab === undefined) return;
    assert(slab.held > 0, "I6: memory that is given back twice would be two batches'");
    slab.held -= 1;
    if (slab.held > 0) return;
    slab.used = 0;
    if (slab !== this.#slab && this.#free.length < CLIENT_LIMITS.freeSlabsMax) this.#free.push(slab);
  }

  /** For a batch that several calls make, begun. */
  takeEncoder(): BatchEncoder {
    const encoder = this.#encoders.pop() ?? new BatchEncoder(CLIENT_LIMITS.encoderBytes);
    encoder.begin();
    return encoder;
  }

  giveEncoderBack(encoder: BatchEncoder): void {
    if (this.#encoders.length < CLIENT_LIMITS.freeEncodersMax) this.#encoders.push(encoder);
  }

  #next(): Slab {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const slab: Slab = { bytes: new Uint8Array(CLIENT_LIMITS.batchSlabBytes), used: 0, held: 0 };
    this.#slabs.set(slab.bytes.buffer, slab);
    return slab;
  }
}
