/** Many streams as one: what a merge tells is the log's order, nothing twice, nothing left out, and its marks are true. */
import { describe, expect, it } from "vitest";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { Merge, type MergeLimits, type MergeSource } from "../../log-server/node/reading/merge.ts";
import { offsetAtPlace } from "../../log-server/node/reading/offset-at-place.ts";
import type { ReadBatch, ReadError, ReadOptions, ReadResult } from "../../log-server/node/reading/reader.ts";
import type { StreamView } from "../../log-server/streams/views.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import { encodeSparseBatch } from "../../src/record/batch-codec.ts";
import { comparePlaces, LOG_START, type LogPlace } from "../../src/record/log-place.ts";
import type { Command, TransactionOperation } from "../../src/wire/command.ts";
import { LogModel, recordsOf } from "./log-model.ts";
import { append, create, startSimNode, streamOf } from "./sim-node.ts";

type Told = LogPlace & { readonly stream: number; readonly offset: number; readonly value: string };

/** What a reader makes of a merge's events: the records from each stream's place on, and where it is. */
class MergeReader {
  readonly merge: Merge;
  readonly told: Told[] = [];
  readonly gaps: { readonly stream: number; readonly from: number; readonly to: number }[] = [];
  readonly ended = new Map<number, string>();
  readonly next: number[];
  /** Everything before it was told. */
  mark: LogPlace;
  aheadBytesSeen = 0;
  readonly #node: MergeSource;
  readonly #ids: readonly number[];

  constructor(
    node: MergeSource,
    ids: readonly number[],
    offsets: readonly number[],
    limits: MergeLimits,
    from: LogPlace = LOG_START,
  ) {
    this.#node = node;
    this.#ids = ids;
    this.next = [...offsets];
    this.mark = from;
    this.merge = new Merge(
      node,
      ids.map((id, stream) => ({ stream, id, offset: offsets[stream] as number })),
      from,
      limits,
    );
  }

  /** One step; false if there is nothing to do. `changed`: what did since the round before. */
  async step(maxBytes: number, changed: Iterable<number>): Promise<void> {
    if (!this.merge.inRound) this.merge.begin(changed);
    const step = await this.merge.step(maxBytes);
    if (!step.ok) throw new Error(step.error.message);
    this.aheadBytesSeen = Math.max(this.aheadBytesSeen, this.merge.aheadBytes);
    for (const event of step.value) {
      if (event.kind === "stream") {
        const { stream } = event;
        if (event.event.kind === "gap") this.#gap(stream, event.event.from, event.event.to);
        else {
          expect(this.ended.has(stream)).toBe(false);
          expect(event.event.nextOffset).toBe(this.next[stream]);
          this.ended.set(stream, event.event.kind);
        }
        continue;
      }
      expect(comparePlaces(event.next, this.mark), "a mark goes back").toBeGreaterThanOrEqual(0);
      for (const batch of event.batches) {
        const { stream, position, ordinal, firstOffset } = batch;
        expect(this.ended.has(stream)).toBe(false);
        const next = this.next[stream] as number;
        if (firstOffset > next) this.#gap(stream, next, firstOffset);
        for (const { offsetDelta, value } of recordsOf(batch.bytes)) {
          const offset = firstOffset + offsetDelta;
          const due = this.next[stream] as number;
          if (offset < due) continue;
          if (offset > due) this.#gap(stream, due, offset);
          this.told.push({ position, ordinal, stream, offset, value });
          this.next[stream] = offset + 1;
        }
        const end = firstOffset + batch.span;
        if (end > (this.next[stream] as number)) this.#gap(stream, this.next[stream] as number, end);
      }
      this.mark = event.next;
    }
  }

  async finish(maxBytes = 1_000): Promise<void> {
    while (this.merge.inRound) await this.step(maxBytes, []);
    await this.step(maxBytes, this.#ids);
    while (this.merge.inRound) await this.step(maxBytes, []);
    expect(this.mark).toEqual({ position: this.#node.machine.position + 1, ordinal: 0 });
  }

  #gap(stream: number, from: number, to: number): void {
    expect(from, "I7: a gap begins where its reader is").toBe(this.next[stream]);
    expect(to).toBeGreaterThan(from);
    this.gaps.push({ stream, from, to });
    this.next[stream] = to;
  }
}

const TINY: MergeLimits = { aheadBytesMax: 400, readBytesMax: 150, readsMax: 2 };
const LARGE: MergeLimits = { aheadBytesMax: 1_000_000, readBytesMax: 100_000, readsMax: 8 };

/** Draws commands that mean something; the node's machine says what is there. */
class Draw {
  readonly #prng: Prng;
  readonly #node: LogNode;
  readonly #names: readonly string[];
  #value = 0;

  constructor(prng: Prng, node: LogNode, names: readonly string[]) {
    this.#prng = prng;
    this.#node = node;
    this.#names = names;
  }

  command(): Command {
    const name = this.#prng.pick(this.#names);
    const stream = this.#node.machine.stream(name);
    const choice = this.#prng.below(100);
    if (choice < 55) return append(name, this.#values());
    if (choice < 85) {
      const operations = Array.from({ length: 1 + this.#prng.below(4) }, (): TransactionOperation =>
        append(this.#prng.pick(this.#names), this.#values()),
      );
      // Some are refused: their batches have ordinals all the same.
      if (this.#prng.chance(0.15)) operations.push(append("never/made", ["x"]));
      return { kind: "transaction", conditions: [], operations };
    }
    if (choice < 93 && stream !== undefined)
      return { kind: "trim", stream: name, before: this.#prng.below(stream.nextOffset + 1) };
    if (choice < 95) return { kind: "tick" };
    if (choice < 96) return { kind: "append", stream: name, close: true };
    return append(name, ["large ".repeat(this.#prng.below(200))]);
  }

  #values(): string[] {
    return Array.from({ length: 1 + this.#prng.below(4) }, () => {
      this.#value += 1;
      return `${this.#value}${this.#prng.chance(0.1) ? "-".repeat(100) : ""}`;
    });
  }
}

async function setUp(prng: Prng, names: readonly string[]): Promise<{ node: LogNode; model: LogModel; ids: number[] }> {
  const { node } = await startSimNode();
  const model = new LogModel(node);
  const draw = new Draw(prng, node, names);
  const own = names.filter((name) => !name.startsWith("fork"));
  for (const name of own) await node.propose(create(name));
  for (let at = 0; at < prng.below(40); at += 1) await node.propose(draw.command());
  for (const name of names.filter((one) => one.startsWith("fork"))) {
    const source = streamOf(node, prng.pick(own));
    const offset = source.firstOffset + prng.below(source.nextOffset - source.firstOffset + 1);
    const fork = { source: source.name, incarnation: source.incarnation, partialBytes: 0, offset };
    expect(await node.propose(create(name, { fork }))).toMatchObject({ kind: "created" });
  }
  return { node, model, ids: names.map((name) => streamOf(node, name).id) };
}

/** What was told is the model's records in their order, but for gaps; and whatever lies before the mark was told. */
function check(reader: MergeReader, model: LogModel, ids: readonly number[], offsets: readonly number[]): void {
  const skipped = (stream: number, offset: number): boolean =>
    reader.gaps.some((gap) => gap.stream === stream && offset >= gap.from && offset < gap.to);
  const due = model
    .records(ids, offsets)
    .filter((record) => record.offset < (reader.next[record.stream] as number))
    .filter((record) => !skipped(record.stream, record.offset));
  expect(reader.told).toEqual(due);
  for (const record of model.records(ids, offsets)) {
    if (comparePlaces(record, reader.mark) >= 0 || reader.ended.has(record.stream)) continue;
    expect(record.offset, "a mark is true").toBeLessThan(reader.next[record.stream] as number);
  }
}

describe("a merge", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])(
    "tells the log's order, whatever is appended, trimmed and ended meanwhile, seed %i (I7, I11)",
    async (seed) => {
      const prng = new Prng(seed);
      const names = ["a", "b", "c", "d", "fork/1", "fork/2"];
      const { node, model, ids } = await setUp(prng, names);
      const draw = new Draw(prng, node, names);
      const offsets = ids.map((id) => {
        const view = node.machine.streamById(id);
        return prng.chance(0.5) ? (view?.firstOffset ?? 0) : prng.below((view?.nextOffset ?? 0) + 1);
      });
      const reader = new MergeReader(node, ids, offsets, prng.chance(0.5) ? TINY : LARGE);
      const changed = new Set(ids);
      const apply = node.machine.apply.bind(node.machine);
      node.machine.apply = (entry, commands) => {
        const applied = apply(entry, commands);
        for (const id of applied.changed) changed.add(id);
        return applied;
      };
      const take = (): number[] => {
        const ids = [...changed];
        changed.clear();
        return ids;
      };
      for (let round = 0; round < 60; round += 1) {
        const commands = Array.from({ length: prng.below(4) }, () => node.propose(draw.command()));
        if (prng.chance(0.02)) commands.push(node.propose({ kind: "delete", stream: prng.pick(["d", "fork/2"]) }));
        // Sometimes it reads while they are written and applied.
        if (prng.chance(0.5)) await Promise.all(commands);
        const fresh = reader.merge.inRound ? [] : take();
        await reader.step(1 + prng.below(600), fresh);
        if (prng.chance(0.1)) reader.merge.release();
        check(reader, model, ids, offsets);
        await Promise.all(commands);
      }
      await reader.finish();
      check(reader, model, ids, offsets);
      reader.merge.release();
      expect(reader.merge.aheadBytes).toBe(0);
    },
  );

  it.each([21, 22, 23, 24])("goes on from any point exactly, by offsets and by place, seed %i (I7)", async (seed) => {
    const prng = new Prng(seed);
    // A fork and its source share places: by place alone, that point is not exact.
    const names = ["a", "b", "c", "d"];
    const { node, model, ids } = await setUp(prng, names);
    const draw = new Draw(prng, node, names);
    for (let at = 0; at < 60; at += 1) await node.propose(draw.command());
    const offsets = ids.map((id) => node.machine.streamById(id)?.firstOffset ?? 0);
    const whole = new MergeReader(node, ids, offsets, LARGE);
    await whole.finish();
    check(whole, model, ids, offsets);
    expect(whole.told.length).toBeGreaterThan(50);
    const reader = new MergeReader(node, ids, offsets, TINY);
    reader.merge.begin(ids);
    let points = 0;
    while (reader.merge.inRound) {
      await reader.step(1 + prng.below(60), []);
      points += 1;
      const rest = whole.told.slice(reader.told.length);
      const resumed = new MergeReader(node, ids, reader.next, prng.chance(0.5) ? TINY : LARGE, reader.mark);
      await resumed.finish();
      expect(resumed.told).toEqual(rest);
      for (const [stream, id] of ids.entries()) {
        const view = node.machine.streamById(id);
        if (view === undefined) throw new Error("no stream is deleted here");
        const offset = await node.offsetAtPlace(view, reader.mark);
        expect(offset).toEqual({ ok: true, value: reader.next[stream] });
      }
    }
    expect(points).toBeGreaterThan(20);
  });

  it("I11: a transaction's batches come at one position, in the order of its operations", async () => {
    const { node } = await startSimNode();
    for (const name of ["a", "b"]) await node.propose(create(name));
    await node.propose({
      kind: "transaction",
      conditions: [],
      operations: [append("b", ["b0"]), append("a", ["a0"]), append("b", ["b1"]), append("a", ["a1"])],
    });
    const ids = [streamOf(node, "a").id, streamOf(node, "b").id];
    const reader = new MergeReader(node, ids, [0, 0], LARGE);
    await reader.finish();
    expect(reader.told.map(({ value, ordinal }) => [value, ordinal])).toEqual([
      ["b0", 0],
      ["a0", 1],
      ["b1", 2],
      ["a1", 3],
    ]);
    expect(new Set(reader.told.map(({ position }) => position)).size).toBe(1);
  });

  it("I15: reads no further ahead than its bound, over all streams", async () => {
    const { node } = await startSimNode({ segmentBytes: 1024 * 1024 });
    const names = Array.from({ length: 30 }, (_, at) => `s/${at}`);
    for (const name of names) await node.propose(create(name));
    // Each stream's batches are far apart in the log, so all must be held, or read again.
    for (let round = 0; round < 4; round += 1)
      for (const name of names) await node.propose(append(name, ["x".repeat(1_000)]));
    const ids = names.map((name) => streamOf(node, name).id);
    const limits = { aheadBytesMax: 5_000, readBytesMax: 2_000, readsMax: 2 };
    const reader = new MergeReader(
      node,
      ids,
      ids.map(() => 0),
      limits,
    );
    await reader.finish(500);
    expect(reader.told.length).toBe(120);
    // Beyond the bound: what goes out next, and two reads of one batch more than was asked for.
    expect(reader.aheadBytesSeen).toBeLessThanOrEqual(5_000 + 3 * 1_100 + 2_000);
    expect(reader.aheadBytesSeen).toBeGreaterThan(2_000);
  });

  it("tells closed and deleted streams' ends, and is over with the last", async () => {
    const { node } = await startSimNode();
    for (const name of ["a", "b"]) await node.propose(create(name));
    await node.propose(append("a", ["a0"], { close: true }));
    const ids = [streamOf(node, "a").id, streamOf(node, "b").id];
    const reader = new MergeReader(node, ids, [0, 0], LARGE);
    await reader.finish();
    expect([...reader.ended]).toEqual([[0, "closed"]]);
    expect(reader.merge.over).toBe(false);
    await node.propose({ kind: "delete", stream: "b" });
    await reader.finish();
    expect([...reader.ended]).toEqual([
      [0, "closed"],
      [1, "deleted"],
    ]);
    expect(reader.merge.over).toBe(true);
  });

  it("tells what was trimmed before its turn as a gap (I7)", async () => {
    const { node } = await startSimNode();
    await node.propose(create("a"));
    for (let at = 0; at < 10; at += 1) await node.propose(append("a", [`${at}`]));
    const id = streamOf(node, "a").id;
    const reader = new MergeReader(node, [id], [2], TINY);
    await reader.step(1, [id]);
    await node.propose({ kind: "trim", stream: "a", before: 8 });
    await reader.finish();
    reader.merge.release();
    expect(reader.next).toEqual([10]);
    expect(reader.told.at(-1)).toMatchObject({ offset: 9 });
    const later = new MergeReader(node, [id], [2], TINY);
    await later.finish();
    expect(later.gaps).toEqual([{ stream: 0, from: 2, to: 8 }]);
    expect(later.told.map(({ value }) => value)).toEqual(["8", "9"]);
  });
});

/** Streams of which compaction has left holes: what the log gives of them, and nothing behind it. */
class HoledStreams {
  readonly machine: MergeSource["machine"];
  readonly streams: { readonly view: StreamView; readonly batches: readonly ReadBatch[] }[] = [];

  /** Positions are dealt to streams in turn at random; of some nothing is left. */
  constructor(prng: Prng, view: StreamView, count: number, positions: number) {
    const batches: ReadBatch[][] = Array.from({ length: count }, () => []);
    const tails = Array.from({ length: count }, () => 0);
    for (let position = 1; position <= positions; position += 1) {
      const stream = prng.below(count);
      const span = 1 + prng.below(3);
      const firstOffset = tails[stream] as number;
      tails[stream] = firstOffset + span;
      if (prng.chance(0.4)) continue;
      const all = Array.from({ length: span }, (_, offsetDelta) => ({
        offsetDelta,
        record: { value: utf8(`${firstOffset + offsetDelta}`) },
      }));
      const bytes = encodeSparseBatch(
        all.filter(() => prng.chance(0.6)),
        span,
      );
      batches[stream]?.push({ position, ordinal: 0, firstOffset, span, logTime: position, bytes });
    }
    for (const [id, mine] of batches.entries())
      this.streams.push({ view: { ...view, id, firstOffset: 0, nextOffset: tails[id] as number }, batches: mine });
    this.machine = { position: positions, logTime: positions, streamById: (id) => this.streams[id]?.view };
  }

  async read(
    stream: StreamView,
    from: number,
    { maxBytes, to = 0 }: ReadOptions,
  ): Promise<Result<ReadResult, ReadError>> {
    await Promise.resolve();
    const batches: ReadBatch[] = [];
    let bytes = 0;
    for (const batch of this.streams[stream.id]?.batches ?? []) {
      if (batch.firstOffset + batch.span <= from) continue;
      if (batch.firstOffset >= to || bytes >= maxBytes) break;
      batches.push(batch);
      bytes += batch.bytes.length;
    }
    const last = batches.at(-1);
    return ok({ batches, nextOffset: last === undefined ? to : last.firstOffset + last.span });
  }
}

describe("I7: what compaction removed", () => {
  it.each([31, 32, 33, 34, 35])("is told as gaps, by the batches beside it or by itself, seed %i", async (seed) => {
    const { node } = await startSimNode();
    await node.propose(create("any"));
    const prng = new Prng(seed);
    const source = new HoledStreams(prng, streamOf(node, "any"), 5, 200);
    const ids = source.streams.map((_, id) => id);
    const limits = prng.chance(0.5) ? TINY : LARGE;
    const reader = new MergeReader(
      source,
      ids,
      ids.map(() => 0),
      limits,
    );
    reader.merge.begin(ids);
    while (reader.merge.inRound) await reader.step(1 + prng.below(300), []);
    // Everything is told, in the log's order: as a record or as part of a gap.
    const due = source.streams
      .flatMap(({ batches }, stream) => batches.map((batch) => ({ ...batch, stream })))
      .toSorted(comparePlaces)
      .flatMap(({ stream, position, ordinal, firstOffset, bytes }) =>
        recordsOf(bytes).map(({ offsetDelta, value }) => ({
          position,
          ordinal,
          stream,
          offset: firstOffset + offsetDelta,
          value,
        })),
      );
    expect(reader.told).toEqual(due);
    expect(reader.next).toEqual(source.streams.map(({ view }) => view.nextOffset));
    for (const [stream, { view }] of source.streams.entries()) {
      const found = await offsetAtPlace(source, view, { position: 100, ordinal: 0 });
      const first = due.find((record) => record.stream === stream && record.position >= 100);
      if (!found.ok) throw new Error(found.error.message);
      // Not behind the first record from there on, and nothing earlier is at or behind it.
      expect(found.value).toBeLessThanOrEqual(first?.offset ?? view.nextOffset);
      for (const record of due)
        if (record.stream === stream && record.offset >= found.value)
          expect(record.position).toBeGreaterThanOrEqual(100);
    }
  });
});

describe("followers", () => {
  it("hear which of their streams changed, and nothing of others (I15)", async () => {
    const { node } = await startSimNode({ limits: { followedStreamsMax: 3 } });
    for (const name of ["a", "b", "c"]) await node.propose(create(name));
    const [a, b, c] = ["a", "b", "c"].map((name) => streamOf(node, name).id) as [number, number, number];
    const follower = node.follow([a, b]);
    expect(() => node.follow([a, c])).toThrow("too many streams");
    const other = node.follow([c]);
    const woken = follower.wait(false);
    await node.propose(append("c", ["x"]));
    expect(follower.hasChanges).toBe(false);
    await node.propose(append("b", ["x"]));
    await woken;
    expect(follower.take()).toEqual([b]);
    expect(other.take()).toEqual([c]);
    const progressed = follower.wait(true);
    await node.propose({ kind: "tick" });
    await progressed;
    expect(follower.take()).toEqual([]);
    follower.leave(b);
    await node.propose(append("b", ["x"]));
    expect(follower.hasChanges).toBe(false);
    follower.close();
    other.close();
    node.follow([a, b, c]).close();
  });
});
