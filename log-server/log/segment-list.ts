/** The segments of the log, in order: sealed ones, then (mostly) those that are not. And the terms of their entries. */
import { assert } from "../../src/lib/assert.ts";
import { termRuns } from "./index-block.ts";
import type { SealedSegment } from "./sealed-segment.ts";
import { TermRuns } from "./term-runs.ts";
import type { UnsealedSegment } from "./unsealed-segment.ts";

export type Segment = SealedSegment | UnsealedSegment;

export class SegmentList {
  readonly #all: Segment[];
  readonly terms: TermRuns = new TermRuns();
  #firstIndex: number | undefined;

  constructor(segments: readonly Segment[]) {
    this.#all = [...segments];
    for (const segment of segments) {
      for (const run of segment.kind === "sealed" ? segment.terms : termRuns(segment.index)) this.terms.add(run.firstIndex, run.term);
    }
  }

  get all(): readonly Segment[] {
    return this.#all;
  }

  get unsealed(): readonly UnsealedSegment[] {
    return this.#all.filter((segment) => segment.kind === "unsealed");
  }

  get sealed(): readonly SealedSegment[] {
    return this.#all.filter((segment) => segment.kind === "sealed");
  }

  get last(): Segment | undefined {
    return this.#all.at(-1);
  }

  /** The first entry from which on none is missing up to the end; with an empty log, the one that will come. */
  get firstIndex(): number {
    this.#firstIndex ??= this.#findFirstIndex();
    return this.#firstIndex;
  }

  /** The segment that holds an entry. */
  find(index: number): Segment | undefined {
    let low = 0;
    let high = this.#all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#all[middle] as Segment).firstIndex <= index) low = middle + 1;
      else high = middle;
    }
    const segment = this.#all[low - 1];
    return segment !== undefined && index <= segment.lastIndex ? segment : undefined;
  }

  bySequence(sequence: number): Segment | undefined {
    let low = 0;
    let high = this.#all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#all[middle] as Segment).sequence < sequence) low = middle + 1;
      else high = middle;
    }
    const segment = this.#all[low];
    return segment?.sequence === sequence ? segment : undefined;
  }

  add(segment: UnsealedSegment): void {
    assert(segment.sequence > (this.last?.sequence ?? 0), "sequences only grow");
    this.#all.push(segment);
    this.#firstIndex = undefined;
  }

  replace(before: UnsealedSegment, after: SealedSegment): void {
    const at = this.#all.indexOf(before);
    assert(at >= 0, "a segment of the log");
    this.#all[at] = after;
  }

  remove(segment: Segment): void {
    const at = this.#all.indexOf(segment);
    if (at < 0) return;
    this.#all.splice(at, 1);
    this.#firstIndex = undefined;
  }

  #findFirstIndex(): number {
    let at = this.#all.length - 1;
    while (at > 0 && (this.#all[at - 1] as Segment).lastIndex + 1 === (this.#all[at] as Segment).firstIndex) at -= 1;
    return this.#all[at]?.firstIndex ?? 1;
  }
}
