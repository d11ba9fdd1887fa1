/** State on disk: always one place of the input (I12), and nothing that cannot be believed (I13). */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { setTimeout as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLmdbKv } from "../../log-server/log/disk/lmdb-kv.ts";
import { hex, utf8 } from "../../src/lib/bytes.ts";
import { topology } from "../../src/operators/build/topology.ts";
import { guarded } from "../../src/operators/engine/guards.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import { Task } from "../../src/operators/engine/task.ts";
import type { TaskInput } from "../../src/operators/engine/task-input.ts";
import { mapState, valueState } from "../../src/operators/state/keyed-state.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { Rows } from "../../src/operators/state/rows.ts";
import type { StateStore } from "../../src/operators/state/state-store.ts";
import { Timers } from "../../src/operators/state/timers.ts";
import type { Kv } from "../../src/ports/kv.ts";
import type { Row } from "../../src/record/row.ts";
import { compareRecordPlaces } from "../../src/record/record-place.ts";
import { RUNTIME_LIMITS } from "../../src/runtime/limits.ts";
import { KvStore } from "../../src/runtime/state/kv-store.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { stateContract, type StateFixture } from "../operators/state-contract.ts";
import { INSTANT } from "./snapshot-world.ts";

const LABEL = "app/0.0";
const at = (...bytes: number[]) => Uint8Array.from(bytes);
const shown = (store: StateStore) =>
  [...store.range(at(), at(0xff))].map(([key, value]) => `${hex(key)}=${hex(value)}`);

async function fixture(kv: Kv): Promise<StateFixture> {
  const { store } = await KvStore.open(kv, LABEL, INSTANT);
  return { store, settle: () => store.flush(store.seal(new Rows(store).totals)) };
}

stateContract("KvStore", () => fixture(new SimKv()));

describe("on LMDB", () => {
  let folder: string;
  let kv: Kv;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tidemark-state-"));
    kv = openLmdbKv(folder);
  });
  afterAll(async () => {
    await kv.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("is read while operators run, in a later turn, too, when LMDB sets itself a timer", async () => {
    await kv.clear();
    const { store } = await KvStore.open(kv, LABEL, INSTANT);
    store.put(at(1), at(7));
    await store.flush(store.seal(new Rows(store).totals));
    await nextTurn();
    expect(() => guarded(() => setTimeout(() => undefined, 1))).toThrow(/setTimeout/);
    expect(guarded(() => store.get(at(1)))).toEqual(at(7));
    await nextTurn();
    expect(guarded(() => shown(store))).toEqual(["01=07"]);
  });

  stateContract("KvStore on LMDB", async () => {
    await kv.clear();
    return fixture(kv);
  });
});

const key = fc.uint8Array({ minLength: 1, maxLength: 1, max: 6 });
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("put" as const), key, value: fc.uint8Array({ maxLength: 2 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
  { weight: 2, arbitrary: fc.constant({ kind: "seal" as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("flush" as const), back: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "undo" as const }) },
);

describe("a store of rows on disk", () => {
  it("has after a crash what was sealed and flushed last, whatever was done since (I12)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
        const kv = new SimKv();
        const { store } = await KvStore.open(kv, LABEL, INSTANT);
        const rows = new Rows(store);
        const straight = new Rows(new MemoryStore());
        const seals: { readonly seal: number; readonly rows: string[] }[] = [];
        let flushed: readonly string[] = [];
        for (const action of actions) {
          if (action.kind === "put") for (const r of [rows, straight]) r.put(action.key, action.value);
          else if (action.kind === "delete") for (const r of [rows, straight]) r.delete(action.key);
          else if (action.kind === "undo") for (const r of [rows, straight]) r.rollback(0);
          else if (action.kind === "seal") {
            for (const r of [rows, straight]) r.commit();
            seals.push({ seal: store.seal(rows.totals), rows: shown(store) });
          } else {
            const chosen = seals.at(-1 - action.back);
            if (chosen === undefined || seals.indexOf(chosen) < seals.findIndex(({ rows }) => rows === flushed))
              continue;
            await store.flush(chosen.seal);
            flushed = chosen.rows;
          }
          expect([...rows.all()]).toEqual([...straight.all()]);
        }
        expect(rows.totals).toEqual(straight.totals);
        const after = await KvStore.open(kv.crash(), LABEL, INSTANT);
        expect(shown(after.store)).toEqual(flushed);
        expect(after.discarded).toBeUndefined();
        expect(new Rows(after.store).totals).toEqual(after.totals);
      }),
    );
  });

  it("goes on with a range over a flush, and reads what is being flushed", async () => {
    const running = Promise.withResolvers<void>();
    const kv = new SimKv({ pace: () => running.promise });
    const { store } = await KvStore.open(kv, LABEL, INSTANT);
    const rows = new Rows(store);
    for (const n of [1, 3, 5, 7]) rows.put(at(n), at(n));
    const flush = store.flush(store.seal(rows.totals));
    expect(store.get(at(3))).toEqual(at(3));
    store.put(at(5), at(50));
    const walk = store.range(at(), at(0xff))[Symbol.iterator]();
    expect(walk.next().value).toEqual([at(1), at(1)]);
    running.resolve();
    await flush;
    store.delete(at(3));
    store.put(at(4), at(4));
    const rest = [...{ [Symbol.iterator]: () => walk }];
    expect(rest).toEqual([
      [at(4), at(4)],
      [at(5), at(50)],
      [at(7), at(7)],
    ]);
  });

  it("counts what is not flushed, with what it costs to hold so many rows", async () => {
    const { rowOverheadBytes: each } = RUNTIME_LIMITS;
    const { store } = await KvStore.open(new SimKv(), LABEL, INSTANT);
    const rows = new Rows(store);
    rows.put(at(1), at(1, 2, 3));
    expect(store.unflushedBytes).toBe(each + 4);
    const seal = store.seal(rows.totals);
    rows.put(at(2), at(1));
    expect(store.unflushedBytes).toBe(2 * each + 6);
    await store.flush(seal);
    expect(store.unflushedBytes).toBe(each + 2);
  });

  it("finds the next of many timers that fall due at once without a walk over those that fired", async () => {
    let walked = 0;
    class WatchedKv extends SimKv {
      override *range(...args: Parameters<SimKv["range"]>): Iterable<Row> {
        for (const row of super.range(...args)) {
          walked += 1;
          yield row;
        }
      }
    }
    const count = 1_000;
    const { store } = await KvStore.open(new WatchedKv(), LABEL, INSTANT);
    const rows = new Rows(store);
    const timers = new Timers(rows);
    for (let n = 0; n < count; n += 1) timers.set("log", { due: 7, node: "node", key: n, name: null });
    await store.flush(store.seal(rows.totals));
    walked = 0;
    const fired: unknown[] = [];
    for (let next = timers.first("log"); next !== undefined; next = timers.first("log")) {
      fired.push(next.key);
      timers.remove("log", next.row);
      // One that is set for the same time, and sorts before what is left of it.
      if (next.key === 500) timers.set("log", { due: 7, node: "another", key: "late", name: null });
    }
    const keys = Array.from({ length: count }, (_, n) => n);
    expect(fired).toEqual([...keys.slice(0, 501), "late", ...keys.slice(501)]);
    expect(walked).toBeLessThan(5 * count);
  });

  async function damage(kv: SimKv, key: Uint8Array): Promise<void> {
    kv.damage(key, (value) => void value.fill(9));
    await kv.write([]);
  }

  async function filled(): Promise<SimKv> {
    const kv = new SimKv();
    const { store } = await KvStore.open(kv, LABEL, INSTANT);
    const rows = new Rows(store);
    for (const n of [1, 2, 3]) rows.put(at(n), at(n, n));
    await store.flush(store.seal(rows.totals));
    return kv;
  }

  it.each([
    ["a value has changed", (kv: SimKv) => damage(kv, at(2)), LABEL, "not those"],
    ["a row is gone", (kv: SimKv) => kv.write([{ kind: "delete", key: at(2) }]), LABEL, "not those"],
    ["its totals are gone", (kv: SimKv) => kv.write([{ kind: "delete", key: totalsKey }]), LABEL, "never complete"],
    ["its totals are damaged", (kv: SimKv) => damage(kv, totalsKey), LABEL, "cannot be read"],
    ["it is another's", () => Promise.resolve(), "app/0.1", 'of "app/0.0"'],
  ])("begins empty where %s", async (_, harm, label, reason) => {
    const kv = await filled();
    await harm(kv);
    const { store, totals, discarded } = await KvStore.open(kv, label, INSTANT);
    expect(discarded).toContain(reason);
    expect(shown(store)).toEqual([]);
    expect(totals.rows).toBe(0);
    // It is a store like any new one.
    expect((await KvStore.open(kv, label, INSTANT)).discarded).toBeUndefined();
  });

  it("runs a task whose state does not fit its memory, over restarts, as memory does", async () => {
    const app = topology("distinct");
    app
      .stream("in", { key: (value) => value as number })
      .process({
        state: { seen: valueState<string>() },
        *onRecord(value, { state }) {
          const before = state.seen.get();
          state.seen.set(`${value as number} came again, and so it goes${before === undefined ? "" : "!"}`);
          yield before ?? "new";
        },
      })
      .to("out");
    const stage = app.build().stages[0] as Stage;
    const inputs = Array.from({ length: 3_000 }, (_, n) => input(n + 1, n, (n * 7) % 1_000));
    const whole = new Task(stage, 0, new MemoryStore());
    for (const each of inputs) expect(whole.process(each).ok).toBe(true);

    let kv = new SimKv();
    let most = 0;
    let task = new Task(stage, 0, new MemoryStore());
    for (let restart = 0; restart < 4; restart += 1) {
      const { store, totals, discarded } = await KvStore.open(kv, LABEL, INSTANT);
      expect(discarded).toBeUndefined();
      task = new Task(stage, 0, store, totals);
      const from = inputs.findIndex(({ place }) => compareRecordPlaces(place, task.cursor) > 0);
      const left = inputs.slice(from, restart === 3 ? inputs.length : (restart + 1) * 800);
      for (const each of left) {
        expect(task.process(each).ok).toBe(true);
        if (each.offset % 5 !== 0) continue;
        task.take();
        const seal = store.seal(task.totals);
        most = Math.max(most, store.unflushedBytes);
        if (store.unflushedBytes > 8_000) await store.flush(seal);
      }
      if (restart < 3) kv = kv.crash();
    }
    expect(task.digest()).toEqual(whole.digest());
    expect(most * 5).toBeLessThan(task.totals.bytes);
  });
});

function input(n: number, logTime: number, value: unknown): TaskInput {
  return {
    source: "in",
    offset: n - 1,
    place: { position: n, ordinal: 0, index: 0 },
    value: utf8(JSON.stringify(value)),
    logTime,
  };
}

const totalsKey = at(0xff, ...utf8("totals"));

it("takes every row that a task may have: longer keys are poison, in memory too (I10)", () => {
  const app = topology("long");
  app
    .stream("in", { key: (value) => value as string })
    .process({
      state: { texts: mapState<string, string>() },
      onRecord(value, { state }) {
        state.texts.set(value as string, "x");
        return undefined;
      },
    })
    .to("out");
  const task = new Task(app.build().stages[0] as Stage, 0, new MemoryStore());
  expect(task.process(input(1, 1, "x".repeat(450))).ok).toBe(true);
  const long = task.process(input(2, 2, "x".repeat(600)));
  expect(!long.ok && String(long.error.error)).toContain("a row's key has at most 1000 bytes");
});
