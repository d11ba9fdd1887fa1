/** Changes that can be undone and listed, and a digest that follows them (I10, I12). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hex } from "../../src/lib/bytes.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { Rows } from "../../src/operators/state/rows.ts";

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
