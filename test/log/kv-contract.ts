/** What every `Kv` must do: run against LMDB and the simulated one. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Kv, KvWrite } from "../../src/ports/kv.ts";
import { codeOf } from "./disk-contract.ts";

export type KvFixture = {
  readonly kv: Kv;
  /** Closes it and opens it again, as after a restart. */
  readonly reopen: () => Promise<Kv>;
  readonly dispose: () => Promise<void>;
};

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const put = (key: Uint8Array, value: Uint8Array): KvWrite => ({ kind: "put", key, value });
const MIN = bytes(0);
const MAX = new Uint8Array(1_000).fill(0xff);
const all = (kv: Kv): (readonly [Uint8Array, Uint8Array])[] => [...kv.range(MIN, MAX)];

export function describeKv(name: string, open: () => Promise<KvFixture>): void {
  describe(`Kv: ${name}`, () => {
    let fixture: KvFixture;
    let kv: Kv;

    beforeEach(async () => {
      fixture = await open();
      kv = fixture.kv;
    });
    afterEach(() => fixture.dispose());

    it("has what was written, and has it after a restart", async () => {
      expect(kv.get(bytes(1))).toBeUndefined();
      await kv.write([put(bytes(1), bytes(10)), put(bytes(2), bytes()), put(bytes(3), bytes(30))]);
      await kv.write([{ kind: "delete", key: bytes(3) }, { kind: "delete", key: bytes(9) }, put(bytes(1), bytes(11))]);
      for (const restart of [false, true]) {
        const store = restart ? await fixture.reopen() : kv;
        expect(store.get(bytes(1))).toEqual(bytes(11));
        expect(store.get(bytes(2))).toEqual(bytes());
        expect(store.get(bytes(3))).toBeUndefined();
        expect(all(store)).toEqual([
          [bytes(1), bytes(11)],
          [bytes(2), bytes()],
        ]);
      }
    });

    it("applies the writes of a transaction in order", async () => {
      await kv.write([put(bytes(1), bytes(1)), { kind: "delete", key: bytes(1) }, put(bytes(1), bytes(2))]);
      expect(kv.get(bytes(1))).toEqual(bytes(2));
    });

    it("takes an empty transaction", async () => {
      await kv.write([]);
      expect(all(kv)).toEqual([]);
    });

    it("takes transactions that were not waited for, in order", async () => {
      const running = Array.from({ length: 20 }, (_, index) =>
        kv.write([put(bytes(1), bytes(index)), put(bytes(2, index), bytes(index))]),
      );
      await Promise.all(running);
      expect(kv.get(bytes(1))).toEqual(bytes(19));
      expect(all(kv).length).toBe(21);
    });

    it("does not see later changes to the caller's bytes, nor the caller the store's", async () => {
      const key = bytes(1);
      const value = bytes(1, 2, 3);
      const running = kv.write([put(key, value)]);
      key.fill(9);
      value.fill(9);
      await running;
      const read = kv.get(bytes(1)) as Uint8Array;
      expect(read).toEqual(bytes(1, 2, 3));
      read.fill(7);
      const [[rangeKey, rangeValue]] = all(kv) as [[Uint8Array, Uint8Array]];
      expect(rangeValue).toEqual(bytes(1, 2, 3));
      rangeKey.fill(7);
      rangeValue.fill(7);
      expect(all(kv)).toEqual([[bytes(1), bytes(1, 2, 3)]]);
    });

    it("keeps long keys and large values", async () => {
      const key = new Uint8Array(1_000).fill(0x61);
      const value = new Uint8Array(3_000_000).fill(7);
      await kv.write([put(key, value)]);
      expect(Buffer.compare(kv.get(key) as Uint8Array, value)).toBe(0);
      expect(() => void kv.write([put(new Uint8Array(1_001), bytes())])).toThrow();
      expect(() => void kv.write([put(bytes(), bytes())])).toThrow();
    });

    it("walks ranges in the order of unsigned bytes, either way, to a limit", async () => {
      const key = fc
        .uint8Array({ minLength: 1, maxLength: 4 })
        .map((array) => Uint8Array.from(array, (byte) => [0, 1, 127, 128, 255][byte % 5] as number));
      await fc.assert(
        fc.asyncProperty(
          fc.array(key, { maxLength: 40 }),
          fc.array(fc.record({ from: key, to: key, reverse: fc.boolean(), limit: fc.nat(10) }), {
            minLength: 5,
            maxLength: 5,
          }),
          async (keys, queries) => {
            await kv.clear();
            await kv.write(keys.map((each) => put(each, each)));
            const sorted = keys.map((each) => Buffer.from(each).toString("hex")).sort();
            const distinct = sorted.filter((each, index) => each !== sorted[index - 1]);
            for (const { from, to, reverse, limit } of queries) {
              const within = distinct.filter(
                (each) => Buffer.from(from).toString("hex") <= each && each < Buffer.from(to).toString("hex"),
              );
              if (reverse) within.reverse();
              const rows = [...kv.range(from, to, { reverse, limit })];
              expect(rows.map(([found]) => Buffer.from(found).toString("hex"))).toEqual(within.slice(0, limit));
              for (const [found, value] of rows) expect(value).toEqual(found);
            }
          },
        ),
        { numRuns: 40 },
      );
    });

    it("stays whole while a range is walked and written to", async () => {
      await kv.write([1, 2, 3, 4].map((index) => put(bytes(index), bytes(index))));
      const seen: number[] = [];
      for (const [key] of kv.range(MIN, MAX)) {
        seen.push(key[0] as number);
        if (seen.length === 2) await kv.write([put(bytes(9), bytes(9)), { kind: "delete", key: bytes(4) }]);
      }
      expect(seen).toEqual([1, 2, 3, 4]);
      expect(all(kv).map(([key]) => key[0])).toEqual([1, 2, 3, 9]);
    });

    it("forgets everything", async () => {
      await kv.write([put(bytes(1), bytes(1)), put(bytes(0), bytes(1))]);
      await kv.clear();
      expect(kv.get(bytes(1))).toBeUndefined();
      expect(all(await fixture.reopen())).toEqual([]);
    });

    it("refuses everything once closed, after what runs is done", async () => {
      const running = kv.write([put(bytes(1), bytes(1))]);
      await kv.close();
      await running;
      await kv.close();
      expect(() => kv.get(bytes(1))).toThrow();
      expect(() => all(kv)).toThrow();
      expect(await codeOf(kv.write([put(bytes(1), bytes(2))]))).toBe("closed");
      expect(await codeOf(kv.clear())).toBe("closed");
      expect((await fixture.reopen()).get(bytes(1))).toEqual(bytes(1));
    });
  });
}
