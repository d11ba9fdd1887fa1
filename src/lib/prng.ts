/**
 * A seeded generator (sfc32, Chris Doty-Humphrey's PractRand), for simulation and tests: the same seed, the same run.
 */

export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 0x1_0000_0000) >>> 0;
    this.#c = 0x9e37_79b9;
    this.#counter = 1;
    for (let round = 0; round < 12; round += 1) this.u32();
  }

  /** A 32-bit unsigned integer. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0;
    return sum;
  }

  /** From 0 up to, not including, 1. */
  float(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** An integer from 0 up to, not including, `n`. */
  below(n: number): number {
    return Math.floor(this.float() * n);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** Above 0, mostly small and seldom large: the time between two things that happen independently of each other. */
  exponential(mean: number): number {
    return -Math.log(1 - this.float()) * mean;
  }

  pick<T>(array: readonly T[]): T {
    return array[this.below(array.length)] as T;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let place = 0; place < length; place += 1) bytes[place] = this.u32() & 0xff;
    return bytes;
  }

  /** An independent generator whose run depends on the label and on what was drawn so far. */
  fork(label: string): Prng {
    let hash = this.u32();
    for (let place = 0; place < label.length; place += 1)
      hash = Math.imul(hash ^ label.charCodeAt(place), 0x0100_0193) >>> 0;
    return new Prng(hash);
  }
}
