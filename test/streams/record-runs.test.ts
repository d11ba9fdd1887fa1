/** Runs of records against what they stand for: a state, or none, for each offset. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { RecordRuns, type RecordState } from "../../log-server/streams/groups/record-runs.ts";

const OFFSETS = 24;

const state: fc.Arbitrary<RecordState> = fc.oneof(
  fc.record({
    kind: fc.constant("leased" as const),
    attempt: fc.integer({ min: 1, max: 2 }),
    generation: fc.integer({ min: 1, max: 2 }),
    untilMs: fc.constantFrom(10, 20),
    member: fc.constantFrom("m", "n"),
  }),
  fc.record({
    kind: fc.constant("resting" as const),
    attempt: fc.integer({ min: 1, max: 2 }),
    dueMs: fc.constantFrom(10, 20),
  }),
  fc.record({
    kind: fc.constant("dead" as const),
    attempt: fc.constant(2),
    generation: fc.integer({ min: 1, max: 2 }),
    reason: fc.constantFrom("", "no"),
  }),
);
const offset = fc.integer({ min: 0, max: OFFSETS });
type Change = readonly [from: number, to: number, state: RecordState | undefined];
const change: fc.Arbitrary<Change> = fc
  .tuple(offset, offset, fc.option(state, { nil: undefined }))
  .map(([a, b, to]) => [Math.min(a, b), Math.max(a, b), to]);

type Model = (RecordState | undefined)[];

function apply(runs: RecordRuns, model: Model, [from, to, next]: Change): void {
  runs.set(from, to, next);
  model.fill(next, from, to);
}

function expectSame(runs: RecordRuns, model: Model): void {
  const spread: Model = new Array<RecordState | undefined>(OFFSETS).fill(undefined);
  for (const run of runs.all) spread.fill(run.state, run.from, run.to);
  expect(spread).toEqual(model);
  expect(runs.count).toBe(model.filter((one) => one !== undefined).length);
  for (const kind of ["leased", "resting", "dead"] as const) {
    expect(runs.countOf(kind)).toBe(model.filter((one) => one?.kind === kind).length);
  }
  const first = model.findIndex((one) => one !== undefined);
  expect(runs.first).toBe(first < 0 ? undefined : first);
}

function bytesOf(runs: RecordRuns): Uint8Array {
  const writer = new ByteWriter();
  runs.write(writer);
  return writer.finish();
}

describe("runs of records", () => {
  it("hold what was set, however it came about, in one form (I10)", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const runs = new RecordRuns();
        const model: Model = new Array<RecordState | undefined>(OFFSETS).fill(undefined);
        for (const one of changes) {
          apply(runs, model, one);
          expectSame(runs, model);
        }
        // The same contents set offset by offset have the same bytes, and come back from them.
        const again = new RecordRuns();
        for (let at = OFFSETS - 1; at >= 0; at -= 1) again.set(at, at + 1, model[at]);
        expect(bytesOf(again)).toEqual(bytesOf(runs));
        const reader = new ByteReader(bytesOf(runs));
        const read = RecordRuns.read(reader, OFFSETS);
        expect(reader.complete).toBe(true);
        expect(read?.all).toEqual(runs.all);
        if (read !== undefined) expectSame(read, model);
      }),
      { numRuns: 400 },
    );
  });

  it("show the parts of them that lie in a range", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), offset, offset, (changes, a, b) => {
        const runs = new RecordRuns();
        const model: Model = new Array<RecordState | undefined>(OFFSETS).fill(undefined);
        for (const one of changes) apply(runs, model, one);
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const spread: Model = new Array<RecordState | undefined>(OFFSETS).fill(undefined);
        for (const run of runs.within(from, to)) spread.fill(run.state, run.from, run.to);
        expect(spread).toEqual(model.map((one, at) => (at >= from && at < to ? one : undefined)));
      }),
    );
  });

  it("are rewritten in one pass as run by run", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), state, (changes, other) => {
        const runs = new RecordRuns();
        const model: Model = new Array<RecordState | undefined>(OFFSETS).fill(undefined);
        for (const one of changes) apply(runs, model, one);
        const next = (was: RecordState): RecordState | undefined => {
          if (was.kind === "dead") return undefined;
          return was.kind === "leased" ? other : was;
        };
        runs.rewrite((run) => next(run.state));
        expectSame(
          runs,
          model.map((one) => one && next(one)),
        );
      }),
    );
  });

  it.each<[string, (writer: ByteWriter) => unknown]>([
    ["a run of nothing", (writer) => writer.varint(1).varint(0).varint(0).u8(1).varint(1).varint(9)],
    [
      "two runs that are one",
      (writer) =>
        writer.varint(2).varint(0).varint(1).u8(1).varint(1).varint(9).varint(0).varint(1).u8(1).varint(1).varint(9),
    ],
    ["more runs than allowed", (writer) => writer.varint(OFFSETS + 1).bytes(new Uint8Array(1_000))],
    ["a state that is none", (writer) => writer.varint(1).varint(0).varint(1).u8(3).varint(1).varint(9)],
    [
      "an offset past the safe integers",
      (writer) =>
        writer
          .varint(1)
          .varint(2 ** 53 - 1)
          .varint(2)
          .u8(1)
          .varint(1)
          .varint(9),
    ],
  ])("do not come from %s", (_what, write) => {
    const writer = new ByteWriter();
    write(writer);
    const reader = new ByteReader(writer.finish());
    const read = RecordRuns.read(reader, OFFSETS);
    expect(read === undefined || !reader.complete).toBe(true);
  });
});
