/** Driving a task: in parts that are bounded, with poison replaced at its own place; what is no poison is not taken for it. */
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { topology } from "../../src/operators/build/topology.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import { Task, type TaskBatch } from "../../src/operators/engine/task.ts";
import type { TaskInput } from "../../src/operators/engine/task-input.ts";
import { OPERATOR_LIMITS } from "../../src/operators/limits.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { deadLetter } from "../../src/runtime/dead-letter.ts";
import { RUNTIME_LIMITS } from "../../src/runtime/limits.ts";
import { TaskDriver } from "../../src/runtime/task-driver.ts";
import { APPS } from "./apps.ts";

const LETTERS = { stream: "dead", app: "counts", task: "0.0" };

function input(position: number, n: number): TaskInput {
  const value = utf8(JSON.stringify({ key: "a", n }));
  return { source: "in", offset: position, place: { position, ordinal: 0, index: 0 }, value, logTime: position };
}

function driverOf(stage: Stage, store = new MemoryStore()): { driver: TaskDriver; batches: TaskBatch[] } {
  const batches: TaskBatch[] = [];
  const task = new Task(stage, 0, store, undefined, (poison, record) => deadLetter(LETTERS, poison, record));
  return { driver: new TaskDriver(task, (batch) => batches.push(batch)), batches };
}

/** In as many turns as it takes. */
function advance(driver: TaskDriver, logTime: number): number {
  for (let turns = 1; ; turns += 1) {
    const done = driver.advance(logTime);
    expect(done.ok).toBe(true);
    driver.take();
    if (done.ok && done.value) return turns;
  }
}

describe("driving a task", () => {
  const [stage] = APPS.counts.make().build().stages;

  it("puts a dead letter where the poison was", () => {
    const { driver, batches } = driverOf(stage as Stage);
    for (const [place, n] of [1, -1, 1].entries()) expect(driver.process(input(place + 1, n)).ok).toBe(true);
    driver.take();
    const streams = batches.flatMap(({ outputs }) => outputs).map(({ stream }) => stream);
    expect(streams).toEqual(["out", "copies", "dead", "out", "copies", "copies"]);
  });

  it("fails where the task does: that is not the operators' doing", () => {
    const rows = new MemoryStore();
    let broken = false;
    const store = {
      get: (key: Uint8Array) =>
        broken ? ([rows.get(key), Math.random()][0] as Uint8Array | undefined) : rows.get(key),
      put: (key: Uint8Array, value: Uint8Array) => rows.put(key, value),
      delete: (key: Uint8Array) => rows.delete(key),
      range: (from: Uint8Array, to: Uint8Array) => rows.range(from, to),
    };
    const { driver } = driverOf(stage as Stage, store as MemoryStore);
    expect(driver.process(input(1, 1)).ok).toBe(true);
    // It looks at what callbacks may not look at, as a store's own timers do.
    broken = true;
    let thrown: unknown;
    try {
      // The 1,024th record is digested, for which rows are read, whatever becomes of the record.
      for (let position = 2; position < 2_000; position += 1) {
        if (driver.full) driver.take();
        driver.process(input(position, 1));
      }
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ name: "DeterminismError" });
  });
});

describe("what is due at once", () => {
  /** At its log time, each record has so many timers fire ten times as late, with so many outputs each. */
  function timers(count: number, outputs: number): Stage {
    const app = topology("timers");
    app
      .stream("in")
      .process({
        onRecord: (_, context) => {
          for (let n = 0; n < count; n += 1) context.timers.log(10 * context.logTime, n);
          return [];
        },
        onTimer: () => Array.from({ length: outputs }, () => 1),
      })
      .to("out");
    return app.build().stages[0] as Stage;
  }

  it("takes as many turns as it needs, and none of them is long", () => {
    const count = 3 * RUNTIME_LIMITS.stepsPerTurnMax;
    const { driver, batches } = driverOf(timers(count, 1));
    expect(driver.process(input(1, 1)).ok).toBe(true);
    driver.take();
    expect(advance(driver, 1_000)).toBe(3);
    expect(batches.flatMap(({ outputs }) => outputs).length).toBe(count);
    for (const { outputs } of batches) expect(outputs.length).toBeLessThanOrEqual(RUNTIME_LIMITS.stepsPerTurnMax);
    // What was told is not done again.
    expect(driver.advance(900)).toEqual({ ok: true, value: true });
  });

  it("is bounded by what one timer may send, not by how many there are", () => {
    const { outputsPerCallMax } = OPERATOR_LIMITS;
    const { driver, batches } = driverOf(timers(3, outputsPerCallMax));
    expect(driver.process(input(1, 1)).ok).toBe(true);
    advance(driver, 1_000);
    expect(batches.map(({ outputs }) => outputs.length)).toEqual(Array.from({ length: 3 }, () => outputsPerCallMax));
  });

  it("is parted by bytes, too", () => {
    const app = topology("large");
    app
      .stream("in")
      .process({
        onRecord: (_, context) => {
          for (let n = 0; n < 10; n += 1) context.timers.log(5, n);
          return [];
        },
        onTimer: () => [new Uint8Array(RUNTIME_LIMITS.untakenBytesMax / 8)],
      })
      .to("out");
    const { driver, batches } = driverOf(app.build().stages[0] as Stage);
    expect(driver.process(input(1, 1)).ok).toBe(true);
    advance(driver, 1_000);
    expect(batches.map(({ outputs }) => outputs.length)).toEqual([8, 2]);
  });
});
