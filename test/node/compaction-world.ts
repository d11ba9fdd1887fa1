/**
 * Compaction without a disk: the state machine, the compactor and a log that is an array, and beside them all records
 * that were ever appended, so that what is left can be held against what should be.
 */
import { Compactor, type CompactorRepairs } from "../../log-server/node/compaction/compactor.ts";
import { FrontierMover, ownFrom } from "../../log-server/node/compaction/frontier-mover.ts";
import { NODE_LIMITS, type NodeLimits } from "../../log-server/node/limits.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { StreamsMachine } from "../../log-server/streams/machine.ts";
import type { StreamView } from "../../log-server/streams/views.ts";
import { hex, utf8 } from "../../src/lib/bytes.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { SimClock } from "../../src/sim/clock.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import { ArrayLog } from "./array-log.ts";

/** Everything is worth a pass, at once. */
export const EAGER: Partial<NodeLimits> = {
  compactionDirtyBytesMin: 0,
  compactionDirtyShareMin: 0,
  compactionGainShareMin: 0,
  rewriteRunSegmentsMax: 3,
  reclaimSegmentsPerPass: 1_000,
  rollEveryMs: 0,
  rewriteGainBytesMin: 1,
};

export type Kept = { readonly offset: number; readonly record: StreamRecord };

const START_MS = 1_000_000;
const NOTHING_LOST: CompactorRepairs = {
  lost: [],
  askRanges: () => Promise.resolve({ ranges: [], unreadable: new Set() }),
  tookRanges: () => undefined,
};

/** One node of those that apply the same entries. */
export class CompactionWorld {
  readonly machine = new StreamsMachine(STREAMS_LIMITS);
  readonly log: ArrayLog;
  readonly clock = new SimClock();
  readonly #limits: NodeLimits;
  readonly #leads: boolean;
  readonly #propose: (command: Command) => CommandResult;
  #compactor!: Compactor;
  snapshotPosition = 0;
  snapshotsFail = false;

  /** `propose` puts a command into the log of all nodes. */
  constructor(
    segmentBatches: number,
    limits: Partial<NodeLimits>,
    leads: boolean,
    propose: (command: Command) => CommandResult,
  ) {
    this.log = new ArrayLog(segmentBatches);
    this.#limits = { ...NODE_LIMITS, ...limits };
    this.#leads = leads;
    this.#propose = propose;
    this.restart();
  }

  /** What the process knew is gone. */
  restart(): void {
    const propose = (command: Command): Promise<void> => {
      if (this.#leads) this.#propose(command);
      return Promise.resolve();
    };
    const { machine, clock, log } = this;
    const shared = { machine, clock, limits: this.#limits, log };
    this.#compactor = new Compactor({
      ...shared,
      zstd: undefined,
      observer: NO_OBSERVER,
      frontiers: new FrontierMover(shared, propose),
      snapshots: this,
      repairs: () => NOTHING_LOST,
      lengthen: () => Promise.resolve(),
    });
  }

  snapshot(): Promise<void> {
    if (!this.snapshotsFail) this.snapshotPosition = this.machine.position;
    return Promise.resolve();
  }

  apply(index: number, logTime: number, command: Command): CommandResult {
    const applied = this.machine.apply({ index, logTime }, [command]);
    const batch = "batch" in command ? command.batch : undefined;
    this.log.append(index, logTime, applied.placements, batch?.bytes === undefined ? [] : [batch.bytes]);
    return applied.results[0] as CommandResult;
  }

  /** One pass. */
  async pass(): Promise<void> {
    let over = false;
    const run = this.#compactor.run().finally(() => {
      over = true;
    });
    for (let turn = 0; !over; turn += 1) {
      if (turn > 100_000) throw new Error("a pass does not end");
      await Promise.resolve();
      this.clock.advance(0);
    }
    await run;
  }

  /** Passes until nothing changes. */
  async settle(): Promise<void> {
    await this.snapshot();
    const first = this.log.rewrites;
    for (let rewrites = -1; rewrites !== this.log.rewrites;) {
      rewrites = this.log.rewrites;
      if (rewrites - first > 10_000) throw new Error("what was rewritten is rewritten without end");
      await this.pass();
      await this.pass();
    }
  }

  /** What readers of the stream see, its sources' included. */
  async read(name: string): Promise<Kept[]> {
    const stream = this.machine.stream(name);
    if (stream === undefined) return [];
    const kept: Kept[] = [];
    for (const range of this.machine.readRanges(stream.id, stream.firstOffset, stream.nextOffset)) {
      for (let next = range.from; next < range.to;) {
        const read = await this.log.read(range.streamId, next, range.to, 100);
        if (!read.ok) throw new Error("damaged");
        if (read.value.length === 0) break;
        for (const { firstOffset, span, bytes } of read.value) {
          const decoded = decodeBatch(bytes, { rawBytesMax: 1_000_000 });
          if (!decoded.ok) throw new Error(decoded.error.message);
          for (const { offsetDelta, record } of decoded.value.records) {
            const offset = firstOffset + offsetDelta;
            if (offset >= next && offset < range.to) kept.push({ offset, record });
          }
          next = firstOffset + span;
        }
      }
    }
    return kept;
  }
}

/** Several nodes with one log, cut into segments differently; the first one leads. */
export class CompactionCluster {
  readonly nodes: readonly CompactionWorld[];
  /** Every record ever appended, by stream id. */
  readonly appended = new Map<number, StreamRecord[]>();
  now = START_MS;
  #index = 0;

  constructor(segmentBatches: readonly number[], limits: Partial<NodeLimits> = EAGER) {
    this.nodes = segmentBatches.map(
      (batches, at) => new CompactionWorld(batches, limits, at === 0, (command) => this.run(command)),
    );
  }

  get leader(): CompactionWorld {
    return this.nodes[0] as CompactionWorld;
  }

  /** One entry, applied by all. */
  run(command: Command): CommandResult {
    this.#index += 1;
    const results = this.nodes.map((node) => node.apply(this.#index, this.now, command));
    return results[0] as CommandResult;
  }

  create(stream: string, tombstoneMs: number | undefined = 0): void {
    const retention = tombstoneMs === undefined ? {} : { compaction: { tombstoneMs } };
    this.run({ kind: "create", stream, closed: false, retention });
  }

  fork(source: string, stream: string, tombstoneMs = 0): void {
    const incarnation = this.leader.machine.stream(source)?.incarnation ?? 0;
    const retention = { compaction: { tombstoneMs } };
    this.run({ kind: "create", stream, closed: false, retention, fork: { source, incarnation, partialBytes: 0 } });
    const [from, to] = [this.view(source), this.view(stream)];
    if (from !== undefined && to !== undefined && !this.appended.has(to.id)) {
      this.appended.set(to.id, (this.appended.get(from.id) ?? []).slice(0, to.nextOffset));
    }
  }

  append(stream: string, records: readonly StreamRecord[]): void {
    const bytes = encodeBatch(records);
    const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    const batch = { hash, length: bytes.length, span: records.length, bytes };
    const result = this.run({ kind: "append", stream, close: false, batch });
    const id = this.view(stream)?.id;
    if (result.kind !== "appended" || id === undefined) return;
    this.appended.set(id, [...(this.appended.get(id) ?? []), ...records]);
  }

  /** `k=v` sets, `k-` deletes, anything else has no key. */
  put(stream: string, ...texts: readonly string[]): void {
    this.append(
      stream,
      texts.map((text) => {
        const [key = "", value] = text.split("=");
        if (value !== undefined) return { key: utf8(key), value: utf8(value) };
        return text.endsWith("-") ? { key: utf8(text.slice(0, -1)), value: null } : { value: utf8(text) };
      }),
    );
  }

  view(stream: string): StreamView | undefined {
    return this.leader.machine.stream(stream);
  }

  /** All records of the stream that retention left, whether compaction did or not. */
  all(stream: string): Kept[] {
    const view = this.view(stream);
    if (view === undefined) return [];
    return (this.appended.get(view.id) ?? [])
      .map((record, offset) => ({ offset, record }))
      .filter(({ offset }) => offset >= view.firstOffset);
  }

  /** What the frontiers of the stream and its sources say is left. */
  survivors(stream: string): Kept[] {
    const view = this.view(stream);
    return view === undefined ? [] : this.#survivors(view).filter(({ offset }) => offset >= view.firstOffset);
  }

  #survivors(view: StreamView): Kept[] {
    const own = ownFrom(view);
    const source = view.forkedFrom && this.leader.machine.streamById(view.forkedFrom.streamId);
    const inherited = source === undefined ? [] : this.#survivors(source).filter(({ offset }) => offset < own);
    const all = (this.appended.get(view.id) ?? []).map((record, offset) => ({ offset, record }));
    return [...inherited, ...survivorsOf(all, view, own).filter(({ offset }) => offset >= own)];
  }
}

/** The stream read as a table. */
export function tableOf(records: readonly Kept[]): Record<string, string> {
  const table = new Map<string, string>();
  for (const { record } of records) {
    if (record.key === undefined) continue;
    if (record.value === null) table.delete(hex(record.key));
    else table.set(hex(record.key), hex(record.value));
  }
  return Object.fromEntries(table);
}

/** What a stream's own frontiers say is left, as they are defined: straight from all records. */
function survivorsOf(all: readonly Kept[], stream: StreamView, ownFrom: number): Kept[] {
  const { compactedBefore, tombstonesBefore } = stream;
  const newest = new Map<string, number>();
  for (const { offset, record } of all) {
    if (offset >= ownFrom && offset < compactedBefore && record.key !== undefined) newest.set(hex(record.key), offset);
  }
  return all.filter(({ offset, record }) => {
    if (offset >= compactedBefore || offset < ownFrom || record.key === undefined) return true;
    if (newest.get(hex(record.key)) !== offset) return false;
    return record.value !== null || offset >= tombstonesBefore;
  });
}

export function textsOf(records: readonly Kept[]): string[] {
  return records.map(({ offset, record }) => {
    const key = record.key === undefined ? "" : Buffer.from(record.key).toString();
    const value = record.value === null ? "-" : `=${Buffer.from(record.value).toString()}`;
    return `${offset}:${key}${value}`;
  });
}
