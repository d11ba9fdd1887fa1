/**
 * Bytes kept in pages that are copied only when written, so that a simulated disk of preallocated files is small and
 * a crash can be tried in hundreds of ways from one state. Pages that were never written are zeros and take no memory.
 */

const PAGE_LENGTH = 4096;

export class PagedBytes {
  #pages = new Map<number, Uint8Array>();
  /** Pages no clone shares: these may be written in place. */
  readonly #owned = new Set<number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The same bytes, at the cost of one map; either side copies a page before it changes it. */
  clone(): PagedBytes {
    const copy = new PagedBytes();
    copy.#pages = new Map(this.#pages);
    copy.#size = this.#size;
    this.#owned.clear();
    return copy;
  }

  /** Cuts, or grows with zeros. */
  resize(size: number): void {
    if (size < this.#size) {
      const lastPage = Math.floor(size / PAGE_LENGTH);
      for (const index of [...this.#pages.keys()]) {
        if (index > lastPage) this.#drop(index);
      }
      const kept = size - lastPage * PAGE_LENGTH;
      if (kept === 0) this.#drop(lastPage);
      else if (this.#pages.has(lastPage)) this.#writable(lastPage).fill(0, kept);
    }
    this.#size = size;
  }

  /** Copies into `target` from `position` on; short only at the end. Returns how many. */
  read(position: number, target: Uint8Array): number {
    const length = Math.max(0, Math.min(target.length, this.#size - position));
    for (let done = 0; done < length;) {
      const at = position + done;
      const index = Math.floor(at / PAGE_LENGTH);
      const start = at - index * PAGE_LENGTH;
      const count = Math.min(PAGE_LENGTH - start, length - done);
      const page = this.#pages.get(index);
      if (page === undefined) target.fill(0, done, done + count);
      else target.set(page.subarray(start, start + count), done);
      done += count;
    }
    return length;
  }

  /** A copy of `length` bytes from `position` on, cut at the end. */
  slice(position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.#size - position)));
    this.read(position, bytes);
    return bytes;
  }

  /** Overwrites, growing as needed. */
  write(position: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    for (let done = 0; done < bytes.length;) {
      const at = position + done;
      const index = Math.floor(at / PAGE_LENGTH);
      const start = at - index * PAGE_LENGTH;
      const count = Math.min(PAGE_LENGTH - start, bytes.length - done);
      this.#writable(index).set(bytes.subarray(done, done + count), start);
      done += count;
    }
    this.#size = Math.max(this.#size, position + bytes.length);
  }

  /** The bytes that `source` has there, growing as needed: zeros behind its end. What neither has written takes no memory. */
  copyFrom(source: PagedBytes, position: number, length: number): void {
    for (let done = 0; done < length;) {
      const at = position + done;
      const index = Math.floor(at / PAGE_LENGTH);
      const start = at - index * PAGE_LENGTH;
      const count = Math.min(PAGE_LENGTH - start, length - done);
      const page = source.#pages.get(index);
      if (page !== undefined) this.#writable(index).set(page.subarray(start, start + count), start);
      else if (this.#pages.has(index)) this.#writable(index).fill(0, start, start + count);
      done += count;
    }
    this.#size = Math.max(this.#size, position + length);
  }

  #drop(index: number): void {
    this.#pages.delete(index);
    this.#owned.delete(index);
  }

  #writable(index: number): Uint8Array {
    const page = this.#pages.get(index);
    if (page !== undefined && this.#owned.has(index)) return page;
    const own = page === undefined ? new Uint8Array(PAGE_LENGTH) : page.slice();
    this.#pages.set(index, own);
    this.#owned.add(index);
    return own;
  }
}
