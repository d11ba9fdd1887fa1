/** What every store of a task's rows must do; a test file per implementation runs it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, equalBytes, hex } from "../../src/lib/bytes.ts";
import type { StateStore } from "../../src/operators/state/state-store.ts";

const at = (...bytes: number[]) => Uint8Array.from(bytes);
const small = fc.uint8Array({ minLength: 1, maxLength: 2, max: 5 });
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("put" as const), key: small, value: small }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), key: small }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("settle" as const), key: small }) },
  ),
  { maxLength: 60 },
);

export type StateFixture = {
  readonly store: StateStore;
  /** What was changed goes where it stays, where that is another place. */
  readonly settle?: () => Promise<void>;
};

export function stateContract(name: string, open: () => Promise<StateFixture>): void {
  describe(`${name}, as a store of state`, () => {
    it("is an ordered map", async () => {
      await fc.assert(
        fc.asyncProperty(steps, small, small, async (steps, from, to) => {
          const { store, settle } = await open();
          const model = new Map<string, readonly [Uint8Array, Uint8Array]>();
          for (const step of steps) {
            if (step.kind === "put") {
              store.put(step.key, step.value);
              model.set(hex(step.key), [step.key, step.value]);
            } else if (step.kind === "settle") {
              await settle?.();
            } else {
              store.delete(step.key);
              model.delete(hex(step.key));
            }
            expect(store.get(step.key)).toEqual(model.get(hex(step.key))?.[1]);
          }
          const expected = [...model.values()]
            .filter(([key]) => compareBytes(from, key) <= 0 && compareBytes(key, to) < 0)
            .sort(([a], [b]) => compareBytes(a, b));
          expect([...store.range(from, to)]).toEqual(expected);
        }),
      );
    });

    it("stays one with many rows", async () => {
      const { store, settle } = await open();
      const count = 3_000;
      const keyOf = (n: number) => at(1 + (n >> 8), n & 0xff);
      // Coprime to the count: every number once, far from sorted.
      for (let n = 0; n < count; n += 1) store.put(keyOf((n * 1_117) % count), at(n & 0xff));
      await settle?.();
      expect([...store.range(at(0), at(255))].map(([key]) => hex(key))).toEqual(
        Array.from({ length: count }, (_, n) => hex(keyOf(n))),
      );
      for (let n = 0; n < count; n += 1) if (n % 3 !== 0) store.delete(keyOf((n * 1_117) % count));
      expect([...store.range(at(0), at(255))].length).toBe(1_000);
      for (const [key] of store.range(at(0), at(255))) store.delete(key);
      expect([...store.range(at(0), at(255))]).toEqual([]);
      store.put(at(7), at(1));
      expect(store.get(at(7))).toEqual(at(1));
    });

    it("hands out bytes that stay as they are, whatever becomes of the rows", async () => {
      const { store, settle } = await open();
      const value = (n: number, round: number): Uint8Array => new Uint8Array(300).fill(n ^ round);
      const held: { readonly row: Uint8Array; readonly was: Uint8Array }[] = [];
      for (let round = 0; round < 10; round += 1) {
        for (let n = 0; n < 200; n += 1) {
          store.put(at(1, n), value(n, round));
          const row = store.get(at(1, n)) as Uint8Array;
          held.push({ row, was: row.slice() });
        }
        if (round % 5 === 0) await settle?.();
        for (const [key, row] of store.range(at(0), at(2))) {
          held.push({ row: key, was: key.slice() }, { row, was: row.slice() });
          if (key[1] === round * 7) store.delete(key);
        }
      }
      expect(held.filter(({ row, was }) => !equalBytes(row, was))).toEqual([]);
    });

    it("goes on with what is there when rows change under a range", async () => {
      const { store, settle } = await open();
      for (const n of [1, 3, 5, 7, 9]) store.put(at(n), at(n));
      await settle?.();
      const seen: number[] = [];
      for (const [key] of store.range(at(1), at(9))) {
        seen.push(key[0] as number);
        if (key[0] === 3) {
          store.delete(at(3));
          store.delete(at(5));
          store.put(at(2), at(2));
          store.put(at(6), at(6));
          store.put(at(7), at(70));
        }
        if (key[0] === 7) expect(store.get(at(7))).toEqual(at(70));
      }
      expect(seen).toEqual([1, 3, 6, 7]);
    });
  });
}
