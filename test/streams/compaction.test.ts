/** `compact`: frontiers that only grow, pinned by forks, and what else may then be done with the stream (I9, I14). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CompactCommand } from "../../src/wire/command.ts";
import { StreamsMachine } from "../../log-server/streams/machine.ts";
import { append, batchOf, create, Driver, restored, rowTexts } from "./driver.ts";
import { randomEntries, TIGHT } from "./random-entries.ts";

const COMPACTED = { retention: { compaction: { tombstoneMs: 1_000 } } } as const;

function compact(before: number, tombstonesBefore = 0, more: Partial<CompactCommand> = {}): CompactCommand {
  return { kind: "compact", stream: "a", incarnation: 1, before, tombstonesBefore, ...more };
}

function frontiers(driver: Driver, stream = "a"): readonly (number | undefined)[] {
  const view = driver.machine.stream(stream);
  return [view?.compactedBefore, view?.tombstonesBefore];
}

describe("compact", () => {
  it("moves both frontiers, never back and never past the tail", () => {
    const driver = new Driver();
    driver.create("a", { ...COMPACTED, batch: batchOf(10) });
    expect(frontiers(driver)).toEqual([0, 0]);
    expect(driver.apply(compact(4))).toMatchObject({ results: [{ kind: "done" }], changed: [] });
    expect(frontiers(driver)).toEqual([4, 0]);
    driver.run(compact(2));
    expect(frontiers(driver)).toEqual([4, 0]);
    driver.run(compact(10, 4));
    expect(frontiers(driver)).toEqual([10, 4]);
    driver.run(compact(10, 3));
    expect(frontiers(driver)).toEqual([10, 4]);
    expect(driver.refused(compact(11))).toMatchObject({ code: "malformed-offset", tail: 10 });
    expect(frontiers(new Driver(restored(driver.machine)))).toEqual([10, 4]);
  });

  it("lets a tombstone stand for as long as the frontier was before it: it is not gone with what it deletes", () => {
    const driver = new Driver();
    driver.create("a", { ...COMPACTED, batch: batchOf(10) });
    expect(driver.refused(compact(6, 1)).code).toBe("malformed-offset");
    expect(frontiers(driver)).toEqual([0, 0]);
    driver.run(compact(6));
    expect(driver.refused(compact(8, 7)).code).toBe("malformed-offset");
    driver.run(compact(8, 6));
    // Without new records the tombstones still grow old.
    driver.run(compact(8, 8));
    expect(frontiers(driver)).toEqual([8, 8]);
  });

  it("does nothing to a stream that does not ask for it, and is refused for another one", () => {
    const driver = new Driver();
    driver.create("a", { batch: batchOf(4) });
    const rows = (): readonly string[] => rowTexts(driver.machine.rows()).slice(1);
    const before = rows();
    expect(driver.run(compact(4))).toEqual({ kind: "done" });
    expect(rows()).toEqual(before);
    expect(driver.refused(compact(4, 0, { incarnation: 2 })).code).toBe("stream-not-found");
    expect(driver.refused(compact(1, 0, { stream: "b" })).code).toBe("stream-not-found");
    driver.run({ kind: "settings", stream: "a", retention: COMPACTED.retention });
    expect(driver.machine.retainedStreams()).toEqual(["a"]);
    driver.run(compact(4));
    expect(frontiers(driver)).toEqual([4, 0]);
    // What is gone is gone, whatever is asked for later.
    driver.run({ kind: "settings", stream: "a", retention: {} });
    expect(driver.machine.retainedStreams()).toEqual([]);
    expect(frontiers(driver)).toEqual([4, 0]);
  });

  it("goes with trims and closure: neither moves the other's frontier", () => {
    const driver = new Driver();
    driver.create("a", { ...COMPACTED, batch: batchOf(10), closed: true });
    driver.run(compact(5));
    driver.run({ kind: "trim", stream: "a", before: 7 });
    expect(driver.machine.stream("a")).toMatchObject({ firstOffset: 7, compactedBefore: 5 });
    driver.run(compact(9, 5));
    expect(driver.machine.stream("a")).toMatchObject({ firstOffset: 7, compactedBefore: 9, tombstonesBefore: 5 });
    expect(driver.machine.neededFrom(1)).toBe(7);
    driver.run({ kind: "delete", stream: "a" });
    expect(driver.machine.neededFrom(1)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("forks", () => {
  it("pin what they inherit until they are deleted", () => {
    const driver = new Driver();
    driver.create("a", { ...COMPACTED, batch: batchOf(10) });
    driver.run(compact(4));
    driver.fork("a", "f", { offset: 6 });
    expect(driver.run(compact(10, 4))).toEqual({ kind: "done" });
    expect(frontiers(driver)).toEqual([4, 0]);
    driver.run({ kind: "delete", stream: "f" });
    driver.run(compact(10, 4));
    expect(frontiers(driver)).toEqual([10, 4]);
  });

  it("keep a deleted source as it is", () => {
    const driver = new Driver();
    driver.create("a", { ...COMPACTED, batch: batchOf(10) });
    driver.fork("a", "f");
    driver.run({ kind: "delete", stream: "a" });
    expect(driver.refused(compact(10)).code).toBe("stream-gone");
  });

  it("compact their own records only", () => {
    const driver = new Driver();
    driver.create("a", { batch: batchOf(10) });
    driver.create("f", { ...COMPACTED, fork: driver.forkPoint("a", { offset: 5, partialBytes: 1 }) });
    driver.append("f", 4);
    driver.run(compact(6, 0, { stream: "f" }));
    expect(frontiers(driver, "f")).toEqual([0, 0]);
    driver.run(compact(8, 0, { stream: "f" }));
    expect(frontiers(driver, "f")).toEqual([8, 0]);
    // Its tombstones may be of what it inherits.
    driver.run(compact(9, 8, { stream: "f" }));
    expect(frontiers(driver, "f")).toEqual([9, 0]);
    driver.run({ kind: "trim", stream: "f", before: 6 });
    driver.run(compact(9, 8, { stream: "f" }));
    expect(frontiers(driver, "f")).toEqual([9, 8]);
  });

  it("may not leave a source where it is compacted: newer records replaced what they would inherit", () => {
    const driver = new Driver();
    driver.create("a", { ...COMPACTED, batch: batchOf(10) });
    driver.run(compact(6));
    driver.run({ kind: "trim", stream: "a", before: 2 });
    const leave = (source: string, offset: number, stream = "f", partialBytes = 0) =>
      create(stream, { fork: driver.forkPoint(source, { offset, partialBytes }) });
    expect(driver.refused(leave("a", 5)).code).toBe("invalid-fork");
    expect(driver.refused(leave("a", 4, "f", 1)).code).toBe("invalid-fork");
    expect(driver.run(leave("a", 2, "empty")).kind).toBe("created");
    expect(driver.run(leave("a", 6, "f")).kind).toBe("created");
    // Nor a fork of it, where what it inherits is.
    expect(driver.refused(leave("f", 5, "g")).code).toBe("invalid-fork");
    expect(driver.run(leave("f", 6, "g")).kind).toBe("created");
    driver.run(append("g", 2));
    expect(driver.run(leave("g", 7, "h")).kind).toBe("created");
  });
});

it("any entries keep the frontiers in order, and never move them back (I14)", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (seed) => {
      const machine = new StreamsMachine(TIGHT);
      const known = new Map<number, readonly [compactedBefore: number, tombstonesBefore: number]>();
      for (const entry of randomEntries(seed, 80, TIGHT)) {
        machine.apply(entry, entry.commands);
        for (const { id, compactedBefore, tombstonesBefore, nextOffset } of machine.streams()) {
          const [compacted, tombstones] = known.get(id) ?? [0, 0];
          expect(compactedBefore).toBeGreaterThanOrEqual(compacted);
          expect(tombstonesBefore).toBeGreaterThanOrEqual(tombstones);
          expect(tombstonesBefore).toBeLessThanOrEqual(compactedBefore);
          expect(compactedBefore).toBeLessThanOrEqual(nextOffset);
          known.set(id, [compactedBefore, tombstonesBefore]);
        }
      }
    }),
    { numRuns: 40 },
  );
});
