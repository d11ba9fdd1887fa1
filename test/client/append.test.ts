/** Single calls: pipelined appends, conditions, retries, deadlines, and what each error says. */
import { describe, expect, it } from "vitest";
import { connect, type Client } from "../../client/client.ts";
import { TidemarkError } from "../../client/error.ts";
import type { RecordInput } from "../../client/appending/record-input.ts";
import type { Appended, Stream } from "../../client/stream.ts";
import { CLIENT_LIMITS } from "../../client/limits.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeTransport, type Fault } from "./fake-transport.ts";
import { run, turn, virtualTime, type VirtualTime } from "./virtual-time.ts";

type Bench = {
  readonly time: VirtualTime;
  readonly server: FakeServer;
  readonly transport: FakeTransport;
  readonly client: Client;
};

function bench(): Bench {
  const time = virtualTime();
  const server = new FakeServer();
  const transport = new FakeTransport(server, time.environment.clock);
  return { time, server, transport, client: connect("http://fake", { transport, environment: time.environment }) };
}

async function failure(promise: Promise<unknown>): Promise<TidemarkError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(TidemarkError);
  return thrown as TidemarkError;
}

/** Shows what is in batches that are not compressed. */
function textOfBatch(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return undefined;
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
}

describe("single calls", () => {
  it.each<Fault>(["refuse", "lose-request", "lose-answer"])(
    "what only asks had no effect, whatever became of it (%s)",
    async (fault) => {
      const { time, transport, client } = bench();
      transport.faults.push(...Array.from({ length: 100 }, () => fault));
      const error = await run(time, failure(client.stream("s").describe({ timeout: 1_000 })));
      expect(error).toMatchObject({ code: "timeout", outcome: "not-applied" });
    },
  );

  it("what overtakes the first of a new epoch waits for it, as in any gap (I8)", async () => {
    const { time, transport, server, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    await run(time, stream.append("a"));
    transport.faults.push("lose-request");
    // Given up, so that what follows is of the next epoch.
    await run(time, failure(stream.append("b", { timeout: 1 })));
    await turn();
    transport.faults.push("lose-request", "none");
    const first = stream.append("c");
    // A condition, so that it is a command of its own.
    const second = stream.append("d", { expectedOffset: 2 });
    const placed = await run(time, Promise.all([first, second]));
    expect(placed.map(({ offset }) => offset)).toEqual([1, 2]);
    expect(server.contents("s")).toEqual(["a", "c", "d"]);
  });

  it("a command none of whose attempts was sent had no effect; of one that was, nobody knows", async () => {
    const { time, transport, client } = bench();
    transport.faults.push(...Array.from({ length: 100 }, () => "refuse" as const));
    const unsent = await run(time, failure(client.stream("s").delete({ timeout: 1_000 })));
    expect(unsent).toMatchObject({ code: "timeout", outcome: "not-applied" });
    transport.faults.unshift("lose-request");
    const lost = await run(time, failure(client.stream("s").delete({ timeout: 1_000 })));
    expect(lost).toMatchObject({ code: "timeout", outcome: "unknown" });
  });

  it("create, append, describe, close, delete", async () => {
    const { time, server, client } = bench();
    const stream = client.stream("orders/eu");
    expect(await run(time, stream.create({ contentType: "text/plain" }))).toMatchObject({
      created: true,
      nextOffset: 0,
      closed: false,
    });
    expect(await run(time, stream.create())).toMatchObject({ created: false });
    const appended = await run(time, stream.append(["a", { key: "k", value: "b" }]));
    expect(appended).toMatchObject({ offset: 0, nextOffset: 2, token: "0000000000000001_0000000000000000" });
    expect(appended.nextToken).toBe("0000000000000001_0000000000000002");
    expect(await run(time, stream.describe())).toMatchObject({
      name: "orders/eu",
      firstOffset: 0,
      nextOffset: 2,
      closed: false,
    });
    expect(await run(time, stream.close())).toEqual({ nextOffset: 2 });
    expect(await run(time, stream.close())).toEqual({ nextOffset: 2 });
    expect(await run(time, failure(stream.append("c")))).toMatchObject({
      code: "stream-closed",
      outcome: "not-applied",
      retryable: false,
    });
    await run(time, stream.delete());
    expect(await run(time, failure(stream.describe()))).toMatchObject({ code: "stream-not-found" });
    expect(server.contents("orders/eu")).toEqual([]);
    expect(client.sessionPosition).toBe(server.position);
  });

  it("overlapping appends are applied in the order of the calls", async () => {
    const { time, server, transport, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    transport.faults.push("none", "lose-answer", "refuse");
    const appended = await run(time, Promise.all(["a", "b", "c", "d"].map((value) => stream.append(value))));
    expect(appended.map(({ offset }) => offset)).toEqual([0, 1, 2, 3]);
    expect(server.contents("s")).toEqual(["a", "b", "c", "d"]);
  });

  it("a refused append takes none of those behind it with it", async () => {
    const { time, server, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    const first = stream.append("a");
    const refused = failure(stream.append("b", { expectedOffset: 7 }));
    const third = stream.append("c");
    const last = stream.append("d", { expectedOffset: 2 });
    expect(await run(time, refused)).toMatchObject({ code: "offset-mismatch", outcome: "not-applied", tail: 1 });
    expect((await run(time, Promise.all([first, third, last]))).map(({ offset }) => offset)).toEqual([0, 1, 2]);
    expect(server.contents("s")).toEqual(["a", "c", "d"]);
  });

  it("what is appended together shares a batch; what has a condition of its own travels alone", async () => {
    const { time, server, transport, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    const calls = [
      stream.append("a"),
      stream.append(["b", "c"]),
      stream.append("d", { expectedOffset: 3 }),
      stream.append("e"),
      stream.append("f"),
      stream.append("g", { close: true }),
    ];
    const appended = await run(time, Promise.all(calls));
    expect(appended.map(({ offset, nextOffset }) => [offset, nextOffset])).toEqual([
      [0, 1],
      [1, 3],
      [3, 4],
      [4, 5],
      [5, 6],
      [6, 7],
    ]);
    const kinds = transport.commands().map((request) => request.kind === "command" && request.command.kind);
    expect(kinds).toEqual(["append", "append", "append", "append"]);
    expect(server.streams.get("s")?.batches.map(({ span }) => span)).toEqual([3, 1, 2, 1]);
  });

  it("what shares a batch is as it was when it was appended, and has its own keys and times", async () => {
    const { time, server, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    const bytes = new Uint8Array([1]);
    const first = stream.append({ value: bytes, timestamp: 5 });
    bytes[0] = 2;
    const calls = [first, stream.append({ key: "k", value: bytes, timestamp: 3 }), stream.append("plain")];
    bytes[0] = 3;
    const appended = await run(time, Promise.all(calls));
    expect(server.streams.get("s")?.batches).toHaveLength(1);
    expect(new Set(appended.map(({ nextToken }) => nextToken)).size).toBe(3);
    const read: unknown[] = [];
    const reading = (async () => {
      for await (const { offset, value, timestamp } of stream.read()) read.push([offset, value?.[0], timestamp]);
    })();
    await run(time, reading);
    expect(read).toEqual([
      [0, 1, 5],
      [1, 2, 3],
      [2, "p".charCodeAt(0), expect.any(Number)],
    ]);
  });

  it("a shared batch is bounded, by appends, by records and by bytes", async () => {
    const { time, server, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    const { batchRecordsMax, runAppendsMax, runBytesMax } = CLIENT_LIMITS;
    const large = new Uint8Array(runBytesMax - 40);
    await run(
      time,
      Promise.all([
        ...Array.from({ length: runAppendsMax + 2 }, () => stream.append("a")),
        stream.append(large),
        stream.append(large),
      ]),
    );
    expect(server.streams.get("s")?.batches.map(({ span }) => span)).toEqual([runAppendsMax, 2, 1, 1]);
    const many = Array.from({ length: batchRecordsMax }, () => "");
    await run(time, Promise.all([stream.append("a"), stream.append(many)]));
    expect(
      server.streams
        .get("s")
        ?.batches.slice(4)
        .map(({ span }) => span),
    ).toEqual([1, batchRecordsMax]);
  });

  it("a run is bounded, by appends and by bytes", async () => {
    const { time, server, transport, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    const half = new Uint8Array(CLIENT_LIMITS.runBytesMax / 2);
    // A time of its own keeps a call out of others' batches.
    const alone = (record: RecordInput): Promise<Appended> => stream.append(record, { timeout: 30_000 });
    const calls = [
      ...Array.from({ length: CLIENT_LIMITS.runAppendsMax + 2 }, () => alone("a")),
      alone(half),
      alone(half),
    ];
    await run(time, Promise.all(calls));
    expect(transport.commands()).toMatchObject([
      { command: { batches: { length: CLIENT_LIMITS.runAppendsMax } } },
      { command: { batches: { length: 3 } } },
      { command: { kind: "append" } },
    ]);
  });

  it.each([
    ["run", { timeout: 30_000 }],
    ["batch", {}],
  ])("one that the server does not let in takes no other of its %s with it (W183)", async (_, options) => {
    const { time, server, client } = bench();
    server.create("s");
    const handle = server.handle.bind(server);
    server.handle = (request) => {
      const isBad = JSON.stringify(request, textOfBatch).includes("bad");
      return isBad ? { kind: "error", position: 1, code: "malformed-json", message: "bad" } : handle(request);
    };
    const stream = client.stream("s");
    const before = stream.append("a", options);
    const refused = failure(stream.append("bad", options));
    const behind = [stream.append("b", options), stream.append("c", options)];
    expect(await run(time, refused)).toMatchObject({ code: "malformed-json", outcome: "not-applied" });
    expect((await run(time, Promise.all([before, ...behind]))).map(({ offset }) => offset)).toEqual([0, 1, 2]);
    expect(server.contents("s")).toEqual(["a", "b", "c"]);
  });

  it("of a run one is given up: the others hear nothing of it", async () => {
    const { time, server, transport, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    transport.faults.push("hang");
    const controller = new AbortController();
    const before = stream.append("a");
    const given = failure(stream.append("b", { signal: controller.signal }));
    const behind = stream.append("c");
    await turn();
    controller.abort();
    expect(await run(time, given)).toMatchObject({ code: "aborted", outcome: "unknown" });
    await run(time, Promise.all([before, behind]));
    // Nobody knew whether it had been applied, and what is behind it could not be told without it.
    expect(server.contents("s")).toEqual(["a", "b", "c"]);
  });

  it("a run's answer that does not fit it is a protocol error, never a success", async () => {
    const { time, server, client } = bench();
    server.create("s");
    const handle = server.handle.bind(server);
    server.handle = (request) => {
      const answer = handle(request);
      if (answer.kind !== "result" || answer.result.kind !== "appended-run") return answer;
      return { ...answer, result: { kind: "appended-run", parts: answer.result.parts.slice(1) } };
    };
    const stream = client.stream("s");
    const appends = ["a", "b"].map((value) => failure(stream.append(value, { timeout: 30_000 })));
    for (const error of await run(time, Promise.all(appends)))
      expect(error).toMatchObject({ code: "protocol-error", outcome: "unknown" });
  });

  it("other commands go behind the appends that were called before them", async () => {
    const { time, server, client } = bench();
    server.create("s");
    const appended = client.stream("s").append("a");
    const deleted = client.stream("s").delete();
    expect((await run(time, appended)).offset).toBe(0);
    await run(time, deleted);
    expect(server.streams.size).toBe(0);
  });

  it("handles of one stream share their order", async () => {
    const { time, server, client } = bench();
    server.create("s");
    await run(time, Promise.all(["a", "b", "c"].map((value) => client.stream("s").append(value))));
    expect(server.contents("s")).toEqual(["a", "b", "c"]);
    expect(server.streams.get("s")?.producers.size).toBe(1);
  });

  it("an append whose caller gave up: unknown if sent, and the next one is not held up", async () => {
    const { time, server, transport, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    transport.faults.push("hang");
    const controller = new AbortController();
    const given = failure(stream.append("a", { signal: controller.signal }));
    await turn();
    controller.abort(new Error("enough"));
    const error = await run(time, given);
    expect(error).toMatchObject({ code: "aborted", outcome: "unknown" });
    expect(error.cause).toBeInstanceOf(Error);
    expect((await run(time, stream.append("b"))).offset).toBe(0);
    expect(server.contents("s")).toEqual(["b"]);
  });

  it("an append whose own attempt has failed is given up at its time, whatever others wait for", async () => {
    const { time, server, transport, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    transport.faults.push("lose-request", "hang");
    transport.held = true;
    const given = failure(stream.append("a", { timeout: 1_000 }));
    await turn();
    const hanging = failure(stream.append("b", { timeout: 3_000 }));
    await turn();
    transport.release();
    const startedMs = time.environment.clock.monotonic();
    expect(await run(time, given)).toMatchObject({ code: "timeout", cause: { code: "connection-lost" } });
    expect(time.environment.clock.monotonic() - startedMs).toBeLessThanOrEqual(1_000);
    expect(await run(time, hanging)).toMatchObject({ code: "timeout", outcome: "unknown" });
  });

  it("an aborted signal or a passed deadline sends nothing", async () => {
    const { transport, client } = bench();
    const stream = client.stream("s");
    expect(await failure(stream.append("a", { signal: AbortSignal.abort() }))).toMatchObject({
      code: "aborted",
      outcome: "not-applied",
    });
    expect(await failure(stream.create({ signal: AbortSignal.abort() }))).toMatchObject({
      code: "aborted",
      outcome: "not-applied",
    });
    expect(transport.requests).toEqual([]);
  });

  it("a delete whose answer was lost succeeds", async () => {
    const { time, server, transport, client } = bench();
    server.create("s");
    transport.faults.push("lose-answer");
    await run(time, client.stream("s").delete());
    expect(server.streams.size).toBe(0);
    expect(await run(time, failure(client.stream("s").delete()))).toMatchObject({
      code: "stream-not-found",
      outcome: "not-applied",
    });
  });

  it("a call that ends without an answer says unknown, and why", async () => {
    const { time, server, transport, client } = bench();
    transport.faults.push("lose-request", "hang");
    const error = await run(time, failure(client.stream("s").create({ timeout: 1_000 })));
    expect(error).toMatchObject({ code: "timeout", outcome: "unknown", retryable: true });
    expect(error.cause).toMatchObject({ code: "connection-lost" });
    expect(server.streams.size).toBe(0);
  });

  it("what an answer does not say is a protocol error, never a success", async () => {
    const { time, server, transport, client } = bench();
    server.create("s");
    server.handle = () => ({
      kind: "description",
      position: 1,
      incarnation: 1,
      contentType: "",
      firstOffset: 0,
      tail: 0,
      closed: false,
      createdAtMs: 0,
      expiry: { kind: "never" },
      retention: {},
      compactedBefore: 0,
    });
    expect(await run(time, failure(client.stream("s").append("a")))).toMatchObject({
      code: "protocol-error",
      outcome: "unknown",
    });
    expect(await run(time, failure(client.stream("s").create()))).toMatchObject({
      code: "protocol-error",
      outcome: "unknown",
    });
    expect(transport.requests).toHaveLength(2);
  });

  it("close() ends what is under way", async () => {
    const { server, transport, client } = bench();
    server.create("s");
    transport.held = true;
    const pending = failure(client.stream("s").append("a"));
    await turn();
    await client[Symbol.asyncDispose]();
    expect(await pending).toMatchObject({ code: "client-closed", outcome: "unknown" });
    expect(transport.closed).toBe(true);
    expect(await failure(client.stream("s").append("b"))).toMatchObject({
      code: "client-closed",
      outcome: "not-applied",
    });
    expect(await failure(client.stream("s").describe())).toMatchObject({ code: "client-closed" });
  });

  it("arguments that cannot be meant are refused at once", async () => {
    const { client } = bench();
    expect(() => connect("nonsense")).toThrow(TidemarkError);
    expect(() => connect("ftp://host")).toThrow(TidemarkError);
    for (const name of ["", "a//b", "../a", "a\0", "__ds/x"]) expect(() => client.stream(name)).toThrow(TidemarkError);
    const stream = client.stream("s");
    expect(await failure(stream.append([]))).toMatchObject({ code: "invalid-argument" });
    expect(await failure(stream.create({ ttlSeconds: 1, expiresAt: new Date() }))).toMatchObject({
      code: "invalid-argument",
    });
    expect(() => stream.read({ from: "somewhere" })).toThrow(TidemarkError);
    expect(() => stream.read({ from: 0, after: 0 })).toThrow(TidemarkError);
    expect(() => stream.read({ from: -1 })).toThrow(TidemarkError);
    expect(() => stream.producer({ epoch: -1 })).toThrow(TidemarkError);
  });

  it.each<[string, (stream: Stream, client: Client) => Promise<unknown>]>([
    ["a record that is none", (stream) => stream.append(undefined as never)],
    ["a number as a record", (stream) => stream.append(5 as never)],
    ["JSON of a bigint", (stream) => stream.append({ json: 1n })],
    ["half a surrogate pair", (stream) => stream.append("a\ud800")],
    ["half a pair as a value", (stream) => stream.append({ value: "\udc00" })],
    ["half a pair as a key", (stream) => stream.append({ value: "v", key: "\ud800" })],
    ["half a pair as a header", (stream) => stream.append({ value: "v", headers: { h: "\ud800" } })],
    ["half a pair as a header's name", (stream) => stream.append({ value: "v", headers: { "\ud800": "v" } })],
    ["a time-out before now", (stream) => stream.append("v", { timeout: -1 })],
    ["a time-out that is no number", (stream) => stream.describe({ timeout: Number.NaN })],
    ["a life of no time", (stream) => stream.create({ ttlSeconds: 0 })],
    ["a life before now", (stream) => stream.create({ ttlSeconds: -1 })],
    ["a life of half a second", (stream) => stream.create({ ttlSeconds: 0.5 })],
    ["an end at no time", (stream) => stream.create({ expiresAt: new Date(Number.NaN) })],
    ["a listing of no text", (_stream, client) => client.streams({ prefix: "\ud800" }).next()],
    ["a listing of what is longer than a name", (_stream, client) => client.streams({ after: "é".repeat(513) }).next()],
  ])("%s is an invalid argument, and nothing is sent", async (_what, call) => {
    const { server, transport, client } = bench();
    server.create("s");
    const error = await failure(call(client.stream("s"), client));
    expect(error).toMatchObject({ code: "invalid-argument", outcome: "not-applied", retryable: false });
    expect(transport.requests).toEqual([]);
  });

  it("an expected offset that is none is refused, and takes nothing with it", async () => {
    const { time, server, client } = bench();
    server.create("s");
    const stream = client.stream("s");
    for (const expectedOffset of [-1, 1.5, Number.NaN])
      expect(await failure(stream.append("a", { expectedOffset }))).toMatchObject({ code: "malformed-offset" });
    expect((await run(time, stream.append("b"))).offset).toBe(0);
  });
});
