/** What is made of a segment's content: the table of damage, and what follows from it. */
import { describe, expect, it } from "vitest";
import { EMPTY_LOG, type LogEnd } from "../../log-server/log/entries/closing.ts";
import { type JudgeContext, judgeSegment } from "../../log-server/log/segments/segment-judge.ts";
import type { Piece, SegmentScan } from "../../log-server/log/segments/segment-scan.ts";

const LENGTH = 200;
const at = (slot: number): number => 512 + slot * LENGTH;

function entry(
  index: number,
  slot: number,
  syncedUpTo: number,
  change: { previousHash?: bigint; damagedBatches?: number[] } = {},
): Piece {
  return {
    kind: "entry",
    place: at(slot),
    end: at(slot + 1),
    frame: { kind: "entry", length: LENGTH, syncedUpTo, headLength: 48, entryHash: BigInt(index) },
    head: {
      index,
      term: 1,
      kind: "noop",
      previousHash: change.previousHash ?? BigInt(index - 1),
      logTime: 0,
      head: new Uint8Array(0),
      batches: [],
    },
    damagedBatches: change.damagedBatches ?? [],
  };
}

function headless(index: number, slot: number, syncedUpTo: number): Piece {
  const frame = { kind: "entry" as const, length: LENGTH, syncedUpTo, headLength: 48, entryHash: BigInt(index) };
  return { kind: "headless", place: at(slot), end: at(slot + 1), frame };
}

function damaged(slot: number, slots = 1): Piece {
  return { kind: "damaged", place: at(slot), end: at(slot + slots) };
}

function closing(
  kind: "mark" | "footer",
  slot: number,
  lastIndex: number,
  endPlace: number,
  dataEnd = at(slot),
): Piece {
  const last: LogEnd = { index: lastIndex, term: 1, hash: BigInt(lastIndex), logTime: 0 };
  return {
    kind,
    place: at(slot),
    end: at(slot + 1),
    closing: { last, nextSequence: kind === "mark" ? 0 : 2, endPlace, dataEnd },
  };
}

function judge(pieces: readonly Piece[], change: Partial<JudgeContext> & { header?: boolean } = {}) {
  const header = change.header === false ? undefined : { logId: 0, sequence: 1, previous: EMPTY_LOG };
  const scan: SegmentScan = { sequence: 1, header, pieces, dirtyEnd: pieces.at(-1)?.end ?? 512, fileBytes: 65_536 };
  const judged = judgeSegment(scan, { expected: EMPTY_LOG, isLast: true, next: undefined, ...change });
  return {
    slots: judged.slots.map((slot) => (slot.kind === "entry" ? slot.piece.head.index : "lost")),
    end: judged.end.index,
    ambiguous: judged.ambiguous && { from: judged.ambiguous.fromIndex, to: judged.ambiguous.toIndex },
    damage: judged.damage.map((found) => `${found.kind} ${found.firstIndex ?? ""}-${found.lastIndex ?? ""}`),
  };
}

describe("a segment", () => {
  it.each([
    ["intact", [entry(1, 0, 512), entry(2, 1, 512)], { slots: [1, 2], end: 2, ambiguous: undefined, damage: [] }],
    // Group 1-2 is proven by group 3.
    [
      "damaged where it was synced: a hole",
      [entry(1, 0, 512), damaged(1), entry(3, 2, at(2))],
      { slots: [1, "lost", 3], end: 3, damage: ["entry 2-2"] },
    ],
    [
      "with a damaged head where it was synced",
      [entry(1, 0, 512), headless(2, 1, 512), entry(3, 2, at(2))],
      { slots: [1, "lost", 3], end: 3, damage: ["entry 2-2"] },
    ],
    [
      "with a damaged batch where it was synced",
      [entry(1, 0, 512, { damagedBatches: [0] }), entry(2, 1, at(1))],
      { slots: [1, 2], damage: ["batch 1-1"] },
    ],
    [
      "damaged in the last group",
      [entry(1, 0, 512), entry(2, 1, at(1)), damaged(2)],
      { slots: [1, 2], ambiguous: { from: 3, to: undefined }, damage: [] },
    ],
    [
      "damaged in the middle of the last group",
      [entry(1, 0, 512), damaged(1), entry(3, 2, at(1))],
      { slots: [1], ambiguous: { from: 2, to: 3 }, damage: [] },
    ],
    [
      "with a damaged batch in the last group",
      [entry(1, 0, 512), entry(2, 1, at(1), { damagedBatches: [0] })],
      { slots: [1], ambiguous: { from: 2, to: undefined } },
    ],
    [
      "damaged on both sides of what was synced",
      [entry(1, 0, 512), damaged(1), entry(3, 2, at(2)), damaged(3)],
      { slots: [1, "lost", 3], ambiguous: { from: 4, to: undefined }, damage: ["entry 2-2"] },
    ],
    [
      "damaged before a mark",
      [entry(1, 0, 512), damaged(1), closing("mark", 2, 2, at(2))],
      { slots: [1, "lost"], end: 2, ambiguous: undefined, damage: ["entry 2-2"] },
    ],
    [
      "with a gap before a mark",
      [entry(1, 0, 512), damaged(1), closing("mark", 2, 1, at(1), at(1))],
      { slots: [1], end: 1, ambiguous: undefined, damage: [] },
    ],
    ["with a lost mark in it", [entry(1, 0, 512), damaged(1), entry(2, 2, at(2))], { slots: [1, 2], damage: [] }],
    [
      "cut",
      [entry(1, 0, 512), entry(2, 1, 512), entry(3, 2, 512), closing("footer", 3, 1, at(1))],
      { slots: [1], end: 1, ambiguous: undefined },
    ],
    [
      "cut, with damage in what was cut off",
      [entry(1, 0, 512), damaged(1, 2), closing("footer", 3, 1, at(1))],
      { slots: [1], end: 1, ambiguous: undefined, damage: [] },
    ],
    [
      "closed, with damage at its end",
      [entry(1, 0, 512), damaged(1), closing("footer", 2, 2, at(2))],
      { slots: [1, "lost"], end: 2, damage: ["entry 2-2"] },
    ],
    [
      "out of the chain where it was synced",
      [entry(1, 0, 512), entry(2, 1, 512, { previousHash: 9n }), entry(3, 2, at(2))],
      { slots: [1, "lost", 3], damage: ["entry 2-2"] },
    ],
    [
      "out of the chain in the last group",
      [entry(1, 0, 512), entry(2, 1, at(1), { previousHash: 9n })],
      { slots: [1], ambiguous: { from: 2, to: 2 } },
    ],
    [
      "with nothing readable but a header",
      [damaged(0, 3)],
      { slots: [], end: 0, ambiguous: { from: 1, to: undefined } },
    ],
  ] as const)("%s", (_name, pieces, expected) => {
    expect(judge(pieces)).toMatchObject(expected);
  });

  it("that another one follows was synced whole", () => {
    const next: LogEnd = { index: 3, term: 1, hash: 3n, logTime: 0 };
    expect(judge([entry(1, 0, 512), damaged(1, 2)], { isLast: false, next })).toMatchObject({
      slots: [1, "lost", "lost"],
      end: 3,
      ambiguous: undefined,
    });
  });

  it("whose header is damaged is read all the same", () => {
    expect(judge([entry(1, 0, 512), entry(2, 1, 512)], { header: false })).toMatchObject({
      slots: [1, 2],
      damage: ["segment -"],
    });
  });

  it("does not believe in more lost entries than fit", () => {
    expect(judge([entry(1, 0, 512), damaged(1), entry(900, 2, at(2)), entry(901, 3, at(3))])).toMatchObject({
      slots: [1],
      end: 1,
      damage: ["entry 2-2"],
    });
  });
});
