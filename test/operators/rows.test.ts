/** Changes that can be undone and listed, and a digest that follows them (I10, I12). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalBytes, hex } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { OPERATOR_LIMITS } from "../../src/operators/limits.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { Rows } from "../../src/operators/state/rows.ts";
import { totalsOf } from "../../src/operators/state/totals.ts";

const key = fc.uint8Array({ minLength: 1, maxLength: 1, max: 6 });
const step = fc.record({ key, value: fc.option(fc.uint8Array({ maxLength: 2, max: 3 })) });
const steps = fc.array(step, { maxLength: 20 });
type Steps = readonly { readonly key: Uint8Array; readonly value: Uint8Array | null }[];

function write(rows: Rows, steps: Steps): void {
  for (const { key, value } of steps) {
    if (value === null) rows.delete(key);
    else rows.put(key, value);
  }
}

const shown = (rows: Rows) => [...rows.all()].map(([key, value]) => `${hex(key)}=${hex(value)}`);

type Model = ReadonlyMap<string, Uint8Array>;

function expectSame(rows: Iterable<readonly [Uint8Array, Uint8Array]>, model: Model): void {
  const found = new Map([...rows].map(([key, value]) => [hex(key), value]));
  const wrong = [...new Set([...found.keys(), ...model.keys()])].filter((key) => {
    const [a, b] = [found.get(key), model.get(key)];
    return a === undefined || b === undefined || !equalBytes(a, b);
  });
  expect(wrong).toEqual([]);
  expect([...found.keys()]).toEqual([...model.keys()].sort());
}

/** So many rows, short and long ones, that their pages are cut, emptied and moved between a write and its undoing. */
function walk(random: Prng): void {
  const rows = new Rows(new MemoryStore());
  let model = new Map<string, Uint8Array>();
  let marks: { readonly mark: number; readonly model: Model }[] = [];
  let capture: { readonly of: ReturnType<Rows["capture"]>; readonly model: Model } | undefined;
  const keyOf = (n: number) => Uint8Array.of(1 + (n >> 8), n & 0xff);
  const put = (n: number) => {
    const length = random.chance(0.02) ? random.below(60_000) : random.below(80);
    const value = new Uint8Array(length).fill(random.below(256));
    rows.put(keyOf(n), value);
    model.set(hex(keyOf(n)), value);
  };
  const remove = (n: number) => {
    rows.delete(keyOf(n));
    model.delete(hex(keyOf(n)));
  };
  for (let step = 0; step < 400; step += 1) {
    const [first, count] = [random.below(2_000), random.below(60)];
    const kind = random.below(12);
    if (kind < 5) for (let n = 0; n < count; n += 1) put(random.below(2_000));
    else if (kind < 6) for (let n = first; n < first + count; n += 1) put(n % 2_000);
    else if (kind < 8) for (let n = first; n < first + 3 * count; n += 1) remove(n % 2_000);
    else if (kind < 9) marks.push({ mark: rows.mark(), model: new Map(model) });
    else if (kind < 10 && marks.length > 0) {
      const at = random.below(marks.length);
      const back = marks[at] as (typeof marks)[number];
      rows.rollback(back.mark);
      expectSame(rows.all(), back.model);
      model = new Map(back.model);
      marks = marks.slice(0, at + 1);
    } else if (kind < 11) {
      if (capture === undefined) capture = { of: rows.capture(), model: new Map(model) };
      else {
        if (!capture.of.lost) expectSame(capture.of.range(Uint8Array.of(0), Uint8Array.of(0xff)), capture.model);
        rows.settle(capture.of, random.chance(0.5));
        capture = undefined;
      }
    } else if (random.chance(0.3)) {
      rows.commit();
      marks = [];
    }
  }
  expectSame(rows.all(), model);
  expect(rows.totals).toEqual(totalsOf(rows.all()));
}

describe("rows", () => {
  it("come back to the mark, and their digest with them", () => {
    fc.assert(
      fc.property(steps, steps, steps, (committed, kept, undone) => {
        const rows = new Rows(new MemoryStore());
        write(rows, committed);
        rows.commit();
        write(rows, kept);
        const before = { shown: shown(rows), digest: rows.digest };
        const mark = rows.mark();
        write(rows, undone);
        rows.rollback(mark);
        expect({ shown: shown(rows), digest: rows.digest }).toEqual(before);
      }),
    );
  });

  it("have a digest of what is there, not of how it came", () => {
    fc.assert(
      fc.property(steps, (steps) => {
        const store = new MemoryStore();
        const rows = new Rows(store);
        write(rows, steps);
        expect(new Rows(store).digest).toBe(rows.digest);
        const straight = new Rows(new MemoryStore());
        for (const [key, value] of [...rows.all()].toReversed()) straight.put(key, value);
        expect(straight.digest).toBe(rows.digest);
      }),
    );
  });

  it("list what changed since the commit: applied to a copy, it is the same", () => {
    fc.assert(
      fc.property(steps, steps, (committed, since) => {
        const rows = new Rows(new MemoryStore());
        write(rows, committed);
        rows.commit();
        const copy = new Rows(new MemoryStore());
        for (const [key, value] of rows.all()) copy.put(key, value);
        write(rows, since);
        const changes = rows.changes();
        write(
          copy,
          changes.map(({ key, value }) => ({ key, value: value ?? null })),
        );
        expect(shown(copy)).toEqual(shown(rows));
        expect(new Set(changes.map(({ key }) => hex(key))).size).toBe(changes.length);
        rows.commit();
        expect(rows.changes()).toEqual([]);
      }),
    );
  });

  it("are a map, at every mark that is gone back to and in every capture, whatever their number and length", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => walk(new Prng(seed))),
      { numRuns: 12 },
    );
  });

  it("say how near a capture is to being lost", () => {
    const rows = new Rows(new MemoryStore());
    const half = OPERATOR_LIMITS.captureReplacedBytesMax / 2;
    for (const n of [1, 2]) rows.put(Uint8Array.of(n), new Uint8Array(half));
    const capture = rows.capture();
    expect(capture.spent).toBe(0);
    rows.delete(Uint8Array.of(1));
    expect(capture.spent).toBeCloseTo(0.5);
    rows.delete(Uint8Array.of(2));
    expect([capture.lost, capture.spent]).toEqual([true, 1]);
  });

  it("leave out what is again as it was", () => {
    const rows = new Rows(new MemoryStore());
    rows.put(Uint8Array.of(1), Uint8Array.of(1));
    rows.commit();
    rows.put(Uint8Array.of(1), Uint8Array.of(2));
    rows.put(Uint8Array.of(1), Uint8Array.of(1));
    rows.put(Uint8Array.of(2), Uint8Array.of(2));
    rows.delete(Uint8Array.of(2));
    expect(rows.writes).toBe(4);
    expect(rows.changes()).toEqual([]);
  });
});
