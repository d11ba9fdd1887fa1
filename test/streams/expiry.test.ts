/** Expiry: by log time, through entries only, in an order that the state decides (I14). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Deadline, Deadlines } from "../../log-server/streams/deadlines.ts";
import { append, create, Driver, START_MS, tag } from "./driver.ts";

const sliding = (ttlSeconds: number) => ({ expiry: { kind: "sliding", ttlSeconds } }) as const;
const absolute = (atMs: number) => ({ expiry: { kind: "absolute", atMs } }) as const;

describe("expiry", () => {
  it("ends a stream with the first entry at or after its time, before that entry's commands", () => {
    const driver = new Driver();
    driver.create("a", sliding(2));
    expect(driver.machine.stream("a")?.expiresAtMs).toBe(START_MS + 2_000);
    expect(driver.machine.nextDeadline()).toBe(START_MS + 2_000);
    driver.pass(1_999);
    expect(driver.machine.stream("a")).toBeDefined();
    driver.now += 1;
    const applied = driver.apply(append("a"), create("a"), append("a"));
    expect(applied.results.map((result) => result.kind)).toEqual(["rejected", "created", "appended"]);
    expect(applied.changed).toEqual([1, 2]);
    expect(driver.machine.stream("a")).toMatchObject({ id: 2, incarnation: driver.machine.position });
  });

  it("does nothing by itself: without an entry the stream is there (I14)", () => {
    const driver = new Driver();
    driver.create("a", absolute(START_MS + 5));
    driver.now += 1_000_000;
    expect(driver.machine.stream("a")).toBeDefined();
    driver.apply();
    expect(driver.machine.stream("a")).toBeUndefined();
  });

  it("slides with appends, closing and touches, not with what is refused, repeated or asked", () => {
    const driver = new Driver();
    driver.create("a", sliding(10));
    const use = (seconds: number, apply: () => void): number => {
      driver.now = START_MS + seconds * 1_000;
      apply();
      return ((driver.machine.stream("a")?.expiresAtMs ?? 0) - START_MS) / 1_000;
    };
    expect(use(1, () => driver.append("a", 1, tag("p", 0, 0)))).toBe(11);
    expect(use(2, () => driver.run({ kind: "touch", streams: ["missing", "a"] }))).toBe(12);
    expect(use(3, () => driver.append("a", 1, tag("p", 0, 0)))).toBe(12);
    expect(use(4, () => driver.refused(append("a", 1, { expectedOffset: 77 })))).toBe(12);
    expect(use(5, () => driver.create("a", sliding(10)))).toBe(12);
    expect(use(6, () => driver.append("a", 0, { close: true }))).toBe(16);
    expect(use(7, () => driver.append("a", 0, { close: true }))).toBe(16);
    expect(use(15.999, () => driver.apply())).toBe(16);
    driver.pass(1);
    expect(driver.machine.stream("a")).toBeUndefined();
  });

  it("at a fixed time does not slide", () => {
    const driver = new Driver();
    driver.create("a", absolute(START_MS + 5_000));
    driver.pass(4_000);
    driver.append("a");
    driver.run({ kind: "touch", streams: ["a"] });
    expect(driver.machine.nextDeadline()).toBe(START_MS + 5_000);
    driver.pass(1_000);
    expect(driver.machine.stream("a")).toBeUndefined();
    expect(driver.machine.nextDeadline()).toBeUndefined();
  });

  it("may be due at once, and may lie beyond all time", () => {
    const driver = new Driver();
    const made = driver.apply(create("now", sliding(0)), create("past", absolute(1)), append("past"));
    expect(made.results.map((result) => result.kind)).toEqual(["created", "created", "rejected"]);
    expect(driver.machine.stream("now")).toBeUndefined();
    driver.create("never", sliding(Number.MAX_SAFE_INTEGER));
    expect(driver.machine.stream("never")?.expiresAtMs).toBe(Number.MAX_SAFE_INTEGER);
    expect([...driver.machine.streams()].map(({ name }) => name)).toEqual(["never"]);
  });

  it("of a source with forks leaves it soft-deleted; of the last fork removes both", () => {
    const driver = new Driver();
    driver.create("s", sliding(1));
    driver.create("f", { fork: driver.forkPoint("s"), ...sliding(2) });
    driver.pass(1_000);
    expect(driver.machine.stream("s")?.deleted).toBe(true);
    expect(driver.machine.stream("s")?.expiresAtMs).toBeUndefined();
    expect(driver.machine.stream("f")?.deleted).toBe(false);
    driver.pass(1_000);
    expect(driver.machine.streamCount).toBe(0);
  });

  it("is spread over entries, earliest first, then by age; what is late is gone for everyone all the same", () => {
    const driver = Driver.limited({ duePerEntryMax: 2 });
    driver.create("d", absolute(START_MS + 20));
    for (const name of ["a", "b", "c"]) driver.create(name, absolute(START_MS + 30));
    driver.create("source", absolute(START_MS + 30));
    driver.fork("source", "fork");
    driver.now = START_MS + 40;
    const applied = driver.apply(append("c"), create("b", { contentType: "new" }));
    // Two by the entry itself, two because commands met them.
    expect(applied.changed).toEqual([1, 2, 4, 3, 7]);
    expect(applied.results[0]).toMatchObject({ code: "stream-not-found" });
    expect(driver.machine.stream("b")).toMatchObject({ contentType: "new", deleted: false });
    expect(driver.machine.streamCount).toBe(3);
    expect(driver.machine.stream("source")).toMatchObject({ deleted: true });
    expect(driver.machine.stream("fork")).toBeUndefined();
    expect(driver.machine.nextDeadline()).toBe(START_MS + 30);
    driver.pass(0);
    expect([...driver.machine.streams()].map(({ name }) => name)).toEqual(["b"]);
    // The fork took the last room; its source is left.
    expect(driver.machine.streamCount).toBe(2);
    driver.pass(0);
    expect(driver.machine.streamCount).toBe(1);
    expect(driver.machine.nextDeadline()).toBeUndefined();
  });
});

describe("deadlines", () => {
  it("come in order of time, then owner, whatever was moved and cancelled before", () => {
    const change = fc.record({ owner: fc.nat(30), at: fc.option(fc.nat(20)), peek: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 400 }), (changes) => {
        const deadlines = new Deadlines<number>((a, b) => a - b);
        const all = Array.from({ length: 31 }, (_, owner) => new Deadline(owner));
        const earliest = () =>
          all.filter(({ atMs }) => atMs !== Infinity).toSorted((a, b) => a.atMs - b.atMs || a.owner - b.owner)[0];
        for (const { owner, at, peek } of changes) {
          const deadline = all[owner] as Deadline<number>;
          if (at === null) deadlines.cancel(deadline);
          else deadlines.set(deadline, at);
          if (peek) expect(deadlines.first()).toBe(earliest());
        }
        for (let first = deadlines.first(); first !== undefined; first = deadlines.first()) {
          expect(first).toBe(earliest());
          deadlines.cancel(first);
        }
        expect(earliest()).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });
});
