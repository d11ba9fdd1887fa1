/** The segments of the log, in order: sealed ones, then (mostly) those that are not. And the terms of their entries. */
import { assert } from "../../../src/lib/assert.ts";
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import type { SealedSegment } from "./sealed-segment.ts";
import { TermRuns, termRuns } from "./term-runs.ts";
import type { UnsealedSegment } from "./unsealed-segment.ts";

export type Segment = SealedSegment | UnsealedSegment;

export class SegmentList {
  readonly #all: Segment[];
  /** Those in the list, and those that were dropped or replaced while the sparse index still names them. */
  readonly #bySequence = new Map<number, Segment>();
  terms: TermRuns = new TermRuns();
  #firstIndex: number | undefined;
  #unsealed: readonly UnsealedSegment[] | undefined;
  #removals = 0;
  #changes = 0;

  constructor(segments: readonly Segment[]) {
    this.#all = [...segments];
    for (const segment of segments) this.#bySequence.set(segment.sequence, segment);
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

  /** How often anything here changed: a reader that finds something elsewhere looks again. */
  get changes(): number {
    return this.#changes;
  }

  /** The first entry from which on none is missing up to the end; with an empty log, the one that will come. */
  get firstIndex(): number {
    this.#firstIndex ??= this.#findFirstIndex();
    return this.#firstIndex;
  }

  /** The segment that holds an entry. */
  find(index: number): Segment | undefined {
    const segment = this.#all[firstNotBefore(this.#all, ({ firstIndex }) => firstIndex <= index) - 1];
    return segment !== undefined && index <= segment.lastIndex ? segment : undefined;
  }

  bySequence(sequence: number): Segment | undefined {
    return this.#bySequence.get(sequence);
  }

  /** Whether it is part of the log, and was neither dropped nor replaced. */
  holds(segment: Segment): boolean {
    return this.#all.includes(segment);
  }

  /** The sealed segments with these sequences, if they are neighbours in this order; undefined if not. */
  run(sequences: readonly number[]): readonly SealedSegment[] | undefined {
    const first = this.#all.findIndex((segment) => segment.sequence === sequences[0]);
    const run: SealedSegment[] = [];
    for (const [at, sequence] of sequences.entries()) {
      const segment = this.#all[first + at];
      if (segment?.kind !== "sealed" || segment.sequence !== sequence) return undefined;
      run.push(segment);
    }
    return run.length > 0 ? run : undefined;
  }

  add(segment: UnsealedSegment): void {
    assert(segment.sequence > (this.last?.sequence ?? 0), "sequences only grow");
    this.#all.push(segment);
    this.#bySequence.set(segment.sequence, segment);
    this.#changed();
  }

  /** The same entries: sealed, or again to be sealed. */
  replace(before: Segment, after: Segment): void {
    const at = this.#all.indexOf(before);
    assert(at >= 0, "a segment of the log");
    this.#all[at] = after;
    this.#bySequence.set(after.sequence, after);
    this.#changed();
  }

  /** A rewritten segment takes the place of neighbours, which are still found by their sequences until `forget`. */
  supersede(sources: readonly SealedSegment[], rewritten: SealedSegment): void {
    const at = this.#all.indexOf(sources[0] as SealedSegment);
    assert(at >= 0 && this.run(sources.map(({ sequence }) => sequence)) !== undefined, "segments of the log, in order");
    this.#all.splice(at, sources.length, rewritten);
    this.#bySequence.set(rewritten.sequence, rewritten);
    this.#changed();
  }

  forget(segments: readonly Segment[]): void {
    for (const { sequence } of segments) this.#bySequence.delete(sequence);
    this.#changed();
  }

  /** It is no part of the log any more, but is still found by its sequence until `forget`. */
  drop(segment: Segment): void {
    const at = this.#all.indexOf(segment);
    if (at < 0) return;
    this.#all.splice(at, 1);
    this.#removals += 1;
    this.#changed();
  }

  remove(segment: Segment): void {
    this.drop(segment);
    this.forget([segment]);
  }

  #changed(): void {
    this.#firstIndex = undefined;
    this.#unsealed = undefined;
    this.#changes += 1;
  }

  #findFirstIndex(): number {
    let next = (this.last?.lastIndex ?? 0) + 1;
    for (let at = this.#all.length - 1; at >= 0; at -= 1) {
      const segment = this.#all[at] as Segment;
      // A rewritten one has batches, but no entries.
      if (segment.lastIndex + 1 !== next || (segment.kind === "sealed" && segment.isRewritten)) break;
      next = segment.firstIndex;
    }
    return next;
  }
}
