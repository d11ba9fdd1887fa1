/**
 * Writes that are durable when they return and pass the kernel's cache (O_DIRECT with O_DSYNC): one call instead of a write
 * and a sync, and no pages of memory filled with what nobody reads from there, which is most of what a large append cost.
 * Only for what is overwritten in place; whoever uses it has another way for everything else, and for disks that cannot.
 *
 * The kernel takes whole blocks, from memory that begins with one. So what is written is copied behind what its first block
 * holds before it, and its last block is filled up with zeros: behind the end of what is written in order there is nothing.
 */
import fs from "node:fs";
import { DISK_LIMITS } from "./storage-limits.ts";

/** Of a page, and at least of a block of any disk. */
const BLOCK_BYTES = 4_096;
const WASM_PAGE_BYTES = 65_536;

/** Undefined where the platform has none. */
const DIRECT: number | undefined = fs.constants.O_DIRECT;

/** As the platform has it; its types come with those of browsers only. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  };
};

/** Memory that begins with a page, which only that of WebAssembly does for sure. One disk's writers share it. */
export class DirectMemory {
  /** What is on its way, begun with what its first block holds before it. */
  readonly staged: Uint8Array;
  /** Never written to. */
  readonly zeros: Uint8Array;
  /** Whose last block is kept at the beginning of `staged`, up to its place `end`. */
  owner: DirectWriter | undefined;
  end = 0;
  busy = false;
  /** False once the disk has refused. */
  usable: boolean = DIRECT !== undefined;

  constructor() {
    const { stagedBytes, zerosBytes } = DISK_LIMITS;
    const pages = (stagedBytes + zerosBytes) / WASM_PAGE_BYTES;
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.staged = new Uint8Array(buffer, 0, stagedBytes);
    this.zeros = new Uint8Array(buffer, stagedBytes, zerosBytes);
  }
}

export class DirectWriter {
  readonly #memory: DirectMemory;
  readonly #descriptor: number;
  #size: number;

  private constructor(memory: DirectMemory, descriptor: number, size: number) {
    this.#memory = memory;
    this.#descriptor = descriptor;
    this.#size = size;
  }

  /** For a file that is open for writing. Undefined where that cannot be. */
  static async open(memory: DirectMemory, descriptor: number, size: number): Promise<DirectWriter | undefined> {
    if (!memory.usable || DIRECT === undefined) return undefined;
    // By its descriptor: whatever its name has become, it is the same file.
    const flags = fs.constants.O_RDWR | DIRECT | fs.constants.O_DSYNC;
    const { value } = await outcome<number>((done) => fs.open(`/proc/self/fd/${descriptor}`, flags, done));
    if (value === undefined) memory.usable = false;
    return value === undefined ? undefined : new DirectWriter(memory, value, size);
  }

  /**
   * Writes the chunks one behind the other from `position` on. False: it cannot, and how much of it was written is not
   * known. Rejects with the platform's error.
   */
  async write(position: number, chunks: readonly Uint8Array[]): Promise<boolean> {
    const memory = this.#memory;
    const { staged } = memory;
    let end = position;
    for (const chunk of chunks) end += chunk.length;
    if (memory.busy || !memory.usable || blockAfter(end) > this.#size) return false;
    memory.busy = true;
    try {
      let at = position - (position % BLOCK_BYTES);
      let filled = position - at;
      const goesOn = memory.owner === this && memory.end === position;
      // Of nobody, from here on: another's block is overwritten even where this comes to nothing.
      memory.owner = undefined;
      if (filled > 0 && !goesOn && !(await this.#readBlock(at, filled))) return false;
      for (const chunk of chunks) {
        for (let from = 0; from < chunk.length;) {
          const to = Math.min(chunk.length, from + staged.length - filled);
          staged.set(chunk.subarray(from, to), filled);
          filled += to - from;
          from = to;
          if (filled < staged.length) continue;
          if (!(await this.#put([staged], at))) return false;
          at += filled;
          filled = 0;
        }
      }
      const padded = blockAfter(filled);
      staged.fill(0, filled, padded);
      if (padded > 0 && !(await this.#put([staged.subarray(0, padded)], at))) return false;
      staged.copyWithin(0, filled - (filled % BLOCK_BYTES), filled);
      memory.owner = this;
      memory.end = end;
      return true;
    } finally {
      memory.busy = false;
    }
  }

  /** Makes the file longer, with zeros. False: it cannot. Rejects with the platform's error. */
  async grow(size: number): Promise<boolean> {
    const { zeros, usable } = this.#memory;
    if (!usable || this.#size % BLOCK_BYTES !== 0 || size % BLOCK_BYTES !== 0) return false;
    while (this.#size < size) {
      const chunks: Uint8Array[] = [];
      let left = Math.min(DISK_LIMITS.allocationBytesMax, size - this.#size);
      const length = left;
      for (; left > 0; left -= zeros.length) chunks.push(zeros.subarray(0, left));
      if (!(await this.#put(chunks, this.#size))) return false;
      this.#size += length;
    }
    return true;
  }

  /** The file was changed in another way, and is this long. */
  changed(size: number): void {
    this.#size = size;
    if (this.#memory.owner === this) this.#memory.owner = undefined;
  }

  close(): Promise<void> {
    this.changed(0);
    return outcome<void>((done) => fs.close(this.#descriptor, done)).then(({ error }) => {
      if (error !== undefined) throw error;
    });
  }

  /** What the block at `at` holds before what is to be written. */
  async #readBlock(at: number, length: number): Promise<boolean> {
    const { staged } = this.#memory;
    const { value } = await outcome<number>((done) => fs.read(this.#descriptor, staged, 0, BLOCK_BYTES, at, done));
    return value !== undefined && value >= length;
  }

  async #put(chunks: readonly Uint8Array[], at: number): Promise<boolean> {
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    const { value, error } = await outcome<number>((done) => fs.writev(this.#descriptor, chunks, at, done));
    if (error !== undefined && error.code !== "EINVAL") throw error;
    if (error !== undefined) this.#memory.usable = false;
    return value === length;
  }
}

function blockAfter(place: number): number {
  return Math.ceil(place / BLOCK_BYTES) * BLOCK_BYTES;
}

type Outcome<T> = { readonly value?: T; readonly error?: NodeJS.ErrnoException };

function outcome<T>(
  start: (done: (error: NodeJS.ErrnoException | null, value?: T) => void) => void,
): Promise<Outcome<T>> {
  return new Promise((resolve) => {
    start((error, value) => resolve(error === null || error === undefined ? { value: value as T } : { error }));
  });
}
