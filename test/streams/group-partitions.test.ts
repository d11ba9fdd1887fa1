/** Groups of mode `partitions`: who owns what, and that nobody else moves its offset. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import type { GroupAssignedResult } from "../../src/wire/group-command.ts";
import type { GroupStreamView } from "../../log-server/streams/groups/group-views.ts";
import { append, create, Driver, restored } from "./driver.ts";
import { heartbeat, join, LEASE_MS, partitions, partOf, viewOf } from "./group-driver.ts";

function shares(driver: Driver, id = "g"): Record<string, readonly string[]> {
  const byOwner: Record<string, string[]> = {};
  for (const { owner = "nobody", stream } of viewOf(driver, id).streams()) (byOwner[owner] ??= []).push(stream);
  return byOwner;
}

function start(...streams: readonly string[]): Driver {
  const driver = new Driver();
  driver.run(partitions("g", { pattern: "p/*" }));
  for (const stream of streams) driver.create(stream);
  return driver;
}

function ack(driver: Driver, member: string, given: GroupAssignedResult, stream: string, offset: number): unknown {
  const found = given.assignments.find((assignment) => assignment.stream === stream);
  if (found === undefined) throw new Error(`${stream} was not given to ${member}`);
  const { incarnation, generation } = found;
  const acks = [{ stream, incarnation, generation, offset }];
  return driver.run({ kind: "group-ack", id: "g", member, session: given.session, acks });
}

describe("the streams of a group", () => {
  it("are shared, and go to those who stay when one leaves, is silent, or a stream comes or goes (W132)", () => {
    const driver = start("p/1", "p/2", "p/3", "p/4", "q/1");
    expect(shares(driver)).toEqual({ nobody: ["p/1", "p/2", "p/3", "p/4"] });
    const a = join(driver, "g", "a");
    expect(shares(driver)).toEqual({ a: ["p/1", "p/2", "p/3", "p/4"] });
    const b = join(driver, "g", "b");
    expect(shares(driver)).toEqual({ a: ["p/1", "p/2"], b: ["p/3", "p/4"] });
    join(driver, "g", "c");
    expect(shares(driver)).toEqual({ a: ["p/1", "p/2"], b: ["p/3"], c: ["p/4"] });
    driver.create("p/5");
    expect(shares(driver)).toEqual({ a: ["p/1", "p/2"], b: ["p/3", "p/5"], c: ["p/4"] });
    driver.run({ kind: "group-leave", id: "g", member: "a", session: a.session });
    expect(shares(driver)).toEqual({ b: ["p/1", "p/3", "p/5"], c: ["p/2", "p/4"] });
    driver.run({ kind: "delete", stream: "p/1" });
    driver.run({ kind: "delete", stream: "p/3" });
    expect(shares(driver)).toEqual({ b: ["p/5"], c: ["p/2", "p/4"] });
    driver.pass(LEASE_MS - 1);
    heartbeat(driver, "g", "b", b.session);
    expect(driver.machine.nextDeadline()).toBe(driver.now + 1);
    driver.pass(1);
    expect(shares(driver)).toEqual({ b: ["p/2", "p/4", "p/5"] });
  });

  it("are not in the hands of the silent a moment longer than the lease (I14)", () => {
    const driver = start("p/1");
    const a = join(driver, "g", "a");
    driver.pass(LEASE_MS - 1);
    expect(shares(driver)).toEqual({ a: ["p/1"] });
    driver.now += 1;
    // The command's own entry finds the session over.
    expect(driver.refused({ kind: "group-heartbeat", id: "g", member: "a", session: a.session }).code).toBe("fenced");
    expect(shares(driver)).toEqual({ nobody: ["p/1"] });
  });

  it("are begun where the group says: at the start, or behind what is there", () => {
    const driver = new Driver();
    driver.create("p/1");
    driver.append("p/1", 3);
    driver.run({ kind: "trim", stream: "p/1", before: 1 });
    driver.run(partitions("g", { pattern: "p/*" }));
    driver.run(partitions("h", { pattern: "p/*", from: "now" }));
    driver.create("p/2");
    driver.append("p/2", 2);
    expect([partOf(driver, "g", "p/1").committed, partOf(driver, "h", "p/1").committed]).toEqual([1, 3]);
    expect([partOf(driver, "g", "p/2").committed, partOf(driver, "h", "p/2").committed]).toEqual([0, 0]);
    expect(partOf(driver, "g", "p/1").lag).toBe(2);
  });
});

describe("a committed offset", () => {
  it("is the owner's to move, forward only, and where the next owner goes on (P39)", () => {
    const driver = start("p/1", "p/2");
    driver.append("p/1", 5);
    driver.append("p/2", 5);
    const a = join(driver, "g", "a");
    expect(ack(driver, "a", a, "p/2", 3)).toEqual({ kind: "group-settled", refused: [] });
    expect(ack(driver, "a", a, "p/2", 2)).toEqual({ kind: "group-settled", refused: [] });
    const b = join(driver, "g", "b");
    expect(b.assignments).toMatchObject([{ stream: "p/2", committed: 3 }]);
    expect(ack(driver, "a", a, "p/2", 4)).toMatchObject({ kind: "rejected", code: "fenced" });
    expect(partOf(driver, "g", "p/2").committed).toBe(3);
    expect(ack(driver, "b", b, "p/2", 5)).toEqual({ kind: "group-settled", refused: [] });
    expect(partOf(driver, "g", "p/2")).toMatchObject({ committed: 5, lag: 0 });
    expect(ack(driver, "b", b, "p/2", 6)).toMatchObject({ kind: "rejected", code: "malformed-offset" });
  });

  it("refuses by itself what has gone to another, and takes the rest (W134)", () => {
    const driver = start("p/1", "p/2");
    driver.append("p/1", 2);
    driver.append("p/2", 2);
    const a = join(driver, "g", "a");
    join(driver, "g", "b");
    const acks = a.assignments.map(({ stream, incarnation, generation }) => ({
      stream,
      incarnation,
      generation,
      offset: 2,
    }));
    const result = driver.run({ kind: "group-ack", id: "g", member: "a", session: a.session, acks });
    expect(result).toEqual({ kind: "group-settled", refused: [{ item: 1, offset: 2, count: 0 }] });
    expect([partOf(driver, "g", "p/1").committed, partOf(driver, "g", "p/2").committed]).toEqual([2, 0]);
  });

  it("is not moved by an older process of the same name: its session is fenced (P39)", () => {
    const driver = start("p/1");
    driver.append("p/1", 2);
    const old = join(driver, "g", "a");
    const young = join(driver, "g", "a");
    expect(young.assignments[0]?.generation).toBeGreaterThan(old.assignments[0]?.generation ?? 0);
    expect(ack(driver, "a", old, "p/1", 1)).toMatchObject({ code: "fenced", generation: young.session });
    // Nor with the younger one's session and the older one's generation.
    expect(ack(driver, "a", { ...old, session: young.session }, "p/1", 1)).toMatchObject({ code: "fenced" });
    expect(ack(driver, "a", young, "p/1", 1)).toEqual({ kind: "group-settled", refused: [] });
  });

  it("of a stream made anew begins anew, and does not take an acknowledgement of the old one (P39)", () => {
    const driver = start("p/1");
    driver.append("p/1", 2);
    const a = join(driver, "g", "a");
    driver.run({ kind: "delete", stream: "p/1" });
    driver.create("p/1");
    driver.append("p/1", 2);
    expect(ack(driver, "a", a, "p/1", 2)).toMatchObject({ code: "fenced" });
    expect(partOf(driver, "g", "p/1").committed).toBe(0);
  });

  it("in a group made anew does not take what was meant for the old one (P39)", () => {
    const driver = start("p/1");
    driver.append("p/1", 2);
    const a = join(driver, "g", "a");
    driver.run({ kind: "group-delete", id: "g" });
    driver.run(partitions("g", { pattern: "p/*" }));
    join(driver, "g", "a");
    expect(ack(driver, "a", a, "p/1", 2)).toMatchObject({ code: "fenced" });
  });

  it("moves with the stream's first record: nobody can process what is trimmed", () => {
    const driver = start("p/1");
    driver.append("p/1", 5);
    driver.run({ kind: "trim", stream: "p/1", before: 3 });
    expect(partOf(driver, "g", "p/1")).toMatchObject({ committed: 3, lag: 2 });
  });
});

describe("a reset", () => {
  const back = (driver: Driver, force: boolean, offset = 1): unknown => {
    const { incarnation } = partOf(driver, "g", "p/1");
    return driver.run({ kind: "group-reset", id: "g", force, positions: [{ stream: "p/1", incarnation, offset }] });
  };

  it("moves the offset back where nobody is at work", () => {
    const driver = start("p/1");
    driver.append("p/1", 5);
    const a = join(driver, "g", "a");
    ack(driver, "a", a, "p/1", 4);
    expect(back(driver, false)).toMatchObject({ kind: "rejected", code: "group-busy" });
    expect(partOf(driver, "g", "p/1").committed).toBe(4);
    driver.run({ kind: "group-leave", id: "g", member: "a", session: a.session });
    expect(back(driver, false)).toEqual({ kind: "done" });
    expect(partOf(driver, "g", "p/1").committed).toBe(1);
  });

  it("by force fences whoever is at work (P39)", () => {
    const driver = start("p/1");
    driver.append("p/1", 5);
    const a = join(driver, "g", "a");
    expect(back(driver, true)).toEqual({ kind: "done" });
    expect(ack(driver, "a", a, "p/1", 5)).toMatchObject({ code: "fenced" });
    const again = heartbeat(driver, "g", "a", a.session);
    expect(again.assignments).toMatchObject([{ stream: "p/1", committed: 1 }]);
    expect(ack(driver, "a", again, "p/1", 5)).toEqual({ kind: "group-settled", refused: [] });
  });

  it("does not go before the first retained record, nor past the end, and does all or nothing", () => {
    const driver = start("p/1", "p/2");
    driver.append("p/1", 5);
    driver.run({ kind: "trim", stream: "p/1", before: 2 });
    expect(back(driver, false, 0)).toEqual({ kind: "done" });
    expect(partOf(driver, "g", "p/1").committed).toBe(2);
    expect(back(driver, false, 6)).toMatchObject({ code: "malformed-offset" });
    const positions = ["p/1", "p/2"].map((stream) => ({
      stream,
      incarnation: partOf(driver, "g", stream).incarnation,
      offset: 4,
    }));
    expect(driver.run({ kind: "group-reset", id: "g", force: false, positions })).toMatchObject({
      code: "malformed-offset",
    });
    expect(partOf(driver, "g", "p/1").committed).toBe(2);
  });
});

describe("a group", () => {
  it("is the same if it is made again the same, and refused if not (W131)", () => {
    const driver = new Driver();
    const config = partitions("g", { streams: ["b", "a", "b"], pattern: "p/*" });
    expect(driver.run(config)).toEqual({ kind: "group-created", created: true });
    expect(driver.run({ ...config, streams: ["a", "b"] })).toEqual({ kind: "group-created", created: false });
    expect(driver.refused({ ...config, leaseMs: LEASE_MS + 1 }).code).toBe("group-exists");
  });

  it.each<[string, Parameters<typeof partitions>[1]]>([
    ["nothing to follow", {}],
    ["a lease too short", { pattern: "*", leaseMs: 1 }],
    ["a lease too long", { pattern: "*", leaseMs: 2 ** 40 }],
    ["a pattern that is none", { pattern: "x".repeat(1_025) }],
    ["a name that is none", { streams: ["a//b"] }],
    ["no id", { id: "", pattern: "*" }],
    ["an id of two lines", { id: "a\n", pattern: "*" }],
    ["an id that a path would lose", { id: "..", pattern: "*" }],
    ["a long id", { id: "x".repeat(257), pattern: "*" }],
    [
      "dead letters without a bound on attempts",
      { pattern: "*", mode: { kind: "queue", attemptsMax: 0, retryDelayMs: 0, deadLetter: "d" } },
    ],
    [
      "its dead letters among its streams",
      { streams: ["d"], mode: { kind: "queue", attemptsMax: 1, retryDelayMs: 0, deadLetter: "d" } },
    ],
    ["a long rest", { pattern: "*", mode: { kind: "queue", attemptsMax: 1, retryDelayMs: 2 ** 40 } }],
  ])("is not made with %s (W131)", (_what, config) => {
    const driver = new Driver();
    expect(driver.refused(partitions("g", config)).code).toBe("invalid-group");
    expect(driver.machine.groupCount).toBe(0);
  });

  it("has bounds: members, streams, groups (I15)", () => {
    const driver = Driver.limited({ groupsMax: 2, membersPerGroupMax: 2, groupMembersMax: 3, linksPerGroupMax: 2 });
    driver.run(partitions("g", { pattern: "p/*" }));
    driver.run(partitions("h", { pattern: "p/*" }));
    expect(driver.refused(partitions("i", { pattern: "*" })).code).toBe("too-many");
    join(driver, "g", "a");
    join(driver, "g", "b");
    expect(driver.refused({ kind: "group-join", id: "g", member: "c" }).code).toBe("too-many");
    join(driver, "h", "a");
    expect(driver.refused({ kind: "group-join", id: "h", member: "b" }).code).toBe("too-many");
    for (const stream of ["p/1", "p/2", "p/3"]) driver.create(stream);
    expect(viewOf(driver, "g")).toMatchObject({ streamCount: 2, unlinked: 1 });
    driver.run({ kind: "group-delete", id: "g" });
    expect(driver.refused(partitions("g", { pattern: "p/*" })).code).toBe("too-many");
    expect(driver.machine.groupCount).toBe(1);
  });

  it("takes part in a transaction that is taken back as if nothing had been (I11)", () => {
    const driver = start("p/1");
    driver.append("p/1", 2);
    const a = join(driver, "g", "a");
    ack(driver, "a", a, "p/1", 1);
    const before = driver.machine.group("g")?.streams();
    const operations = [{ kind: "delete", stream: "p/1" }, create("p/1"), create("p/2"), append("none")] as const;
    expect(driver.refused({ kind: "transaction", conditions: [], operations }).code).toBe("stream-not-found");
    expect(viewOf(driver, "g").streams()).toEqual(before);
    expect(ack(driver, "a", a, "p/1", 2)).toEqual({ kind: "group-settled", refused: [] });
  });
});

const MEMBERS = ["a", "b", "c", "d", "e"];
const STREAMS = ["p/1", "p/2", "p/3", "p/4", "p/5", "p/6", "p/7"];

/** As many as can stay where they are, if everyone has as many as the others, give or take one. */
function staying(
  before: readonly GroupStreamView[],
  after: readonly GroupStreamView[],
  members: readonly string[],
): number {
  const still = new Set(after.map(({ stream, incarnation }) => `${stream} ${incarnation}`));
  const held = members
    .map((member) =>
      before.filter(({ owner, stream, incarnation }) => owner === member && still.has(`${stream} ${incarnation}`)),
    )
    .map(({ length }) => length)
    .sort((a, b) => b - a);
  const share = Math.floor(after.length / members.length);
  const larger = after.length % members.length;
  return held.reduce((sum, count, place) => sum + Math.min(count, share + (place < larger ? 1 : 0)), 0);
}

describe("whatever members do", () => {
  it("every stream has one owner, shares are even, few move, and only owners commit (P39, I10)", () => {
    let moved = 0;
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const prng = new Prng(seed);
        let driver = start();
        const told = new Map<string, GroupAssignedResult>();
        const ownerOf = new Map<string, string>();
        for (let step = 0; step < 80; step += 1) {
          const before = viewOf(driver, "g").streams();
          const member = prng.pick(MEMBERS);
          const stream = prng.pick(STREAMS);
          const known = told.get(member);
          const dice = prng.below(100);
          if (dice < 15) told.set(member, join(driver, "g", member));
          else if (dice < 20) driver.run({ kind: "group-leave", id: "g", member, session: known?.session ?? 0 });
          else if (dice < 30 && known !== undefined) {
            const answer = driver.run({ kind: "group-heartbeat", id: "g", member, session: known.session });
            if (answer.kind === "group-assigned") told.set(member, answer);
          } else if (dice < 45) driver.run(create(stream));
          else if (dice < 50) driver.run({ kind: "delete", stream });
          else if (dice < 60) driver.run(append(stream, 1 + prng.below(4)));
          else if (dice < 64) driver.run({ kind: "trim", stream, before: prng.below(4) });
          else if (dice < 70) driver.pass(prng.below(LEASE_MS / 2));
          else if (dice < 73) driver = Object.assign(new Driver(restored(driver.machine)), { now: driver.now });
          else if (known !== undefined && known.assignments.length > 0) {
            const { stream: name, incarnation, generation } = prng.pick(known.assignments);
            const part = before.find((one) => one.stream === name && one.incarnation === incarnation);
            const offset = prng.below((part?.tail ?? 5) + 1);
            const result = driver.run({
              kind: "group-ack",
              id: "g",
              member,
              session: known.session,
              acks: [{ stream: name, incarnation, generation, offset }],
            });
            const owns = part?.owner === member && part.generation === generation;
            expect(result.kind).toBe(owns ? "group-settled" : "rejected");
          }
          const after = viewOf(driver, "g").streams();
          const members = viewOf(driver, "g").members();
          for (const part of after) {
            const was = before.find((one) => one.stream === part.stream && one.incarnation === part.incarnation);
            if (was !== undefined) expect(part.committed).toBeGreaterThanOrEqual(was.committed);
            if (was !== undefined) expect(part.generation).toBeGreaterThanOrEqual(was.generation);
            if (was?.generation === part.generation) expect(part.owner).toBe(was.owner);
            // A generation says who: whoever shows it again is still that owner.
            const key = `${part.stream} ${part.incarnation} ${part.generation}`;
            const owner = part.owner ?? "nobody";
            expect(ownerOf.get(key) ?? owner).toBe(owner);
            ownerOf.set(key, owner);
            if (was?.owner !== undefined && was.owner !== part.owner) moved += 1;
          }
          expect(after.every(({ owner }) => (owner === undefined) === (members.length === 0))).toBe(true);
          if (members.length === 0) continue;
          const counts = members.map(({ holds }) => holds);
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
          expect(counts.reduce((sum, count) => sum + count, 0)).toBe(after.length);
          const names = members.map(({ name }) => name);
          const stayed = after.filter(({ stream: name, incarnation, owner }) =>
            before.some((was) => was.stream === name && was.incarnation === incarnation && was.owner === owner),
          );
          expect(stayed.length).toBe(staying(before, after, names));
        }
      }),
      { numRuns: 150 },
    );
    // Not vacuous (P46).
    expect(moved).toBeGreaterThan(500);
  });
});
