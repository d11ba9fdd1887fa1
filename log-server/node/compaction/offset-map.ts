/**
 * The newest offset of each key in a part of a stream: what compaction is decided by. Keys are kept whole, so that no
 * two are ever taken for one; how many there may be is bounded by the memory that they take (I15).
 */
import type { Offset } from "../../../src/record/offset.ts";

/** Roughly what an entry takes beside its key. */
const ENTRY_OVERHEAD_BYTES = 96;

export class OffsetMap {
  readonly #offsets = new Map<string, Offset>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Roughly what it takes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** No more keys are to be put; one key may go beyond the bound. */
  get full(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  /** The record at `offset`, later than all before, has this key. Returns where the key was until now. */
  put(key: Uint8Array, offset: Offset): Offset | undefined {
    const text = textOf(key);
    const before = this.#offsets.get(text);
    this.#offsets.set(text, offset);
    if (before === undefined) this.#bytes += text.length + ENTRY_OVERHEAD_BYTES;
    return before;
  }

  newest(key: Uint8Array): Offset | undefined {
    return this.#offsets.get(textOf(key));
  }
}

/** Each byte one character: the same for the same bytes only, and kept in as many bytes. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}
