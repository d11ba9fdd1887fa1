/**
 * Reads that are under way while segments are sealed and dropped: what they leave behind is true, and what was dropped
 * is gone, not damaged (I6, I13).
 */
import { beforeAll, describe, expect, it } from "vitest";
import { BatchIndex } from "../../log-server/log/index/batch-index.ts";
import { Prng } from "../../src/lib/prng.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { type Machine, restarted } from "./crash-everywhere.ts";
import { LogWorld, makeEntries, TINY_LIMITS } from "./log-world.ts";

const STREAM = 0;
/** Of the trim: its first segments. */
const TRANSACTIONS = 8;
/** Enough for a read to get as far as it is let. */
const TURNS = 300;

/** A machine that is off; the first segments hold nothing that is live. */
let base: Machine;
let liveFrom: number;

beforeAll(async () => {
  base = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(base.disk, base.kv);
  await world.append(makeEntries(new Prng(1), 1, 80));
  await world.log.settled();
  await world.saveImage();
  await world.log.snapshotImage();
  liveFrom = world.log.streamSegments(STREAM)[3]?.firstOffset as number;
  await world.close();
});

const isLive = (stream: number, endOffset: number): boolean => stream === STREAM && endOffset > liveFrom;

async function after(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
}

/**
 * A read that is slow: each of its calls of the disk in turn is held until the trim beside it has come to each of its
 * transactions. How often it could be held is returned.
 */
async function besideTrim(
  read: (log: LogWorld["log"]) => Promise<unknown>,
  check: (world: LogWorld, kv: SimKv, where: string) => void,
  prepare: (kv: SimKv) => void = () => undefined,
): Promise<number> {
  let held = 0;
  for (let call = 1; ; call += 1) {
    for (let releaseAt = 1; releaseAt <= TRANSACTIONS; releaseAt += 1) {
      const gate = Promise.withResolvers<void>();
      let transactions = Number.NEGATIVE_INFINITY;
      let calls = Number.NEGATIVE_INFINITY;
      const kv = base.kv.crash(false, {
        pace: async () => {
          transactions += 1;
          if (transactions !== releaseAt) return;
          gate.resolve();
          await after(TURNS);
        },
      });
      const disk = withReads(base.disk.crash({ kind: "all" }), () => {
        calls += 1;
        return calls === call ? gate.promise : Promise.resolve();
      });
      prepare(kv);
      const world = await LogWorld.open(disk, kv);
      const { log } = world;
      await log.settled();
      calls = 0;
      const reading = read(log);
      await after(TURNS);
      const reached = calls >= call;
      transactions = 0;
      calls = Number.NEGATIVE_INFINITY;
      const trimming = log.trim(log.horizon.index, isLive);
      // The trim waits for readers of a file before it removes it.
      await after(TURNS * (TRANSACTIONS + 2));
      gate.resolve();
      expect(await trimming).toBeGreaterThan(2);
      await reading;
      check(world, kv, `call ${call} until transaction ${releaseAt}`);
      await world.close();
      if (!reached) return held;
      held += 1;
    }
  }
}

/** The same disk, whose files wait before they are read. */
function withReads(disk: SimDisk, wait: () => Promise<void>): SimDisk {
  const open = disk.open.bind(disk);
  disk.open = async (path, mode) => {
    if (mode === "read") await wait();
    const file = await open(path, mode);
    const read = file.read.bind(file);
    file.read = async (place, into) => {
      await wait();
      return read(place, into);
    };
    return file;
  };
  return disk;
}

/** A key of the sparse index, see `batch-index.ts`. */
function rowKey(streamId: number, firstOffset: number): Uint8Array {
  const key = new Uint8Array(13);
  const data = new DataView(key.buffer);
  key[0] = 3;
  data.setUint32(1, streamId);
  data.setBigUint64(5, BigInt(firstOffset));
  return key;
}

describe("a read under way while segments are dropped", () => {
  it("corrects no row of a segment that is gone back into the index", async () => {
    const held = await besideTrim(
      (log) => log.read(STREAM, 0, 1, 1),
      (world, kv, where) => {
        const rows = new BatchIndex(kv, TINY_LIMITS).segmentsOf(STREAM);
        expect(rows[0]?.firstOffset, where).toBe(liveFrom);
        expect(world.log.streamSegments(STREAM)[0]?.firstOffset, where).toBe(liveFrom);
      },
      (kv) => {
        kv.damage(rowKey(STREAM, 0), (value) => {
          value[0] = (value[0] as number) ^ 1;
        });
      },
    );
    expect(held).toBeGreaterThan(5);
  });

  it("does not take what is gone for damaged, though it has read a part by then", async () => {
    const held = await besideTrim(
      (log) => log.read(STREAM, 0, liveFrom, 100_000),
      (world, _kv, where) => {
        expect(world.log.damage, where).toEqual([]);
      },
    );
    expect(held).toBeGreaterThan(5);
  });

  it("does not take it for damaged where it looks for a time, either", async () => {
    const held = await besideTrim(
      (log) => log.offsetAtTime(STREAM, 1_002, 0, liveFrom),
      (world, _kv, where) => {
        expect(world.log.damage, where).toEqual([]);
      },
    );
    expect(held).toBeGreaterThan(5);
  });
});

describe("a trim", () => {
  it("that the store has no room for is finished by the next one", async () => {
    const { disk, kv } = restarted(base);
    const { log } = await LogWorld.open(disk, kv);
    await log.settled();
    const files = disk.files().length;
    const write = kv.write.bind(kv);
    for (let failing = 0; failing < 3; failing += 1) {
      let calls = 0;
      kv.write = (writes) => {
        if (calls === failing) kv.write = write;
        calls += 1;
        return calls > failing ? Promise.reject(new DiskError("no-space", "kv", "the store is full")) : write(writes);
      };
      await expect(log.trim(log.horizon.index, isLive)).rejects.toMatchObject({ code: "no-space" });
      expect(log.streamSegments(STREAM).at(0)?.firstOffset).toBeLessThanOrEqual(liveFrom);
    }
    await log.trim(log.horizon.index, isLive);
    expect(disk.files().length).toBeLessThanOrEqual(files - 6);
    expect(log.streamSegments(STREAM)[0]?.firstOffset).toBe(liveFrom);
    expect(log.damage).toEqual([]);
    await log.close();
  });
});

describe("a segment that is being sealed", () => {
  it("is counted once: retention by size keeps what it is asked to keep", async () => {
    let look: () => void = () => undefined;
    let looks = 0;
    const faults: string[] = [];
    const disk = new SimDisk();
    const kv = new SimKv({
      pace: () => {
        look();
        return Promise.resolve();
      },
      onMutation: () => look(),
    });
    const world = await LogWorld.open(disk, kv);
    look = () => {
      looks += 1;
      for (const stream of world.machine.next.keys()) {
        let next = 0;
        for (const part of world.log.streamSegments(stream)) {
          if (part.firstOffset !== next) faults.push(`stream ${stream}: ${part.firstOffset} where ${next} was due`);
          next = part.endOffset;
        }
        if (next !== world.machine.next.get(stream)) faults.push(`stream ${stream} ends at ${next}`);
      }
    };
    for (const entry of makeEntries(new Prng(3), 1, 80)) await world.append([entry]);
    await world.log.settled();
    expect(faults).toEqual([]);
    expect(looks).toBeGreaterThan(20);
    expect(world.log.stats().sealedSegments).toBeGreaterThan(3);
    await world.close();
  });
});
