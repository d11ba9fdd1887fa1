/** The segments of the log, in order: sealed ones, then (mostly) those that are not. And the terms of their entries. */
import { assert } from "../../src/lib/assert.ts";
import { termRuns } from "./index-block.ts";
import type { SealedSegment } from "./sealed-segment.ts";
import { TermRuns } from "./term-runs.ts";
import type { UnsealedSegment } from "./unsealed-segment.ts";

export type Segment = SealedSegment | UnsealedSegment;

export class SegmentList {
  readonly #all: Segment[];
  terms: TermRuns = new TermRuns();
  #firstIndex: number | undefined;
  #unsealed: readonly UnsealedSegment[] | undefined;
  #removals = 0;

  constructor(segments: readonly Segment[]) {
    this.#all = [...segments];
    this.rebuildTerms();
  }

  rebuildTerms(): void {
    const terms = new TermRuns();
    for (const segment of this.#all) {
      for (const run of segment.kind === "sealed" ? segment.terms : termRuns(segment.index))
        terms.add(run.firstIndex, run.term);
    }
    this.terms = terms;
  }

  get all(): readonly Segment[] {
    return this.#all;
  }

  get unsealed(): readonly UnsealedSegment[] {
    this.#unsealed ??= this.#all.filter((segment) => segment.kind === "unsealed");
    return this.#unsealed;
  }

  get sealed(): readonly SealedSegment[] {
    return this.#all.filter((segment) => segment.kind === "sealed");
  }

  get last(): Segment | undefined {
    return this.#all.at(-1);
  }

  /** How often a segment was removed: a reader that finds something gone can tell why. */
  get removals(): number {
    return this.#removals;
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
    this.#changed();
  }

  replace(before: UnsealedSegment, after: SealedSegment): void {
    const at = this.#all.indexOf(before);
    assert(at >= 0, "a segment of the log");
    this.#all[at] = after;
    this.#changed();
  }

  remove(segment: Segment): void {
    const at = this.#all.indexOf(segment);
    if (at < 0) return;
    this.#all.splice(at, 1);
    this.#removals += 1;
    this.#changed();
  }

  #changed(): void {
    this.#firstIndex = undefined;
    this.#unsealed = undefined;
  }

  #findFirstIndex(): number {
    let at = this.#all.length - 1;
    while (at > 0 && (this.#all[at - 1] as Segment).lastIndex + 1 === (this.#all[at] as Segment).firstIndex) at -= 1;
    return this.#all[at]?.firstIndex ?? 1;
  }
}
