/** Memory for batches: nobody's is another's while it is held, and what is given back is used again. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BatchMemory } from "../../client/appending/batch-memory.ts";
import { CLIENT_LIMITS } from "../../client/limits.ts";

const { batchSlabBytes } = CLIENT_LIMITS;

describe("memory for batches", () => {
  it("I6: what is held stays as it was written, in whatever order the rest is given back", () => {
    const length = fc.oneof(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: batchSlabBytes / 8, max: batchSlabBytes }),
    );
    const step = fc.record({ length, givenBack: fc.array(fc.nat(), { maxLength: 3 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new BatchMemory();
        const held: { readonly bytes: Uint8Array; readonly mark: number }[] = [];
        for (const [place, { length: taken, givenBack }] of steps.entries()) {
          const bytes = memory.take(taken).fill(place + 1);
          expect(bytes.length).toBe(taken);
          held.push({ bytes, mark: place + 1 });
          for (const which of givenBack) {
            const [one] = held.splice(which % held.length, 1);
            if (one === undefined) break;
            expect(one.bytes.every((byte) => byte === one.mark)).toBe(true);
            memory.giveBack(one.bytes);
            if (held.length === 0) break;
          }
        }
        for (const { bytes, mark } of held) expect(bytes.every((byte) => byte === mark)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it("what is given back is used again, so that a steady appender needs no more", () => {
    const memory = new BatchMemory();
    const held: Uint8Array[] = [];
    const seen = new Set<ArrayBufferLike>();
    for (let count = 0; count < 2_000; count += 1) {
      held.push(memory.take(10_000));
      seen.add((held.at(-1) as Uint8Array).buffer);
      if (held.length > 100) memory.giveBack(held.shift() as Uint8Array);
    }
    expect(seen.size).toBeLessThanOrEqual(Math.ceil((101 * 10_000) / batchSlabBytes) + 2);
  });

  it("what came from elsewhere is left alone, and what is given back twice is refused", () => {
    const memory = new BatchMemory();
    memory.giveBack(new Uint8Array(3));
    const bytes = memory.take(3);
    memory.giveBack(bytes);
    expect(() => memory.giveBack(bytes)).toThrow("I6");
  });
});
