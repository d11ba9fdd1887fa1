/** Transactions: all or nothing, at one position (I11), once (I8). */
import { describe, expect, it } from "vitest";
import type { Command, Condition, TransactionOperation } from "../../src/wire/command.ts";
import { append, batchOf, create, Driver, digestOf, rowTexts, START_MS, tag } from "./driver.ts";

function transaction(operations: readonly TransactionOperation[], conditions: readonly Condition[] = []): Command {
  return { kind: "transaction", conditions, operations };
}

const cursor = (name: string, ...bytes: readonly number[]): TransactionOperation => ({
  kind: "cursor",
  name,
  value: Uint8Array.from(bytes),
});
const remove = (stream: string): TransactionOperation => ({ kind: "delete", stream });

/** All rows but that of the position, which every entry moves. */
function stateOf(driver: Driver): string[] {
  return rowTexts(driver.machine.rows()).filter((row) => !row.startsWith("00="));
}

describe("a transaction", () => {
  it("does several things at one position, each seeing those before it", () => {
    const driver = new Driver();
    driver.create("a");
    const applied = driver.apply(
      transaction(
        [
          append("a", 2, tag("p", 0, 0)),
          append("a", 1, { ...tag("p", 0, 1), expectedOffset: 2 }),
          create("b", { batch: batchOf(1) }),
          append("b", 1),
          append("a", 0, { close: true }),
          cursor("c", 7),
          remove("b"),
        ],
        [
          { kind: "stream-exists", stream: "a", incarnation: 1 },
          { kind: "stream-absent", stream: "b" },
          { kind: "next-offset", stream: "a", offset: 0 },
          { kind: "cursor", name: "c", value: null },
        ],
      ),
    );
    expect(applied.results).toHaveLength(1);
    expect(applied.results[0]).toMatchObject({
      kind: "transaction",
      results: [
        { kind: "appended", firstOffset: 0, nextOffset: 2 },
        { kind: "appended", firstOffset: 2, nextOffset: 3 },
        { kind: "created", incarnation: 2, nextOffset: 1 },
        { kind: "appended", firstOffset: 1 },
        { kind: "appended", closed: true },
        { kind: "done" },
        { kind: "done" },
      ],
    });
    expect(
      applied.placements.map((placement) => placement.accepted && [placement.streamId, placement.firstOffset]),
    ).toEqual([
      [1, 0],
      [1, 2],
      [2, 0],
      [2, 1],
    ]);
    expect(applied.changed.toSorted((a, b) => a - b)).toEqual([1, 2]);
    expect(driver.machine.stream("a")).toMatchObject({ nextOffset: 3, closed: true });
    expect(driver.machine.stream("b")).toBeUndefined();
  });

  it.each([
    ["stream-exists", { kind: "stream-exists", stream: "missing" }],
    ["stream-exists", { kind: "stream-exists", stream: "gone" }],
    ["stream-exists", { kind: "stream-exists", stream: "a", incarnation: 9 }],
    ["stream-absent", { kind: "stream-absent", stream: "a" }],
    ["stream-absent", { kind: "stream-absent", stream: "gone" }],
    ["next-offset", { kind: "next-offset", stream: "a", offset: 1 }],
    ["next-offset", { kind: "next-offset", stream: "missing", offset: 0 }],
    ["cursor", { kind: "cursor", name: "c", value: null }],
    ["cursor", { kind: "cursor", name: "c", value: Uint8Array.of(2) }],
    ["cursor", { kind: "cursor", name: "d", value: Uint8Array.of(1) }],
  ] as const)("with a condition that does not hold (%s) does nothing", (kind, condition) => {
    const driver = new Driver();
    driver.create("a");
    driver.create("gone");
    driver.fork("gone", "fork");
    driver.run(remove("gone"));
    driver.run(cursor("c", 1));
    const before = stateOf(driver);
    const applied = driver.apply(transaction([append("a", 1)], [{ kind: "stream-exists", stream: "a" }, condition]));
    expect(applied.results[0]).toMatchObject({
      code: "condition-failed",
      message: expect.stringContaining(`1 (${kind})`),
    });
    expect(applied.placements).toEqual([{ accepted: false }]);
    expect(applied.changed).toEqual([]);
    expect(stateOf(driver)).toEqual(before);
  });

  it("that is refused at its last operation leaves no trace of the others (I11)", () => {
    const driver = new Driver();
    driver.create("a", { expiry: { kind: "sliding", ttlSeconds: 5 }, batch: batchOf(3) });
    driver.create("b", { retention: { maxBytes: 9 } });
    driver.create("source", { batch: batchOf(2) });
    driver.fork("source", "fork");
    driver.run(remove("source"));
    driver.append("a", 1, { ...tag("p", 0, 0), streamSequence: "1" });
    driver.append("fork", 1, tag("p", 0, 0));
    driver.run(cursor("c", 1));
    driver.run(cursor("d", 1));
    driver.run({
      kind: "subscription-create",
      id: "sub",
      delivery: { kind: "webhook", url: "u" },
      pattern: "**",
      streams: [],
      leaseMs: 1_000,
    });
    driver.append("b");
    driver.machine.drainChanges();
    const digest = driver.machine.digest();
    const before = stateOf(driver);
    const views = [...driver.machine.streams()];
    const waking = driver.machine.subscription("sub")?.streams();
    const deadline = driver.machine.nextDeadline();

    driver.now += 1_000;
    const applied = driver.apply(
      transaction([
        append("a", 2, { ...tag("p", 0, 1), streamSequence: "2" }),
        append("a", 1, tag("p", 1, 0)),
        append("a", 1, tag("q", 0, 0)),
        create("new", { expiry: { kind: "sliding", ttlSeconds: 1 }, retention: { maxAgeMs: 3 } }),
        append("new", 2, tag("r", 0, 0)),
        create("second", { fork: { source: "new", incarnation: driver.machine.position + 1, partialBytes: 0 } }),
        remove("new"),
        append("b", 1, { close: true }),
        remove("b"),
        create("b", { contentType: "other" }),
        remove("fork"),
        create("source"),
        cursor("c", 2),
        { kind: "cursor", name: "d" },
        cursor("e", 2),
        append("a", 0, { close: true }),
        remove("a"),
        append("missing", 1),
      ]),
    );
    expect(applied.results[0]).toMatchObject({
      code: "stream-not-found",
      message: expect.stringContaining("operation 17:"),
    });
    expect(applied.placements).toEqual(Array(6).fill({ accepted: false }));
    expect(applied.changed).toEqual([]);
    expect(stateOf(driver)).toEqual(before);
    expect([...driver.machine.streams()]).toEqual(views);
    expect(driver.machine.subscription("sub")?.streams()).toEqual(waking);
    expect(driver.machine.nextDeadline()).toBe(deadline);
    expect(driver.machine.digest()).toBe(digestOf(driver.machine.rows()));
    expect(driver.machine.digest()).not.toBe(digest);

    // And all of it can be done afterwards.
    expect(driver.append("a", 1, { ...tag("p", 0, 1), streamSequence: "2" })).toMatchObject({ firstOffset: 4 });
    expect(driver.create("new")).toMatchObject({ created: true });
    expect(driver.machine.stream("new")?.id).toBe(5);
    driver.run(remove("fork"));
    expect(driver.machine.stream("source")).toBeUndefined();
  });

  it("does not undo what other commands of the entry did", () => {
    const driver = new Driver();
    const applied = driver.apply(
      create("a"),
      append("a", 1),
      transaction([append("a", 5), append("missing", 1)]),
      append("a", 1),
    );
    expect(applied.placements.map(({ accepted }) => accepted)).toEqual([true, false, false, true]);
    expect(applied.changed).toEqual([1]);
    expect(applied.results[3]).toMatchObject({ firstOffset: 1 });
  });

  it("does not undo what was due anyway", () => {
    const driver = Driver.limited({ duePerEntryMax: 1 });
    driver.create("a", { expiry: { kind: "absolute", atMs: START_MS + 1 } });
    driver.create("b", { expiry: { kind: "absolute", atMs: START_MS + 2 } });
    driver.now += 2;
    expect(driver.refused(transaction([append("b", 1)])).code).toBe("stream-not-found");
    expect(driver.machine.stream("b")).toBeUndefined();
    driver.pass(0);
    expect(driver.machine.streamCount).toBe(0);
  });

  it("retried takes effect once, as a whole, whatever has changed since (I8)", () => {
    const driver = new Driver();
    driver.apply(create("a"), create("b"), create("old"));
    const whole = transaction(
      [
        append("a", 2, tag("p", 0, 0)),
        append("b", 1),
        create("c", { batch: batchOf(1) }),
        remove("old"),
        cursor("x", 1),
        append("b", 1, tag("p", 0, 0)),
      ],
      [{ kind: "cursor", name: "x", value: null }],
    );
    const first = driver.run(whole);
    expect(first).toMatchObject({ kind: "transaction" });
    driver.append("a", 5);
    const before = stateOf(driver);
    const retry = driver.apply(whole);
    expect(retry.results[0]).toMatchObject({
      kind: "transaction",
      results: [
        { kind: "appended", firstOffset: 0, nextOffset: 2, tail: 7, duplicate: true },
        { kind: "appended", duplicate: true, tail: 2 },
        { kind: "created", created: false, nextOffset: 1 },
        { kind: "done" },
        { kind: "done" },
        { kind: "appended", firstOffset: 1, nextOffset: 2, duplicate: true },
      ],
    });
    expect(retry.placements).toEqual(Array(4).fill({ accepted: false }));
    expect(retry.changed).toEqual([]);
    expect(stateOf(driver)).toEqual(before);
    driver.run(remove("c"));
    expect(driver.run(whole)).toMatchObject({ kind: "transaction", results: [{}, {}, { kind: "done" }, {}, {}, {}] });
  });

  it("may raise a producer's epoch and go on in it, once (I8)", () => {
    const driver = new Driver();
    driver.create("a");
    driver.append("a", 1, tag("p", 0, 0));
    const raised = transaction([append("a", 2, tag("p", 1, 0)), append("a", 1, tag("p", 1, 1))]);
    expect(driver.run(raised)).toMatchObject({
      kind: "transaction",
      results: [
        { firstOffset: 1, nextOffset: 3, duplicate: false },
        { firstOffset: 3, nextOffset: 4, duplicate: false },
      ],
    });
    const before = stateOf(driver);
    expect(driver.run(raised)).toMatchObject({
      kind: "transaction",
      results: [
        { firstOffset: 1, nextOffset: 3, duplicate: true },
        { firstOffset: 3, nextOffset: 4, duplicate: true },
      ],
    });
    expect(stateOf(driver)).toEqual(before);
    for (const refused of [
      transaction([append("a", 1, tag("p", 2, 1))]),
      transaction([append("a", 1, tag("p", 2, 1)), append("a", 1, tag("p", 2, 0))]),
      transaction([append("a", 1, tag("p", 1, 1)), append("a", 1, tag("p", 2, 1))]),
    ]) {
      expect(driver.refused(refused).code).toBe("invalid-producer");
    }
    expect(driver.refused(transaction([append("a", 1, tag("p", 2, 0)), append("a", 1, tag("p", 1, 2))])).code).toBe(
      "producer-fenced",
    );
    expect(stateOf(driver)).toEqual(before);
  });

  it("with sequences of which only some are new is refused", () => {
    const driver = new Driver();
    driver.apply(create("a"), create("b"));
    driver.append("a", 1, tag("p", 0, 0));
    const mixed = transaction([append("a", 1, tag("p", 0, 0)), append("b", 1, tag("p", 0, 0))]);
    expect(driver.refused(mixed).code).toBe("invalid-producer");
    const fenced = transaction([
      append("b", 1, tag("p", 0, 0)),
      append("a", 1, tag("p", 0, 0)),
      append("a", 1, tag("q", 1, 1)),
    ]);
    expect(driver.refused(fenced).code).toBe("invalid-producer");
    const twice = transaction([append("b", 1, tag("p", 0, 0)), append("b", 1, tag("p", 0, 0))]);
    expect(driver.refused(twice).code).toBe("invalid-producer");
    expect(driver.machine.stream("b")?.nextOffset).toBe(0);
    driver.append("b", 1, tag("p", 1, 0));
    expect(
      driver.refused(transaction([append("b", 1, tag("p", 0, 1))], [{ kind: "stream-exists", stream: "no" }])).code,
    ).toBe("producer-fenced");
  });

  it("is bounded, and may be empty", () => {
    const driver = Driver.limited({ transactionConditionsMax: 1, transactionOperationsMax: 2 });
    driver.create("a");
    const condition = { kind: "stream-exists", stream: "a" } as const;
    expect(driver.run(transaction([]))).toEqual({ kind: "transaction", results: [] });
    expect(driver.refused(transaction([], [condition, condition])).code).toBe("too-many");
    const applied = driver.apply(transaction([append("a"), append("a"), append("a")]));
    expect(applied.results[0]).toMatchObject({ code: "too-many" });
    expect(applied.placements).toEqual(Array(3).fill({ accepted: false }));
  });
});
