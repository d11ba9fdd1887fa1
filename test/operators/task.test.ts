/** A task: what one record brings about and in which order, what does not matter to it, and what poison leaves (I10, I12, I14). */
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { TopologyDriver } from "../../client/testing/topology-driver.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { combine } from "../../src/operators/aggregates/combine.ts";
import { fold } from "../../src/operators/aggregates/fold.ts";
import type { Stream } from "../../src/operators/build/stream.ts";
import { topology, type Topology } from "../../src/operators/build/topology.ts";
import type { Key } from "../../src/operators/encoding/key-codec.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import { chained } from "../../src/operators/engine/output-chain.ts";
import { type Instead, Task } from "../../src/operators/engine/task.ts";
import type { TaskInput, TaskOutput } from "../../src/operators/engine/task-input.ts";
import { OPERATOR_LIMITS } from "../../src/operators/limits.ts";
import { checkDeterminism } from "../../src/operators/run/check-determinism.ts";
import { listState, mapState, timeState, valueState } from "../../src/operators/state/keyed-state.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { RECORD_LIMITS } from "../../src/record/limits.ts";

type Event = { readonly n: number; readonly at?: number };

function onlyStage(app: Topology): Stage {
  const [stage, ...others] = app.build().stages;
  expect(others).toEqual([]);
  return stage as Stage;
}

function input(n: number, logTime: number, value: unknown, key = "k", source = "in"): TaskInput {
  return {
    source,
    offset: n - 1,
    place: { position: n, ordinal: 0, index: 0 },
    key: utf8(key),
    value: utf8(JSON.stringify(value)),
    logTime,
  };
}

/** Tells what happens to it, and sets whatever timers its input asks for. */
function teller(app: Topology): void {
  app
    .stream("in", {
      timestamp: (value, { logTime }) => (value as Event).at ?? logTime,
      outOfOrderMs: 10,
    })
    .process({
      *onRecord(value, { timers, key, watermark }) {
        const { event, log, n } = value as { readonly event?: number[]; readonly log?: number[]; readonly n?: number };
        yield `record ${n} of ${key}, watermark ${watermark}`;
        for (const due of event ?? []) timers.event(due, due);
        for (const due of log ?? []) timers.log(due, due);
      },
      *onTimer({ kind, due, name }, { timers, key, logTime, watermark }) {
        yield `${kind} ${due} of ${key} at log time ${logTime}, watermark ${watermark}`;
        if (kind === "event" && name === 100) timers.event(105, "child");
        if (kind === "log" && name === 50) timers.log(20, "past");
      },
    })
    .to("out");
}

const tellings = (driver: TopologyDriver) => driver.read("out").map(({ value }) => value);

describe("a task's order", () => {
  it("is log timers, the record, the watermark, event timers", () => {
    const app = topology("order");
    teller(app);
    const driver = new TopologyDriver(app);
    driver.write("in", { n: 1, at: 0, log: [50, 30], event: [100, 90, 110, 111] }, { key: "a" });
    driver.write("in", { n: 2, at: 0, event: [100] }, { key: "b" });
    driver.advance(60);
    expect(tellings(driver)).toEqual([
      "record 1 of a, watermark -Infinity",
      "record 2 of b, watermark -10",
      "log 30 of a at log time 30, watermark -10",
      "log 50 of a at log time 50, watermark -10",
      // Set for a time that had passed: at once, but time does not go back.
      "log 20 of a at log time 50, watermark -10",
    ]);
    driver.write("in", { n: 3, at: 120 }, { key: "c" });
    expect(tellings(driver)).toEqual([
      "record 3 of c, watermark -10",
      "event 90 of a at log time 60, watermark 90",
      "event 100 of a at log time 60, watermark 100",
      "event 100 of b at log time 60, watermark 100",
      // Set by timers, and in their turn.
      "event 105 of a at log time 60, watermark 105",
      "event 105 of b at log time 60, watermark 105",
      "event 110 of a at log time 60, watermark 110",
    ]);
  });

  it("is depth first, in order of building", () => {
    const app = topology("depth");
    const source = app.stream("in", { format: "text" });
    const left = source.map((value) => `${value} left`);
    const right = source.map((value) => `${value} right`);
    left.flatMap((value) => [`${value} 1`, `${value} 2`]).to("out");
    right.merge(left).to("out");
    const driver = new TopologyDriver(app);
    driver.write("in", utf8("x"));
    expect(tellings(driver)).toEqual(["x left 1", "x left 2", "x left", "x right"]);
  });

  it("fires a log timer before the first record that is later, not with one of its time", () => {
    const app = topology("strict");
    teller(app);
    const driver = new TopologyDriver(app);
    driver.write("in", { n: 1, log: [30] });
    driver.advance(30);
    driver.write("in", { n: 2 });
    driver.advance(1);
    expect(tellings(driver).map((line) => String(line).split(",")[0])).toEqual([
      "record 1 of null",
      "record 2 of null",
      "log 30 of null at log time 30",
    ]);
  });
});

describe("watermarks", () => {
  function two(silence: "wait" | "advance"): Topology {
    const app = topology("two", { silence });
    const options = { timestamp: (value: unknown) => (value as Required<Event>).at, idleMs: 1_000 };
    const left = app.stream("left", options);
    const right = app.stream("right", { ...options, idleMs: 500 });
    left
      .merge(right)
      .process({
        onRecord(value, { timers }) {
          timers.event((value as Required<Event>).n);
        },
        onTimer: ({ due }) => [due],
      })
      .to("out");
    return app;
  }

  it("are the least of the sources', which an idle one does not hold", () => {
    const driver = new TopologyDriver(two("wait"));
    driver.write("left", { n: 100, at: 100 });
    expect(driver.watermark).toBe(-Infinity);
    driver.write("right", { n: 50, at: 60 });
    expect([driver.watermark, tellings(driver)]).toEqual([60, [50]]);
    driver.advance(500);
    expect(driver.watermark).toBe(60);
    driver.advance(1);
    expect([driver.watermark, tellings(driver)]).toEqual([100, [100]]);
    driver.write("right", { n: 0, at: 70 });
    expect([driver.watermark, tellings(driver)]).toEqual([100, [0]]);
    driver.write("left", { n: 120, at: 130 });
    expect(driver.watermark).toBe(100);
    driver.advance(1_000_000);
    expect([driver.watermark, tellings(driver)]).toEqual([130, [120]]);
  });

  it("go on with log time in silence, where the topology says so", () => {
    const driver = new TopologyDriver(two("advance"));
    driver.write("left", { n: 100, at: 100 });
    driver.write("right", { n: 350, at: 60 });
    driver.advance(1_250);
    expect(tellings(driver)).toEqual([100]);
    driver.advance(1);
    expect([driver.watermark, tellings(driver)]).toEqual([350, [350]]);
    // A record sees what had passed until then, though nothing was due.
    driver.advance(500);
    driver.write("left", { n: 10_000, at: 0 });
    expect(driver.watermark).toBe(850);
  });
});

describe("poison", () => {
  const instead: Instead = ({ at: { kind } }) => ({ stream: "dead", value: utf8(kind), timestamp: 0 });
  const sent = (task: Task): unknown => task.take().outputs.map(({ value }) => text(value as Uint8Array));
  const taskOf = (poisoned: Topology) => new Task(onlyStage(poisoned), 0, new MemoryStore(), undefined, instead);

  const app = (): Topology => {
    const poisoned = topology("poison");
    const source = poisoned.stream("in", { format: "json" });
    source
      .process({
        state: { sum: valueState<number>() },
        *onRecord(value, { state, timers }) {
          state.sum.set((state.sum.get() ?? 0) + (value as number));
          yield state.sum.get();
          if (value === 13) throw new Error("unlucky");
          if (value === 7) timers.log(0);
        },
        onTimer() {
          throw new Error("no timers here");
        },
      })
      .to("out");
    return poisoned;
  };

  it("leaves nothing behind", () => {
    const task = new Task(onlyStage(app()), 0, new MemoryStore());
    expect(task.process(input(1, 5, 1)).ok).toBe(true);
    const before = task.digest();
    const poison = task.process(input(2, 6, 13));
    expect(poison).toMatchObject({
      ok: false,
      error: { operator: "process-1", error: { message: "unlucky" }, at: { kind: "record", source: "in", offset: 1 } },
    });
    expect(task.digest()).toEqual(before);
    expect(task.cursor).toEqual({ position: 1, ordinal: 0, index: 0 });
    expect(sent(task)).toEqual(["1"]);
  });

  it("is passed over, if something goes out in its place", () => {
    const task = taskOf(app());
    for (const [place, n] of [1, 13, 2].entries()) expect(task.process(input(place + 1, 5, n)).ok).toBe(true);
    expect(task.cursor).toEqual({ position: 3, ordinal: 0, index: 0 });
    expect(sent(task)).toEqual(["1", "record", "3"]);
  });

  it("may be a timer, in whose place something else goes out", () => {
    const stopped = new Task(onlyStage(app()), 0, new MemoryStore());
    expect(stopped.process(input(1, 5, 7)).ok).toBe(true);
    const poison = stopped.process(input(2, 6, 1));
    expect(poison).toMatchObject({ ok: false, error: { operator: "process-1", at: { kind: "timer" } } });
    expect(stopped.cursor.position).toBe(1);
    const task = taskOf(app());
    expect(task.process(input(1, 5, 7)).ok).toBe(true);
    expect(task.process(input(2, 6, 1)).ok).toBe(true);
    expect(sent(task)).toEqual(["7", "timer", "8"]);
  });

  it("comes out at its place, however time was told", () => {
    const told = (steps: readonly number[]): unknown => {
      const timed = topology("steps");
      timed
        .stream("in")
        .process({
          onRecord: (_, { timers }) => {
            timers.log(9_990);
            timers.log(10_005);
            return [];
          },
          onTimer({ due }) {
            if (due === 10_005) throw new Error("unlucky");
            return [due];
          },
        })
        .to("out");
      const task = taskOf(timed);
      expect(task.process(input(1, 5, 0)).ok).toBe(true);
      for (const logTime of steps) expect(task.advance(logTime).ok).toBe(true);
      const { outputs, chains, digests } = task.take();
      return [outputs, chains, digests, task.digest()];
    };
    // A digest point, with the timer still there, lies between the good one and the other.
    expect(told([20_000])).toEqual(told([9_995, 10_002, 20_000]));
  });

  it("of many timers of one instant is met once each", () => {
    const timers = 2_000;
    let fired = 0;
    const many = topology("many");
    many
      .stream("in", { timestamp: (value) => (value as Required<Event>).at })
      .process({
        onRecord: (_, context) => {
          for (let n = 0; n < timers; n += 1) context.timers.event(10, n);
          return [];
        },
        onTimer({ name }) {
          fired += 1;
          if ((name as number) % 2 === 0) throw new Error("unlucky");
          return [name];
        },
      })
      .to("out");
    const task = taskOf(many);
    expect(task.process(input(1, 5, { at: 1 })).ok).toBe(true);
    expect(task.process(input(2, 5, { at: 20 })).ok).toBe(true);
    expect(fired).toBe(timers);
    expect(sent(task)).toEqual(Array.from({ length: timers }, (_, n) => (n % 2 === 0 ? "timer" : `${n}`)));
  });

  it("is a value that is not what the source says", () => {
    const task = new Task(onlyStage(app()), 0, new MemoryStore());
    const poison = task.process({ ...input(1, 5, 1), value: utf8("{") });
    expect(poison).toMatchObject({ ok: false, error: { operator: "stream-1", error: { name: "SourceError" } } });
  });

  it("is more than one record may bring about", () => {
    const many = topology("many");
    many
      .stream("in")
      .flatMap((n) => Array.from({ length: n as number }, () => 1))
      .to("out");
    const task = new Task(onlyStage(many), 0, new MemoryStore());
    expect(task.process(input(1, 5, OPERATOR_LIMITS.outputsPerCallMax)).ok).toBe(true);
    expect(task.process(input(2, 5, OPERATOR_LIMITS.outputsPerCallMax + 1))).toMatchObject({ ok: false });
  });

  it("is more bytes, or streams, than one transaction takes", () => {
    const { outputBytesPerCallMax, outputStreamsPerCallMax } = OPERATOR_LIMITS;
    const large = topology("large");
    large
      .stream("in")
      .flatMap((n) => Array.from({ length: n as number }, () => new Uint8Array(outputBytesPerCallMax / 5)))
      .to("out");
    const task = new Task(onlyStage(large), 0, new MemoryStore());
    expect(task.process(input(1, 5, 4)).ok).toBe(true);
    expect(task.process(input(2, 5, 5))).toMatchObject({
      error: { error: { message: `outputs of one record with more than ${outputBytesPerCallMax} bytes` } },
    });
    const wide = topology("wide");
    const all = wide.stream("in").flatMap((n) => Array.from({ length: n as number }, (_, key) => key));
    for (const name of ["a", "b"]) all.keyBy((key) => key).to(name, { partitions: OPERATOR_LIMITS.partitionsMax });
    const spread = new Task(onlyStage(wide), 0, new MemoryStore());
    expect(spread.process(input(1, 5, outputStreamsPerCallMax / 4)).ok).toBe(true);
    expect(spread.process(input(2, 5, outputStreamsPerCallMax))).toMatchObject({
      error: { error: { message: `outputs of one record to more than ${outputStreamsPerCallMax} streams` } },
    });
  });

  it("is a single output that no stream takes", () => {
    const large = topology("single");
    large
      .stream("in")
      .map(() => new Uint8Array(RECORD_LIMITS.recordBytesMax + 1))
      .to("out");
    const task = new Task(onlyStage(large), 0, new MemoryStore());
    expect(task.process(input(1, 5, 1))).toMatchObject({ ok: false, error: { at: { kind: "record" } } });
  });
});

describe("what is due at once", () => {
  it("may be done in parts, on whatever store, and none of it sees what is yet to come", () => {
    const app = topology("parts");
    teller(app);
    const run = (more: () => boolean): unknown => {
      const store = new MemoryStore();
      let task = new Task(onlyStage(app), 0, store);
      const outputs: TaskOutput[] = [];
      const goOn = (): void => {
        outputs.push(...task.take().outputs);
        task = new Task(onlyStage(app), 0, store);
      };
      expect(task.process(input(1, 5, { n: 1, at: 5, event: [90, 100, 105, 110], log: [50] }), more).ok).toBe(true);
      expect(task.process(input(2, 60, { n: 2, at: 130 }), more).ok).toBe(true);
      for (;;) {
        goOn();
        const done = task.advance(60, more);
        if (done.ok && done.value) break;
      }
      goOn();
      return [outputs.map(({ value }) => text(value as Uint8Array)), task.digest()];
    };
    const whole = run(() => true);
    expect(whole).toMatchObject([expect.arrayContaining(['"event 105 of k at log time 60, watermark 105"']), {}]);
    let asked = 0;
    expect(run(() => (asked += 1) % 2 === 0)).toEqual(whole);
  });

  it("is done even if a log timer set it for a time that has passed", () => {
    const app = topology("past");
    app
      .stream("in")
      .process({
        onRecord: (_, { timers }) => {
          timers.log(10);
          return [];
        },
        onTimer: ({ kind }, { timers }) => {
          if (kind === "log") timers.event(0);
          return [kind];
        },
      })
      .to("out");
    const driver = new TopologyDriver(app);
    driver.write("in", 1);
    driver.advance(20);
    expect(tellings(driver)).toEqual(["log", "event"]);
  });
});

describe("a task's batches", () => {
  it("may be parted behind each record and each timer, and know the chain at each output", () => {
    const app = topology("cuts");
    teller(app);
    const task = new Task(onlyStage(app), 0, new MemoryStore());
    expect(task.process(input(1, 5, { n: 1, at: 5, event: [7, 8], log: [6, 9] })).ok).toBe(true);
    expect(task.process(input(2, 20, { n: 2, at: 50 })).ok).toBe(true);
    const { outputs, chains, cuts } = task.take();
    expect(cuts.map(({ cursor, outputs: count }) => [cursor.position, count])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
      [2, 4],
      [2, 5],
      [2, 6],
    ]);
    let chain = 0n;
    expect(chains).toEqual(outputs.map((output) => (chain = chained(chain, output))));
    expect(task.chain).toBe(chain);
  });

  it("can be undone until they are taken", () => {
    const app = topology("undo");
    teller(app);
    const task = new Task(onlyStage(app), 0, new MemoryStore());
    expect(task.process(input(1, 5, { n: 1, log: [9] })).ok).toBe(true);
    const first = task.take();
    const before = task.digest();
    expect(task.process(input(2, 20, { n: 2 })).ok).toBe(true);
    expect(task.digest()).not.toEqual(before);
    task.rollback();
    expect(task.digest()).toEqual(before);
    expect([task.take().outputs, first.nextDue]).toEqual([[], 9]);
    expect(task.process(input(2, 20, { n: 2 })).ok).toBe(true);
    expect(task.take()).toMatchObject({
      from: { cursor: { position: 1 }, outputs: 1 },
      to: { cursor: { position: 2 }, outputs: 3 },
      outputs: { length: 2 },
    });
  });

  it("say exactly where they end: within a batch of the log, and among the outputs of timers", () => {
    const app = topology("places");
    teller(app);
    const store = new MemoryStore();
    const task = new Task(onlyStage(app), 0, store);
    const records = [0, 1].map((index) => ({
      ...input(1 + index, 5, { n: index, log: [9 + index] }),
      place: { position: 1, ordinal: 0, index },
    }));
    expect(records.map((record) => task.process(record).ok)).toEqual([true, true]);
    expect(() => task.process(records[1] as TaskInput)).toThrow("I12");
    const cursor = { position: 1, ordinal: 0, index: 1 };
    expect(task.take().to).toEqual({ cursor, outputs: 2 });
    const again = new Task(onlyStage(app), 0, store);
    expect(again.advance(10).ok).toBe(true);
    expect(again.take()).toMatchObject({ from: { cursor, outputs: 2 }, to: { cursor, outputs: 3 } });
    expect(again.advance(11).ok).toBe(true);
    expect(again.take()).toMatchObject({ from: { cursor, outputs: 3 }, to: { cursor, outputs: 4 } });
  });

  it("are listed as changes: on a copy of the rows they make another task the same", () => {
    const app = topology("copy");
    teller(app);
    const [store, copy] = [new MemoryStore(), new MemoryStore()];
    const task = new Task(onlyStage(app), 0, store);
    for (let n = 1; n <= 20; n += 1) {
      expect(task.process(input(n, 7 * n, { n, log: [7 * n + 30], event: [7 * n + 50] }, `k${n % 3}`)).ok).toBe(true);
      if (n % 3 === 0) {
        for (const { key, value } of task.changes()) {
          if (value === undefined) copy.delete(key);
          else copy.put(key, value);
        }
        task.take();
        expect(new Task(onlyStage(app), 0, copy).digest()).toEqual(task.digest());
      }
    }
  });

  it("hold digest points that the input alone decides", () => {
    const app = topology("digests");
    app.stream("in").to("out");
    const task = new Task(onlyStage(app), 0, new MemoryStore());
    for (let n = 1; n <= 1_025; n += 1) expect(task.process(input(n, 100, n)).ok).toBe(true);
    expect(task.process(input(1_026, 20_000, 1)).ok).toBe(true);
    expect(task.advance(1_000_000).ok).toBe(true);
    expect(task.take().digests.map(({ records, logTime }) => [records, logTime])).toEqual([
      [1_024, 100],
      [1_025, 10_000],
      [1_026, 30_000],
      // The source became idle.
      [1_026, 90_000],
    ]);
  });
});

describe("determinism", () => {
  const events = fc.array(
    fc.record({
      key: fc.constantFrom("a", "b", "c"),
      ms: fc.integer({ min: 0, max: 4_000 }),
      at: fc.integer({ min: 0, max: 300 }),
      event: fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 2 }),
      log: fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 2 }),
    }),
    { maxLength: 40 },
  );
  const appended = (events: readonly { key: string; ms: number; at: number; event: number[]; log: number[] }[]) => {
    let logTime = 0;
    return events.map(({ key, ms, ...value }, n) => {
      logTime += ms;
      return { stream: "in", logTime, key: utf8(key), value: utf8(JSON.stringify({ n, ...value })) };
    });
  };

  it("I10: batches, advances and moves are invisible", () => {
    fc.assert(
      fc.property(events, fc.constantFrom("wait" as const, "advance" as const), (events, silence) => {
        const app = topology("sameness", { silence });
        teller(app);
        const records = appended(events);
        expect(checkDeterminism(app.build(), records, 200_000)).toEqual({ ok: true, value: undefined });
      }),
      { numRuns: 60 },
    );
  });

  it("is checked: a callback that counts is caught", () => {
    let calls = 0;
    const app = topology("counting");
    app
      .stream("in")
      .map(() => (calls += 1))
      .to("out");
    const records = appended(Array.from({ length: 10 }, () => ({ key: "a", ms: 1, at: 0, event: [], log: [] })));
    expect(checkDeterminism(app.build(), records, 100)).toMatchObject({
      ok: false,
      error: { what: "output", place: 0 },
    });
  });

  it("gives every replica the same random numbers, and others to other records", () => {
    const app = topology("random");
    app
      .stream("in")
      .flatMap(() => [1, 2])
      .map((_, { random }) => random())
      .to("out");
    const draw = () => {
      const driver = new TopologyDriver(app);
      for (let n = 0; n < 50; n += 1) driver.write("in", n);
      return driver.read("out").map(({ value }) => value as number);
    };
    expect(draw()).toEqual(draw());
    expect(new Set(draw()).size).toBe(100);
  });
});

describe("guards", () => {
  const outcome = (callback: () => unknown) => {
    const app = topology("guards");
    app.stream("in").map(callback, { name: "mine" }).to("out");
    return new Task(onlyStage(app), 0, new MemoryStore()).process(input(1, 1, 1));
  };

  it.each([
    ["Date.now", () => Date.now()],
    ["new Date()", () => new Date()],
    ["Date()", () => Date()],
    ["the machine's time zone", () => new Date(2026, 0, 1)],
    ["the machine's time zone", () => new Date("2026-01-01T10:00")],
    ["the machine's time zone", () => Date.parse("2001/01/14 21:55")],
    // What looks like an offset is a year.
    ["the machine's time zone", () => new Date("12-25-2020")],
    ["the machine's time zone", () => Date.parse("25-Dec-1995")],
    ["Math.random", () => Math.random()],
    ["performance.now", () => performance.now()],
    ["crypto.randomUUID", () => crypto.randomUUID()],
    ["crypto.getRandomValues", () => crypto.getRandomValues(new Uint8Array(1))],
    ["setTimeout", () => setTimeout(() => undefined, 1)],
    ["queueMicrotask", () => queueMicrotask(() => undefined)],
    ["fetch", () => fetch("http://localhost")],
    ["performance.mark", () => performance.mark("here").startTime],
    ["performance.timeOrigin", () => performance.timeOrigin],
    ["process.hrtime", () => process.hrtime()],
    ["process.hrtime", () => process.hrtime.bigint()],
    ["process.uptime", () => process.uptime()],
    ["process.nextTick", () => process.nextTick(() => undefined)],
    ["process.getBuiltinModule", () => process.getBuiltinModule("node:fs")],
    ["Event", () => new Event("x").timeStamp],
    ["Date.now", () => (new Date(0).constructor as DateConstructor).now()],
    ["AbortSignal.timeout", () => AbortSignal.timeout(1)],
    ["Atomics.wait", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)],
    ["crypto.subtle", () => crypto.subtle],
    ["WebSocket", () => new WebSocket("ws://localhost")],
    ["BroadcastChannel", () => new BroadcastChannel("x")],
    ["a promise", async () => await Promise.resolve(1)],
    ["an async generator", async function* () {}],
  ])("refuse %s, naming the operator", (what, callback) => {
    const refused = outcome(callback);
    expect(refused).toMatchObject({ ok: false, error: { operator: "mine", error: { name: "DeterminismError" } } });
    const message = String(!refused.ok && (refused.error.error as Error).message);
    expect(message).toContain(`operator "mine" used ${what}`);
  });

  it.each([
    [
      "of a list",
      (app: Topology) => app.stream("in").flatMap((n) => [n].map(async (one) => await Promise.resolve(one))),
    ],
    [
      "of a generator",
      (app: Topology) =>
        app.stream("in").process({
          *onRecord(n) {
            yield Promise.resolve(n);
          },
        }),
    ],
    [
      "of an async generator",
      (app: Topology) => app.stream("in").process({ onRecord: async function* () {} as unknown as () => undefined }),
    ],
    [
      "of the start of a fold",
      (app: Topology) =>
        app
          .stream("in")
          .groupBy(() => "all")
          .aggregate(
            fold({
              start: async () => await Promise.resolve(""),
              add: (a) => a,
              result: (a) => a,
            }),
          )
          .toStream(),
    ],
    [
      "of the start of one of several",
      (app: Topology) =>
        app
          .stream("in")
          .groupBy(() => "all")
          .aggregate(
            combine({
              one: fold({
                start: async () => await Promise.resolve(""),
                add: (a) => a,
                result: (a) => a,
              }),
            }),
          )
          .toStream(),
    ],
    ["inside of a value", (app: Topology) => app.stream("in").map((n) => ({ n: Promise.resolve(n) }))],
  ])("refuse a promise %s", (_, build: (app: Topology) => Stream<Key, unknown>) => {
    const app = topology("guards");
    build(app).to("out");
    const stage = app.build().stages[0] as Stage;
    const done = new Task(stage, 0, new MemoryStore()).process(input(1, 1, 1));
    expect(String(!done.ok && (done.error.error as Error).message)).toMatch(/a promise|an async generator/);
  });

  it("let dates be made from numbers, and go when the task is done", () => {
    expect(outcome(() => new Date(5).toISOString()).ok).toBe(true);
    const zoned = [
      ...["2026-01-01", "2026-01-01T10:00Z", "2026-01-01T10:00+02:00", "2026-01-01T10:00:00.123-0500"],
      ...["1 Jan 2026 10:00 GMT", "Thu Jan 01 2026 10:00:00 GMT+0100 (CET)", "1 Jan 2026 10:00 +0200", "no date"],
    ];
    for (const text of zoned)
      expect([text, outcome(() => String([Date.parse(text), new Date(text).valueOf()])).ok]).toEqual([text, true]);
    expect(outcome(() => Date.UTC(2026, 0, 1)).ok).toBe(true);
    expect(outcome(() => (new Date(5) instanceof Date ? 1 : Math.random())).ok).toBe(true);
    expect(Date.now()).toBeGreaterThan(0);
    expect(Math.random()).toBeLessThan(1);
    expect(crypto.randomUUID()).toHaveLength(36);
    expect(Object.hasOwn(crypto, "randomUUID")).toBe(false);
    expect(new Date(0).constructor).toBe(Date);
    expect(process.hrtime.bigint()).toBeGreaterThan(0n);
  });

  it("leave whole what the platform loads only when it is first looked at", () => {
    // In a process of its own, which has not had it loaded by something else.
    const guards = JSON.stringify(import.meta.resolve("../../src/operators/engine/guards.ts"));
    const script = `const { guarded } = await import(${guards}); guarded(() => undefined); new MessageEvent("message");`;
    execFileSync(process.execPath, ["--input-type=module", "--eval", script], { stdio: "pipe" });
  });
});

describe("keyed state", () => {
  const app = (ttlMs?: number): Topology => {
    const kept = topology("state");
    const options = ttlMs === undefined ? {} : { ttlMs };
    kept
      .stream("in")
      .process({
        state: specs(options),
        *onRecord(value, { state, time }) {
          const [verb, name, amount] = value as [string, string?, number?];
          if (verb === "put") {
            state.last.set(value);
            state.all.push(name);
            state.byName.set(name as string, amount as number);
            state.byTime.set(time, name);
          } else if (verb === "drop") {
            state.last.clear();
            state.all.clear();
            state.byName.delete(name as string);
            state.byTime.delete(amount as number);
          }
          const times = [...state.byTime.range(0, 1_000)];
          yield [state.last.get() ?? null, [...state.all.values()], [...state.byName.entries()], times];
        },
      })
      .to("out");
    return kept;
  };
  const specs = (options: { readonly ttlMs?: number }) => ({
    last: valueState<unknown>(options),
    all: listState<unknown>(options),
    byName: mapState<string, number>(options),
    byTime: timeState<unknown>(options),
  });

  it("is of its key, in order", () => {
    const driver = new TopologyDriver(app());
    driver.write("in", ["put", "y", 1], { key: "a", timestamp: 20 });
    driver.write("in", ["put", "x", 2], { key: "a", timestamp: 10 });
    driver.write("in", ["show"], { key: "b" });
    driver.write("in", ["drop", "y", 20], { key: "a" });
    expect(tellings(driver).slice(1)).toEqual([
      [
        ["put", "x", 2],
        ["y", "x"],
        [
          ["x", 2],
          ["y", 1],
        ],
        [
          [10, "x"],
          [20, "y"],
        ],
      ],
      [null, [], [], []],
      [null, [], [["x", 2]], [[10, "x"]]],
    ]);
  });

  it("I15: a push reads nothing of what is in the list", () => {
    const pushing = topology("pushing");
    pushing
      .stream("in")
      .process({
        state: { all: listState<string>() },
        onRecord(value, { state }) {
          state.all.push(value as string);
          return [];
        },
      })
      .to("out");
    const store = new MemoryStore();
    const task = new Task(onlyStage(pushing), 0, store);
    for (let n = 1; n <= 100; n += 1) task.process(input(n, 1, n));
    const range = vi.spyOn(store, "range");
    task.process(input(101, 1, 101));
    expect(range.mock.calls.length).toBe(0);
  });

  it("is refused with a time to live, or a timer, that is none", () => {
    for (const make of [valueState, listState, mapState, timeState])
      for (const ttlMs of [-5, 0, 0.5, Number.NaN])
        expect(() => (make as typeof valueState)({ ttlMs })).toThrow(/ttlMs is .*; give it whole milliseconds/);
    for (const due of [Number.NaN, 0.5, Infinity]) {
      const app = topology("timers");
      app
        .stream("in")
        .process({
          onRecord: (_, { timers }) => {
            timers.event(due);
            return [];
          },
        })
        .to("out");
      const done = new Task(onlyStage(app), 0, new MemoryStore()).process(input(1, 1, 1));
      expect(String(!done.ok && (done.error.error as Error).message)).toBe(
        `a timer is due at ${due}; give it whole milliseconds`,
      );
    }
  });

  it("goes when log time has passed its time to live, counted from the last write", () => {
    const driver = new TopologyDriver(app(100));
    driver.write("in", ["put", "x", 1], { key: "a", timestamp: 1 });
    driver.advance(60);
    driver.write("in", ["put", "y", 2], { key: "a", timestamp: 2 });
    driver.advance(50);
    driver.write("in", ["show"], { key: "a" });
    driver.advance(100);
    driver.write("in", ["show"], { key: "a" });
    expect(tellings(driver).slice(2)).toEqual([
      [["put", "y", 2], ["y"], [["y", 2]], [[2, "y"]]],
      [null, [], [], []],
    ]);
  });
});
