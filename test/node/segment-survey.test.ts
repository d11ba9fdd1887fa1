/** How much of a segment is to stay: what was rewritten is not rewritten again for what stands beside its batches. */
import { describe, expect, it } from "vitest";
import type { SealedSegmentSummary } from "../../log-server/log/segments/segment-summaries.ts";
import { SegmentSurvey } from "../../log-server/node/compaction/segment-survey.ts";
import { append, create, readAll, startSimNode } from "./sim-node.ts";

type Part = { readonly streamId: number; readonly endOffset: number; readonly bytes: number };

function segment(rewritten: boolean, fileBytes: number, parts: readonly Part[]): SealedSegmentSummary {
  const streams = parts.map((part) => ({
    firstRow: 0,
    rowCount: 1,
    incarnation: 1,
    firstOffset: 0,
    lastLogTime: 1,
    ...part,
  }));
  const dataBytes = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const facts = { sequence: 7, firstIndex: 1, lastIndex: 9, fileBytes, dataBytes, rewritten };
  return { ...facts, streams: () => Promise.resolve(streams) };
}

async function liveBytes(one: SealedSegmentSummary, neededFrom: Readonly<Record<number, number>>): Promise<number> {
  const machine = { neededFrom: (streamId: number) => neededFrom[streamId] ?? 0 };
  const [state] = await new SegmentSurvey(machine, { reclaimSegmentsPerPass: 4 }).look([one], [], []);
  return state?.liveBytes ?? Number.NaN;
}

describe("what is to stay of a segment", () => {
  const parts = [
    { streamId: 1, endOffset: 10, bytes: 300 },
    { streamId: 2, endOffset: 10, bytes: 300 },
  ];

  it("is its data, of one that was never rewritten: that gives back what is not used of its file", async () => {
    expect(await liveBytes(segment(false, 8_000, parts), {})).toBe(600);
    expect(await liveBytes(segment(false, 8_000, parts), { 1: 5 })).toBe(450);
    expect(await liveBytes(segment(false, 8_000, parts), { 1: 10, 2: 10 })).toBe(0);
  });

  it("is all of a rewritten one while its streams live, however much there is beside their data", async () => {
    expect(await liveBytes(segment(true, 8_000, parts), {})).toBe(8_000);
    expect(await liveBytes(segment(true, 8_000, parts), { 1: 9 })).toBe(8_000);
    expect(await liveBytes(segment(true, 8_000, parts), { 1: 10 })).toBe(4_000);
    expect(await liveBytes(segment(true, 8_000, parts), { 1: 10, 2: 10 })).toBe(0);
    // Compaction has left nothing of a stream but that.
    expect(await liveBytes(segment(true, 8_000, [{ streamId: 1, endOffset: 10, bytes: 0 }]), {})).toBe(8_000);
  });
});

describe("segments of small batches", () => {
  it("are rewritten once, and then left alone", async () => {
    const limits = {
      housekeepingEveryMs: 100,
      imageEveryMs: 100,
      snapshotEveryBytes: 4_096,
      rewriteGainBytesMin: 1_024,
      reclaimSegmentsPerPass: 100,
    };
    const { node, clock } = await startSimNode({ limits, segmentBytes: 8 * 1_024 });
    await node.propose(create("a"));
    const values = Array.from({ length: 300 }, (_, place) => `${place}`);
    for (const value of values) await node.propose(append("a", [value]));
    const turns = async (count: number): Promise<void> => {
      for (let turn = 0; turn < count; turn += 1) {
        clock.advance(10);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    while (node.status().compaction.segmentsRewritten === 0) await turns(10);
    await turns(400);
    const { segmentsRewritten } = node.status().compaction;
    await turns(400);
    expect(node.status().compaction.segmentsRewritten).toBe(segmentsRewritten);
    expect(await readAll(node, "a")).toEqual(values);
    await node.stop();
  });
});
