/**
 * The records of one stream that a queue has given out, or given up, and that are not done: runs of neighbours in one
 * state. What is behind them and was never given out is not here, nor what is done. Two neighbouring runs never have the
 * same state, so that equal contents have one form.
 */
import { unreachable } from "../../../src/lib/assert.ts";
import type { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import type { Offset } from "../../../src/record/offset.ts";

/** `attempt`: how many leases it has had, this one included. */
export type RecordState =
  | {
      readonly kind: "leased";
      readonly attempt: number;
      readonly generation: number;
      readonly untilMs: number;
      readonly member: string;
    }
  /** Until its next attempt. */
  | { readonly kind: "resting"; readonly attempt: number; readonly dueMs: number }
  /** Has had all its attempts; `generation` of the last. */
  | { readonly kind: "dead"; readonly attempt: number; readonly generation: number; readonly reason: string };

/** Records `[from, to)`. */
export type RecordRun = { readonly from: Offset; readonly to: Offset; readonly state: RecordState };

const KINDS = ["leased", "resting", "dead"] as const satisfies readonly RecordState["kind"][];

export class RecordRuns {
  #runs: RecordRun[] = [];
  #counts = { leased: 0, resting: 0, dead: 0 };

  /** In order of offsets. Valid until the next change. */
  get all(): readonly RecordRun[] {
    return this.#runs;
  }

  /** Records. */
  get count(): number {
    const { leased, resting, dead } = this.#counts;
    return leased + resting + dead;
  }

  /** Records in this state. */
  countOf(kind: RecordState["kind"]): number {
    return this.#counts[kind];
  }

  get first(): Offset | undefined {
    return this.#runs[0]?.from;
  }

  /** The parts of runs that lie in `[from, to)`, in order. */
  within(from: Offset, to: Offset): readonly RecordRun[] {
    const parts: RecordRun[] = [];
    for (let place = this.#placeOf(from); place < this.#runs.length; place += 1) {
      const run = this.#runs[place] as RecordRun;
      if (run.from >= to) break;
      parts.push({ from: Math.max(run.from, from), to: Math.min(run.to, to), state: run.state });
    }
    return parts;
  }

  /** Gives `[from, to)` this state, whatever it had; undefined: the records are done. */
  set(from: Offset, to: Offset, state: RecordState | undefined): void {
    if (from >= to) return;
    const runs = this.#runs;
    const start = this.#placeOf(from);
    let end = start;
    while (end < runs.length && (runs[end] as RecordRun).from < to) end += 1;
    const first = runs[start];
    const last = runs[end - 1];
    const pieces: RecordRun[] = [];
    if (first !== undefined && first.from < from) pieces.push({ from: first.from, to: from, state: first.state });
    if (state !== undefined) pieces.push({ from, to, state });
    if (end > start && last !== undefined && last.to > to) pieces.push({ from: to, to: last.to, state: last.state });
    // The neighbours may go on what was changed.
    const head = start > 0 ? start - 1 : start;
    const tail = Math.min(end + 1, runs.length);
    const replaced = runs.slice(head, tail);
    const merged = merge([...runs.slice(head, start), ...pieces, ...runs.slice(end, tail)]);
    for (const run of replaced) this.#counts[run.state.kind] -= run.to - run.from;
    for (const run of merged) this.#counts[run.state.kind] += run.to - run.from;
    runs.splice(head, tail - head, ...merged);
  }

  /** Gives every run the state that `next` has for it; undefined: its records are done. One pass, however many there are. */
  rewrite(next: (run: RecordRun) => RecordState | undefined): void {
    const changed: RecordRun[] = [];
    for (const run of this.#runs) {
      const state = next(run);
      if (state !== undefined) changed.push({ from: run.from, to: run.to, state });
    }
    this.#runs = merge(changed);
    this.#counts = { leased: 0, resting: 0, dead: 0 };
    for (const { from, to, state } of this.#runs) this.#counts[state.kind] += to - from;
  }

  write(writer: ByteWriter): void {
    writer.varint(this.#runs.length);
    let end = 0;
    for (const { from, to, state } of this.#runs) {
      writer.varint(from - end).varint(to - from);
      writeState(writer, state);
      end = to;
    }
  }

  /** Undefined: no runs, or not in their one form. */
  static read(reader: ByteReader, countMax: number): RecordRuns | undefined {
    const records = new RecordRuns();
    const count = reader.count(countMax);
    let end = 0;
    let before: RecordState | undefined;
    for (let run = 0; run < count && !reader.failed; run += 1) {
      const gap = reader.varint();
      const from = end + gap;
      end = from + reader.varint();
      const state = readState(reader);
      const joined = gap === 0 && before !== undefined && sameState(before, state);
      if (end <= from || joined || !Number.isSafeInteger(end)) return undefined;
      records.#runs.push({ from, to: end, state });
      records.#counts[state.kind] += end - from;
      before = state;
    }
    return records;
  }

  /** Of the first run that ends behind the offset. */
  #placeOf(offset: Offset): number {
    return firstNotBefore(this.#runs, ({ to }) => to <= offset);
  }
}

function merge(runs: readonly RecordRun[]): RecordRun[] {
  const merged: RecordRun[] = [];
  for (const run of runs) {
    const before = merged.at(-1);
    if (before !== undefined && before.to === run.from && sameState(before.state, run.state)) {
      merged[merged.length - 1] = { from: before.from, to: run.to, state: before.state };
    } else {
      merged.push(run);
    }
  }
  return merged;
}

function sameState(a: RecordState, b: RecordState): boolean {
  if (a === b) return true;
  if (a.attempt !== b.attempt) return false;
  switch (a.kind) {
    case "leased":
      return b.kind === "leased" && a.generation === b.generation && a.untilMs === b.untilMs && a.member === b.member;
    case "resting":
      return b.kind === "resting" && a.dueMs === b.dueMs;
    case "dead":
      return b.kind === "dead" && a.generation === b.generation && a.reason === b.reason;
    default:
      return unreachable(a);
  }
}

function writeState(writer: ByteWriter, state: RecordState): void {
  writer.u8(KINDS.indexOf(state.kind)).varint(state.attempt);
  switch (state.kind) {
    case "leased":
      writer.varint(state.generation).varint(state.untilMs).string(state.member);
      return;
    case "resting":
      writer.varint(state.dueMs);
      return;
    case "dead":
      writer.varint(state.generation).string(state.reason);
      return;
    default:
      return unreachable(state);
  }
}

function readState(reader: ByteReader): RecordState {
  const kind = KINDS[reader.u8()];
  const attempt = reader.varint();
  switch (kind) {
    case "leased":
      return {
        kind,
        attempt,
        generation: reader.varint(),
        untilMs: reader.varint(),
        member: reader.string(reader.remaining),
      };
    case "resting":
      return { kind, attempt, dueMs: reader.varint() };
    case "dead":
      return { kind, attempt, generation: reader.varint(), reason: reader.string(reader.remaining) };
    case undefined:
      reader.fail();
      return { kind: "resting", attempt, dueMs: 0 };
    default:
      return unreachable(kind);
  }
}
