/** Driving a task: poison is replaced at its own place, and what is no poison is not taken for it. */
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import { Task } from "../../src/operators/engine/task.ts";
import type { TaskInput, TaskOutput } from "../../src/operators/engine/task-input.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { TaskDriver } from "../../src/runtime/task-driver.ts";
import { APPS } from "./apps.ts";

const LETTERS = { stream: "dead", app: "counts", task: "0.0" };

function input(position: number, n: number): TaskInput {
  const value = utf8(JSON.stringify({ key: "a", n }));
  return { source: "in", offset: position, place: { position, ordinal: 0, index: 0 }, value, logTime: position };
}

describe("driving a task", () => {
  const [stage] = APPS.counts.make().build().stages;

  it("puts a dead letter where the poison was", () => {
    const outputs: TaskOutput[] = [];
    const task = new Task(stage as Stage, 0, new MemoryStore());
    const driver = new TaskDriver(task, LETTERS, (batch) => outputs.push(...batch.outputs));
    for (const [place, n] of [1, -1, 1].entries()) expect(driver.process(input(place + 1, n)).ok).toBe(true);
    driver.take();
    expect(outputs.map(({ stream }) => stream)).toEqual(["out", "copies", "dead", "out", "copies", "copies"]);
    expect(driver.poisoned).toBe(1);
  });

  it("hands poison on, if nothing is to go out in its place", () => {
    const driver = new TaskDriver(new Task(stage as Stage, 0, new MemoryStore()), undefined, () => undefined);
    expect(driver.process(input(1, -1))).toMatchObject({ ok: false, error: { at: { kind: "record", offset: 1 } } });
  });

  it("fails where what is passed over fails all the same: that is not the operators' doing", () => {
    const rows = new MemoryStore();
    let broken = false;
    const store = {
      get: (key: Uint8Array) =>
        broken ? ([rows.get(key), Math.random()][0] as Uint8Array | undefined) : rows.get(key),
      put: (key: Uint8Array, value: Uint8Array) => rows.put(key, value),
      delete: (key: Uint8Array) => rows.delete(key),
      range: (from: Uint8Array, to: Uint8Array) => rows.range(from, to),
    };
    const driver = new TaskDriver(new Task(stage as Stage, 0, store), LETTERS, () => undefined);
    expect(driver.process(input(1, 1)).ok).toBe(true);
    // It looks at what callbacks may not look at, as a store's own timers do.
    broken = true;
    let thrown: unknown;
    try {
      // The 1,024th record is digested, for which rows are read, whatever becomes of the record.
      for (let position = 2; position < 2_000; position += 1) driver.process(input(position, 1));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ message: "what was passed over as poison fails all the same" });
  });
});
