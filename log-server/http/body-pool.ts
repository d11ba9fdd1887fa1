/**
 * Memory for the bodies of large answers, used again and again: catching up sends one after the other, and a new piece of
 * memory for each would be more work for the collector and the system than all else about it.
 */
import type { HttpLimits } from "./limits.ts";

export class BodyPool {
  readonly #limits: HttpLimits;
  readonly #free: Buffer[] = [];

  constructor(limits: HttpLimits) {
    this.#limits = limits;
  }

  /** So many bytes at least, not cleared. What is not given back is collected as any memory is. */
  take(bytes: number): Buffer {
    const { pooledBodyBytes } = this.#limits;
    // Small ones are cheap to make, and very large ones would be kept for nobody.
    if (bytes > pooledBodyBytes || bytes * 2 < pooledBodyBytes) return Buffer.allocUnsafe(bytes);
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(pooledBodyBytes);
  }

  /** Nobody reads or writes it any more, the system's sockets included. */
  give(buffer: Buffer): void {
    const { pooledBodyBytes, pooledBodiesMax } = this.#limits;
    if (buffer.length === pooledBodyBytes && this.#free.length < pooledBodiesMax) this.#free.push(buffer);
  }
}
