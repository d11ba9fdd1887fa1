/** What others gave may take the place of what is lost here only where nobody can see more go by that than compaction takes. */
import { describe, expect, it } from "vitest";
import { usableRanges } from "../../log-server/node/compaction/usable-ranges.ts";
import type { GivenRange } from "../../log-server/node/repair/range-exchange.ts";
import type { StreamView } from "../../log-server/streams/views.ts";

const INCARNATION = 4;
const SNAPSHOT = 100;

type Here = {
  readonly compactedBefore?: number;
  readonly tombstonesBefore?: number;
  readonly neededFrom?: number;
  readonly first?: number;
};

function isUsable(range: Partial<GivenRange>, here: Here = {}): boolean {
  const { compactedBefore = 0, tombstonesBefore = 0, neededFrom = 0, first = 0 } = here;
  const given = { streamId: 1, from: 10, to: 16, incarnation: INCARNATION, position: SNAPSHOT, batches: [], ...range };
  const stream = { incarnation: INCARNATION, compactedBefore, tombstonesBefore } as StreamView;
  const machine = { streamById: () => stream, neededFrom: () => neededFrom };
  const log = {
    streamSegments: () => [{ sequence: 1, firstOffset: first, endOffset: 50, bytes: 1, lastLogTime: 1 }],
  };
  return usableRanges([given], SNAPSHOT, machine, log).length === 1;
}

/** Batches of two records; a cut one is not as it was appended. */
function batches(...offsets: readonly (number | { readonly cut: number })[]): GivenRange["batches"] {
  return offsets.map((one) => {
    const isCut = typeof one === "object";
    const firstOffset = isCut ? one.cut : one;
    const place = { position: firstOffset, ordinal: 0, logTime: 1 };
    const bytes = new Uint8Array(0);
    return { firstOffset, span: 2, ...place, identity: 1n, hash: isCut ? 2n : 1n, wasCompressed: false, bytes };
  });
}

describe("what others gave", () => {
  it("is used once a snapshot here has all that its giver had applied: what is gone may be so for what came later", () => {
    const whole = batches(10, 12, 14);
    expect(isUsable({ batches: whole })).toBe(true);
    expect(isUsable({ batches: whole, position: SNAPSHOT + 1 })).toBe(false);
  });

  it("is of the same stream", () => {
    expect(isUsable({ batches: batches(10, 12, 14), incarnation: INCARNATION + 1 })).toBe(false);
  });

  it("has all that is not compacted", () => {
    for (const some of [[], [12, 14], [10, 14], [10, 12]])
      expect(isUsable({ batches: batches(...some) }), String(some)).toBe(false);
    for (const some of [[], [12, 14], [10, 14], [10, 12]])
      expect(isUsable({ batches: batches(...some) }, { compactedBefore: 16 }), String(some)).toBe(true);
    expect(isUsable({ batches: batches(14) }, { compactedBefore: 13 })).toBe(false);
    expect(isUsable({ batches: batches(14) }, { compactedBefore: 14 })).toBe(true);
    expect(isUsable({ batches: batches(10, 12) }, { compactedBefore: 15 })).toBe(false);
  });

  it("has it as it was appended", () => {
    expect(isUsable({ batches: batches(10, { cut: 12 }, 14) })).toBe(false);
    expect(isUsable({ batches: batches(10, { cut: 12 }, 14) }, { compactedBefore: 12 })).toBe(false);
    expect(isUsable({ batches: batches(10, { cut: 12 }, 14) }, { compactedBefore: 13 })).toBe(true);
  });

  it("need not have what was trimmed", () => {
    expect(isUsable({ batches: batches(14) }, { neededFrom: 14 })).toBe(true);
    expect(isUsable({ batches: batches(14) }, { neededFrom: 13 })).toBe(false);
    expect(isUsable({ batches: [] }, { neededFrom: 20 })).toBe(true);
  });

  it("has all that is before where tombstones may be gone: what they deleted may be there still", () => {
    const here = { compactedBefore: 20 };
    expect(isUsable({}, { ...here, tombstonesBefore: 10 })).toBe(true);
    expect(isUsable({}, { ...here, tombstonesBefore: 11 })).toBe(false);
    expect(isUsable({}, { ...here, tombstonesBefore: 11, first: 10 })).toBe(true);
    expect(isUsable({}, { ...here, tombstonesBefore: 11, neededFrom: 10 })).toBe(true);
    expect(isUsable({ from: 0 }, { ...here, tombstonesBefore: 11 })).toBe(true);
  });
});
