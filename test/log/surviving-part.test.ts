/** What is left of one batch: the same however it was come to, readable by whoever could read the batch. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BatchInQuestion, survivingPart } from "../../log-server/log/rewrite/surviving-part.ts";
import type { Survivors } from "../../log-server/log/rewrite/survivors.ts";
import { decodeBatch, encodeBatch, isCompressed } from "../../src/record/batch-codec.ts";
import { nodeZstd } from "../record/node-zstd.ts";

const PARTS = { zstd: nodeZstd, rawBatchBytesMax: 1e6 };

function law(liveFrom: number, compactedBefore: number, dead: ReadonlySet<number>): Survivors {
  return {
    liveFrom: () => liveFrom,
    compactedBefore: () => compactedBefore,
    survives: (_stream, offset) => !dead.has(offset),
  };
}

function question(bytes: Uint8Array, wasCompressed: boolean, span = 12): BatchInQuestion {
  return { streamId: 1, firstOffset: 100, span, bytes, wasCompressed };
}

function offsetsOf(bytes: Uint8Array): number[] {
  const decoded = decodeBatch(bytes, { zstd: nodeZstd, rawBytesMax: 1e6 });
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value.records.map(({ offsetDelta }) => 100 + offsetDelta);
}

const records = Array.from({ length: 12 }, (_, at) => ({
  key: Uint8Array.of(at),
  value: new Uint8Array(600).fill(at),
  timestamp: 5_000 + at,
}));

describe("what is left of a batch", () => {
  it.each([true, false])("is compressed if the batch was: %s", (compressed) => {
    const bytes = encodeBatch(records, compressed ? { zstd: nodeZstd } : {});
    expect(isCompressed(bytes)).toBe(compressed);
    const left = survivingPart(question(bytes, compressed), law(0, 110, new Set([100, 101, 105, 111])), PARTS);
    if (left === undefined) throw new Error("something is left");
    expect(isCompressed(left)).toBe(compressed);
    // 111 is dead, but not below the frontier.
    expect(offsetsOf(left)).toEqual([102, 103, 104, 106, 107, 108, 109, 110, 111]);
  });

  it("is the batch itself where nothing goes, or only a trim cuts it, or it cannot be decoded", () => {
    const bytes = encodeBatch(records, { zstd: nodeZstd });
    const all = new Set(records.map((_, at) => 100 + at));
    expect(survivingPart(question(bytes, true), law(0, 112, new Set()), PARTS)).toBe(bytes);
    expect(survivingPart(question(bytes, true), law(105, 100, all), PARTS)).toBe(bytes);
    expect(survivingPart(question(bytes, true), law(0, 112, all), { ...PARTS, zstd: undefined })).toBe(bytes);
    expect(survivingPart(question(bytes, true), law(0, 112, all), PARTS)).toBeUndefined();
  });

  it("does not depend on how often it was compacted before (I10)", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.uniqueArray(fc.integer({ min: 100, max: 111 })),
        fc.uniqueArray(fc.integer({ min: 100, max: 111 })),
        fc.tuple(fc.integer({ min: 100, max: 112 }), fc.integer({ min: 100, max: 112 })),
        fc.tuple(fc.integer({ min: 95, max: 112 }), fc.integer({ min: 95, max: 112 })),
        (compressed, early, late, frontiers, live) => {
          const bytes = encodeBatch(records, compressed ? { zstd: nodeZstd } : {});
          const dead = new Set([...early, ...late]);
          const [before, compactedBefore] = frontiers.toSorted((a, b) => a - b) as [number, number];
          const [liveBefore, liveFrom] = live.toSorted((a, b) => a - b) as [number, number];
          const first = survivingPart(question(bytes, compressed), law(liveBefore, before, new Set(early)), PARTS);
          const then = law(liveFrom, compactedBefore, dead);
          const twice = first && survivingPart(question(first, compressed), then, PARTS);
          const once = survivingPart(question(bytes, compressed), then, PARTS);
          expect(twice && Buffer.from(twice)).toEqual(once && Buffer.from(once));
        },
      ),
      { numRuns: 500, seed: 3 },
    );
  });
});
