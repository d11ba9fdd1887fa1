/**
 * Topologies for tests of the runtime, one per shape of work: outputs at once, by event time, by log time, through a repartition; joins, and
 * what stands behind them; tables, and windows that records make.
 */
import { max } from "../../src/operators/aggregates/min-max.ts";
import { sum } from "../../src/operators/aggregates/sum.ts";
import { topology, type Topology } from "../../src/operators/build/topology.ts";
import type { Graph } from "../../src/operators/engine/graph.ts";
import { valueState } from "../../src/operators/state/keyed-state.ts";
import { session, sliding, tumbling } from "../../src/operators/windows/window.ts";

export type Event = { readonly key: string; readonly n: number };

export type TestApp = {
  readonly make: () => Topology;
  /** The same app, with a mistake in it. */
  readonly skewed?: () => Topology;
  /** Some of its records may have a number that it cannot get past. */
  readonly poisonous: boolean;
};

export const OUT_OF_ORDER_MS = 20;
export const IDLE_MS = 200;
export const WINDOW_MS = 40;
export const SILENT_MS = 30;
export const GRACE_MS = 10;
export const NEAR_MS = 25;
export const GAP_MS = 40;
export const REMEMBERED_MS = 60;

const keyOf = (value: unknown): string => (value as Event).key;

/** Each record a few outputs, or none. */
function counts(skew: number): Topology {
  const app = topology("counts");
  const counted = app
    .stream("in", { key: keyOf })
    .filter((event) => {
      if ((event as Event).n < 0) throw new Error("less than nothing");
      return true;
    })
    .groupByKey()
    .count()
    .toStream()
    .map((count) => count + skew);
  counted.to("out");
  counted.flatMap((n) => Array.from({ length: n % 4 }, (_, copy) => `${n}.${copy}`)).to("copies");
  return app;
}

/** Many outputs at once, long after their records, and by silence. */
function windows(): Topology {
  const app = topology("windows", { silence: "advance" });
  app
    .stream("in", { key: keyOf, outOfOrderMs: OUT_OF_ORDER_MS, idleMs: IDLE_MS })
    .groupByKey()
    .window(tumbling({ sizeMs: WINDOW_MS }))
    .count()
    .to("out");
  return app;
}

/** Outputs without a record: whoever was silent for a while is said to be. */
function silences(skew: number): Topology {
  const app = topology("silences");
  app
    .stream("in", { key: keyOf })
    .process({
      state: { timer: valueState<{ readonly due: number; readonly name: number }>() },
      onRecord(value, { state, timers, logTime }) {
        const before = state.timer.get();
        if (before !== undefined) timers.clearLog(before.due, before.name);
        const timer = { due: logTime + SILENT_MS, name: (value as Event).n };
        state.timer.set(timer);
        timers.log(timer.due, timer.name);
        return [];
      },
      onTimer({ due, name }) {
        if ((name as number) < 0) throw new Error("less than nothing");
        return [`silent at ${due + skew}`];
      },
    })
    .to("out");
  return app;
}

/** Two stages of two tasks each. */
function repartitioned(): Topology {
  const app = topology("repartitioned");
  app
    .stream("in", { partitions: 2, key: (_, { offset }) => String(offset % 5) })
    .groupBy(keyOf)
    .count()
    .to("out");
  return app;
}

/** Windows of what two tasks write: neither is to be ahead of the other. */
function lanes(): Topology {
  const app = topology("lanes");
  app
    .stream("in", { partitions: 2, key: keyOf, outOfOrderMs: OUT_OF_ORDER_MS, idleMs: IDLE_MS })
    .map((value) => (value as Event).n)
    .groupByKey()
    .window(tumbling({ sizeMs: WINDOW_MS, lateTo: "late" }))
    .count()
    .to("out");
  return app;
}

/** What two streams have near each other, and what is alone; and in windows how much of it there is. */
function pairs(): Topology {
  const app = topology("pairs", { silence: "advance" });
  const [even, odd] = app
    .stream("in", { key: keyOf, outOfOrderMs: OUT_OF_ORDER_MS, idleMs: IDLE_MS })
    .map((value) => (value as Event).n)
    .branch([(n) => n % 2 === 0, (n) => n % 2 !== 0]);
  const pairs = even.leftJoin(odd, (left, right) => [left, right], { withinMs: NEAR_MS, graceMs: GRACE_MS });
  pairs.to("out");
  pairs
    .groupByKey()
    .window(tumbling({ sizeMs: WINDOW_MS, lateTo: "lost" }))
    .count()
    .to("counts");
  return app;
}

/** Each number of a key once in a while, with what tables have of the key then, in sessions; and all in windows that slide. */
function visits(): Topology {
  const app = topology("visits", { silence: "advance" });
  const numbers = app
    .stream("in", { key: keyOf, outOfOrderMs: OUT_OF_ORDER_MS, idleMs: IDLE_MS })
    .map((value) => (value as Event).n);
  const grouped = numbers.groupByKey();
  const sofar = grouped.count().join(grouped.aggregate(max((n) => n)), (count, most) => [count, most]);
  const firsts = numbers.dedupe({ ttlMs: REMEMBERED_MS, by: (n) => n % 4 }).join(sofar, (n, has) => ({ n, has }));
  firsts.to("firsts");
  firsts
    .groupByKey()
    .window(session({ gapMs: GAP_MS, graceMs: GRACE_MS, lateTo: "sessions-late" }))
    .aggregate(sum(({ n }) => n))
    .to("out");
  grouped
    .window(sliding({ sizeMs: WINDOW_MS, graceMs: GRACE_MS, lateTo: "slides-late" }))
    .aggregate(sum((n) => n))
    .to("slides");
  return app;
}

export const APPS = {
  counts: { make: () => counts(0), skewed: () => counts(1), poisonous: true },
  windows: { make: windows, poisonous: false },
  silences: { make: () => silences(0), skewed: () => silences(1), poisonous: true },
  pairs: { make: pairs, poisonous: false },
  visits: { make: visits, poisonous: false },
  repartitioned: { make: repartitioned, poisonous: false },
  lanes: { make: lanes, poisonous: false },
} as const satisfies Record<string, TestApp>;

/** With digest points so often in log time, and inputs that are trimmed. */
export function hurried(app: Topology, digestEveryMs: number): Graph {
  const graph = app.build();
  const stages = graph.stages.map((stage) => {
    const nodes = stage.nodes.map((node) => {
      return node.source === undefined ? node : { ...node, source: { ...node.source, trimmed: true } };
    });
    return { ...stage, nodes, digestEveryMs };
  });
  return { ...graph, stages };
}
