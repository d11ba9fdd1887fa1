/** Who takes snapshots of a running task and when, what they are worth, and that nothing depends on them (I12). */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { RowCapture } from "../../src/operators/state/row-capture.ts";
import { Rows } from "../../src/operators/state/rows.ts";
import { APP_RUN_DEFAULTS, AppRun } from "../../src/runtime/app-run.ts";
import type { WorkStatus } from "../../src/runtime/replica-work.ts";
import { openTaskState } from "../../src/runtime/snapshots/open-task-state.ts";
import { encodePiece } from "../../src/runtime/snapshots/piece.ts";
import type { SnapshotPlan, SpareKv } from "../../src/runtime/snapshots/snapshotter.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Row } from "../../src/record/row.ts";
import { nodeZstd } from "../record/node-zstd.ts";
import { AppWorld, CALM } from "./app-world.ts";
import { APPS } from "./apps.ts";
import { MemorySnapshots, SMALL_SIZES } from "./snapshot-world.ts";
import { Worker } from "./worker.ts";

const GRAPH = APPS.counts.make().build();
const EVERY_MS = 15_000;
const STEP_MS = 4_000;

class World extends AppWorld {
  readonly snapshots = new MemorySnapshots();
  /** Rows that each worker began with. */
  readonly began: number[] = [];
  readonly objections: string[] = [];
  /** Where snapshots were restored once more, and what is left of it. */
  readonly spares: { readonly kv: SimKv; discarded: boolean }[] = [];

  constructor(seed: number) {
    super(GRAPH, seed);
  }

  run(kv?: SimKv, limits: Partial<SnapshotPlan> = {}): AppRun {
    const worker = new Worker(this.clock, this.log, this.prng.fork(`worker ${this.began.length}`), CALM);
    const entropy = { bytes: (length: number) => this.prng.bytes(length) };
    const plan = {
      stream: this.snapshots,
      zstd: nodeZstd,
      everyMs: EVERY_MS,
      verifyEveryMs: 0,
      sizes: SMALL_SIZES,
      ...limits,
    };
    const openState = async (task: string, facts: Parameters<typeof openTaskState>[0]["facts"]) => {
      const state = await openTaskState({
        plan,
        clock: worker,
        facts,
        ...(kv !== undefined && { disk: { kv, label: task, openSpare: () => this.#openSpare() } }),
        onObjection: (message) => this.objections.push(message),
      });
      this.began.push(state.totals?.rows ?? 0);
      return state;
    };
    return new AppRun(worker, { clock: worker, entropy, openState }, GRAPH, APP_RUN_DEFAULTS);
  }

  async #openSpare(): Promise<SpareKv> {
    const spare = { kv: new SimKv(), discarded: false };
    this.spares.push(spare);
    return {
      kv: spare.kv,
      discard: async () => {
        spare.discarded = true;
        await spare.kv.close();
      },
    };
  }

  append(count: number): void {
    const values = Array.from({ length: count }, (_, n) => ({ key: `key ${this.prng.below(200)}`, n }));
    this.log.append(
      "in",
      values.map((value) => ({ value: utf8(JSON.stringify(value)) })),
    );
  }

  /** Records come for so long. */
  async live(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      this.append(12);
      await this.pass(STEP_MS);
    }
  }
}

const workOf = (run: AppRun): WorkStatus | undefined => run.status[0]?.work;

describe("snapshots of a running task", () => {
  it("are taken by the replica that does not commit, and verified by the commits of the one that does", async () => {
    const world = new World(1);
    const runs = [world.run(), world.run()];
    await world.live(20);
    const leader = runs.find((run) => workOf(run)?.committing === true);
    const standby = runs.find((run) => run !== leader);
    expect(workOf(leader as AppRun)?.snapshot).toBeUndefined();
    const taken = workOf(standby as AppRun)?.snapshot;
    expect(taken?.records).toBeGreaterThan(100);
    expect(taken?.verifiedBy).toBe("replica");
    await Promise.all(runs.map((run) => run.stop()));
    const again = world.run();
    await world.live(1);
    expect(await world.finish(5_000)).toBeUndefined();
    expect(world.began.at(-1)).toBeGreaterThan(50);
    await again.stop();
  });

  it("are taken by the one that commits, where it is alone, and restored once more to see that they are right", async () => {
    const world = new World(2);
    const run = world.run();
    await world.live(12);
    const first = workOf(run)?.snapshot;
    expect(first).toBeDefined();
    await world.live(12);
    const second = workOf(run)?.snapshot;
    expect(second?.records).toBeGreaterThan(first?.records as number);
    await world.until(() => workOf(run)?.snapshot?.verifiedBy === "restore", 60_000);
    expect(workOf(run)?.snapshot?.verifiedBy).toBe("restore");
    await run.stop();
  });

  it("of state on disk are restored once more on disk, however large they are, and leave nothing there", async () => {
    const world = new World(8);
    const run = world.run(new SimKv(), { verifyBytesMax: 0 });
    await world.live(24);
    await world.until(() => workOf(run)?.snapshot?.verifiedBy === "restore", 60_000);
    expect(workOf(run)?.snapshot?.verifiedBy).toBe("restore");
    const [first] = world.spares;
    expect(first?.kv.mutations).toBeGreaterThan(1);
    expect(first?.discarded).toBe(true);
    const again = world.spares.length;
    await run.stop();
    expect(world.spares.slice(0, again).every(({ discarded }) => discarded)).toBe(true);
  });

  it("that cannot be written are tried again, and the task goes on", async () => {
    const world = new World(3);
    world.snapshots.onAppend = () => {
      throw new Error("the log cannot be reached");
    };
    const run = world.run();
    await world.live(15);
    expect(workOf(run)?.snapshot).toBeUndefined();
    world.snapshots.onAppend = () => undefined;
    await world.live(15);
    expect(workOf(run)?.snapshot).toBeDefined();
    expect(await world.finish(5_000)).toBeUndefined();
    await run.stop();
  });

  it("may all be deleted, or damaged: that costs time and nothing else", async () => {
    const world = new World(4);
    let run = world.run();
    await world.live(14);
    for (const harm of ["none", "damage", "delete"] as const) {
      await run.stop();
      if (harm === "delete") world.snapshots.deleteAll();
      if (harm === "damage") for (const value of world.snapshots.values) value.fill(0x5a, 4);
      run = world.run();
      await world.live(10);
    }
    expect(await world.finish(5_000)).toBeUndefined();
    expect(world.began.map((rows) => rows > 0)).toEqual([false, true, false, false]);
    await run.stop();
  });

  it("are verified no more once all were deleted, for another may stand where they did", async () => {
    const world = new World(14);
    let run = world.run();
    await world.live(12);
    const taken = workOf(run)?.snapshot;
    expect(taken?.verifiedBy).toBe("nobody");
    await run.stop();
    run = world.run();
    await world.live(1);
    const { snapshots } = world;
    const length = snapshots.values.length;
    snapshots.deleteAll();
    // Of one that nobody finished.
    const [slice] = encodePiece("slice", Uint8Array.of(0), nodeZstd.compress(Uint8Array.of(0)));
    for (let n = 0; n < length; n += 1) snapshots.values.push(slice as Uint8Array);
    await world.live(24);
    const verified = world.log.verifiedPoints("counts", "0.0").map(({ records }) => records);
    expect(verified.length).toBeGreaterThan(0);
    expect(verified).not.toContain(taken?.records);
    await run.stop();
  });

  it("are never ahead of what is committed, for what comes out between would be lost", async () => {
    const world = new World(5);
    const first = world.run();
    await world.live(3);
    world.log.pause("counts", "0.0", true);
    await world.live(12);
    await first.stop();
    world.log.pause("counts", "0.0", false);
    const second = world.run();
    await world.live(1);
    expect(await world.finish(5_000)).toBeUndefined();
    expect(world.objections).toEqual([]);
    await second.stop();
  });

  it("are left to another who is at one, until nothing more comes of it", async () => {
    const world = new World(8);
    const { snapshots } = world;
    const run = world.run();
    const pieceOfAnother = utf8("a piece");
    for (let step = 0; step < 20; step += 1) {
      snapshots.values.push(pieceOfAnother);
      await world.live(1);
    }
    expect(workOf(run)?.snapshot).toBeUndefined();
    expect(snapshots.values).toHaveLength(20);
    await world.live(8);
    expect(workOf(run)?.snapshot).toBeDefined();
    await run.stop();
  });

  it("that are under way when the replica stops read no more of its rows", async () => {
    class WatchedKv extends SimKv {
      reads = 0;

      override range(from: Uint8Array, to: Uint8Array): Iterable<Row> {
        this.reads += 1;
        return super.range(from, to);
      }
    }
    const world = new World(7);
    const kv = new WatchedKv();
    const held = Promise.withResolvers<void>();
    const { snapshots } = world;
    let appends = 0;
    const append = snapshots.append.bind(snapshots);
    snapshots.append = async (values) => {
      appends += 1;
      await held.promise;
      return append(values);
    };
    const run = world.run(kv);
    await world.live(14);
    expect(appends).toBe(1);
    await run.stop();
    const { reads } = kv;
    held.resolve();
    // As long as it may rest.
    await world.pass(300_000);
    expect([appends, kv.reads]).toEqual([1, reads]);
  });

  it("of which too much is replaced meanwhile are tried less and less often", async () => {
    const world = new World(9);
    const isLost = vi.spyOn(RowCapture.prototype, "lost", "get").mockReturnValue(true);
    const captured = vi.spyOn(Rows.prototype, "capture");
    onTestFinished(() => void vi.restoreAllMocks());
    const run = world.run();
    const steps = 100;
    await world.live(steps);
    const everyTime = (steps * STEP_MS) / EVERY_MS;
    expect(captured.mock.calls.length).toBeGreaterThan(2);
    expect(captured.mock.calls.length).toBeLessThan(everyTime / 4);
    isLost.mockRestore();
    await world.until(() => workOf(run)?.snapshot !== undefined, 2_000_000);
    world.append(1);
    expect(await world.finish(5_000)).toBeUndefined();
    await run.stop();
  });

  it("bring back a disk that was lost", async () => {
    const world = new World(6);
    let run = world.run(new SimKv());
    await world.live(14);
    await run.stop();
    const kv = new SimKv();
    run = world.run(kv);
    await world.live(2);
    await run.stop();
    run = world.run(kv);
    await world.live(2);
    expect(await world.finish(5_000)).toBeUndefined();
    expect(world.began.map((rows) => rows > 0)).toEqual([false, true, true]);
    await run.stop();
  });
});

it("I12: state on disk that is ahead of what the log has, as of a copy that was put back, is not believed", async () => {
  const kv = new SimKv();
  const before = new World(12);
  const run = before.run(kv);
  await before.live(3);
  await run.stop();
  const after = new World(13);
  const again = after.run(kv);
  after.append(5);
  expect(await after.finish(5_000)).toBeUndefined();
  expect(after.objections).toEqual(["the state on disk cannot be used: it is ahead of what the task has committed"]);
  await again.stop();
});
