/**
 * The pages of an index block: 4,096 bytes, the first 8 of them the xxh64 of the rest, seeded with the segment's
 * sequence · 2^24 + the page's number. Behind each 15 pages, and behind the last ones, stands their parity (exclusive
 * or): one damaged page of such a stripe is rebuilt from the others, so that a damaged sector of an index does not
 * hide records that are intact.
 */
import { xxh64 } from "../../../src/record/checksum.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import { isUnreadable } from "../repair/unreadable.ts";

export const PAGE_BYTES = 4_096;
export const PAGE_HASH_LENGTH = 8;
export const PAGE_BODY_BYTES: number = PAGE_BYTES - PAGE_HASH_LENGTH;
const STRIPE_PAGES = 15;
const PAGE_NUMBER_BITS = 24n;
const WORD_BYTES = 4;
/** Pages written at a time. */
const WRITE_PAGES = 64;

/** Writes the pages of a new block, one behind the other. */
export class PageWriter {
  readonly #file: DiskFile;
  readonly #seed: bigint;
  readonly #buffer: Uint8Array;
  readonly #parity: Uint8Array = new Uint8Array(PAGE_BYTES);
  #buffered = 0;
  #written = 0;
  /** Pages without parity ones. */
  #pages = 0;

  /** `pageCount`: how many pages will come. */
  constructor(file: DiskFile, sequence: number, pageCount: number) {
    this.#file = file;
    this.#seed = seedOf(sequence);
    const physicalPages = pageCount + Math.ceil(pageCount / STRIPE_PAGES);
    this.#buffer = new Uint8Array(Math.min(WRITE_PAGES, physicalPages + 1) * PAGE_BYTES);
  }

  /** A page whose body `fill` writes: zeroed, from the hash's end on. */
  async add(fill: (page: Uint8Array, data: DataView) => void): Promise<void> {
    const page = this.#next();
    page.fill(0);
    const data = new DataView(page.buffer, page.byteOffset, PAGE_BYTES);
    fill(page, data);
    data.setBigUint64(0, xxh64(page.subarray(PAGE_HASH_LENGTH), this.#seed + BigInt(this.#pages)), true);
    addTo(this.#parity, page);
    this.#pages += 1;
    if (this.#pages % STRIPE_PAGES === 0) this.#endStripe();
    // A parity page may follow a page at once: room for two.
    if (this.#buffered >= this.#buffer.length / PAGE_BYTES - 1) await this.#flush();
  }

  async finish(): Promise<void> {
    if (this.#pages % STRIPE_PAGES !== 0) this.#endStripe();
    await this.#flush();
  }

  #next(): Uint8Array {
    const start = this.#buffered * PAGE_BYTES;
    this.#buffered += 1;
    return this.#buffer.subarray(start, start + PAGE_BYTES);
  }

  #endStripe(): void {
    this.#next().set(this.#parity);
    this.#parity.fill(0);
  }

  async #flush(): Promise<void> {
    if (this.#buffered === 0) return;
    const bytes = this.#buffered * PAGE_BYTES;
    await this.#file.write(this.#written, [this.#buffer.subarray(0, bytes)]);
    this.#written += bytes;
    this.#buffered = 0;
  }
}

/** A page, verified; rebuilt if it is damaged and the rest of its stripe is not. Undefined: it cannot be known. */
export async function readPage(
  file: DiskFile,
  sequence: number,
  page: number,
  pageCount: number,
): Promise<Uint8Array | undefined> {
  const bytes = await readWhole(file, physical(page));
  if (bytes !== undefined && pageIsIntact(bytes, sequence, page)) return bytes;
  return rebuild(file, sequence, page, pageCount);
}

export function pageIsIntact(bytes: Uint8Array, sequence: number, page: number): boolean {
  const stored = new DataView(bytes.buffer, bytes.byteOffset, PAGE_BYTES).getBigUint64(0, true);
  return stored === xxh64(bytes.subarray(PAGE_HASH_LENGTH), seedOf(sequence) + BigInt(page));
}

/** The pages of a file of this size, without parity ones. */
export function pageCountOf(fileBytes: number): number {
  const all = Math.floor(fileBytes / PAGE_BYTES);
  return all - Math.ceil(all / (STRIPE_PAGES + 1));
}

/** The size of a file of so many pages, parity ones included. */
export function fileBytesOf(pageCount: number): number {
  return (pageCount + Math.ceil(pageCount / STRIPE_PAGES)) * PAGE_BYTES;
}

/** Where a page begins in the file. */
export function placeOfPage(page: number): number {
  return physical(page) * PAGE_BYTES;
}

async function rebuild(
  file: DiskFile,
  sequence: number,
  page: number,
  pageCount: number,
): Promise<Uint8Array | undefined> {
  const stripe = Math.floor(page / STRIPE_PAGES);
  const first = stripe * STRIPE_PAGES;
  const end = Math.min(first + STRIPE_PAGES, pageCount);
  if (page >= end) return undefined;
  const rebuilt = new Uint8Array(PAGE_BYTES);
  for (let other = first; other <= end; other += 1) {
    if (other === page) continue;
    const bytes = await readWhole(file, other === end ? physical(end - 1) + 1 : physical(other));
    if (bytes === undefined) return undefined;
    addTo(rebuilt, bytes);
  }
  return pageIsIntact(rebuilt, sequence, page) ? rebuilt : undefined;
}

async function readWhole(file: DiskFile, physicalPage: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(PAGE_BYTES);
  try {
    return (await file.read(physicalPage * PAGE_BYTES, bytes)) === PAGE_BYTES ? bytes : undefined;
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

/** Exclusive or, a word at a time. */
function addTo(sum: Uint8Array, page: Uint8Array): void {
  const sums = new Uint32Array(sum.buffer, sum.byteOffset, PAGE_BYTES / WORD_BYTES);
  const words = new Uint32Array(page.buffer, page.byteOffset, PAGE_BYTES / WORD_BYTES);
  for (let word = 0; word < words.length; word += 1) sums[word] = (sums[word] as number) ^ (words[word] as number);
}

function physical(page: number): number {
  return page + Math.floor(page / STRIPE_PAGES);
}

function seedOf(sequence: number): bigint {
  return BigInt(sequence) << PAGE_NUMBER_BITS;
}
