/**
 * A segmented log on simulated disks with a state machine that is small enough to see through: the head of an entry
 * names a stream for each batch, and offsets are counted. What the log then serves is compared with a plain array.
 */
import { expect } from "vitest";
import { LOG_LIMITS, type LogLimits } from "../../log-server/log/limits.ts";
import { asDigest, type RowChange, rowHash } from "../../src/record/row.ts";
import type { BatchPlacement } from "../../log-server/log/segments/segment-index.ts";
import { type RecoveryReport, SegmentedLog } from "../../log-server/log/segmented-log.ts";
import { assert } from "../../src/lib/assert.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { Kv } from "../../src/ports/kv.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { checkBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { Entry } from "../../src/wire/entry.ts";

export const TINY_LIMITS: LogLimits = {
  ...LOG_LIMITS,
  segmentBytes: 4_096,
  allocationStepBytes: 4_096,
  copiedBatchBytesMax: 128,
  gatherBlockBytes: 1_024,
  tailCacheBytes: 0,
  readBytesMax: 1_024,
  readGapBytes: 64,
  indexPagesMax: 4,
  openFilesMax: 2,
  tailRowEntries: 4,
  rewriteChunkBytes: 512,
};

/** Stream of a batch that the state machine does not accept. */
export const REJECTED = 255;

export function makeBatch(prng: Prng, bytes: number): Required<BatchRef> {
  const count = 1 + prng.below(3);
  const records = Array.from({ length: count }, () => ({ value: prng.bytes(Math.max(1, Math.floor(bytes / count))) }));
  const checked = checkBatch(encodeBatch(records), { batchBytesMax: 1e9 });
  assert(checked.ok, "a batch of our own");
  const { hash, length, span } = checked.value;
  return { hash, length, span, bytes: checked.value.bytes };
}

/** An entry whose batches go to the streams given, one each. */
export function makeEntry(prng: Prng, index: number, term: number, streams: readonly number[], batchBytes = 60): Entry {
  return {
    index,
    term,
    kind: streams.length === 0 ? "noop" : "commands",
    logTime: 1_000 + index,
    head: Uint8Array.from(streams),
    batches: streams.map(() => makeBatch(prng, batchBytes)),
  };
}

export function makeEntries(prng: Prng, first: number, count: number, term = 1): Entry[] {
  return Array.from({ length: count }, (_, at) =>
    makeEntry(
      prng,
      first + at,
      term,
      Array.from({ length: prng.below(3) }, () => (prng.chance(0.15) ? REJECTED : prng.below(3))),
      20 + prng.below(120),
    ),
  );
}

/** Next offsets by stream. */
export class TinyMachine {
  readonly next = new Map<number, number>();
  position = 0;
  readonly #changed = new Set<number>();

  apply(entry: Entry): BatchPlacement[] {
    assert(entry.index === this.position + 1, "entries are applied in order");
    this.position = entry.index;
    return entry.batches.map((batch, ordinal) => {
      const streamId = entry.head[ordinal] as number;
      if (streamId === REJECTED) return { accepted: false };
      const firstOffset = this.next.get(streamId) ?? 0;
      this.next.set(streamId, firstOffset + batch.span);
      this.#changed.add(streamId);
      return { accepted: true, streamId, incarnation: 7 + streamId, firstOffset, span: batch.span };
    });
  }

  drainChanges(all = false): RowChange[] {
    const streams = all ? [...this.next.keys()] : [...this.#changed];
    this.#changed.clear();
    return streams.map((stream) => ({ key: Uint8Array.of(stream), value: offsetBytes(this.next.get(stream) ?? 0) }));
  }

  digest(): bigint {
    let sum = 0n;
    for (const [stream, next] of this.next) sum += rowHash(Uint8Array.of(stream), offsetBytes(next));
    return asDigest(sum);
  }

  restore(position: number, rows: Iterable<readonly [Uint8Array, Uint8Array]>): void {
    this.position = position;
    for (const [key, value] of rows)
      this.next.set(key[0] as number, Number(new DataView(value.slice().buffer).getBigUint64(0)));
  }
}

function offsetBytes(offset: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(offset));
  return bytes;
}

export type WorldOptions = {
  readonly limits?: LogLimits;
  readonly soleVoter?: boolean;
  readonly zstd?: Zstd;
  /** Entries behind it are left unapplied. */
  readonly applyTo?: number;
};

/** An open log with its machine brought up to its end, or to where damage stops it. */
export class LogWorld {
  readonly log: SegmentedLog;
  readonly machine: TinyMachine;
  readonly report: RecoveryReport;
  readonly imageFault: string | undefined;
  /** The first entry that could not be applied again. */
  blockedAt: number | undefined;
  #imageIsNew = true;

  private constructor(log: SegmentedLog, machine: TinyMachine, report: RecoveryReport, imageFault: string | undefined) {
    this.log = log;
    this.machine = machine;
    this.report = report;
    this.imageFault = imageFault;
  }

  static async open(disk: Disk, kv: Kv, options: WorldOptions = {}): Promise<LogWorld> {
    const opened = await SegmentedLog.open({
      disk,
      kv,
      directory: "logs/0",
      logId: 0,
      limits: options.limits ?? TINY_LIMITS,
      soleVoter: options.soleVoter ?? true,
      zstd: options.zstd,
    });
    if (!opened.ok) throw new Error(opened.error.message);
    const { log, report } = opened.value;
    const machine = new TinyMachine();
    const image = await log.loadImage();
    if (image.ok) {
      machine.restore(image.value.position, image.value.stateRows);
    } else {
      const newest = await log.newestSnapshot();
      if (!newest.ok) throw new Error(newest.error.message);
      const { snapshot } = newest.value;
      if (snapshot !== undefined) machine.restore(snapshot.position, snapshot.rows);
    }
    const world = new LogWorld(log, machine, report, image.ok ? undefined : image.error.kind);
    world.#imageIsNew = !image.ok;
    await world.catchUp(options.applyTo);
    return world;
  }

  /** Applies what the log has and the machine has not. */
  async catchUp(to: number = this.log.lastIndex): Promise<void> {
    while (this.machine.position < Math.min(to, this.log.lastIndex)) {
      const read = await this.log.entries(this.machine.position + 1, to, 2_000);
      if (!read.ok) {
        this.blockedAt = this.machine.position + 1;
        return;
      }
      this.apply(read.value);
    }
  }

  apply(entries: readonly Entry[]): void {
    for (const entry of entries) this.log.applied(entry.index, this.machine.apply(entry));
  }

  async append(entries: readonly Entry[]): Promise<void> {
    await this.log.append(entries);
    this.apply(entries);
  }

  async saveImage(): Promise<void> {
    await this.log.saveImage(this.machine.drainChanges(this.#imageIsNew), this.machine.position, this.machine.digest());
    this.#imageIsNew = false;
  }

  async close(): Promise<void> {
    await this.log.settled();
    await this.log.close();
  }
}

/** What reads of each stream must give: its batches in order. */
export type ExpectedBatch = {
  readonly index: number;
  readonly ordinal: number;
  readonly firstOffset: number;
  readonly batch: BatchRef;
};

export function expectedStreams(entries: readonly Entry[]): Map<number, ExpectedBatch[]> {
  const machine = new TinyMachine();
  const streams = new Map<number, ExpectedBatch[]>();
  for (const entry of entries) {
    machine.apply(entry).forEach((placement, ordinal) => {
      if (!placement.accepted) return;
      const list = streams.get(placement.streamId) ?? [];
      const { firstOffset } = placement;
      list.push({ index: entry.index, ordinal, firstOffset, batch: entry.batches[ordinal] as BatchRef });
      streams.set(placement.streamId, list);
    });
  }
  return streams;
}

/** The log holds exactly a prefix of `attempted` that has all that was `acknowledged`, and serves all of it. */
export async function expectLog(
  world: LogWorld,
  attempted: readonly Entry[],
  acknowledged: number,
  where = "",
): Promise<void> {
  const { log } = world;
  expect(log.lastIndex, `${where}: acknowledged entries are there`).toBeGreaterThanOrEqual(acknowledged);
  expect(log.lastIndex, `${where}: nothing that was never appended`).toBeLessThanOrEqual(attempted.length);
  expect(world.blockedAt, `${where}: all can be applied`).toBeUndefined();
  expect(log.damage, `${where}: a crash is not damage`).toEqual([]);
  const first = log.firstIndex;
  let next = first;
  while (next <= log.lastIndex) {
    const read = await log.entries(next, log.lastIndex, 1_500);
    if (!read.ok) throw new Error(`${where}: ${read.error.message}`);
    for (const entry of read.value) {
      expectSameEntry(entry, attempted[next - 1] as Entry, where);
      if (log.term(next) !== entry.term) throw new Error(`${where}: the term of entry ${next} is wrong`);
      next += 1;
    }
  }
  await expectStreams(world, attempted.slice(0, log.lastIndex), first, where);
}

/** Every batch of the entries from `firstIndex` on can be read, and is right. */
export async function expectStreams(
  world: LogWorld,
  entries: readonly Entry[],
  firstIndex: number,
  where: string,
): Promise<void> {
  for (const [stream, batches] of expectedStreams(entries)) {
    const end = world.machine.next.get(stream) ?? 0;
    const kept = batches.filter((batch) => batch.index >= firstIndex);
    let next = kept[0]?.firstOffset ?? end;
    let at = 0;
    while (next < end) {
      const read = await world.log.read(stream, next, end, 200);
      if (!read.ok) throw new Error(`${where}: ${read.error.message}`);
      if (read.value.length === 0) throw new Error(`${where}: nothing was read`);
      for (const stored of read.value) {
        const expected = kept[at] as ExpectedBatch;
        if (
          stored.firstOffset !== expected.firstOffset ||
          stored.hash !== expected.batch.hash ||
          !same(stored.bytes, expected.batch.bytes)
        ) {
          throw new Error(`${where}: stream ${stream} at ${stored.firstOffset} is not what was appended`);
        }
        if (stored.logTime !== 1_000 + expected.index) throw new Error(`${where}: a wrong log time`);
        if (stored.position !== expected.index || stored.ordinal !== expected.ordinal)
          throw new Error(`${where}: a wrong place in the log`);
        at += 1;
        next = stored.firstOffset + stored.span;
      }
    }
    expect(at, `${where}: stream ${stream} is whole`).toBe(kept.length);
  }
}

export function expectSameEntry(found: Entry, expected: Entry, where: string): void {
  const same =
    found.index === expected.index &&
    found.term === expected.term &&
    found.kind === expected.kind &&
    found.logTime === expected.logTime &&
    Buffer.compare(found.head, expected.head) === 0 &&
    found.batches.length === expected.batches.length &&
    found.batches.every((batch, at) => {
      const other = expected.batches[at] as BatchRef;
      return (
        batch.hash === other.hash &&
        batch.span === other.span &&
        batch.bytes !== undefined &&
        Buffer.compare(batch.bytes, other.bytes as Uint8Array) === 0
      );
    });
  if (!same) throw new Error(`${where}: entry ${expected.index} is not what was appended`);
}

function same(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}
