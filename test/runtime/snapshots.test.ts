/** Snapshots: the rows as they were at a digest point, written while the task goes on, and got back or not at all (I10, I12). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { topology } from "../../src/operators/build/topology.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import { Task, type TaskCapture } from "../../src/operators/engine/task.ts";
import type { TaskInput } from "../../src/operators/engine/task-input.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import type { StateStore } from "../../src/operators/state/state-store.ts";
import { THREADED_ZSTD } from "../../log-server/system.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import { compareRecordPlaces } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import { KvTarget } from "../../src/runtime/snapshots/kv-target.ts";
import { SNAPSHOT_LIMITS } from "../../src/runtime/snapshots/limits.ts";
import { firstNeeded, type Manifest } from "../../src/runtime/snapshots/manifest.ts";
import { MemoryTarget } from "../../src/runtime/snapshots/memory-target.ts";
import { restore, type RestoreOutcome, type RestoreProgress } from "../../src/runtime/snapshots/restore.ts";
import { SnapshotWriter } from "../../src/runtime/snapshots/snapshot-writer.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { nodeZstd } from "../record/node-zstd.ts";
import { ANYWHERE, INSTANT, inputOf, MemorySnapshots, shown, SMALL_SIZES, stage, type Step } from "./snapshot-world.ts";

const STAGE: Stage = stage();
const POINT_MS = 10_000;
const BORN = 3;

const covered = (): Promise<boolean> => Promise.resolve(true);

/** One running copy, which can be started again from what there is. */
class Copy {
  readonly #stream: MemorySnapshots;
  readonly #zstd: Zstd;
  readonly #replica: string;
  store: StateStore = new MemoryStore();
  task = new Task(STAGE, 0, this.store);
  writer: SnapshotWriter;

  constructor(stream: MemorySnapshots, replica = "r", zstd: Zstd = nodeZstd) {
    this.#stream = stream;
    this.#zstd = zstd;
    this.#replica = replica;
    this.writer = this.#newWriter();
    this.task.trackChanges();
  }

  #newWriter(): SnapshotWriter {
    return new SnapshotWriter(this.#stream, this.#zstd, INSTANT, {
      born: BORN,
      replica: this.#replica,
      restRatio: 3,
      sizes: SMALL_SIZES,
    });
  }

  process(n: number, logTime: number, step: Step): void {
    expect(this.task.process(inputOf(n, logTime, step)).ok).toBe(true);
  }

  advance(logTime: number): void {
    expect(this.task.advance(logTime).ok).toBe(true);
  }

  /** The capture at a digest point at this log time; whether there is one, the input decides. */
  capture(logTime: number): TaskCapture | undefined {
    this.task.requestCapture();
    this.advance(logTime);
    return this.task.take().captures[0];
  }

  /** What was asked for earlier comes too late. */
  take(): void {
    for (const capture of this.task.take().captures) this.task.settle(capture, false);
  }

  async restart(): Promise<RestoreOutcome<MemoryStore>> {
    const outcome = await restored(this.#stream);
    this.store = outcome.restored?.store ?? new MemoryStore();
    this.task = new Task(STAGE, 0, this.store, outcome.restored?.totals);
    this.task.trackChanges();
    this.writer = this.#newWriter();
    return outcome;
  }
}

/** Two copies at the same place, each captured there, with one stream. `zstd`: of the first. */
function several(zstd: Zstd = nodeZstd): {
  readonly stream: MemorySnapshots;
  readonly copies: readonly Copy[];
  readonly captures: readonly TaskCapture[];
} {
  const stream = new MemorySnapshots();
  const copies = [new Copy(stream, "first", zstd), new Copy(stream, "second")];
  for (const copy of copies)
    for (let n = 1; n <= 90; n += 1) copy.process(n, 1, { key: n, field: 0, text: "x", timer: false });
  return { stream, copies, captures: copies.map((copy) => copy.capture(POINT_MS) as TaskCapture) };
}

function restored(stream: MemorySnapshots, committed: TaskPlace = ANYWHERE): Promise<RestoreOutcome<MemoryStore>> {
  return restore(stream, nodeZstd, new MemoryTarget(INSTANT), { born: BORN, committed });
}

const step: fc.Arbitrary<Step> = fc.record({
  key: fc.nat(7),
  field: fc.nat(3),
  text: fc.option(fc.string({ maxLength: 60 }), { freq: 4 }),
  timer: fc.boolean(),
});
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("records" as const), steps: fc.array(step, { maxLength: 16 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("snapshot" as const),
      by: fc.nat(1),
      during: fc.array(step, { maxLength: 6 }),
      failsAt: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, 0, 1, 3, 6),
      deletedAt: fc.oneof(
        { weight: 39, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fc.constantFrom(0, 1, 3, 6, "committed" as const) },
      ),
      covered: fc.constantFrom(true, true, true, true, true, false),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), who: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("damage" as const), at: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "delete" as const }) },
);

describe("snapshots", () => {
  it("give back the rows of their point, whatever happened before, meanwhile and since (I10)", async () => {
    let usable = 0;
    let deltasRead = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 8, maxLength: 30, size: "max" }), async (actions) => {
        const stream = new MemorySnapshots();
        const straight = new Task(STAGE, 0, new MemoryStore());
        const copies = [new Copy(stream), new Copy(stream)];
        const log: { n: number; logTime: number; step: Step }[] = [];
        /** By digest, the rows that a snapshot must give. */
        const truth = new Map<bigint, string[]>();
        let damaged = false;
        let logTime = 1;
        const write = (step: Step): void => {
          logTime += 100;
          const entry = { n: log.length + 1, logTime, step };
          log.push(entry);
          for (const copy of copies) copy.process(entry.n, entry.logTime, entry.step);
          expect(straight.process(inputOf(entry.n, entry.logTime, entry.step)).ok).toBe(true);
        };
        for (let key = 8; key < 80; key += 1) write({ key, field: 0, text: "it was there before", timer: false });
        for (const action of actions) {
          if (action.kind === "records") {
            action.steps.forEach(write);
            for (const copy of copies) copy.take();
          } else if (action.kind === "restart") {
            const copy = copies[action.who] as Copy;
            await copy.restart();
            // Nothing is lost with all snapshots: the input is read again.
            for (const { n, logTime, step } of log)
              if (compareRecordPlaces({ position: n, ordinal: 0, index: 0 }, copy.task.cursor) > 0)
                copy.process(n, logTime, step);
            copy.take();
          } else if (action.kind === "damage") {
            const value = stream.values[action.at % Math.max(1, stream.values.length)];
            const place = (action.at * 7) % (value?.length ?? 1);
            value?.set([(value[place] as number) ^ 0x10], place);
            damaged ||= value !== undefined;
          } else if (action.kind === "delete") {
            stream.deleteAll();
          } else {
            logTime = (Math.floor(logTime / POINT_MS) + 1) * POINT_MS;
            const copy = copies[action.by] as Copy;
            for (const other of copies) if (other !== copy) other.advance(logTime);
            for (const other of copies) other.take();
            const capture = copy.capture(logTime);
            if (capture === undefined) continue;
            if (capture.point.state !== copy.task.totals.digest) {
              // One that was restored had older points to pass.
              copy.task.settle(capture, false);
              continue;
            }
            truth.set(capture.point.state, shown(copy.store));
            let appends = 0;
            stream.onAppend = () => {
              for (const step of action.during.slice(appends * 2, appends * 2 + 2)) write(step);
              if (appends === action.failsAt) throw new Error("the log cannot be reached");
              if (appends === action.deletedAt) stream.deleteAll();
              appends += 1;
            };
            const committed = async (): Promise<boolean> => {
              if (action.deletedAt === "committed") stream.deleteAll();
              return action.covered;
            };
            const done = await copy.writer.write(capture, committed).catch(() => undefined);
            stream.onAppend = () => undefined;
            copy.task.settle(capture, done?.ok === true);
            if (done?.ok !== true) continue;
            expect(stream.first).toBeLessThanOrEqual(done.value.firstNeeded);
            const outcome = await restored(stream);
            if (!damaged) {
              expect(outcome).toMatchObject({ objections: [], restored: { manifest: { point: capture.point } } });
              const onDisk = await restore(stream, nodeZstd, new KvTarget(new SimKv(), "task", INSTANT), {
                born: BORN,
                committed: ANYWHERE,
              });
              expect(shown(onDisk.restored?.store as StateStore)).toEqual(truth.get(capture.point.state));
            }
            if (outcome.restored === undefined) continue;
            const { store, manifest } = outcome.restored;
            expect(shown(store)).toEqual(truth.get(manifest.point.state));
            usable += 1;
            if (manifest.deltas.length > 0 && manifest.slices.length > 1) deltasRead += 1;
          }
        }
        // Whatever was restored: both are as the one that never was.
        for (const task of [straight, ...copies.map(({ task }) => task)]) expect(task.advance(logTime).ok).toBe(true);
        for (const { task } of copies) expect(task.digest()).toEqual(straight.digest());
      }),
      { numRuns: 20 },
    );
    // Not vacuous.
    expect(usable).toBeGreaterThan(20);
    expect(deltasRead).toBeGreaterThan(3);
  });

  /** `count` snapshots of one task, a few rows changed between them. */
  async function taken(
    count: number,
  ): Promise<{ copy: Copy; stream: MemorySnapshots; points: number[]; logTime: number }> {
    const stream = new MemorySnapshots();
    const copy = new Copy(stream);
    const points: number[] = [];
    let n = 0;
    let logTime = 1;
    const write = (key: number): void => {
      n += 1;
      copy.process(n, logTime, { key, field: 0, text: `text ${n} of ${key}, which is not short`, timer: false });
    };
    for (let key = 0; key < 100; key += 1) write(key);
    for (let turn = 0; turn < count; turn += 1) {
      write((turn * 37) % 100);
      logTime += POINT_MS;
      const capture = copy.capture(logTime) as TaskCapture;
      const done = await copy.writer.write(capture, covered);
      copy.task.settle(capture, done.ok);
      expect(done.ok).toBe(true);
      points.push(capture.point.records);
    }
    return { copy, stream, points, logTime };
  }

  it("take no more room than about twice the state, and little for little that changed", async () => {
    const { stream } = await taken(60);
    const whole = await taken(1);
    expect(stream.first).toBeGreaterThan(0);
    expect(stream.bytes).toBeLessThan(3 * whole.stream.bytes);
    const outcome = await restored(stream);
    const { deltas = [], slices = [] } = outcome.restored?.manifest ?? {};
    expect(deltas.length).toBeGreaterThan(2);
    expect(deltas.length).toBeLessThan(20);
    expect(new Set(slices.map(({ offset }) => offset)).size).toBe(slices.length);
  });

  it("that are damaged or have lost a part are passed over, and it is said why", async () => {
    const { stream, points } = await taken(12);
    stream.pace = () => new Promise((resolve) => setImmediate(resolve));
    const sound = stream.values.map((value) => value.slice());
    const objections = new Set<string>();
    for (const place of sound.keys()) {
      stream.values = sound.map((value) => value.slice());
      (stream.values[place] as Uint8Array).set([0x5a], 5);
      const outcome = await restored(stream);
      const at = points.indexOf(outcome.restored?.manifest.point.records ?? -1);
      // Itself, the one before it, or none: the parts that both need.
      expect([-1, 10, 11]).toContain(at);
      if (at !== 11) expect(outcome.objections.length).toBeGreaterThan(0);
      for (const objection of outcome.objections) objections.add(objection.replaceAll(/\d+/g, "N"));
    }
    expect([...objections].join("\n")).toContain("the snapshot at offset N cannot be used: ");
    // What was fetched ahead for one that cannot be used is awaited before the next is read.
    expect(stream.readers).toBe(1);
    stream.values = sound;
    const { manifest } = (await restored(stream)).restored ?? {};
    await stream.trim(firstNeeded(manifest as Manifest, stream.next) + 1, stream.incarnation);
    expect((await restored(stream)).objections[0]).toContain("it is missing");
  });

  it("ahead of the task's commits are not taken: the outputs in between would be nobody's (I12)", async () => {
    const { stream, points } = await taken(3);
    const newest = (await restored(stream)).restored?.manifest as Manifest;
    const { cursor, outputs } = newest.place;
    expect((await restored(stream, newest.place)).restored?.manifest).toEqual(newest);
    // Nor by a record alone, of which nothing came out: another version's code may make something of it.
    const before = { ...cursor, position: cursor.position - 1 };
    for (const committed of [
      { cursor, outputs: outputs - 1 },
      { cursor: before, outputs },
    ]) {
      const behind = await restored(stream, committed);
      expect(behind.restored?.manifest.point.records).toBe(points[1]);
      expect(behind.objections).toEqual([expect.stringContaining("ahead of what the task has committed")]);
    }
  });

  it("are not finished before a commit covers their place", async () => {
    const { copy, stream, logTime } = await taken(1);
    copy.process(102, logTime, { key: 1, field: 1, text: "more", timer: false });
    const capture = copy.capture(logTime + POINT_MS) as TaskCapture;
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<boolean>();
    const writing = copy.writer.write(capture, () => {
      asked.resolve();
      return answer.promise;
    });
    await asked.promise;
    expect((await restored(stream)).restored?.manifest.point.records).toBe(101);
    answer.resolve(true);
    await writing;
    expect((await restored(stream)).restored?.manifest.point).toEqual(capture.point);
  });

  it("of a time before the app was reset are nobody's any more", async () => {
    const { stream } = await taken(2);
    const options = { born: BORN + 1, committed: ANYWHERE };
    const outcome = await restore(stream, nodeZstd, new MemoryTarget(INSTANT), options);
    expect(outcome.restored).toBeUndefined();
    expect(outcome.objections[0]).toContain("before the app was reset");
  });

  it("that nobody has confirmed are used only if they are of who commits", async () => {
    const { stream } = await taken(2);
    const options = { born: BORN, committed: ANYWHERE, writer: "another" };
    const outcome = await restore(stream, nodeZstd, new MemoryTarget(INSTANT), options);
    expect(outcome.restored).toBeUndefined();
    expect(outcome.objections[0]).toContain("nobody has confirmed it");
    const own = await restored(stream);
    const verified = own.restored?.offset as number;
    const confirmed = await restore(stream, nodeZstd, new MemoryTarget(INSTANT), { ...options, verified });
    expect(confirmed.restored?.offset).toBe(verified);
  });

  it("are compressed on another thread, where there is one", async () => {
    const stream = new MemorySnapshots();
    const compress = (): never => {
      throw new Error("this takes long");
    };
    const copy = new Copy(stream, "r", { ...THREADED_ZSTD, compress });
    for (let n = 1; n <= 90; n += 1) copy.process(n, 1, { key: n, field: 0, text: "x", timer: false });
    expect((await copy.writer.write(copy.capture(POINT_MS) as TaskCapture, covered)).ok).toBe(true);
    expect(shown((await restored(stream)).restored?.store as StateStore)).toEqual(shown(copy.store));
  });

  it("that a newer one has overtaken are not finished", async () => {
    const { copy, stream, logTime } = await taken(1);
    const slow = new Copy(stream);
    for (let n = 1; n <= 90; n += 1) slow.process(n, 1, { key: n, field: 0, text: "x", timer: false });
    const capture = slow.capture(POINT_MS) as TaskCapture;
    expect(await slow.writer.write(capture, covered)).toEqual({ ok: false, error: "overtaken" });
    expect(logTime).toBeGreaterThan(POINT_MS);
    expect(copy.task.place.cursor.position).toBe(101);
  });

  it("that a newer one has overtaken while they were written are none: its writer would have to write everything again", async () => {
    const stream = new MemorySnapshots();
    const [slow, quick] = [new Copy(stream, "slow"), new Copy(stream, "quick")];
    for (const copy of [slow, quick])
      for (let n = 1; n <= 90; n += 1) copy.process(n, 1, { key: n, field: 0, text: "x", timer: false });
    const early = slow.capture(POINT_MS) as TaskCapture;
    quick.advance(POINT_MS);
    quick.process(91, POINT_MS + 1, { key: 91, field: 0, text: "x", timer: false });
    const late = quick.capture(2 * POINT_MS) as TaskCapture;
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<boolean>();
    const writing = slow.writer.write(early, () => {
      asked.resolve();
      return answer.promise;
    });
    await asked.promise;
    expect((await quick.writer.write(late, covered)).ok).toBe(true);
    answer.resolve(true);
    expect(await writing).toEqual({ ok: false, error: "overtaken" });
    expect((await restored(stream)).restored?.manifest).toMatchObject({
      replica: "quick",
      point: late.point,
    });
  });

  it("are begun by several at once, and one goes on: each would write all of the state", async () => {
    const { stream, captures, copies } = several();
    const written = await Promise.all(
      copies.map(({ writer }, at) => writer.write(captures[at] as TaskCapture, covered)),
    );
    expect(written.map((result) => (result.ok ? "whole" : result.error)).toSorted()).toEqual(["elsewhere", "whole"]);
    const alone = several();
    await alone.copies[0]?.writer.write(alone.captures[0] as TaskCapture, covered);
    expect(stream.next).toBe(alone.stream.next + 1);
    expect((await restored(stream)).restored?.manifest.point).toEqual(captures[0]?.point);
  });

  it("are seen while another writes them, and no more once nothing is added to them", async () => {
    const { captures, copies } = several();
    const [first, second] = copies as [Copy, Copy];
    const never = Promise.withResolvers<boolean>();
    expect(await second.writer.look()).toBeUndefined();
    const asked = Promise.withResolvers<void>();
    void first.writer.write(captures[0] as TaskCapture, () => {
      asked.resolve();
      return never.promise;
    });
    await asked.promise;
    expect(await second.writer.look()).toBe("elsewhere");
    expect(await second.writer.look()).toBeUndefined();
    expect((await second.writer.write(captures[1] as TaskCapture, covered)).ok).toBe(true);
    expect(await first.writer.look()).toMatchObject({ manifest: { replica: "second" } });
  });

  it("are appended without waiting for each piece, and with few of them under way (I15)", async () => {
    const { stream, captures, copies } = several();
    const append = stream.append.bind(stream);
    let underWay = 0;
    let most = 0;
    stream.append = async (values) => {
      const first = await append(values);
      underWay += 1;
      most = Math.max(most, underWay);
      // As many turns as it takes whoever does not wait.
      for (let turn = 0; turn < 1_000; turn += 1) await Promise.resolve();
      underWay -= 1;
      return first;
    };
    expect((await copies[0]?.writer.write(captures[0] as TaskCapture, covered))?.ok).toBe(true);
    expect(most).toBe(SNAPSHOT_LIMITS.piecesUnderWayMax);
    expect((await restored(stream)).restored?.manifest.point).toEqual(captures[0]?.point);
  });

  it("of which a piece could not be appended are none", async () => {
    const { stream, captures, copies } = several();
    stream.onAppend = () => {
      if (stream.next === 5) throw new Error("the log cannot be reached");
    };
    await expect(copies[0]?.writer.write(captures[0] as TaskCapture, covered)).rejects.toThrow("cannot be reached");
    expect((await restored(stream)).restored).toBeUndefined();
  });

  it("whose stream is deleted while they are written are none, and none stands on them", async () => {
    const { stream, captures, copies } = several();
    const [first, second] = captures as [TaskCapture, TaskCapture];
    const deleting = async (): Promise<boolean> => {
      stream.deleteAll();
      return true;
    };
    expect(await copies[0]?.writer.write(first, deleting)).toEqual({ ok: false, error: "deleted" });
    expect(stream.values).toEqual([]);
    // Only the manifest comes later.
    let pieces = -1;
    const counting = async (): Promise<boolean> => {
      pieces = stream.next;
      return true;
    };
    stream.onAppend = () => {
      if (stream.next === pieces) stream.deleteAll();
    };
    expect(await copies[1]?.writer.write(second, counting)).toEqual({ ok: false, error: "deleted" });
    stream.onAppend = () => undefined;
    expect((await copies[1]?.writer.write(second, covered))?.ok).toBe(true);
    expect((await restored(stream)).restored?.manifest.point).toEqual(second.point);
  });

  it("of which it is not known in which stream the manifest stands are nothing for another to stand on", async () => {
    const stream = new MemorySnapshots();
    const copy = new Copy(stream);
    for (let n = 1; n <= 90; n += 1) copy.process(n, 1, { key: n, field: 0, text: "x", timer: false });
    const take = (round: number): TaskCapture => {
      copy.process(90 + round, (round - 1) * POINT_MS + 1, { key: 1, field: round, text: "y", timer: false });
      return copy.capture(round * POINT_MS) as TaskCapture;
    };
    const first = take(1);
    expect((await copy.writer.write(first, covered)).ok).toBe(true);
    copy.task.settle(first, true);
    const second = take(2);
    let isManifest = false;
    stream.onAppend = () => {
      if (isManifest) stream.deleteAll();
    };
    const bounds = stream.bounds.bind(stream);
    stream.bounds = () =>
      stream.incarnation === 1 ? bounds() : Promise.reject(new Error("the log cannot be reached"));
    const last = async (): Promise<boolean> => {
      isManifest = true;
      return true;
    };
    await expect(copy.writer.write(second, last)).rejects.toThrow("cannot be reached");
    stream.onAppend = () => undefined;
    stream.bounds = bounds;
    copy.task.settle(second, false);
    const third = take(3);
    expect((await copy.writer.write(third, covered)).ok).toBe(true);
    expect((await restored(stream)).restored?.manifest.point).toEqual(third.point);
  });

  it("of which too much was replaced meanwhile leave nothing there, unless one stands before it", async () => {
    const { stream, captures, copies } = several();
    const [first, second] = captures as [TaskCapture, TaskCapture];
    stream.onAppend = () => {
      if (stream.next === 12) first.rows.close();
    };
    expect(await copies[0]?.writer.write(first, covered)).toEqual({ ok: false, error: "lost" });
    expect([stream.values, stream.first > 12]).toEqual([[], true]);
    stream.onAppend = () => undefined;
    expect((await copies[1]?.writer.write(second, covered))?.ok).toBe(true);
    const [copy] = copies as [Copy];
    copy.task.settle(first, false);
    copy.process(91, POINT_MS, { key: 1, field: 0, text: "y", timer: false });
    const third = copy.capture(2 * POINT_MS) as TaskCapture;
    stream.onAppend = () => third.rows.close();
    expect(await copy.writer.write(third, covered)).toEqual({ ok: false, error: "lost" });
    expect((await restored(stream)).restored?.manifest.point).toEqual(second.point);
  });

  it("of which too much was replaced meanwhile take nothing along that another has written among them", async () => {
    let pieces = 0;
    const held = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const compressAside: Zstd["compressAside"] = async (bytes) => {
      pieces += 1;
      if (pieces > 5) {
        held.resolve();
        await released.promise;
      }
      return nodeZstd.compress(bytes);
    };
    const { stream, captures, copies } = several({ ...nodeZstd, compressAside });
    const [first, second] = captures as [TaskCapture, TaskCapture];
    const writing = copies[0]?.writer.write(first, covered);
    // It stands still, and the other one takes it for abandoned.
    await held.promise;
    expect((await copies[1]?.writer.write(second, covered))?.ok).toBe(true);
    first.rows.close();
    released.resolve();
    expect(await writing).toEqual({ ok: false, error: "lost" });
    expect((await restored(stream)).restored?.manifest).toMatchObject({ replica: "second", point: second.point });
  });

  it("of which too much was replaced meanwhile take nothing out of a stream that was made anew", async () => {
    const { stream, captures, copies } = several();
    const [first, second] = captures as [TaskCapture, TaskCapture];
    const append = stream.append.bind(stream);
    stream.append = async (values) => {
      const offset = await append(values);
      stream.append = append;
      stream.deleteAll();
      expect((await copies[1]?.writer.write(second, covered))?.ok).toBe(true);
      first.rows.close();
      // Whoever asks for them makes it anew, too, where its app is deleted.
      stream.bounds = () => Promise.reject(new Error("nobody is to ask"));
      return offset;
    };
    const bounds = stream.bounds.bind(stream);
    expect(await copies[0]?.writer.write(first, covered)).toEqual({ ok: false, error: "lost" });
    stream.bounds = bounds;
    expect((await restored(stream)).restored?.manifest).toMatchObject({ replica: "second", point: second.point });
  });

  it("tell how far a restore has come, and stand rows of any size", async () => {
    const stream = new MemorySnapshots();
    const copy = new Copy(stream);
    let noise = 1;
    const long = Array.from({ length: 2_200_000 }, () => {
      noise = (noise * 48_271) % 2_147_483_647;
      return String.fromCharCode(33 + (noise % 90));
    }).join("");
    copy.process(1, 1, { key: 1, field: 0, text: long, timer: false });
    copy.process(2, 2, { key: 2, field: 0, text: "short", timer: false });
    const capture = copy.capture(POINT_MS) as TaskCapture;
    expect((await copy.writer.write(capture, covered)).ok).toBe(true);
    expect(Math.max(...stream.values.map(({ length }) => length))).toBeLessThan(1024 * 1024 + 16);
    const seen: RestoreProgress[] = [];
    const options = { born: BORN, committed: ANYWHERE, onProgress: (at: RestoreProgress) => seen.push(at) };
    const outcome = await restore(stream, nodeZstd, new MemoryTarget(INSTANT), options);
    expect(outcome.restored?.totals).toEqual(copy.task.totals);
    expect(seen.at(-1)?.doneBytes).toBe(seen.at(-1)?.totalBytes);
    expect(seen.map(({ doneBytes }) => doneBytes)).toEqual(
      seen.map(({ doneBytes }) => doneBytes).toSorted((a, b) => a - b),
    );
  });

  it("of an input that was poison are not made: its digest point comes again, and may be another", () => {
    const app = topology("poison");
    app
      .stream("in")
      .process({
        *onRecord(value) {
          if (value === "poison") throw new Error("no");
          yield value;
        },
      })
      .to("out");
    const task = new Task(app.build().stages[0] as Stage, 0, new MemoryStore());
    const record = (n: number, logTime: number, value: string): TaskInput => ({
      ...inputOf(n, logTime, { key: 0, field: 0, text: null, timer: false }),
      value: utf8(JSON.stringify(value)),
    });
    expect(task.process(record(1, 1, "a")).ok).toBe(true);
    task.requestCapture();
    expect(task.process(record(2, POINT_MS + 1, "poison")).ok).toBe(false);
    expect(task.take().captures).toEqual([]);
    expect(task.process(record(2, POINT_MS + 1, "b")).ok).toBe(true);
    const { captures, digests } = task.take();
    expect(captures.map(({ point }) => point)).toEqual(digests);
    expect(captures[0]?.point.records).toBe(1);
  });
});
