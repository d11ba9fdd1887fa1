/** Creating, appending, closing: what each command answers, and in which order its checks are made (I7, I9). */
import { describe, expect, it } from "vitest";
import { append, batchOf, create, Driver, START_MS, tag } from "./driver.ts";

describe("create", () => {
  it("makes a stream whose incarnation is the entry's position", () => {
    const driver = new Driver();
    driver.apply();
    const batch = batchOf(3);
    const applied = driver.apply(create("a/b", { contentType: "text/plain", batch }));
    expect(applied.results).toEqual([
      {
        kind: "created",
        created: true,
        incarnation: 2,
        nextOffset: 3,
        contentType: "text/plain",
        closed: false,
        expiry: { kind: "never" },
      },
    ]);
    expect(applied.placements).toEqual([{ accepted: true, streamId: 1, incarnation: 2, firstOffset: 0, span: 3 }]);
    expect(applied.changed).toEqual([1]);
    expect(driver.machine.stream("a/b")).toEqual({
      id: 1,
      name: "a/b",
      incarnation: 2,
      contentType: "text/plain",
      expiry: { kind: "never" },
      retention: {},
      compactedBefore: 0,
      tombstonesBefore: 0,
      firstOffset: 0,
      nextOffset: 3,
      closed: false,
      deleted: false,
      createdAtMs: START_MS,
      forks: 0,
    });
    expect(driver.machine.streamById(1)?.name).toBe("a/b");
    expect(driver.machine.streamCount).toBe(1);
  });

  it("is idempotent on the same configuration, and appends nothing then", () => {
    const driver = new Driver();
    const expiry = { kind: "sliding", ttlSeconds: 60 } as const;
    driver.create("a", { expiry, batch: batchOf(1) });
    const again = driver.apply(create("a", { expiry, batch: batchOf(1) }));
    expect(again.results[0]).toMatchObject({ kind: "created", created: false, nextOffset: 1 });
    expect(again.placements).toEqual([{ accepted: false }]);
    expect(again.changed).toEqual([]);
  });

  it.each([
    ["content type", { contentType: "text/plain" }],
    ["expiry", { expiry: { kind: "sliding", ttlSeconds: 61 } }],
    ["expiry", { expiry: { kind: "absolute", atMs: START_MS * 2 } }],
    ["closure status", { closed: true }],
    ["retention", { retention: { maxBytes: 1 } }],
  ] as const)("refuses an existing stream with another %s", (what, more) => {
    const driver = new Driver();
    driver.create("a");
    expect(driver.refused(create("a", more))).toMatchObject({
      code: "stream-exists",
      message: expect.stringContaining(what),
    });
  });

  it("compares the closure status as it is now", () => {
    const driver = new Driver();
    driver.create("a");
    driver.append("a", 0, { close: true });
    expect(driver.refused(create("a")).code).toBe("stream-exists");
    expect(driver.create("a", { closed: true })).toMatchObject({ created: false, closed: true });
  });

  it("can make a stream that is complete at once", () => {
    const driver = new Driver();
    expect(driver.create("a", { closed: true, batch: batchOf(2) })).toMatchObject({ closed: true, nextOffset: 2 });
    expect(driver.refused(append("a")).code).toBe("stream-closed");
  });

  it.each(["", "/a", "a//b", "a/../b", "__ds/x", "a\u0000", "x".repeat(1025), "\ud800"])(
    "refuses the name %j",
    (name) => {
      expect(new Driver().refused(create(name)).code).toBe("malformed-name");
    },
  );

  it("refuses a content type that is too long, an empty batch, and more streams than there may be", () => {
    const driver = Driver.limited({ streamsMax: 1, contentTypeBytesMax: 8 });
    expect(driver.refused(create("a", { contentType: "123456789" })).code).toBe("malformed-header");
    expect(driver.refused(create("a", { contentType: "x", batch: { ...batchOf(1), span: 0 } })).code).toBe(
      "malformed-batch",
    );
    driver.create("a", { contentType: "12345678" });
    expect(driver.refused(create("b", { contentType: "b" })).code).toBe("too-many");
    expect(driver.create("a", { contentType: "12345678" }).created).toBe(false);
  });

  it("never gives a name an incarnation it has had: not even within one entry", () => {
    const driver = new Driver();
    const remove = { kind: "delete", stream: "a" } as const;
    const { results } = driver.apply(create("a"), remove, create("a"), create("b"));
    expect(results.map((result) => result.kind)).toEqual(["created", "done", "rejected", "created"]);
    expect(results[2]).toMatchObject({ code: "overloaded" });
    // An older stream's name is free at once.
    expect(driver.apply(remove).results[0]).toMatchObject({ code: "stream-not-found" });
    driver.create("a");
    const next = driver.apply(remove, create("a"));
    expect(next.results.map((result) => result.kind)).toEqual(["done", "created"]);
    expect(driver.machine.stream("a")).toMatchObject({ incarnation: driver.machine.position, id: 4 });
  });
});

describe("append", () => {
  it("gives dense offsets in log order (I7)", () => {
    const driver = new Driver();
    driver.apply(create("a"), create("b"));
    const { placements, results, changed } = driver.apply(
      append("a", 2),
      append("b", 1),
      append("missing", 5),
      append("a", 3),
    );
    expect(placements).toEqual([
      { accepted: true, streamId: 1, incarnation: 1, firstOffset: 0, span: 2 },
      { accepted: true, streamId: 2, incarnation: 1, firstOffset: 0, span: 1 },
      { accepted: false },
      { accepted: true, streamId: 1, incarnation: 1, firstOffset: 2, span: 3 },
    ]);
    expect(results[0]).toEqual({
      kind: "appended",
      incarnation: 1,
      firstOffset: 0,
      nextOffset: 2,
      tail: 2,
      closed: false,
      duplicate: false,
    });
    expect(results[2]).toMatchObject({ code: "stream-not-found" });
    expect(changed).toEqual([1, 2]);
  });

  it("pins an incarnation, a content type, an offset where asked to", () => {
    const driver = new Driver();
    driver.create("a", { contentType: "text/plain", batch: batchOf(2) });
    expect(driver.refused(append("a", 1, { incarnation: 9 }))).toMatchObject({
      code: "stream-not-found",
      incarnation: 1,
    });
    expect(driver.refused(append("a", 1, { contentType: "x" })).code).toBe("content-type-mismatch");
    expect(driver.refused(append("a", 1, { expectedOffset: 1 }))).toMatchObject({ code: "offset-mismatch", tail: 2 });
    driver.append("a", 1, { incarnation: 1, contentType: "text/plain", expectedOffset: 2 });
  });

  it("closes with a last batch, or without; closing again is no error, appending is", () => {
    const driver = new Driver();
    driver.create("a", { contentType: "text/plain" });
    expect(driver.append("a", 1, { close: true })).toMatchObject({ firstOffset: 0, closed: true, tail: 1 });
    const again = driver.apply(append("a", 0, { close: true, contentType: "other" }));
    expect(again.results[0]).toEqual({ kind: "appended", incarnation: 1, tail: 1, closed: true, duplicate: false });
    expect(again.changed).toEqual([]);
    for (const more of [{}, { close: true }]) {
      expect(driver.refused(append("a", 1, more))).toMatchObject({ code: "stream-closed", tail: 1, closed: true });
    }
    expect(driver.refused(append("a", 0, { close: true, expectedOffset: 0 })).code).toBe("offset-mismatch");
  });

  it("refuses a batch without records, a command without batch and closure, and offsets beyond all bounds", () => {
    const driver = new Driver();
    driver.create("a");
    expect(driver.refused(append("a", 0)).code).toBe("malformed-command");
    expect(driver.refused(append("a", 1, { batch: { ...batchOf(1), span: 0 } })).code).toBe("malformed-batch");
    expect(driver.refused(append("a", Number.MAX_SAFE_INTEGER)).code).toBe("batch-too-large");
    driver.append("a", Number.MAX_SAFE_INTEGER - 1);
    expect(driver.refused(append("a", 1)).code).toBe("batch-too-large");
  });

  it("takes Stream-Seq values that increase bytewise", () => {
    const driver = new Driver();
    driver.create("a");
    const seq = (streamSequence: string) => append("a", 1, { streamSequence });
    driver.append("a", 1, { streamSequence: "09" });
    driver.append("a", 1, { streamSequence: "10" });
    for (const old of ["10", "09", "1", ""]) expect(driver.refused(seq(old)).code).toBe("stream-sequence-conflict");
    driver.append("a", 1, { streamSequence: "2" });
    expect(driver.refused(seq("10")).code).toBe("stream-sequence-conflict");
    driver.append("a", 1, { streamSequence: "\uffee" });
    // After it in UTF-8, before it in UTF-16.
    driver.append("a", 1, { streamSequence: "\u{1f600}" });
    expect(driver.refused(seq("\uffee")).code).toBe("stream-sequence-conflict");
    driver.append("a");
    expect(driver.machine.stream("a")?.lastSequence).toBe("\u{1f600}");
    expect(driver.refused(seq("\u{1f601}".repeat(300))).code).toBe("malformed-header");
  });

  it("checks in the protocol's order: epoch, duplication, closure, content type, sequence, Stream-Seq, offset", () => {
    const driver = new Driver();
    driver.create("a", { contentType: "text/plain" });
    driver.append("a", 1, { ...tag("p", 3, 0), streamSequence: "5" });
    const wrong = { contentType: "x", streamSequence: "1", expectedOffset: 99 };
    const wrongTag = (epoch: number, sequence: number) => ({ ...wrong, ...tag("p", epoch, sequence) });
    const code = (more: object) => driver.refused(append("a", 1, more)).code;

    expect(code(wrongTag(3, 9))).toBe("content-type-mismatch");
    expect(code({ ...wrongTag(3, 9), contentType: "text/plain" })).toBe("sequence-gap");
    expect(code({ ...wrongTag(3, 1), contentType: "text/plain" })).toBe("stream-sequence-conflict");
    expect(code({ ...wrongTag(3, 1), contentType: "text/plain", streamSequence: "6" })).toBe("offset-mismatch");
    expect(driver.append("a", 1, wrongTag(3, 0)).duplicate).toBe(true);

    driver.append("a", 0, { close: true });
    expect(code(wrongTag(2, 9))).toBe("producer-fenced");
    expect(code(wrongTag(4, 9))).toBe("invalid-producer");
    expect(code(wrongTag(3, 9))).toBe("stream-closed");
    expect(driver.append("a", 1, wrongTag(3, 0)).duplicate).toBe(true);
  });
});

describe("delete, settings, trim", () => {
  it("deletes, and says so to readers", () => {
    const driver = new Driver();
    driver.create("a", { batch: batchOf(1) });
    const remove = { kind: "delete", stream: "a" } as const;
    expect(driver.refused({ ...remove, incarnation: 7 }).code).toBe("stream-not-found");
    expect(driver.apply({ ...remove, incarnation: 1 })).toMatchObject({ results: [{ kind: "done" }], changed: [1] });
    expect(driver.machine.stream("a")).toBeUndefined();
    expect(driver.machine.streamById(1)).toBeUndefined();
    expect(driver.refused(remove).code).toBe("stream-not-found");
    expect(driver.refused(append("a")).code).toBe("stream-not-found");
  });

  it("changes retention, and knows which streams have any", () => {
    const driver = new Driver();
    driver.create("b", { retention: { maxBytes: 10 } });
    driver.create("a");
    expect(driver.machine.retainedStreams()).toEqual(["b"]);
    driver.run({ kind: "settings", stream: "a", retention: { maxAgeMs: 5 } });
    expect(driver.machine.stream("a")?.retention).toEqual({ maxAgeMs: 5 });
    expect(driver.machine.retainedStreams()).toEqual(["b", "a"]);
    driver.run({ kind: "settings", stream: "b", retention: {} });
    driver.run({ kind: "delete", stream: "a" });
    expect(driver.machine.retainedStreams()).toEqual([]);
    expect(driver.refused({ kind: "settings", stream: "a", retention: {} }).code).toBe("stream-not-found");
  });

  it("moves the frontier forward only, and not past the end", () => {
    const driver = new Driver();
    driver.create("a", { batch: batchOf(10) });
    const trim = (before: number) => ({ kind: "trim", stream: "a", before }) as const;
    expect(driver.run(trim(4))).toEqual({ kind: "trimmed", firstOffset: 4 });
    expect(driver.run(trim(2))).toEqual({ kind: "trimmed", firstOffset: 4 });
    expect(driver.refused(trim(11))).toMatchObject({ code: "malformed-offset", firstOffset: 4, tail: 10 });
    expect(driver.refused({ ...trim(5), incarnation: 3 }).code).toBe("stream-not-found");
    expect(driver.machine.readRanges(1, 0, 99)).toEqual([{ streamId: 1, from: 4, to: 10 }]);
    expect(driver.machine.isLive(1, 4)).toBe(false);
    expect(driver.machine.isLive(1, 5)).toBe(true);
    expect(driver.run(trim(10))).toEqual({ kind: "trimmed", firstOffset: 10 });
    expect(driver.machine.isLive(1, 10)).toBe(false);
    expect(driver.machine.isLive(77, 1)).toBe(false);
    expect(driver.machine.readRanges(77, 0, 1)).toEqual([]);
  });
});

describe("cursors", () => {
  const value = Uint8Array.of(1, 2);
  const cursor = (more: object) => ({ kind: "cursor", name: "c", ...more }) as const;

  it("are set, compared and deleted", () => {
    const driver = new Driver();
    expect(driver.refused(cursor({ value, expected: value })).code).toBe("condition-failed");
    const bytes = value.slice();
    expect(driver.run(cursor({ value: bytes, expected: null }))).toEqual({ kind: "done" });
    bytes.fill(9);
    expect(driver.machine.cursor("c")).toEqual(value);
    expect(driver.refused(cursor({ value, expected: null })).code).toBe("condition-failed");
    driver.run(cursor({ value: Uint8Array.of(3), expected: value }));
    expect(driver.machine.cursor("c")).toEqual(Uint8Array.of(3));
    expect(driver.refused(cursor({ expected: value })).code).toBe("condition-failed");
    driver.run(cursor({}));
    driver.run(cursor({}));
    expect(driver.machine.cursor("c")).toBeUndefined();
  });

  it("are bounded in name, size and number", () => {
    const driver = Driver.limited({ cursorsMax: 1, cursorBytesMax: 4, cursorNameBytesMax: 3 });
    expect(driver.refused(cursor({ value: new Uint8Array(5) })).code).toBe("record-too-large");
    expect(driver.refused(cursor({ name: "", value })).code).toBe("malformed-name");
    expect(driver.refused(cursor({ name: "éé", value })).code).toBe("malformed-name");
    driver.run(cursor({ value }));
    expect(driver.refused(cursor({ name: "d", value })).code).toBe("too-many");
    driver.run(cursor({ value: new Uint8Array(4) }));
  });
});

describe("log time", () => {
  it("never goes back, and an entry without commands moves it too", () => {
    const driver = new Driver();
    driver.pass(1_000);
    driver.now -= 5_000;
    driver.apply();
    expect(driver.machine.logTime).toBe(START_MS + 1_000);
    expect(driver.machine.position).toBe(2);
    expect(() => driver.machine.apply({ index: 4, logTime: 0 }, [])).toThrow("I4");
  });
});
