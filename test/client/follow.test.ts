/** Following many streams, against a server that is the test: order, places, gaps, and going on after whatever broke. */
import { describe, expect, it } from "vitest";
import { connect, TidemarkError, type Client, type FollowOptions, type ReadStatus } from "../../client/index.ts";
import type { FollowedRecord, LogMark } from "../../client/index.ts";
import type { FollowEvent } from "../../client/transport/transport.ts";
import { FakeFollows, following, mark, records } from "./fake-follows.ts";
import { run, turn, virtualTime, type VirtualTime } from "./virtual-time.ts";

type World = { readonly client: Client; readonly transport: FakeFollows; readonly time: VirtualTime };

function world(): World {
  const time = virtualTime();
  const transport = new FakeFollows();
  return { client: connect("ws://test", { transport, environment: time.environment }), transport, time };
}

async function failure(promise: Promise<unknown>): Promise<TidemarkError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(TidemarkError);
  return thrown as TidemarkError;
}

/** So many records, in short. */
async function take(stream: AsyncIterator<FollowedRecord, undefined>, count: number): Promise<string[]> {
  const found: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const { value } = await stream.next();
    found.push(value === undefined ? "end" : `${value.stream} ${value.offset} ${value.text()} @${value.position}`);
  }
  return found;
}

const LOST = new TidemarkError("connection-lost");

describe("a follow", () => {
  it("delivers records with their stream and place, in the server's order", async () => {
    const { client, transport } = world();
    const follow = client.follow(["a", "b"]);
    const first = take(follow, 4);
    transport.last.say(following(0, 5), records(10, [0, 0, "x", "y"], [1, 5, "z"], [0, 2, "w"]));
    expect(await first).toEqual(["a 0 x @10", "a 1 y @10", "b 5 z @11", "a 2 w @12"]);
    expect(transport.last.request).toMatchObject({
      streams: [
        { stream: "a", from: "start", offset: 0 },
        { stream: "b", from: "start", offset: 0 },
      ],
      markEveryMs: 0,
    });
    expect(client.sessionPosition).toBe(13);
    follow.close();
    expect(transport.last.closed).toBe(true);
    expect(await follow.next()).toEqual({ done: true, value: undefined });
  });

  it("asks for each stream's own beginning", () => {
    const { client, transport } = world();
    const token = `${"7".padStart(16, "0")}_${"9".padStart(16, "0")}`;
    const notBefore = { position: 4, ordinal: 1 };
    void client
      .follow(["a", "b", "c"], { from: { a: "now", b: token }, notBefore, marks: true, markEveryMs: 7 })
      .next();
    expect(transport.last.request).toMatchObject({
      streams: [
        { stream: "a", from: "now", offset: 0 },
        { stream: "b", from: "offset", offset: 9, incarnation: 7 },
        { stream: "c", from: "start", offset: 0 },
      ],
      notBefore,
      markEveryMs: 7,
    });
    void client.follow(["a"], { from: "now" }).next();
    expect(transport.last.request.streams).toEqual([{ stream: "a", from: "now", offset: 0 }]);
  });

  it("knows its places after each single record, and its mark behind what was delivered", async () => {
    const { client, transport } = world();
    const follow = client.follow(["a", "b"]);
    const first = take(follow, 1);
    transport.last.say(following(0, 0), records(10, [0, 0, "x", "y"], [1, 0, "z"]));
    await first;
    const offsets = (): number[] => Object.values(follow.places).map((token) => Number(token.slice(17)));
    expect(offsets()).toEqual([1, 0]);
    expect(follow.mark).toEqual({ position: 0, ordinal: 0 });
    await take(follow, 2);
    expect(offsets()).toEqual([2, 1]);
    const pending = follow.next();
    await turn();
    expect(follow.mark).toEqual({ position: 12, ordinal: 0 });
    follow.close();
    await pending;
    expect(offsets()).toEqual([2, 1]);
  });

  it("delivers marks where they are asked for", async () => {
    const { client, transport } = world();
    const follow = client.follow(["a"], { marks: true });
    const items: (FollowedRecord | LogMark)[] = [];
    const reading = (async () => {
      for await (const item of follow) if (items.push(item) === 4) break;
    })();
    const silent = mark({ position: 30, ordinal: 0 });
    transport.last.say(following(0), records(10, [0, 0, "x"], [0, 1, "y"]), silent);
    await reading;
    expect(items.map(({ kind }) => kind)).toEqual(["record", "record", "mark", "mark"]);
    expect(items[2]).toEqual({ kind: "mark", next: { position: 12, ordinal: 0 }, logTime: 1_012 });
    expect(items[3]).toMatchObject({ next: { position: 30, ordinal: 0 } });
  });

  it("grants what was taken, and no more than its prefetch at first", async () => {
    const { client, transport } = world();
    const follow = client.follow(["a"], { prefetchBytes: 10_000 });
    const first = take(follow, 1);
    const large = "x".repeat(3_000);
    transport.last.say(following(0), records(1, [0, 0, large]), records(2, [0, 1, large]));
    await first;
    expect(transport.last.request.credit).toBe(5_000);
    expect(transport.last.granted).toBe(0);
    await take(follow, 1);
    // The first is done with.
    expect(transport.last.granted).toBeGreaterThanOrEqual(3_000);
    expect(transport.last.granted).toBeLessThan(3_100);
    follow.close();
  });

  it("gives portions in bulk", async () => {
    const { client, transport } = world();
    const portions: number[] = [];
    const reading = (async () => {
      for await (const portion of client.follow(["a", "b"]).batches()) portions.push(portion.length);
    })();
    transport.last.say(following(0, 0), records(1, [0, 0, "1", "2"], [1, 0, "3"]), records(3, [0, 2, "4"]));
    transport.last.say(
      { kind: "stream-event", position: 4, stream: 0, event: { kind: "closed", nextOffset: 3 } },
      { kind: "stream-event", position: 4, stream: 1, event: { kind: "deleted", nextOffset: 1 } },
    );
    await reading;
    expect(portions).toEqual([3, 1]);
  });

  it("I15: decodes no more ahead of its consumer than so many records, however little they take encoded", async () => {
    const { client, transport } = world();
    const batch = Array.from({ length: 5_000 }, () => "");
    const follow = client.follow(["a"]).batches();
    const portions: number[] = [];
    transport.onFollow = (follow) =>
      follow.say(
        following(0),
        records(1, [0, 0, ...batch], [0, 5_000, ...batch], [0, 10_000, ...batch], [0, 15_000, "last"]),
      );
    while (portions.reduce((sum, length) => sum + length, 0) < 15_001) {
      const { value } = await follow.next();
      portions.push((value ?? []).length);
    }
    expect(portions).toEqual([10_000, 5_001]);
    await follow.return();
  });
});

describe("what becomes of its streams", () => {
  it("I7: gaps are told before what follows them, wherever they are seen", async () => {
    const { client, transport } = world();
    const told: string[] = [];
    const follow = client.follow(["a", "b"], {
      onGap: (stream, { from, to }) => told.push(`gap ${stream} ${from}-${to}`),
    });
    const reading = (async () => {
      for (let at = 0; at < 5; at += 1) told.push(...(await take(follow, 1)));
    })();
    transport.last.say(
      following(0, 0),
      { kind: "stream-event", position: 1, stream: 1, event: { kind: "gap", from: 0, to: 4 } },
      records(10, [0, 0, "x"], [1, 4, "y"], [0, 3, "z"]),
      // The first batch of what is left begins before it.
      { kind: "stream-event", position: 1, stream: 0, event: { kind: "gap", from: 4, to: 6 } },
      records(13, [0, 5, "gone", "kept"], [1, 5, "w"]),
    );
    await reading;
    expect(told).toEqual([
      "gap b 0-4",
      "a 0 x @10",
      "b 4 y @11",
      "gap a 1-3",
      "a 3 z @12",
      "gap a 4-6",
      "a 6 kept @13",
      "b 5 w @14",
    ]);
    follow.close();
  });

  it("without a listener a gap ends it, with its place", async () => {
    const { client, transport } = world();
    const follow = client.follow(["a"]);
    const first = take(follow, 1);
    transport.last.say(following(0), records(1, [0, 0, "x"], [0, 3, "y"]));
    await first;
    expect(await failure(follow.next())).toMatchObject({ code: "offset-trimmed", gap: { from: 1, to: 3 } });
    expect(await follow.next()).toMatchObject({ done: true });
    expect(transport.last.closed).toBe(true);
  });

  it("an end is told behind its last record, and the last ends the follow", async () => {
    const { client, transport } = world();
    const told: string[] = [];
    const onStreamEnd = (stream: string, reason: string): number => told.push(`${stream} ${reason}`);
    const follow = client.follow(["a", "b"], { onStreamEnd });
    const reading = (async () => {
      for await (const record of follow) told.push(record.text());
    })();
    transport.last.say(following(0, 0), records(1, [0, 0, "x"]));
    transport.last.say({ kind: "stream-event", position: 2, stream: 0, event: { kind: "closed", nextOffset: 1 } });
    transport.last.say(records(3, [1, 0, "y"]));
    transport.last.say({ kind: "stream-event", position: 4, stream: 1, event: { kind: "deleted", nextOffset: 1 } });
    await reading;
    expect(told).toEqual(["x", "a closed", "y", "b deleted"]);
  });
});

describe("what breaks", () => {
  it("I7: it goes on exactly where it was, with the streams that are left", async () => {
    const { client, transport, time } = world();
    const statuses: ReadStatus["kind"][] = [];
    const onStatus = ({ kind }: ReadStatus): number => statuses.push(kind);
    const follow = client.follow(["a", "b", "c"], { notBefore: { position: 2, ordinal: 0 }, onStatus });
    const first = take(follow, 2);
    transport.last.say(following(0, 7, 0), records(10, [1, 7, "x", "y"]));
    transport.last.say({ kind: "stream-event", position: 4, stream: 0, event: { kind: "closed", nextOffset: 0 } });
    transport.last.fail(LOST);
    expect(await first).toEqual(["b 7 x @10", "b 8 y @10"]);
    const next = take(follow, 2);
    transport.onFollow = (follow) => {
      expect(follow.request.notBefore).toBeUndefined();
      expect(follow.request.streams).toEqual([
        { stream: "b", from: "offset", offset: 9, incarnation: 2 },
        { stream: "c", from: "offset", offset: 0, incarnation: 3 },
      ]);
      const event = following(0, 9, 0);
      if (event.kind !== "following") throw new Error("unreachable");
      follow.say({ ...event, streams: event.streams.slice(1) }, records(11, [1, 0, "z"], [0, 9, "w"]));
    };
    expect(await run(time, next)).toEqual(["c 0 z @11", "b 9 w @12"]);
    expect(transport.follows.length).toBe(2);
    expect(statuses).toEqual(["connected", "disconnected", "connected"]);
    follow.close();
  });

  it.each(["slow", "stopping"] as const)("a server that ends it as %s is come back to", async (reason) => {
    const { client, transport, time } = world();
    const follow = client.follow(["a"]);
    const first = follow.next();
    transport.last.say(following(0), {
      kind: "follow-end",
      position: 1,
      reason,
      next: { position: 1, ordinal: 0 },
    });
    transport.onFollow = (again) => again.say(following(0), records(1, [0, 0, "x"]));
    expect((await run(time, first)).value?.text()).toBe("x");
    follow.close();
  });

  it("for as long as its time-out says, and then it fails", async () => {
    const { client, transport, time } = world();
    transport.onFollow = (follow) => queueMicrotask(() => follow.fail(new TidemarkError("connection-failed")));
    const follow = client.follow(["a"], { timeout: 5_000 });
    const started = time.clock.monotonic();
    expect(await run(time, failure(follow.next()))).toMatchObject({
      code: "timeout",
      message: "no answer for 5000 ms: The server cannot be reached",
      cause: { code: "connection-failed" },
    });
    expect(time.clock.monotonic() - started).toBeLessThanOrEqual(5_000);
    expect(transport.follows.length).toBeGreaterThan(3);
    expect(await follow.next()).toMatchObject({ done: true });
  });

  it("what cannot be cured ends it", async () => {
    const { client, transport } = world();
    const follow = client.follow(["a"]);
    const first = failure(follow.next());
    transport.last.say({ kind: "error", position: 1, code: "stream-not-found", message: "there is none" });
    expect(await first).toMatchObject({ code: "stream-not-found" });
    expect(transport.follows.length).toBe(1);
  });

  it("a signal gives it up, whatever it holds", async () => {
    const { client, transport } = world();
    const controller = new AbortController();
    const follow = client.follow(["a"], { signal: controller.signal });
    const first = take(follow, 1);
    transport.last.say(following(0), records(1, [0, 0, "x", "y"]));
    await first;
    controller.abort();
    expect(await failure(follow.next())).toMatchObject({ code: "aborted" });
    expect(transport.last.closed).toBe(true);
  });

  it("a loop that is left, and a disposal, end it", async () => {
    const { client, transport } = world();
    {
      await using follow = client.follow(["a"]);
      const reading = (async () => {
        for await (const record of follow) return record.text();
        return undefined;
      })();
      transport.last.say(following(0), records(1, [0, 0, "x"]));
      expect(await reading).toBe("x");
      expect(transport.last.closed).toBe(true);
    }
    {
      await using follow = client.follow(["a"]);
      void follow.next();
    }
    expect(transport.last.closed).toBe(true);
  });

  it("`ready` settles where it begins, before anything comes", async () => {
    const { client, transport, time } = world();
    const follow = client.follow(["a"], { from: "now" });
    const ready = follow.ready();
    transport.last.fail(LOST);
    transport.onFollow = (again) => again.say(following(12));
    await run(time, ready);
    expect(follow.places["a"]).toMatch(/12$/);
    follow.close();
  });
});

describe("a server that is wrong is not believed (I7)", () => {
  it.each<[string, readonly FollowEvent[]]>([
    ["a record twice, out of order", [following(0), records(5, [0, 0, "x"]), records(4, [0, 1, "y"])]],
    ["records of a stream that was not named", [following(0), records(5, [1, 0, "x"])]],
    ["records before it said where they begin", [records(5, [0, 0, "x"])]],
    ["other streams than were named", [following(0, 0)]],
    [
      "a mark that goes back",
      [following(0), mark({ position: 9, ordinal: 0 }), mark({ position: 8, ordinal: 4 }), records(9, [0, 0, "x"])],
    ],
    [
      "a gap where it was not",
      [following(3), { kind: "stream-event", position: 1, stream: 0, event: { kind: "gap", from: 2, to: 9 } }],
    ],
    [
      "an end where it was not",
      [following(3), { kind: "stream-event", position: 1, stream: 0, event: { kind: "closed", nextOffset: 4 } }],
    ],
    [
      "records behind a stream's end",
      [
        following(3),
        { kind: "stream-event", position: 1, stream: 0, event: { kind: "closed", nextOffset: 3 } },
        records(5, [0, 3, "x"]),
      ],
    ],
  ])("%s", async (what, events) => {
    const { client, transport } = world();
    // Another stream keeps the last of these going.
    const follow = client.follow(what.startsWith("records behind") ? ["a", "b"] : ["a"], { onGap: () => undefined });
    const reading = failure(
      (async () => {
        for await (const record of follow) expect(record.text()).toBe("x");
      })(),
    );
    if (what.startsWith("records behind")) transport.last.say(following(3, 0), ...events.slice(1));
    else transport.last.say(...events);
    expect(await reading).toMatchObject({ code: "protocol-error" });
  });

  it("a damaged batch", async () => {
    const { client, transport } = world();
    const event = records(1, [0, 0, "x"]);
    if (event.kind !== "follow-records") throw new Error("unreachable");
    for (const { bytes } of event.batches) bytes[38] = "y".charCodeAt(0);
    const reading = failure(client.follow(["a"]).next());
    transport.last.say(following(0), event);
    expect(await reading).toMatchObject({ code: "checksum-mismatch" });
  });
});

describe("what cannot be asked", () => {
  it.each<[string, readonly string[], FollowOptions]>([
    ["nothing", [], {}],
    ["a stream twice", ["a", "a"], {}],
    ["a beginning of another stream", ["a"], { from: { b: 1 } }],
    ["no place", ["a"], { notBefore: { position: -1, ordinal: 0 } }],
    ["no time", ["a"], { markEveryMs: 0 }],
  ])("%s", (_what, streams, options) => {
    const { client } = world();
    expect(() => client.follow(streams, options)).toThrow(expect.objectContaining({ code: "invalid-argument" }));
  });

  it("names that are none, offsets that are none, and a follow over HTTP", () => {
    const { client } = world();
    expect(() => client.follow(["a//b"])).toThrow(expect.objectContaining({ code: "malformed-name" }));
    expect(() => client.follow(["a"], { from: { a: -1 } })).toThrow(
      expect.objectContaining({ code: "malformed-offset" }),
    );
    const http = connect("http://127.0.0.1:1");
    expect(() => http.follow(["a"])).toThrow(expect.objectContaining({ code: "unsupported" }));
  });
});
