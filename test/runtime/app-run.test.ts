/** An app in a worker: a replica of each task, what there must be in the log for it, and state that outlives the worker (I12). */
import { describe, expect, it } from "vitest";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { topology } from "../../src/operators/build/topology.ts";
import type { Graph } from "../../src/operators/engine/graph.ts";
import { tumbling } from "../../src/operators/windows/window.ts";
import { APP_RUN_DEFAULTS, AppRun, openInMemory, type OpenTaskState } from "../../src/runtime/app-run.ts";
import { taskSpecsOf, writtenStreamsOf } from "../../src/runtime/app-streams.ts";
import { RUNTIME_LIMITS } from "../../src/runtime/limits.ts";
import { KvStore } from "../../src/runtime/state/kv-store.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { AppWorld, CALM } from "./app-world.ts";
import { APPS } from "./apps.ts";
import { INSTANT } from "./snapshot-world.ts";
import { Worker } from "./worker.ts";

type Started = { readonly run: AppRun; readonly ends: unknown[] };

function start(world: AppWorld, graph: Graph, openState: OpenTaskState): Started {
  const worker = new Worker(world.clock, world.log, world.prng.fork("worker"), CALM);
  const entropy = { bytes: (length: number) => world.prng.bytes(length) };
  const ends: unknown[] = [];
  const onEnd = (...ended: readonly unknown[]): number => ends.push(ended);
  return { run: new AppRun(worker, { clock: worker, entropy, openState, onEnd }, graph, APP_RUN_DEFAULTS), ends };
}

function append(world: AppWorld, stream: string, count: number): void {
  const values = Array.from({ length: count }, (_, n) => ({ key: world.prng.pick("abcdefgh".split("")), n }));
  world.log.append(
    stream,
    values.map((value) => ({ value: utf8(JSON.stringify(value)) })),
  );
}

describe("an app in a worker", () => {
  it("runs all its tasks, and says how they stand", async () => {
    const graph = APPS.repartitioned.make().build();
    const world = new AppWorld(graph, 3);
    const { run } = start(world, graph, openInMemory);
    expect(run.status.map(({ task, state }) => [task, state])).toEqual([
      ["0.0", "starting"],
      ["0.1", "starting"],
      ["1.0", "starting"],
      ["1.1", "starting"],
    ]);
    for (const stream of ["in/0", "in/1"]) append(world, stream, 10);
    expect(await world.finish(5_000)).toBeUndefined();
    const isDone = (): boolean => run.status.every(({ work }) => work?.committing) && world.log.of("out").length === 20;
    await world.until(isDone, 5_000);
    expect(run.status.map(({ state, work }) => [state, work?.committing])).toEqual([
      ["running", true],
      ["running", true],
      ["running", true],
      ["running", true],
    ]);
    expect(new Set(run.status.map(({ replica }) => replica)).size).toBe(1);
    await run.stop();
    expect(await run.finished).toEqual(
      ["0.0", "0.1", "1.0", "1.1"].map((task) => ({ task, end: { kind: "stopped" } })),
    );
  });

  it("goes on where one of its replicas ends, and says so", async () => {
    const graph = APPS.repartitioned.make().build();
    const world = new AppWorld(graph, 3);
    world.log.remove("repartitioned", "0.1");
    const { run, ends } = start(world, graph, openInMemory);
    await world.pass(100);
    expect(ends).toEqual([["0.1", { kind: "gone" }]]);
    expect(run.status.map(({ state, end }) => [state, end?.kind])).toEqual([
      ["running", undefined],
      ["gone", "gone"],
      ["running", undefined],
      ["running", undefined],
    ]);
    await run.stop();
  });

  it("names the streams that its tasks read and write", () => {
    const graph = APPS.repartitioned.make().build();
    expect(taskSpecsOf(graph)).toEqual([
      { task: "0.0", inputs: ["in/0"] },
      { task: "0.1", inputs: ["in/1"] },
      { task: "1.0", inputs: ["apps/repartitioned/repartition-1/0"] },
      { task: "1.1", inputs: ["apps/repartitioned/repartition-1/1"] },
    ]);
    expect(writtenStreamsOf(graph)).toEqual([
      "apps/repartitioned/commits/0.0",
      "apps/repartitioned/commits/0.1",
      "apps/repartitioned/commits/1.0",
      "apps/repartitioned/commits/1.1",
      "apps/repartitioned/dead",
      "apps/repartitioned/repartition-1/0",
      "apps/repartitioned/repartition-1/1",
      "out",
    ]);
    const windowed = topology("windowed");
    const window = tumbling({ sizeMs: 5, lateTo: "late" });
    windowed.stream("in").groupByKey().window(window).count().to("out", { partitions: 2 });
    expect(writtenStreamsOf(windowed.build()).slice(2)).toEqual(["late", "out/0", "out/1"]);
  });
});

describe("state on disk", () => {
  const graph = APPS.counts.make().build();

  /** Keeps the rows of the one task; says where they stood when they were opened. */
  function diskOf(kv: SimKv): { readonly openState: OpenTaskState; readonly opened: number[] } {
    const opened: number[] = [];
    const openState: OpenTaskState = async () => {
      const { store, totals } = await KvStore.open(kv, "counts 0.0", INSTANT);
      opened.push(totals.rows);
      return { store, totals, durable: store };
    };
    return { openState, opened };
  }

  it("goes on where it was kept, and each output is there once", async () => {
    const world = new AppWorld(graph, 5);
    const { openState, opened } = diskOf(new SimKv());
    for (let round = 0; round < 4; round += 1) {
      const { run } = start(world, graph, openState);
      append(world, "in", 20);
      await world.pass(500);
      append(world, "in", 5);
      await world.pass(world.prng.below(20));
      await run.stop();
    }
    const { run } = start(world, graph, openState);
    expect(await world.finish(5_000)).toBeUndefined();
    expect(opened[0]).toBe(0);
    expect(opened.slice(1).every((rows) => rows > 0)).toBe(true);
    expect(world.log.of("out").length).toBe(100);
    await run.stop();
  });

  it("is never ahead of what is committed, for what comes out between would be lost", async () => {
    const world = new AppWorld(graph, 6);
    const { openState } = diskOf(new SimKv());
    const first = start(world, graph, openState);
    append(world, "in", 4);
    await world.pass(500);
    // It reads, and works, and nothing of it is committed.
    world.log.pause("counts", "0.0", true);
    append(world, "in", 4);
    await world.pass(2 * RUNTIME_LIMITS.flushEveryMs);
    await first.run.stop();
    world.log.pause("counts", "0.0", false);
    start(world, graph, openState);
    expect(await world.finish(5_000)).toBeUndefined();
    const counts = world.log
      .of("out")
      .map(({ key, value }) => `${text(key as Uint8Array)}${text(value as Uint8Array)}`);
    expect(new Set(counts).size).toBe(8);
  });
});
