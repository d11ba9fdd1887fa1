/** The store in memory. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { hex } from "../../src/lib/bytes.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { stateContract } from "./state-contract.ts";

stateContract("MemoryStore", () => Promise.resolve({ store: new MemoryStore() }));

it("counts its keys", () => {
  const store = new MemoryStore();
  for (const key of [1, 2, 2, 3]) store.put(Uint8Array.of(key), Uint8Array.of(0));
  store.delete(Uint8Array.of(1));
  store.delete(Uint8Array.of(9));
  expect(store.size).toBe(2);
});

it("takes rows that come sorted, and others between them", () => {
  const store = new MemoryStore();
  const keyOf = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 0xff);
  for (let n = 0; n < 1_000; n += 2) store.append(keyOf(n), keyOf(n));
  for (let n = 1; n < 1_000; n += 2) store.put(keyOf(n), keyOf(n));
  const all = Array.from({ length: 1_000 }, (_, n) => hex(keyOf(n)));
  expect([...store.range(keyOf(0), keyOf(0xffff))].map(([key, value]) => [hex(key), hex(value)])).toEqual(
    all.map((key) => [key, key]),
  );
  expect(() => store.append(keyOf(999), keyOf(0))).toThrow("stands behind the rest");
});

it("takes memory by what its rows have, whatever was there before (I15)", () => {
  const key = fc.integer({ min: 0, max: 400 }).map((n) => Uint8Array.of(n >> 8, n & 0xff));
  const length = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 100_000 }));
  const step = fc.record({
    key,
    length: fc.option(length, { nil: undefined }),
    times: fc.integer({ min: 1, max: 40 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const store = new MemoryStore();
      for (const { key, length, times } of steps)
        for (let time = 0; time < times; time += 1)
          if (length === undefined) store.delete(key);
          else store.put(key, new Uint8Array(length));
      let [bytes, rows] = [0, 0];
      for (const [key, value] of store.range(Uint8Array.of(0), Uint8Array.of(0xff))) {
        bytes += 8 + key.length + value.length;
        rows += 1;
      }
      // A page's room, and its waste, which deleting leaves up to twice the rest; few rows may be left of each page that there was.
      const pages = Math.max(1, rows);
      expect(store.capacity).toBeLessThanOrEqual(3 * bytes + pages * 48 * 1_024);
    }),
    { numRuns: 50 },
  );
});

it("keeps little memory where all but a few rows are gone", () => {
  const store = new MemoryStore();
  const keyOf = (n: number): Uint8Array => Uint8Array.of(n >> 16, (n >> 8) & 0xff, n & 0xff);
  for (let n = 0; n < 20_000; n += 1) store.put(keyOf(n), new Uint8Array(200));
  const full = store.capacity;
  expect(full).toBeLessThan(2 * 20_000 * 211);
  for (let n = 0; n < 20_000; n += 1) if (n % 1_000 !== 0) store.delete(keyOf(n));
  expect(store.size).toBe(20);
  expect(store.capacity).toBeLessThan(full / 5);
});
