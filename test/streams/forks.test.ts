/** Forks: what they inherit, whom they keep alive, and how their sources go (Durable Streams, 4.2). */
import { describe, expect, it } from "vitest";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { append, batchOf, create, Driver, restored, START_MS } from "./driver.ts";

function withSource(records = 10): Driver {
  const driver = new Driver();
  driver.create("s", { contentType: "text/plain", batch: batchOf(records) });
  return driver;
}

const remove = (stream: string) => ({ kind: "delete", stream }) as const;

describe("a fork", () => {
  it("shares offsets and incarnation with its source, and goes its own way", () => {
    const driver = withSource();
    driver.apply();
    const made = driver.create("f", { fork: driver.forkPoint("s", { offset: 4 }), batch: batchOf(2) });
    expect(made).toMatchObject({
      created: true,
      incarnation: 1,
      nextOffset: 6,
      contentType: "text/plain",
      closed: false,
    });
    driver.append("s", 5);
    driver.append("f", 1);
    expect(driver.machine.stream("f")).toMatchObject({
      firstOffset: 0,
      nextOffset: 7,
      forkedFrom: { streamId: 1, offset: 4, partialBytes: 0 },
    });
    expect(driver.machine.stream("s")).toMatchObject({ nextOffset: 15, forks: 1 });
    expect(driver.machine.readRanges(2, 0, 99)).toEqual([
      { streamId: 1, from: 0, to: 4 },
      { streamId: 2, from: 4, to: 7 },
    ]);
    expect(driver.machine.readRanges(2, 5, 6)).toEqual([{ streamId: 2, from: 5, to: 6 }]);
    expect(driver.machine.readRanges(2, 2, 3)).toEqual([{ streamId: 1, from: 2, to: 3 }]);
    expect(driver.machine.readRanges(2, 3, 3)).toEqual([]);
  });

  it("begins at the source's tail unless it is told where, and open though the source is closed", () => {
    const driver = withSource();
    driver.append("s", 0, { close: true });
    expect(driver.fork("s", "f")).toMatchObject({ nextOffset: 10, closed: false });
    expect(driver.append("f").firstOffset).toBe(10);
  });

  it("can inherit a part of a record, as one more record", () => {
    const driver = withSource();
    expect(driver.fork("s", "f", { offset: 4, partialBytes: 3 }).nextOffset).toBe(5);
    driver.append("f", 2);
    expect(driver.machine.readRanges(2, 0, 7)).toEqual([
      { streamId: 1, from: 0, to: 4 },
      { streamId: 1, from: 4, to: 5, partialBytes: 3 },
      { streamId: 2, from: 5, to: 7 },
    ]);
    expect(driver.machine.readRanges(2, 4, 5)).toEqual([{ streamId: 1, from: 4, to: 5, partialBytes: 3 }]);
    expect(driver.machine.readRanges(2, 5, 6)).toEqual([{ streamId: 2, from: 5, to: 6 }]);
  });

  it("resolves chains, and parts of parts, to where records were appended", () => {
    const driver = withSource();
    driver.fork("s", "f", { offset: 4, partialBytes: 9 });
    driver.append("f", 5);
    driver.fork("f", "g", { offset: 7 });
    driver.append("g", 1);
    expect(driver.machine.readRanges(3, 0, 99)).toEqual([
      { streamId: 1, from: 0, to: 4 },
      { streamId: 1, from: 4, to: 5, partialBytes: 9 },
      { streamId: 2, from: 5, to: 7 },
      { streamId: 3, from: 7, to: 8 },
    ]);
    driver.fork("f", "part-of-part", { offset: 4, partialBytes: 2 });
    driver.fork("f", "more-than-part", { offset: 4, partialBytes: 20 });
    driver.fork("f", "part-of-source", { offset: 2, partialBytes: 1 });
    driver.fork("g", "part-of-fork", { offset: 6, partialBytes: 1 });
    expect(driver.machine.readRanges(4, 4, 9)).toEqual([{ streamId: 1, from: 4, to: 5, partialBytes: 2 }]);
    expect(driver.machine.readRanges(5, 4, 9)).toEqual([{ streamId: 1, from: 4, to: 5, partialBytes: 9 }]);
    expect(driver.machine.readRanges(6, 1, 9)).toEqual([
      { streamId: 1, from: 1, to: 2 },
      { streamId: 1, from: 2, to: 3, partialBytes: 1 },
    ]);
    expect(driver.machine.readRanges(7, 5, 9)).toEqual([
      { streamId: 2, from: 5, to: 6 },
      { streamId: 2, from: 6, to: 7, partialBytes: 1 },
    ]);
  });

  it("is idempotent with the same source, point and content type", () => {
    const driver = withSource();
    const point = driver.forkPoint("s", { offset: 4, partialBytes: 3 });
    driver.create("f", { fork: point });
    driver.append("f", 1);
    expect(driver.create("f", { fork: point })).toMatchObject({ created: false, nextOffset: 6 });
    expect(driver.create("f", { fork: point, contentType: "text/plain" }).created).toBe(false);
    for (const more of [{ offset: 5 }, { partialBytes: 2 }, { incarnation: 9 }, { source: "f" }]) {
      expect(driver.refused(create("f", { fork: { ...point, ...more } })).code).toBe("stream-exists");
    }
    expect(driver.refused(create("f", { contentType: "text/plain" })).code).toBe("stream-exists");
    driver.create("plain", { contentType: "text/plain" });
    expect(driver.refused(create("plain", { fork: point })).code).toBe("stream-exists");
  });

  it("asked for at the tail is the same fork though the tail has moved, or the source is deleted", () => {
    const driver = withSource();
    const fork = driver.forkPoint("s");
    driver.create("f", { fork });
    driver.append("s", 1);
    expect(driver.create("f", { fork }).created).toBe(false);
    driver.run(remove("s"));
    expect(driver.create("f", { fork }).created).toBe(false);
  });

  it("is refused where there is nothing to fork from", () => {
    const driver = withSource();
    const fork = (more: object) => driver.refused(create("f", { fork: { ...driver.forkPoint("s"), ...more } }));
    expect(fork({ source: "missing" }).code).toBe("stream-not-found");
    expect(fork({ incarnation: 5 }).code).toBe("stream-not-found");
    expect(fork({ offset: 11 })).toMatchObject({ code: "invalid-fork", tail: 10 });
    expect(fork({ offset: 10, partialBytes: 1 }).code).toBe("invalid-fork");
    expect(driver.refused(create("f", { fork: driver.forkPoint("s"), contentType: "x" })).code).toBe(
      "content-type-mismatch",
    );
    driver.run({ kind: "trim", stream: "s", before: 3 });
    expect(fork({ offset: 2 })).toMatchObject({ code: "offset-trimmed", firstOffset: 3 });
    expect(fork({ offset: 2, partialBytes: 1 }).code).toBe("offset-trimmed");
    expect(driver.fork("s", "f", { offset: 3 }).nextOffset).toBe(3);
    expect(driver.machine.stream("f")?.firstOffset).toBe(3);
  });

  it("is at most so deep", () => {
    const driver = withSource(1);
    let source = "s";
    for (let depth = 1; depth <= STREAMS_LIMITS.forkDepthMax; depth += 1) {
      driver.fork(source, `f${depth}`);
      source = `f${depth}`;
    }
    expect(driver.refused(create("deeper", { fork: driver.forkPoint(source) })).code).toBe("fork-too-deep");
  });

  it("inherits its source's expiry unless it has its own", () => {
    const driver = new Driver();
    const sliding = { kind: "sliding", ttlSeconds: 10 } as const;
    const absolute = { kind: "absolute", atMs: START_MS + 60_000 } as const;
    driver.create("t", { expiry: sliding });
    driver.create("e", { expiry: absolute });
    driver.pass(5_000);
    expect(driver.fork("t", "t1").expiry).toEqual(sliding);
    expect(driver.machine.stream("t1")?.expiresAtMs).toBe(START_MS + 15_000);
    expect(driver.machine.stream("t")?.expiresAtMs).toBe(START_MS + 10_000);
    expect(driver.fork("e", "e1").expiry).toEqual(absolute);
    const own = { kind: "sliding", ttlSeconds: 99 } as const;
    expect(driver.create("e2", { fork: driver.forkPoint("e"), expiry: own }).expiry).toEqual(own);
    expect(driver.create("e1", { fork: driver.forkPoint("e") }).created).toBe(false);
    expect(driver.create("e1", { fork: driver.forkPoint("e"), expiry: absolute }).created).toBe(false);
    expect(driver.refused(create("e1", { fork: driver.forkPoint("e"), expiry: own })).code).toBe("stream-exists");
  });
});

describe("a source", () => {
  it("is kept while forks need it: gone for clients, its name taken", () => {
    const driver = withSource();
    driver.fork("s", "f", { offset: 4 });
    expect(driver.apply(remove("s")).changed).toEqual([1]);
    expect(driver.machine.stream("s")).toMatchObject({ deleted: true, id: 1 });
    expect(driver.refused(append("s")).code).toBe("stream-gone");
    expect(driver.refused(remove("s")).code).toBe("stream-gone");
    expect(driver.refused({ kind: "trim", stream: "s", before: 1 }).code).toBe("stream-gone");
    expect(driver.refused({ kind: "settings", stream: "s", retention: {} }).code).toBe("stream-gone");
    expect(driver.refused(create("s", { contentType: "text/plain" })).code).toBe("stream-has-forks");
    expect(driver.refused(create("g", { fork: driver.forkPoint("s") })).code).toBe("stream-has-forks");
    expect(driver.machine.readRanges(2, 0, 4)).toEqual([{ streamId: 1, from: 0, to: 4 }]);
  });

  it("goes with its last fork, and so do its own sources", () => {
    const driver = withSource();
    driver.fork("s", "f");
    driver.fork("f", "g");
    driver.run(remove("s"));
    driver.run(remove("f"));
    expect(driver.machine.streamCount).toBe(3);
    expect(driver.apply(remove("g")).changed.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
    expect(driver.machine.streamCount).toBe(0);
    expect(driver.create("s").created).toBe(true);
  });

  it("stays while it is not deleted, or has another fork", () => {
    const driver = withSource();
    driver.fork("s", "f");
    driver.fork("f", "g");
    driver.fork("f", "h");
    driver.run(remove("f"));
    driver.run(remove("g"));
    expect(driver.machine.stream("f")?.deleted).toBe(true);
    driver.run(remove("h"));
    expect(driver.machine.stream("f")).toBeUndefined();
    expect(driver.machine.stream("s")).toMatchObject({ deleted: false, forks: 0 });
  });

  it("that waits for a later entry's room is removed by it, and the leader is told to make one", () => {
    const driver = Driver.limited({ duePerEntryMax: 1 });
    driver.create("s", { batch: batchOf(1) });
    for (const [source, stream] of [
      ["s", "f"],
      ["f", "g"],
      ["g", "h"],
    ] as const)
      driver.fork(source, stream);
    for (const stream of ["s", "f", "g"]) driver.run(remove(stream));
    driver.run(remove("h"));
    expect([...driver.machine.streams()].map(({ name, deleted }) => ({ name, deleted }))).toEqual([
      { name: "s", deleted: true },
    ]);
    expect(driver.machine.streamCount).toBe(2);
    expect(driver.machine.stream("f")).toBeUndefined();
    expect(driver.machine.nextDeadline()).toBe(driver.machine.logTime);
    const again = new Driver(restored(driver.machine, { ...STREAMS_LIMITS, duePerEntryMax: 1 }));
    expect(again.machine.nextDeadline()).toBe(driver.machine.logTime);
    again.pass(0);
    driver.pass(0);
    expect(driver.machine.streamCount).toBe(1);
    expect(again.machine.digest()).toBe(driver.machine.digest());
    driver.pass(0);
    expect(driver.machine.streamCount).toBe(0);
    expect(driver.machine.nextDeadline()).toBeUndefined();
  });

  it("goes before a younger one, whichever has waited longer (I10)", () => {
    const driver = Driver.limited({ duePerEntryMax: 1 });
    const sources = ["old", "young", "first"];
    driver.apply(...sources.map((name) => create(name)));
    for (const name of sources) driver.fork(name, `of ${name}`);
    driver.apply(...sources.map(remove));
    driver.apply(remove("of first"), remove("of young"), remove("of old"));
    expect(driver.machine.streamCount).toBe(2);
    const { results } = driver.apply(create("old"), create("young"));
    expect(results).toMatchObject([{ kind: "created" }, { code: "stream-has-forks" }]);
  });

  it("is not removed by a transaction that is taken back", () => {
    const driver = Driver.limited({ duePerEntryMax: 0 });
    driver.create("s");
    driver.fork("s", "f");
    driver.run(remove("s"));
    const operations = [remove("f"), append("missing")];
    expect(driver.refused({ kind: "transaction", conditions: [], operations }).code).toBe("stream-not-found");
    expect(driver.machine.nextDeadline()).toBeUndefined();
    expect(driver.machine.stream("f")?.deleted).toBe(false);
  });

  it("keeps what a fork inherited against trims and deletion, and no more", () => {
    const driver = withSource();
    driver.fork("s", "f", { offset: 6 });
    driver.run({ kind: "trim", stream: "s", before: 8 });
    expect(driver.machine.isLive(1, 1)).toBe(true);
    driver.run({ kind: "trim", stream: "f", before: 4 });
    expect(driver.machine.isLive(1, 4)).toBe(false);
    expect(driver.machine.isLive(1, 5)).toBe(true);
    expect(driver.machine.readRanges(2, 0, 9)).toEqual([{ streamId: 1, from: 4, to: 6 }]);
    driver.run(remove("s"));
    expect(driver.machine.isLive(1, 5)).toBe(true);
    driver.run({ kind: "trim", stream: "f", before: 6 });
    expect(driver.machine.isLive(1, 10)).toBe(false);
  });

  it("keeps a record of which a fork has a part, through a chain", () => {
    const driver = withSource();
    driver.fork("s", "f", { offset: 6, partialBytes: 1 });
    driver.fork("f", "g");
    driver.run({ kind: "trim", stream: "s", before: 10 });
    driver.run({ kind: "trim", stream: "f", before: 7 });
    driver.run({ kind: "trim", stream: "g", before: 6 });
    expect(driver.machine.isLive(1, 6)).toBe(false);
    expect(driver.machine.isLive(1, 7)).toBe(true);
    driver.run({ kind: "trim", stream: "g", before: 7 });
    expect(driver.machine.isLive(1, 10)).toBe(false);
  });
});
