/** When a frontier moves, and which segments are rewritten together: decisions, from numbers alone. */
import { describe, expect, it } from "vitest";
import { bytesFrom, decideFrontier, type SegmentPart } from "../../log-server/node/compaction/frontier.ts";
import { chooseRuns, type SegmentState } from "../../log-server/node/compaction/segment-runs.ts";

const LIMITS = { compactionDirtyBytesMin: 100, compactionDirtyShareMin: 0.5, compactionDelayMsMax: 1_000 };
const NOW = 10_000;

/** Segments of a stream with ten records each; a missing sequence: not sealed. */
function parts(...bytes: readonly (number | readonly [bytes: number, lastLogTime: number] | "open")[]): SegmentPart[] {
  let offset = 0;
  return bytes.map((each, at) => {
    const firstOffset = offset;
    offset += 10;
    const [size, lastLogTime] = each === "open" ? [100, NOW] : typeof each === "number" ? [each, NOW] : each;
    const sequence = each === "open" ? undefined : at + 1;
    return { sequence, firstOffset, endOffset: offset, bytes: size, lastLogTime };
  });
}

describe("a frontier", () => {
  it("moves to the end of what is sealed once enough is new", () => {
    expect(decideFrontier(parts(100, 100), 0, NOW, LIMITS)).toEqual({ before: 20, roll: false, dirtyBytes: 200 });
    expect(decideFrontier(parts(100, 99), 10, NOW, LIMITS).before).toBeUndefined();
    expect(decideFrontier(parts(100, 100), 10, NOW, LIMITS).before).toBe(20);
    expect(decideFrontier(parts(101, 100), 10, NOW, LIMITS).before).toBeUndefined();
    expect(decideFrontier(parts(100, 200), 15, NOW, LIMITS)).toMatchObject({ before: undefined, dirtyBytes: 100 });
    expect(decideFrontier([], 0, NOW, LIMITS)).toEqual({ before: undefined, roll: false, dirtyBytes: 0 });
    expect(decideFrontier(parts(100, 100), 20, NOW, LIMITS)).toMatchObject({ before: undefined, dirtyBytes: 0 });
  });

  it("does not wait for ever where a stream is slow", () => {
    expect(decideFrontier(parts([5, NOW - 999]), 0, NOW, LIMITS).before).toBeUndefined();
    expect(decideFrontier(parts([5, NOW - 1_000]), 0, NOW, LIMITS).before).toBe(10);
    // But for the share of it that is new.
    expect(decideFrontier(parts(100, [5, 0]), 10, NOW, LIMITS).before).toBeUndefined();
  });

  it("asks for the open segment where what is new lies in there", () => {
    expect(decideFrontier(parts("open"), 0, NOW, LIMITS)).toEqual({ before: undefined, roll: true, dirtyBytes: 100 });
    expect(decideFrontier(parts(300, "open"), 10, NOW, LIMITS).roll).toBe(false);
    expect(decideFrontier(parts(100, 100, "open"), 0, NOW, LIMITS)).toMatchObject({ before: 20, roll: true });
  });

  it("counts a part of a segment by its offsets", () => {
    const [part] = parts(100);
    if (part === undefined) throw new Error("no part");
    expect([-5, 0, 3, 10, Number.POSITIVE_INFINITY].map((offset) => bytesFrom(part, offset))).toEqual([
      100, 100, 70, 0, 0,
    ]);
  });
});

describe("runs", () => {
  const limits = {
    rewriteRunBytesMax: 800,
    rewriteRunSegmentsMax: 4,
    rewriteGainShareMin: 0.5,
    rewriteGainBytesMin: 50,
    mergeSegmentsMin: 3,
  };
  const segments = (
    ...live: readonly (readonly [fileBytes: number, liveBytes: number, due?: true])[]
  ): SegmentState[] =>
    live.map(([fileBytes, liveBytes, due = false], at) => ({
      sequence: at + 1,
      fileBytes,
      liveBytes,
      due,
    }));

  it("are of neighbours that give much back, or that compaction takes from, in order", () => {
    expect(chooseRuns(segments([500, 250], [500, 251], [500, 0]), limits)).toEqual([[1], [3]]);
    expect(chooseRuns(segments([500, 250], [500, 499, true], [500, 0]), limits)).toEqual([[1, 2, 3]]);
    expect(chooseRuns(segments([500, 500], [500, 400]), limits)).toEqual([]);
  });

  it("are bounded by what stays, and in number", () => {
    expect(chooseRuns(segments([900, 400], [900, 400], [900, 1]), limits)).toEqual([[1, 2], [3]]);
    expect(chooseRuns(segments(...Array.from({ length: 6 }, () => [900, 1] as const)), limits)).toEqual([
      [1, 2, 3, 4],
      [5, 6],
    ]);
    expect(chooseRuns(segments([9_000, 2_000, true]), limits)).toEqual([[1]]);
  });

  it("take small neighbours along, and merge many of them; what a file takes beside its data is worth nothing", () => {
    expect(chooseRuns(segments([100, 100], [500, 1], [100, 100]), limits)).toEqual([[1, 2, 3]]);
    expect(chooseRuns(segments([100, 100], [100, 100], [500, 500]), limits)).toEqual([]);
    expect(chooseRuns(segments([100, 100], [100, 100], [100, 100]), limits)).toEqual([[1, 2, 3]]);
    expect(chooseRuns(segments([40, 0]), limits)).toEqual([]);
  });
});
