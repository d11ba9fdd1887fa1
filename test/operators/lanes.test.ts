/**
 * What a repartition's reader waits for: each task that writes to it, as far as the app's own input has come there. Whoever of them stands still, is behind or
 * is replayed first changes nothing of what is late.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TopologyDriver } from "../../client/testing/topology-driver.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { topology, type Topology, type TopologyOptions } from "../../src/operators/build/topology.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import { Task } from "../../src/operators/engine/task.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import { queued, type Told } from "../../src/operators/engine/told.ts";
import { OPERATOR_LIMITS } from "../../src/operators/limits.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { ROWS_FROM, ROWS_TO } from "../../src/operators/state/row-keys.ts";
import { tumbling } from "../../src/operators/windows/window.ts";

const IDLE_MS = 2_000;
/** After which tasks tell that log time has passed. */
const MARK_MS = OPERATOR_LIMITS.laneMarkEveryMsMin;
const READ = "apps/lanes/repartition-1";

/** Counts each second's records over two partitions. Values are event times. */
function counting(options: TopologyOptions = {}): Topology {
  const app = topology("lanes", options);
  app
    .stream("in", { partitions: 2, timestamp: (value) => value as number, idleMs: IDLE_MS })
    .groupBy(() => "all")
    .window(tumbling({ sizeMs: 1_000 }))
    .count()
    .to("out");
  return app;
}

type Stages = readonly [Stage, Stage];
const STAGES = counting().build().stages as unknown as Stages;

/** What came of each record, and of the time until the next: each part was one commit. */
function written(
  partition: number,
  times: readonly number[],
  until: number,
  [writing]: Stages = STAGES,
): (readonly TaskOutput[])[] {
  const task = new Task(writing, partition, new MemoryStore());
  const parts = times.map((time, offset) => {
    expect(task.advance(time).ok).toBe(true);
    const place = { position: offset + 1, ordinal: partition, index: 0 };
    expect(task.process({ source: "in", offset, place, logTime: time, value: utf8(String(time)) }).ok).toBe(true);
    return task.take().outputs;
  });
  expect(task.advance(until).ok).toBe(true);
  return [...parts, task.take().outputs];
}

/** The task that has the one key. */
class Reader {
  readonly #outputs: TaskOutput[] = [];
  readonly #stream: string;
  readonly #stage: Stage;
  readonly #partition: number;
  #store = new MemoryStore();
  #task: Task;
  #offset = 0;
  /** Nobody can have written them before. */
  #logTime = 100_000;

  constructor(lanes: readonly (readonly (readonly TaskOutput[])[])[], [, reading]: Stages = STAGES) {
    const [first] = lanes.flat(2).filter(({ key }) => key !== undefined);
    this.#stream = first?.stream ?? "";
    this.#stage = reading;
    this.#partition = this.#stream === `${READ}/0` ? 0 : 1;
    this.#task = new Task(reading, this.#partition, this.#store);
  }

  get task(): Task {
    return this.#task;
  }

  /** One commit after another, at a log time that goes on by `everyMs`. */
  read(parts: readonly (readonly TaskOutput[])[], everyMs = 1): void {
    for (const part of parts) {
      this.pass(everyMs);
      for (const { stream, ...record } of part) {
        if (stream !== this.#stream) continue;
        const place = { position: this.#offset + 1, ordinal: 0, index: 0 };
        const input = { ...record, source: READ, offset: this.#offset, place, logTime: this.#logTime };
        expect(this.#task.process(input).ok).toBe(true);
        this.#offset += 1;
      }
    }
    this.#take();
  }

  pass(ms: number): void {
    this.#logTime += ms;
    expect(this.#task.advance(this.#logTime).ok).toBe(true);
  }

  /** Its rows are in another store from now on, and it is another task. */
  move(): void {
    this.#take();
    const copy = new MemoryStore();
    for (const [key, value] of this.#store.range(ROWS_FROM, ROWS_TO)) copy.put(key, value);
    this.#store = copy;
    this.#task = new Task(this.#stage, this.#partition, copy);
  }

  /** Where each window starts, and its count. */
  get counts(): readonly (readonly [number, number])[] {
    this.#take();
    return this.#outputs.map(({ value }) => {
      const { start, value: count } = JSON.parse(text(value as Uint8Array) ?? "") as { start: number; value: number };
      return [start, count] as const;
    });
  }

  #take(): void {
    this.#outputs.push(...this.#task.take().outputs);
  }
}

function every(ms: number, from: number, to: number): number[] {
  return Array.from({ length: Math.ceil((to - from) / ms) }, (_, n) => from + n * ms);
}

describe("no record is late", () => {
  it("because the app stood still, after which one task goes on before another does", () => {
    const lanes = [0, 1].map((partition) => written(partition, every(100, 0, 20_000), 20_000));
    const reader = new Reader(lanes);
    for (const lane of lanes) reader.read(lane.slice(0, 50));
    reader.pass(1_000_000);
    for (const lane of lanes) reader.read(lane.slice(50));
    expect(reader.task.counters.late).toBe(0);
    expect(reader.counts).toEqual(every(1_000, 0, 19_000).map((start) => [start, 20]));
  });

  it("because an app that closes windows by silence stood still", () => {
    const stages = counting({ silence: "advance" }).build().stages as unknown as Stages;
    const lanes = [0, 1].map((partition) => written(partition, every(100, 0, 20_000), 30_000, stages));
    const reader = new Reader(lanes, stages);
    for (const lane of lanes) reader.read(lane.slice(0, 50));
    reader.pass(1_000_000);
    for (const lane of lanes) reader.read(lane.slice(50));
    expect(reader.task.counters.late).toBe(0);
    expect(reader.counts).toEqual(every(1_000, 0, 20_000).map((start) => [start, 20]));
  });

  it("in a replay of what has a gap, and the same comes out, whichever task is first and however far", () => {
    const [end, until] = [90_000, 100_000];
    const times = [every(500, 0, end), [...every(500, 0, 10_000), ...every(500, 60_000, end)]] as const;
    const lanes = times.map((own, partition) => written(partition, own, until));
    const expected = every(1_000, 0, end - 1_000).map((start) => [start, start >= 10_000 && start < 60_000 ? 2 : 4]);
    const turns = fc.array(fc.tuple(fc.nat(1), fc.integer({ min: 1, max: 60 }), fc.nat(3_000)), { maxLength: 10 });
    fc.assert(
      fc.property(fc.nat(1), turns, (last, some) => {
        const reader = new Reader(lanes);
        const left = lanes.map((parts) => [...parts]);
        for (const [lane, count, ms] of [...some, [1 - last, Infinity, 0] as const, [last, Infinity, 0] as const]) {
          reader.pass(ms);
          reader.read(left[lane]?.splice(0, count) ?? []);
          reader.move();
        }
        expect(reader.task.counters.late).toBe(0);
        expect(reader.counts).toEqual(expected);
      }),
      { numRuns: 5 },
    );
  });
});

describe("windows close", () => {
  it("by silence, as their task tells that it passes", () => {
    const app = topology("silence", { silence: "advance" });
    app
      .stream("in", { timestamp: (value) => value as number, idleMs: IDLE_MS })
      .repartition({ partitions: 1 })
      .groupByKey()
      .window(tumbling({ sizeMs: 1_000 }))
      .count()
      .to("out");
    const driver = new TopologyDriver(app);
    for (const time of every(100, 0, 3_000)) {
      driver.write("in", time);
      driver.advance(100);
    }
    driver.advance(IDLE_MS);
    expect(driver.read("out")).toHaveLength(2);
    driver.advance(2 * MARK_MS);
    expect(driver.read("out")).toHaveLength(1);
    driver.checkDeterminism();
  });

  it("behind one repartition and another, and where another source is idle", () => {
    const app = topology("chain");
    const source = { timestamp: (value: unknown) => value as number, idleMs: IDLE_MS };
    const tens = app
      .stream("in", { ...source, partitions: 2 })
      .groupBy(() => "all")
      .window(tumbling({ sizeMs: 100 }))
      .count()
      .repartition({ partitions: 1 })
      .map(({ value }) => value);
    tens
      .merge(app.stream("other", source).map(() => 1))
      .groupBy(() => "all")
      .window(tumbling({ sizeMs: 1_000 }))
      .count()
      .to("out");
    const driver = new TopologyDriver(app);
    driver.write("other", 0);
    for (const time of every(50, 0, 30_000)) {
      driver.write(`in/${time % 100 === 0 ? 0 : 1}`, time);
      driver.advance(50);
    }
    const results = driver.read("out").map(({ value }) => value as { readonly start: number; readonly value: number });
    const last = 30_000 - IDLE_MS - 3 * MARK_MS;
    expect(results.slice(0, last / 1_000).map(({ start, value }) => [start, value])).toEqual(
      every(1_000, 0, last).map((start) => [start, start === 0 ? 11 : 10]),
    );
    expect(driver.counted("late")).toBe(0);
    driver.checkDeterminism();
  });

  it.each([
    ["has no record any more", 1],
    ["never had one", 0],
  ])("where a partition %s", (_, first) => {
    const driver = new TopologyDriver(counting());
    for (const time of every(100, 0, 20_000)) {
      driver.write("in/0", time);
      if (time < first * 1_000) driver.write("in/1", time);
      driver.advance(100);
    }
    const last = 20_000 - IDLE_MS - 2 * MARK_MS;
    const starts = driver.read("out").map(({ value }) => (value as { readonly start: number }).start);
    expect(starts.slice(0, last / 1_000)).toEqual(every(1_000, 0, last));
    expect(driver.counted("late")).toBe(0);
    driver.checkDeterminism();
  });
});

describe("marks", () => {
  const marked = (options: TopologyOptions & { readonly partitions: number }): number => {
    const { partitions, ...others } = options;
    const app = topology("marks", others);
    app.stream("in", { partitions, idleMs: IDLE_MS }).repartition({ partitions: 1 }).to("out");
    const [stage] = app.build().stages as [Stage];
    const task = new Task(stage, 0, new MemoryStore());
    const place = { position: 1, ordinal: 0, index: 0 };
    expect(task.process({ source: "in", offset: 0, place, logTime: 0, value: utf8("1") }).ok).toBe(true);
    task.take();
    expect(task.advance(60_001).ok).toBe(true);
    return task.take().outputs.length;
  };

  it("go on while there is nothing to tell, only where somebody waits for several", () => {
    expect(marked({ partitions: 2 })).toBe(60_000 / MARK_MS);
    expect(marked({ partitions: 1 })).toBe(0);
    expect(marked({ partitions: 1, silence: "advance" })).toBeGreaterThanOrEqual(60_000 / MARK_MS);
  });
});

describe("what one task tells beyond the others", () => {
  const told: fc.Arbitrary<readonly Told[]> = fc
    .array(fc.tuple(fc.nat(3), fc.nat(3), fc.boolean()), { maxLength: 200 })
    .map((steps) => {
      let [inputTime, bound] = [0, 0];
      return steps.map(([ms, more, idle]) => {
        inputTime += ms;
        bound += more;
        return { inputTime, bound, idle };
      });
    });

  it("is bounded, told whole at its end, and never more than was told (I15)", () => {
    fc.assert(
      fc.property(told, (all) => {
        let kept: readonly Told[] = [];
        for (const one of all) {
          kept = queued(kept, one);
          expect(kept.length).toBeLessThanOrEqual(OPERATOR_LIMITS.toldWaitingMax);
        }
        expect(kept.at(-1)).toEqual(all.at(-1));
        for (const { inputTime } of all) {
          const asOf = (list: readonly Told[]) => list.findLast((one) => one.inputTime <= inputTime);
          const [whole, thin] = [asOf(all) as Told, asOf(kept)];
          expect(thin?.bound ?? -Infinity).toBeLessThanOrEqual(whole.bound);
          expect(whole.idle || thin?.idle !== true).toBe(true);
        }
      }),
    );
  });
});
