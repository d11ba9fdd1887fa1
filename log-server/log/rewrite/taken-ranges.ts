/**
 * What others gave of stretches of streams that are lost here, for a rewrite to take in the place of what stood there. They
 * are taken as they are: whoever asked for them has seen that they may be (`usable-ranges.ts`), and here it is seen that they fit
 * what is still known of the segment.
 */
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import { comparePlaces } from "../../../src/record/log-place.ts";
import type { RangeBatch, StreamRange } from "../repair/stream-range.ts";

/** All that another node keeps of a stretch, by offset. */
export type TakenRange = StreamRange & { readonly incarnation: number; readonly batches: readonly RangeBatch[] };

export type TakenBatch = RangeBatch & { readonly streamId: number; readonly incarnation: number };

export class TakenRanges {
  /** Of each stream by offset, without overlaps. */
  readonly #byStream: ReadonlyMap<number, readonly TakenRange[]>;
  readonly #unreadable: ReadonlySet<number>;

  /** `unreadable`: segments of which nothing here is used. */
  constructor(ranges: readonly TakenRange[], unreadable: ReadonlySet<number>) {
    const byStream = Map.groupBy(ranges, ({ streamId }) => streamId);
    for (const list of byStream.values()) list.sort((a, b) => a.from - b.from);
    this.#byStream = byStream;
    this.#unreadable = unreadable;
  }

  /** Nothing in the segment says what it held: not even its index. */
  isUnreadable(sequence: number): boolean {
    return this.#unreadable.has(sequence);
  }

  /** The stretch that holds an offset. */
  at(streamId: number, offset: number): TakenRange | undefined {
    const ranges = this.#byStream.get(streamId) ?? [];
    const range = ranges[firstNotBefore(ranges, ({ from }) => from <= offset) - 1];
    return range !== undefined && offset < range.to ? range : undefined;
  }

  /** The batches that lie in these stretches, in log order. */
  batchesIn(parts: readonly StreamRange[]): readonly TakenBatch[] {
    const found: TakenBatch[] = [];
    for (const { streamId, from, to } of parts) {
      for (const { batches, incarnation } of this.#byStream.get(streamId) ?? []) {
        for (let at = firstNotBefore(batches, ({ firstOffset }) => firstOffset < from); at < batches.length; at += 1) {
          const batch = batches[at] as RangeBatch;
          if (batch.firstOffset >= to) break;
          found.push({ ...batch, streamId, incarnation });
        }
      }
    }
    return found.sort(comparePlaces);
  }
}

export const NOTHING_TAKEN: TakenRanges = new TakenRanges([], new Set());
