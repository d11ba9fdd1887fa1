/** Groups of mode `queue`: each record is given to one taker at a time, and done, or dead, exactly once. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import type { GroupLease, GroupOutcome, GroupSettlement, GroupTakenResult } from "../../src/wire/group-command.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { append, batchOf, create, Driver, restored } from "./driver.ts";
import { leasesIn, LEASE_MS, partOf, queue, settle, settleAll, settlement, take, viewOf } from "./group-driver.ts";

const ACK: GroupOutcome = { kind: "ack" };
const NACK: GroupOutcome = { kind: "nack" };
const RELEASE: GroupOutcome = { kind: "release" };

function start(
  config: Parameters<typeof queue>[1] = {},
  records: Readonly<Record<string, number>> = { "q/1": 3 },
): Driver {
  const driver = new Driver();
  driver.run(queue("g", { pattern: "q/*", ...config }));
  for (const [stream, span] of Object.entries(records)) {
    driver.create(stream);
    driver.append(stream, span);
  }
  return driver;
}

describe("a take", () => {
  it("gives what rests no more, then what is new, each once, stream after stream (W135)", () => {
    const driver = start({}, { "q/1": 2, "q/2": 2, "q/3": 1 });
    expect(leasesIn(take(driver, "g", 1))).toEqual(["q/1@0×1 #1"]);
    expect(leasesIn(take(driver, "g", 1))).toEqual(["q/2@0×1 #1"]);
    const third = take(driver, "g", 2);
    expect(leasesIn(third)).toEqual(["q/3@0×1 #1", "q/1@1×1 #1"]);
    settleAll(driver, "g", third, NACK);
    expect(leasesIn(take(driver, "g", 9))).toEqual(["q/2@1×1 #1", "q/3@0×1 #2", "q/1@1×1 #2"]);
    expect(take(driver, "g", 9)).toEqual({ kind: "group-taken", generation: 0, untilMs: 0, leases: [] });
    expect(viewOf(driver, "g")).toMatchObject({ lag: 5, inFlight: 5, resting: 0 });
  });

  it("never has a generation that was there before, whatever was deleted (P39)", () => {
    const driver = start();
    const taken = take(driver, "g", 3);
    driver.run({ kind: "group-delete", id: "g" });
    driver.run(queue("g", { pattern: "q/*" }));
    const again = take(driver, "g", 3);
    expect(again.generation).toBeGreaterThan(taken.generation);
    const settlements = taken.leases.map((lease) => settlement(lease, taken.generation, ACK));
    expect(driver.refused({ kind: "group-settle", id: "g", settlements }).code).toBe("fenced");
  });

  it("gives nothing of a stream that is over, though nothing has ended it yet", () => {
    const driver = Driver.limited({ duePerEntryMax: 0 });
    driver.run(queue("g", { pattern: "q/*" }));
    driver.create("q/1", { expiry: { kind: "absolute", atMs: driver.now + 10 } });
    driver.append("q/1", 1);
    driver.pass(10);
    expect(driver.machine.takeableAt("g")).toBeUndefined();
    expect(take(driver, "g", 1).leases).toEqual([]);
  });

  it("is of a queue, of one record at least, and bounded (W135)", () => {
    const driver = start();
    const of = (count: number): string => driver.refused({ kind: "group-take", id: "g", member: "m", count }).code;
    expect([of(0), of(1_025)]).toEqual(["invalid-group", "too-many"]);
    expect(driver.refused({ kind: "group-take", id: "g", member: "", count: 1 }).code).toBe("invalid-group");
    expect(driver.refused({ kind: "group-join", id: "g", member: "m" }).code).toBe("invalid-group");
    expect(driver.refused({ kind: "group-take", id: "none", member: "m", count: 1 }).code).toBe("group-not-found");
  });

  it("gives less where too much is out, of a stream or over all, and goes on when some is done (I15)", () => {
    const driver = Driver.limited({
      groupOutstandingPerStreamMax: 3,
      groupOutstandingMax: 5,
      groupOutstandingAssured: 0,
    });
    driver.run(queue("g", { pattern: "q/*" }));
    for (const stream of ["q/1", "q/2"]) {
      driver.create(stream);
      driver.append(stream, 10);
    }
    const taken = take(driver, "g", 20);
    expect(leasesIn(taken)).toEqual(["q/1@0×3 #1", "q/2@0×2 #1"]);
    expect(driver.machine.takeableAt("g")).toBeUndefined();
    settle(driver, "g", { ...settlement(taken.leases[0] as GroupLease, taken.generation, ACK), offset: 1, count: 1 });
    expect(driver.machine.takeableAt("g")).toBe(0);
    expect(leasesIn(take(driver, "g", 20))).toEqual(["q/1@3×1 #1"]);
  });
});

describe("the room that queues share", () => {
  const LIMITS = { ...STREAMS_LIMITS, groupOutstandingMax: 5, groupOutstandingAssured: 2 };
  const filled = (): { driver: Driver; taken: GroupTakenResult } => {
    const driver = Driver.limited(LIMITS);
    driver.run(queue("a", { streams: ["q"] }));
    driver.run(queue("b", { streams: ["q"] }));
    driver.run(queue("c", { streams: ["other"] }));
    driver.create("q");
    driver.append("q", 10);
    return { driver, taken: take(driver, "a", 10) };
  };

  it("is not one group's alone: each may have a few out, whatever the others have (I15)", () => {
    const { driver, taken } = filled();
    expect(leasesIn(taken)).toEqual(["q@0×5 #1"]);
    expect(driver.machine.takeableAt("b")).toBe(0);
    const other = take(driver, "b", 10);
    expect(leasesIn(other)).toEqual(["q@0×2 #1"]);
    expect(driver.machine.takeableAt("b")).toBeUndefined();
    expect(restored(driver.machine, LIMITS).takeableAt("b")).toBeUndefined();
    settle(driver, "b", { ...settlement(other.leases[0] as GroupLease, other.generation, ACK), count: 1 });
    expect(leasesIn(take(driver, "b", 10))).toEqual(["q@2×1 #1"]);
  });

  it.each<[string, (driver: Driver, taken: GroupTakenResult) => ReturnType<Driver["apply"]>]>([
    [
      "settles",
      (driver, taken) =>
        driver.apply({
          kind: "group-settle",
          id: "a",
          settlements: taken.leases.map((lease) => settlement(lease, taken.generation, ACK)),
        }),
    ],
    ["is deleted", (driver) => driver.apply({ kind: "group-delete", id: "a" })],
  ])("is told to those who wait for it when another group %s (W135)", (_how, free) => {
    const { driver, taken } = filled();
    // These two are beyond the bound.
    const other = take(driver, "b", 10);
    expect(driver.machine.takeableAt("b")).toBeUndefined();
    const { groupsReady } = free(driver, taken);
    expect(groupsReady).toContain("b");
    expect(groupsReady).not.toContain("c");
    expect(leasesIn(take(driver, "b", 10))).toEqual(["q@2×3 #1"]);
    expect(other.leases).toHaveLength(1);
  });
});

describe("a lease", () => {
  it("ends at its time, whoever notices, and the attempt counts (I14)", () => {
    const driver = start({ attemptsMax: 2 }, { "q/1": 1 });
    const taken = take(driver, "g");
    expect(taken.untilMs).toBe(driver.now + LEASE_MS);
    expect(driver.machine.nextDeadline()).toBe(taken.untilMs);
    driver.now += LEASE_MS;
    const late = taken.leases.map((lease) => settlement(lease, taken.generation, ACK));
    expect(driver.refused({ kind: "group-settle", id: "g", settlements: late }).code).toBe("fenced");
    expect(leasesIn(take(driver, "g"))).toEqual(["q/1@0×1 #2"]);
    driver.pass(LEASE_MS);
    expect(viewOf(driver, "g")).toMatchObject({ lag: 0, dropped: 1, deadLettered: 0 });
  });

  it("is extended by whoever holds it, and by nobody else (P39)", () => {
    const driver = start({}, { "q/1": 1 });
    const taken = take(driver, "g");
    driver.now += LEASE_MS - 1;
    settleAll(driver, "g", taken, { kind: "extend" });
    driver.pass(LEASE_MS - 1);
    expect(viewOf(driver, "g").inFlight).toBe(1);
    driver.pass(1);
    expect(viewOf(driver, "g").inFlight).toBe(0);
    const settlements = taken.leases.map((lease) => settlement(lease, taken.generation, { kind: "extend" }));
    expect(driver.refused({ kind: "group-settle", id: "g", settlements }).code).toBe("fenced");
  });

  it("is given back at once, its attempt not counted, however often that is (W136)", () => {
    const driver = start({ attemptsMax: 2, retryDelayMs: 50 }, { "q/1": 3 });
    for (let round = 0; round < 5; round += 1) {
      const taken = take(driver, "g", 3);
      expect(leasesIn(taken)).toEqual(["q/1@0×3 #1"]);
      expect(settleAll(driver, "g", taken, RELEASE).refused).toEqual([]);
      const settlements = taken.leases.map((lease) => settlement(lease, taken.generation, RELEASE));
      expect(driver.refused({ kind: "group-settle", id: "g", settlements }).code).toBe("fenced");
    }
    settleAll(driver, "g", take(driver, "g", 3), NACK);
    driver.now += 50;
    const last = take(driver, "g", 3);
    expect(leasesIn(last)).toEqual(["q/1@0×3 #2"]);
    settleAll(driver, "g", last, RELEASE);
    expect(viewOf(driver, "g")).toMatchObject({ lag: 3, inFlight: 0, resting: 3, dropped: 0 });
    expect(leasesIn(take(Object.assign(new Driver(restored(driver.machine)), { now: driver.now }), "g", 3))).toEqual([
      "q/1@0×3 #2",
    ]);
  });

  it("is settled record by record; what is no longer held is refused by itself (W136)", () => {
    const driver = start({ retryDelayMs: 50 }, { "q/1": 5 });
    const taken = take(driver, "g", 5);
    const [lease] = taken.leases as [GroupLease];
    const part = (offset: number, count: number, outcome: GroupOutcome): GroupSettlement => ({
      ...settlement(lease, taken.generation, outcome),
      offset,
      count,
    });
    expect(settle(driver, "g", part(1, 1, ACK), part(3, 2, NACK)).refused).toEqual([]);
    expect(partOf(driver, "g", "q/1")).toMatchObject({ committed: 0, lag: 4, inFlight: 2, resting: 2 });
    expect(settle(driver, "g", part(0, 7, ACK)).refused).toEqual([
      { item: 0, offset: 1, count: 1 },
      { item: 0, offset: 3, count: 4 },
    ]);
    expect(partOf(driver, "g", "q/1")).toMatchObject({ committed: 3, lag: 2 });
    expect(driver.machine.takeableAt("g")).toBe(driver.now + 50);
    expect(take(driver, "g", 9).leases).toEqual([]);
    driver.now += 50;
    expect(leasesIn(take(driver, "g", 9))).toEqual(["q/1@3×2 #2"]);
  });

  it("of what is trimmed or deleted meanwhile is over, and nothing of it is given again", () => {
    const driver = start({}, { "q/1": 4, "q/2": 1 });
    const taken = take(driver, "g", 9);
    driver.run({ kind: "trim", stream: "q/1", before: 2 });
    driver.run({ kind: "delete", stream: "q/2" });
    driver.create("q/2");
    driver.append("q/2", 1);
    expect(settleAll(driver, "g", taken, NACK).refused).toEqual([
      { item: 0, offset: 0, count: 2 },
      { item: 1, offset: 0, count: 1 },
    ]);
    expect(leasesIn(take(driver, "g", 9))).toEqual(["q/2@0×1 #1", "q/1@2×2 #2"]);
  });
});

describe("a dead record", () => {
  const dying = (deadLetter = "d"): { driver: Driver; taken: GroupTakenResult } => {
    const driver = start({ attemptsMax: 1, deadLetter }, { "q/1": 2 });
    const taken = take(driver, "g", 2);
    settleAll(driver, "g", taken, { kind: "nack", delayMs: 100, reason: "bad" });
    return { driver, taken };
  };
  const letter = (driver: Driver, offset: number, more: object = {}): Parameters<Driver["run"]>[0] => {
    const [dead] = driver.machine.deadRecords(1);
    if (dead === undefined) throw new Error("nothing is dead");
    const { group: id, stream, incarnation, generation } = dead;
    return { kind: "group-dead-letter", id, stream, incarnation, offset, generation, batch: batchOf(1), ...more };
  };

  it("waits, is given to nobody, and goes to its stream once, however often that is asked for (I8, W137)", () => {
    const { driver } = dying();
    expect(viewOf(driver, "g")).toMatchObject({ lag: 2, dead: 2, deadLettered: 0 });
    expect(take(driver, "g", 2).leases).toEqual([]);
    expect(driver.machine.deadRecords(9)).toMatchObject([
      { stream: "q/1", offset: 0, attempts: 1, reason: "bad", deadLetter: "d" },
      { stream: "q/1", offset: 1 },
    ]);
    const command = letter(driver, 0);
    expect(driver.refused(command).code).toBe("stream-not-found");
    expect(viewOf(driver, "g")).toMatchObject({ dead: 2 });
    driver.create("d");
    const applied = driver.apply(command, command, command);
    expect(applied.results.map((result) => ("code" in result ? result.code : result.kind))).toEqual([
      "done",
      "fenced",
      "fenced",
    ]);
    expect(applied.placements.map(({ accepted }) => accepted)).toEqual([true, false, false]);
    expect(driver.machine.stream("d")?.nextOffset).toBe(1);
    expect(viewOf(driver, "g")).toMatchObject({ lag: 1, dead: 1, deadLettered: 1 });
    expect(driver.run(letter(driver, 1, { batch: undefined }))).toEqual({ kind: "done" });
    expect(viewOf(driver, "g")).toMatchObject({ lag: 0, dead: 0, deadLettered: 1, dropped: 1 });
    expect(driver.machine.hasDeadRecords).toBe(false);
  });

  it("does not go to a stream that is closed, or that holds JSON where it is none", () => {
    const { driver } = dying();
    driver.create("d", { contentType: "application/json" });
    expect(driver.refused(letter(driver, 0)).code).toBe("content-type-mismatch");
    driver.run({ kind: "delete", stream: "d" });
    driver.create("d", { closed: true });
    expect(driver.refused(letter(driver, 0)).code).toBe("stream-closed");
    expect(viewOf(driver, "g")).toMatchObject({ dead: 2 });
  });

  it("is of its last lease, and of this life of its stream, its group and its queue (P39)", () => {
    const { driver } = dying();
    driver.create("d");
    const command = letter(driver, 0);
    expect(driver.refused({ ...letter(driver, 0, { generation: 99 }) }).code).toBe("fenced");
    const { incarnation } = partOf(driver, "g", "q/1");
    driver.run({ kind: "group-reset", id: "g", force: false, positions: [{ stream: "q/1", incarnation, offset: 0 }] });
    expect(driver.refused(command).code).toBe("fenced");
    expect(leasesIn(take(driver, "g", 9))).toEqual(["q/1@0×2 #1"]);
  });

  it("that is trimmed or deleted before it was moved is counted as dropped", () => {
    const { driver } = dying();
    driver.run({ kind: "trim", stream: "q/1", before: 1 });
    expect(viewOf(driver, "g")).toMatchObject({ dead: 1, dropped: 1 });
    const operations = [{ kind: "delete", stream: "q/1" }, append("none")] as const;
    driver.refused({ kind: "transaction", conditions: [], operations });
    expect(viewOf(driver, "g")).toMatchObject({ dead: 1, dropped: 1 });
    driver.run({ kind: "delete", stream: "q/1" });
    expect(viewOf(driver, "g")).toMatchObject({ dead: 0, dropped: 2 });
    expect(driver.machine.hasDeadRecords).toBe(false);
  });

  it("stays dead when the group is reset to what is behind it, and is given again by a reset to what is before it", () => {
    const { driver } = dying();
    const { incarnation } = partOf(driver, "g", "q/1");
    const to = (offset: number): unknown =>
      driver.run({ kind: "group-reset", id: "g", force: false, positions: [{ stream: "q/1", incarnation, offset }] });
    to(2);
    expect(viewOf(driver, "g")).toMatchObject({ dead: 2, lag: 2 });
    to(1);
    expect(viewOf(driver, "g")).toMatchObject({ dead: 1, lag: 2 });
    expect(leasesIn(take(driver, "g", 9))).toEqual(["q/1@1×1 #1"]);
  });
});

describe("a reset of a queue", () => {
  it("waits for those at work, or ends their leases by force (P39)", () => {
    const driver = start();
    const taken = take(driver, "g", 2);
    const { incarnation } = partOf(driver, "g", "q/1");
    const reset = { kind: "group-reset", id: "g", positions: [{ stream: "q/1", incarnation, offset: 1 }] } as const;
    expect(driver.refused({ ...reset, force: false }).code).toBe("group-busy");
    expect(driver.run({ ...reset, force: true })).toEqual({ kind: "done" });
    expect(leasesIn(take(driver, "g", 9))).toEqual(["q/1@1×2 #1"]);
    const settlements = taken.leases.map((lease) => settlement(lease, taken.generation, ACK));
    expect(driver.refused({ kind: "group-settle", id: "g", settlements }).code).toBe("fenced");
  });
});

describe("a settlement", () => {
  it.each<[string, Partial<GroupSettlement>, string]>([
    ["of no records", { count: 0 }, "invalid-group"],
    ["of too many", { count: 1_025 }, "too-many"],
    ["past all offsets", { offset: Number.MAX_SAFE_INTEGER }, "malformed-offset"],
    ["with a rest that never ends", { outcome: { kind: "nack", delayMs: 2 ** 40 } }, "invalid-group"],
    ["with a long reason", { outcome: { kind: "nack", reason: "x".repeat(257) } }, "invalid-group"],
    ["with a lease that never ends", { outcome: { kind: "extend", leaseMs: 2 ** 40 } }, "invalid-group"],
    ["with a lease too short", { outcome: { kind: "extend", leaseMs: 1 } }, "invalid-group"],
  ])("%s is refused (W136)", (_what, wrong, code) => {
    const driver = start();
    const { leases, generation } = take(driver, "g", 3);
    const right = settlement(leases[0] as GroupLease, generation, ACK);
    expect(driver.refused({ kind: "group-settle", id: "g", settlements: [right, { ...right, ...wrong }] }).code).toBe(
      code,
    );
    expect(viewOf(driver, "g").inFlight).toBe(3);
    expect(driver.refused({ kind: "group-settle", id: "g", settlements: [] }).code).toBe("invalid-group");
  });
});

/* A model: what each record is, worked out from what was asked and answered alone. */

type Fate =
  | { readonly kind: "new" }
  | { readonly kind: "leased"; readonly attempt: number; readonly generation: number; readonly untilMs: number }
  | { readonly kind: "resting"; readonly attempt: number; readonly dueMs: number }
  | { readonly kind: "dead"; readonly generation: number }
  | { readonly kind: "over"; readonly how: "acked" | "dead-lettered" | "dropped" | "trimmed" };

const ATTEMPTS_MAX = 3;
const RETRY_MS = 30;
const STREAMS = ["q/1", "q/2", "q/3"];

class Model {
  readonly fates = new Map<string, Fate>();

  at(stream: string, incarnation: number, offset: number): Fate {
    return this.fates.get(keyOf(stream, incarnation, offset)) ?? { kind: "over", how: "trimmed" };
  }

  set(stream: string, incarnation: number, offset: number, fate: Fate): void {
    const key = keyOf(stream, incarnation, offset);
    if (this.fates.get(key)?.kind === "over") throw new Error(`${key} was over already`);
    this.fates.set(key, fate);
  }

  fail(key: string, { attempt, generation }: Extract<Fate, { kind: "leased" }>, dueMs: number): void {
    this.fates.set(key, attempt < ATTEMPTS_MAX ? { kind: "resting", attempt, dueMs } : { kind: "dead", generation });
  }

  /** Log time is `now`. */
  pass(now: number): void {
    for (const [key, fate] of this.fates) if (fate.kind === "leased" && fate.untilMs <= now) this.fail(key, fate, now);
  }

  takeable(now: number): number {
    return [...this.fates.values()].filter(
      (fate) => fate.kind === "new" || (fate.kind === "resting" && fate.dueMs <= now),
    ).length;
  }

  count(kind: Fate["kind"]): number {
    return [...this.fates.values()].filter((fate) => fate.kind === kind).length;
  }
}

function keyOf(stream: string, incarnation: number, offset: number): string {
  return `${stream} ${incarnation} ${offset}`;
}

describe("whatever takers do", () => {
  it("each record is acked, or dead, exactly once, and never with two at a time (P39, I8, I10)", () => {
    const met = new Set<string>();
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const prng = new Prng(seed);
        let driver = start({ attemptsMax: ATTEMPTS_MAX, retryDelayMs: RETRY_MS, deadLetter: "d" }, {});
        driver.create("d");
        const model = new Model();
        const held: { readonly lease: GroupLease; readonly generation: number }[] = [];
        const takeSome = (count: number): number => {
          model.pass(driver.now);
          const before = model.takeable(driver.now);
          const taken = take(driver, "g", count);
          let got = 0;
          for (const lease of taken.leases) {
            held.push({ lease, generation: taken.generation });
            for (let offset = lease.offset; offset < lease.offset + lease.count; offset += 1) {
              const fate = model.at(lease.stream, lease.incarnation, offset);
              const again = fate.kind === "resting";
              if (again) expect(fate.dueMs).toBeLessThanOrEqual(driver.now);
              else expect(fate.kind).toBe("new");
              const attempt = again ? fate.attempt + 1 : 1;
              expect(lease.attempt).toBe(attempt);
              const { generation, untilMs } = taken;
              model.set(lease.stream, lease.incarnation, offset, { kind: "leased", attempt, generation, untilMs });
              got += 1;
            }
          }
          expect(got).toBe(Math.min(count, before));
          return got;
        };
        const settleOne = (outcome: GroupOutcome): void => {
          const { lease, generation } = prng.pick(held);
          const from = prng.below(lease.count);
          const count = 1 + prng.below(lease.count - from);
          const whole = settlement(lease, generation, outcome);
          const offset = lease.offset + from;
          const result = driver.run({ kind: "group-settle", id: "g", settlements: [{ ...whole, offset, count }] });
          model.pass(driver.now);
          const refused = new Set<number>();
          if (result.kind === "rejected") expect(result.code).toBe("fenced");
          for (let at = offset; at < offset + count; at += 1) if (result.kind === "rejected") refused.add(at);
          if (result.kind === "group-settled")
            for (const part of result.refused) for (let at = 0; at < part.count; at += 1) refused.add(part.offset + at);
          for (let at = offset; at < offset + count; at += 1) {
            const fate = model.at(lease.stream, lease.incarnation, at);
            const holds = fate.kind === "leased" && fate.generation === generation;
            expect(refused.has(at)).toBe(!holds);
            if (!holds) met.add("refused");
            else if (outcome.kind === "ack")
              model.set(lease.stream, lease.incarnation, at, { kind: "over", how: "acked" });
            else if (outcome.kind === "nack")
              model.fail(keyOf(lease.stream, lease.incarnation, at), fate, driver.now + (outcome.delayMs ?? RETRY_MS));
            else if (outcome.kind === "release")
              model.set(lease.stream, lease.incarnation, at, {
                kind: "resting",
                attempt: fate.attempt - 1,
                dueMs: driver.now,
              });
            else model.set(lease.stream, lease.incarnation, at, { ...fate, untilMs: driver.now + LEASE_MS });
          }
        };
        const bury = (): void => {
          const [dead] = driver.machine.deadRecords(1);
          if (dead === undefined) return;
          const { stream, incarnation, offset, generation } = dead;
          expect(model.at(stream, incarnation, offset)).toEqual({ kind: "dead", generation });
          const keep = prng.chance(0.8);
          const command = { kind: "group-dead-letter", id: "g", stream, incarnation, offset, generation } as const;
          const [first, second] = driver.apply({ ...command, ...(keep && { batch: batchOf(1) }) }, command).results;
          expect([first?.kind, second?.kind]).toEqual(["done", "rejected"]);
          model.pass(driver.now);
          model.set(stream, incarnation, offset, { kind: "over", how: keep ? "dead-lettered" : "dropped" });
        };
        for (let step = 0; step < 60; step += 1) {
          const stream = prng.pick(STREAMS);
          const dice = prng.below(100);
          if (dice < 20) {
            const results = driver.apply(create(stream), append(stream, 1 + prng.below(4))).results;
            model.pass(driver.now);
            const [, appended] = results;
            if (appended?.kind === "appended")
              for (let at = appended.firstOffset ?? 0; at < (appended.nextOffset ?? 0); at += 1)
                model.set(stream, appended.incarnation, at, { kind: "new" });
          } else if (dice < 24) {
            const before = prng.below(6);
            const { machine } = driver;
            const incarnation = machine.stream(stream)?.incarnation ?? 0;
            if (driver.run({ kind: "trim", stream, before }).kind !== "trimmed") continue;
            model.pass(driver.now);
            for (let at = 0; at < before; at += 1)
              if (model.at(stream, incarnation, at).kind !== "over")
                model.set(stream, incarnation, at, { kind: "over", how: "trimmed" });
          } else if (dice < 27) {
            const incarnation = driver.machine.stream(stream)?.incarnation ?? 0;
            if (driver.run({ kind: "delete", stream }).kind !== "done") continue;
            model.pass(driver.now);
            for (const key of model.fates.keys())
              if (key.startsWith(`${stream} ${incarnation} `) && model.fates.get(key)?.kind !== "over")
                model.fates.set(key, { kind: "over", how: "trimmed" });
          } else if (dice < 50) takeSome(1 + prng.below(5));
          else if (dice < 75) {
            if (held.length > 0)
              settleOne(
                prng.pick([ACK, ACK, NACK, RELEASE, { kind: "nack", delayMs: 5 }, { kind: "extend" }] as const),
              );
          } else if (dice < 80) bury();
          else if (dice < 90) driver.pass(prng.below(LEASE_MS));
          else if (dice < 95) driver = Object.assign(new Driver(restored(driver.machine)), { now: driver.now });
          else driver.now += prng.below(20);
          if (dice >= 90) continue;
          // What others see is what the model says.
          model.pass(driver.machine.logTime);
          const view = viewOf(driver, "g");
          const [leased, resting, dead] = [model.count("leased"), model.count("resting"), model.count("dead")];
          expect(view).toMatchObject({
            inFlight: leased,
            resting,
            dead,
            lag: model.count("new") + leased + resting + dead,
          });
        }
        // Whatever is left comes to an end: nothing is lost, and nothing is done twice (`set` of what is over throws).
        for (let round = 0; model.count("over") < model.fates.size; round += 1) {
          expect(round).toBeLessThan(100);
          driver.pass(LEASE_MS);
          for (let got = takeSome(50); got > 0; got = takeSome(50)) {
            const { lease, generation } = held.at(-1) as { lease: GroupLease; generation: number };
            settle(driver, "g", settlement(lease, generation, ACK));
            for (let at = lease.offset; at < lease.offset + lease.count; at += 1)
              model.set(lease.stream, lease.incarnation, at, { kind: "over", how: "acked" });
          }
          while (driver.machine.hasDeadRecords) bury();
        }
        expect(viewOf(driver, "g")).toMatchObject({ lag: 0, inFlight: 0, resting: 0, dead: 0 });
        let letters = 0;
        for (const fate of model.fates.values()) {
          if (fate.kind !== "over") continue;
          met.add(fate.how);
          if (fate.how === "dead-lettered") letters += 1;
        }
        expect(driver.machine.stream("d")?.nextOffset).toBe(letters);
        expect(viewOf(driver, "g").deadLettered).toBe(letters);
      }),
      { numRuns: 150 },
    );
    // Not vacuous (P46).
    expect([...met].sort()).toEqual(["acked", "dead-lettered", "dropped", "refused", "trimmed"]);
  });
});
