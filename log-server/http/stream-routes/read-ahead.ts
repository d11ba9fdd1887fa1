/**
 * The next piece of a stream, read while the client takes the one before: of readers that come back where their last
 * answer ended, which is what catching up looks like. What has been appended never changes, so a piece that was read
 * ahead is as good as one that is read now; whether the stream is still there, and where it ends, is asked when it is used.
 */
import { assert } from "../../../src/lib/assert.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { Piece } from "./chunk.ts";

/** A reader may come here; perhaps what it will ask for is there already. */
type Place = { readonly piece: Promise<Piece | undefined> | undefined };

export class ReadAhead {
  readonly #placesMax: number;
  /** By stream and offset, the newest last. */
  readonly #places = new Map<string, Place>();
  readonly #reading = new Set<Promise<unknown>>();

  constructor(placesMax: number) {
    this.#placesMax = placesMax;
  }

  /** A reader is here. Undefined: it was not expected. Its piece is given to nobody else. */
  take(streamId: number, from: Offset): Place | undefined {
    const key = keyOf(streamId, from);
    const place = this.#places.get(key);
    this.#places.delete(key);
    return place;
  }

  /**
   * A reader may come here next. With `read` the piece is read now; should that fail, the reader will find out by itself. What
   * was expected longest is forgotten for it.
   */
  expect(streamId: number, from: Offset, read: (() => Promise<Piece>) | undefined): void {
    const key = keyOf(streamId, from);
    this.#forget(key);
    const piece = read?.().catch(() => undefined);
    if (piece !== undefined) {
      this.#reading.add(piece);
      void piece.finally(() => this.#reading.delete(piece));
    }
    this.#places.set(key, { piece });
    while (this.#places.size > this.#placesMax) {
      const [oldest] = this.#places.keys();
      assert(oldest !== undefined, "I15: what is too many has a first");
      this.#forget(oldest);
    }
  }

  /** Resolves once nothing is being read for nobody. */
  async close(): Promise<void> {
    for (const key of [...this.#places.keys()]) this.#forget(key);
    await Promise.all(this.#reading);
  }

  #forget(key: string): void {
    const place = this.#places.get(key);
    this.#places.delete(key);
    void place?.piece?.then((piece) => piece?.body.release());
  }
}

function keyOf(streamId: number, from: Offset): string {
  return `${streamId} ${from}`;
}
