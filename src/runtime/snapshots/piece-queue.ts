/**
 * Pieces of one snapshot on their way into the stream, some of them at once. Each is compressed by another thread, and durable
 * only after a majority's disks; one after the other, a snapshot of 100 MB would wait four hundred times for both, and in a busy process each time for a turn of its loop.
 */
import type { Zstd } from "../../ports/zstd.ts";
import type { Offset } from "../../record/offset.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";
import type { PieceRef } from "./manifest.ts";
import { encodePiece, type PieceKind } from "./piece.ts";
import type { SnapshotStream } from "./snapshot-stream.ts";
import type { Turns } from "./turns.ts";

export class PieceQueue {
  readonly #stream: SnapshotStream;
  readonly #zstd: Zstd;
  readonly #work: Turns;
  /** In the order of their content, since they were last asked for. */
  #refs: Promise<PieceRef>[] = [];
  /** Behind all that has arrived. */
  #end: Offset;
  /** Behind what was asked for, unless others write. */
  #next: Offset;
  #begun = false;
  #writtenBytes = 0;
  #interrupted = false;
  #late = false;

  /** `end`: where the stream ends unless others write. */
  constructor(stream: SnapshotStream, zstd: Zstd, work: Turns, end: Offset) {
    this.#stream = stream;
    this.#zstd = zstd;
    this.#work = work;
    this.#end = end;
    this.#next = end;
  }

  get end(): Offset {
    return this.#end;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Others wrote, too, among what was asked for or before it … */
  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** … and before the first of these. */
  get late(): boolean {
    return this.#late;
  }

  /** The content stays as it is. Resolves when there is room for the next one. Rejects where the stream cannot be reached, perhaps for an earlier one. */
  async put(kind: PieceKind, content: Uint8Array): Promise<void> {
    const ref = this.#append(kind, content);
    // Whoever asks for it hears why it failed.
    ref.catch(() => undefined);
    this.#refs.push(ref);
    // Nothing comes behind the first before it is known whether another began earlier.
    const awaited = this.#begun ? this.#refs.at(-SNAPSHOT_LIMITS.piecesUnderWayMax) : ref;
    if (awaited !== undefined) {
      const { offset } = await this.#work.meanwhile(awaited);
      this.#late ||= !this.#begun && offset !== this.#next;
    }
    this.#begun = true;
  }

  /** All of them have arrived: where they are, in the order of their content, since this was last asked for. */
  async drained(): Promise<readonly PieceRef[]> {
    const refs = await this.#work.meanwhile(Promise.all(this.#refs));
    this.#refs = [];
    for (const { offset, parts } of refs.toSorted(byOffset)) {
      this.#interrupted ||= offset !== this.#next;
      this.#next = offset + parts;
    }
    return refs;
  }

  async #append(kind: PieceKind, content: Uint8Array): Promise<PieceRef> {
    const zstd = this.#zstd;
    // The longest that a snapshot would keep those waiting who wait for outputs.
    const compressed = zstd.compressAside === undefined ? zstd.compress(content) : await zstd.compressAside(content);
    const records = encodePiece(kind, content, compressed);
    const offset = await this.#stream.append(records);
    this.#end = Math.max(this.#end, offset + records.length);
    this.#writtenBytes += records.reduce((sum, { length }) => sum + length, 0);
    return { offset, parts: records.length, bytes: content.length };
  }
}

/** Those of one time may have arrived in another order. */
export function byOffset(a: PieceRef, b: PieceRef): number {
  return a.offset - b.offset;
}
