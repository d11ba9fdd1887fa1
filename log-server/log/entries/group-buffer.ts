/**
 * Gathers what one write takes to the disk: heads and small batches copied one behind the other into blocks, large
 * batches as they are. Blocks are not reused, for the tail's cache keeps views of them; one is let go of when the last
 * batch in it leaves the cache.
 */
import type { LogLimits } from "../limits.ts";

export class GroupBuffer {
  readonly #limits: LogLimits;
  #block: Uint8Array = new Uint8Array(0);
  #data: DataView = new DataView(this.#block.buffer);
  #used = 0;
  /** Of the block, what is already in `#chunks`. */
  #flushed = 0;
  #chunks: Uint8Array[] = [];

  constructor(limits: LogLimits) {
    this.#limits = limits;
  }

  /** The block that the last `take` was from. */
  get bytes(): Uint8Array {
    return this.#block;
  }

  get data(): DataView {
    return this.#data;
  }

  /** So many bytes, not cleared, in one piece behind what was taken before; where they begin in `bytes`. */
  take(length: number): number {
    if (this.#used + length > this.#block.length) {
      this.#flush();
      const block = Buffer.allocUnsafeSlow(Math.max(this.#limits.gatherBlockBytes, length));
      this.#block = block;
      this.#data = new DataView(block.buffer, block.byteOffset, block.byteLength);
      this.#used = 0;
      this.#flushed = 0;
    }
    const at = this.#used;
    this.#used = at + length;
    return at;
  }

  /** Puts bytes behind what was taken. Returns where they were copied to in `bytes`; large ones are taken as they are. */
  put(bytes: Uint8Array): number | undefined {
    if (bytes.length > this.#limits.copiedBatchBytesMax) {
      this.#flush();
      this.#chunks.push(bytes);
      return undefined;
    }
    const at = this.take(bytes.length);
    this.#block.set(bytes, at);
    return at;
  }

  pad(length: number): void {
    if (length === 0) return;
    const at = this.take(length);
    this.#block.fill(0, at, at + length);
  }

  /** What was gathered since the last call, as chunks to write. */
  finish(): Uint8Array[] {
    this.#flush();
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }

  #flush(): void {
    if (this.#used > this.#flushed) this.#chunks.push(this.#block.subarray(this.#flushed, this.#used));
    this.#flushed = this.#used;
  }
}
