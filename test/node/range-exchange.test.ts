/** What a node asks others to put in the place of what it has lost: all of a stretch from one of them, in one state, checked. */
import { describe, expect, it } from "vitest";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import {
  decodeRanges,
  encodeRanges,
  type ToldRange,
  type ToldRanges,
} from "../../log-server/node/repair/range-codec.ts";
import { RangeExchange, type RangeParts } from "../../log-server/node/repair/range-exchange.ts";
import type { CallHandler } from "../../log-server/node/calls/peer-calls.ts";
import type { RangeBatch, StreamRange } from "../../log-server/log/repair/stream-range.ts";
import type { StreamView } from "../../log-server/streams/views.ts";
import { concat } from "../../src/lib/bytes.ts";
import { err, ok } from "../../src/lib/result.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { SimClock } from "../../src/sim/clock.ts";

const STREAM = 3;
const LOST = 7;
const RECORDS = 2;

function batchAt(firstOffset: number): RangeBatch {
  const bytes = encodeBatch(Array.from({ length: RECORDS }, (_, at) => ({ value: Uint8Array.of(firstOffset, at) })));
  const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const place = { position: 100 + firstOffset, ordinal: 0, logTime: 1_000 + firstOffset };
  return { firstOffset, span: RECORDS, ...place, identity: hash, hash, wasCompressed: false, bytes };
}

const SEGMENT = {
  sequence: LOST,
  firstIndex: 1,
  lastIndex: 2,
  fileBytes: 1,
  dataBytes: 1,
  rewritten: true,
  streams: () => Promise.resolve(undefined),
};

/** One that has all batches but those that it says. */
class Giver {
  rewrittenTo: number | undefined = 5;
  position = 200;
  nextOffset = 1_000;
  neededFrom = 0;
  damagedAt: number | undefined;
  readonly gone = new Set<number>();
  asked: readonly StreamRange[] = [];
  calls = 0;
  /** What becomes of an answer on its way. */
  twist: (answer: ToldRanges) => ToldRanges = (answer) => answer;
  #handler: CallHandler | undefined;

  constructor(limits: Partial<typeof NODE_LIMITS>) {
    const rewrittenTo = (): number | undefined => this.rewrittenTo;
    const position = (): number => this.position;
    const parts: RangeParts = {
      clock: new SimClock(),
      limits: { ...NODE_LIMITS, ...limits },
      observer: NO_OBSERVER,
      log: {
        keptRange: ({ from, to }) => Promise.resolve(this.#kept(from, to)),
        get rewrittenTo() {
          return rewrittenTo();
        },
        lostRanges: () => Promise.resolve(undefined),
        sealedSegments: () => [],
        streamSegments: () => [],
      },
      machine: {
        get position() {
          return position();
        },
        neededFrom: () => this.neededFrom,
        streamById: () => ({ incarnation: 4, nextOffset: this.nextOffset }) as StreamView,
      },
    };
    const calls = {
      handle: (_kind: string, handler: CallHandler): void => {
        this.#handler = handler;
      },
      call: () => Promise.resolve(err("unreachable" as const)),
    };
    expect(new RangeExchange(parts, calls, () => []).hopesFor({ kind: "batch", message: "" })).toBe(false);
  }

  /** One batch at a time. */
  #kept(from: number, to: number): { batches: RangeBatch[]; next: number } | undefined {
    const first = from - (from % RECORDS);
    if (first === this.damagedAt) return undefined;
    const next = Math.min(to, first + RECORDS);
    return { batches: this.gone.has(first) ? [] : [batchAt(first)], next };
  }

  async answer(request: Uint8Array): Promise<Uint8Array> {
    this.calls += 1;
    const answer = concat(await (this.#handler as CallHandler)("asker", request));
    return concat(encodeRanges(this.twist(decodeRanges(answer) as ToldRanges)));
  }
}

type Setting = {
  readonly lost?: readonly StreamRange[];
  readonly tombstonesBefore?: number;
  readonly neededFrom?: number;
};

class World {
  readonly clock = new SimClock();
  readonly givers: readonly Giver[];
  readonly exchange: RangeExchange;

  constructor(givers: number, limits: Partial<typeof NODE_LIMITS> = {}, setting: Setting = {}) {
    const { lost = [{ streamId: STREAM, from: 10, to: 30 }], tombstonesBefore = 0, neededFrom = 0 } = setting;
    this.givers = Array.from({ length: givers }, () => new Giver(limits));
    const parts: RangeParts = {
      clock: this.clock,
      limits: { ...NODE_LIMITS, ...limits },
      observer: NO_OBSERVER,
      log: {
        keptRange: () => Promise.resolve(undefined),
        rewrittenTo: 0,
        lostRanges: () => Promise.resolve({ ranges: lost, unreadable: false }),
        sealedSegments: () => [SEGMENT],
        streamSegments: () => [{ sequence: 1, firstOffset: 2, endOffset: 50, bytes: 1, lastLogTime: 1 }],
      },
      machine: {
        position: 0,
        neededFrom: () => neededFrom,
        streamById: () => ({ tombstonesBefore }) as StreamView,
      },
    };
    const calls = {
      handle: () => undefined,
      call: async (to: string, _kind: string, body: readonly Uint8Array[]) =>
        ok(await (this.givers[Number(to)] as Giver).answer(concat(body))),
    };
    this.exchange = new RangeExchange(parts, calls, () => this.givers.map((_, at) => String(at)));
  }

  ask(): ReturnType<RangeExchange["ask"]> {
    this.clock.advance(NODE_LIMITS.repairRetryMs);
    return this.exchange.ask([LOST]);
  }

  get hopes(): boolean {
    return this.exchange.hopesFor({ kind: "batch", segment: LOST, message: "" });
  }
}

const ALL = Array.from({ length: 10 }, (_, at) => 10 + at * RECORDS);

describe("stretches of streams", () => {
  it("come in as many answers as it takes, each going on where the one before ended", async () => {
    const world = new World(1, { repairBytesMax: 250 });
    const [giver] = world.givers as [Giver];
    giver.gone.add(14).add(28);
    const { ranges } = await world.ask();
    expect(giver.calls).toBeGreaterThan(2);
    expect(ranges).toMatchObject([{ streamId: STREAM, from: 10, to: 30, incarnation: 4, position: 200 }]);
    expect(ranges[0]?.batches.map(({ firstOffset }) => firstOffset)).toEqual(
      ALL.filter((offset) => offset !== 14 && offset !== 28),
    );
  });

  it("come several in one answer, as many as it takes", async () => {
    const lost = Array.from({ length: 9 }, (_, at) => ({ streamId: STREAM, from: at * 4, to: at * 4 + 2 }));
    const world = new World(1, { rangesPerCall: 4 }, { lost });
    const { ranges } = await world.ask();
    expect(ranges.map(({ streamId, from, to }) => ({ streamId, from, to }))).toEqual(lost);
    expect(ranges.every(({ batches, from }) => batches.length === 1 && batches[0]?.firstOffset === from)).toBe(true);
    expect(world.givers[0]?.calls).toBe(3);
  });

  it("are asked for again no sooner than after a while", async () => {
    const world = new World(1);
    await world.ask();
    expect(await world.exchange.ask([LOST])).toEqual({ ranges: [], unreadable: new Set() });
    expect(world.givers[0]?.calls).toBe(1);
  });

  it("are asked for together, whichever is new among them: neighbours are rewritten as one", async () => {
    const world = new World(1);
    expect((await world.ask()).ranges).toHaveLength(1);
    expect((await world.exchange.ask([LOST, LOST + 1])).ranges).toHaveLength(2);
    expect((await world.exchange.ask([LOST, LOST + 1])).ranges).toEqual([]);
  });

  it("come from one node as a whole: what one has lost, another is asked for from the beginning", async () => {
    const world = new World(2, { repairBytesMax: 250 });
    const [last, first] = world.givers as [Giver, Giver];
    first.damagedAt = 20;
    first.position = 999;
    const { ranges } = await world.ask();
    expect(first.calls).toBeGreaterThan(1);
    expect(ranges).toMatchObject([{ from: 10, to: 30, position: last.position }]);
    expect(ranges[0]?.batches.map(({ firstOffset }) => firstOffset)).toEqual(ALL);
  });

  it("are of one state: nothing is taken from a node that rewrites meanwhile, and it is asked again", async () => {
    const world = new World(1, { repairBytesMax: 250 });
    const [giver] = world.givers as [Giver];
    giver.twist = (answer) => ({ ...answer, rewrittenTo: answer.rewrittenTo + giver.calls });
    expect((await world.ask()).ranges).toEqual([]);
    expect(world.hopes).toBe(true);
    giver.rewrittenTo = undefined;
    giver.twist = (answer) => answer;
    expect((await world.ask()).ranges).toEqual([]);
    expect(world.hopes).toBe(true);
    giver.rewrittenTo = 6;
    expect((await world.ask()).ranges).toHaveLength(1);
  });

  it("are given up where all have answered that they cannot give them, until somebody can", async () => {
    const world = new World(2);
    expect(world.hopes).toBe(true);
    for (const giver of world.givers) giver.damagedAt = 20;
    await world.ask();
    expect(world.hopes).toBe(false);
    for (const giver of world.givers) giver.damagedAt = undefined;
    await world.ask();
    expect(world.hopes).toBe(true);
  });

  it("are not given by a node that does not know of them yet: nothing there is not compacted", async () => {
    const world = new World(1);
    const [giver] = world.givers as [Giver];
    giver.nextOffset = 29;
    expect((await world.ask()).ranges).toEqual([]);
  });

  it("begin, for the giver, where somebody needs them there", async () => {
    const world = new World(1);
    const [giver] = world.givers as [Giver];
    giver.neededFrom = 20;
    const { ranges } = await world.ask();
    expect(ranges[0]?.batches.map(({ firstOffset }) => firstOffset)).toEqual([20, 22, 24, 26, 28]);
    giver.neededFrom = Number.POSITIVE_INFINITY;
    expect((await world.ask()).ranges).toMatchObject([{ from: 10, to: 30, batches: [] }]);
  });

  it("are not asked for where nobody needs them here", async () => {
    const world = new World(1, {}, { neededFrom: 30 });
    expect((await world.ask()).ranges).toEqual([]);
    expect(world.givers[0]?.calls).toBe(0);
  });

  it("have all of the stream that is before, where tombstones may be gone from them", async () => {
    const lost = [10, 20].map((from) => ({ streamId: STREAM, from, to: from + RECORDS }));
    expect((await new World(1, {}, { lost, tombstonesBefore: 10 }).ask()).ranges).toHaveLength(2);
    expect((await new World(1, {}, { lost, tombstonesBefore: 11 }).ask()).ranges).toMatchObject([{ from: 2, to: 22 }]);
  });

  it("take no more memory than they may", async () => {
    const world = new World(1, { repairBytesMax: 250, rangesBytesMax: 500 });
    expect((await world.ask()).ranges).toEqual([]);
    expect(world.hopes).toBe(false);
    expect(world.givers[0]?.calls).toBeLessThan(6);
  });

  it.each<[string, (range: ToldRange) => ToldRange]>([
    ["a batch that does not match its hash", withBatch((batch) => ({ ...batch, hash: batch.hash + 1n }))],
    ["bytes that do not match", withBatch((batch) => ({ ...batch, bytes: batch.bytes.map((byte) => byte ^ 1) }))],
    ["a batch from before the stretch", withBatch((batch) => ({ ...batch, firstOffset: 8 }))],
    ["a batch from behind the stretch", withBatch((batch) => ({ ...batch, firstOffset: 30 }))],
    ["a batch that overlaps the next", withBatch((batch) => ({ ...batch, span: 3 }))],
    ["a batch of no record", withBatch((batch) => ({ ...batch, span: 0 }))],
    ["a batch that stands behind the next in the log", withBatch((batch) => ({ ...batch, position: 900 }))],
    ["more than was asked for", (range) => ({ ...range, next: 31 })],
    ["nothing, again and again", (range) => ({ ...range, batches: [], next: 10 })],
    ["batches behind where it says it ends", (range) => ({ ...range, next: 12 })],
  ])("are not taken from a node that gives %s", async (_, twist) => {
    const world = new World(2);
    const [right, wrong] = world.givers as [Giver, Giver];
    wrong.twist = (answer) => ({ ...answer, ranges: answer.ranges.map(twist) });
    const { ranges } = await world.ask();
    expect(wrong.calls).toBe(1);
    expect(right.calls).toBe(1);
    expect(ranges[0]?.batches).toEqual(ALL.map(batchAt));
  });

  it("are not taken from a node that speaks of another stream than before", async () => {
    const world = new World(1, { repairBytesMax: 250 });
    const [giver] = world.givers as [Giver];
    giver.twist = (answer) => ({
      ...answer,
      ranges: answer.ranges.map((range) => ({ ...range, incarnation: giver.calls })),
    });
    expect((await world.ask()).ranges).toEqual([]);
  });
});

/** Of the first batch. */
function withBatch(twist: (batch: RangeBatch) => RangeBatch): (range: ToldRange) => ToldRange {
  return ({ batches: [first, ...others], ...range }) => ({
    ...range,
    batches: [twist(first as RangeBatch), ...others],
  });
}
