/** The producer: each record once and in order, whatever the connection does (I7, I8). */
import { describe, expect, it } from "vitest";
import type { Client } from "../../client/client.ts";
import { connect } from "../../client/client.ts";
import { TidemarkError } from "../../client/error.ts";
import type { Producer } from "../../client/appending/producer.ts";
import type { ProducerOptions } from "../../client/stream.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeTransport } from "./fake-transport.ts";
import { run, turn, virtualTime, type VirtualTime } from "./virtual-time.ts";

type Bench = {
  readonly time: VirtualTime;
  readonly server: FakeServer;
  readonly transport: FakeTransport;
  readonly client: Client;
  readonly producer: Producer;
};

function bench(options: ProducerOptions = {}): Bench {
  const time = virtualTime();
  const server = new FakeServer();
  server.create("s");
  const transport = new FakeTransport(server, time.environment.clock);
  const client = connect("http://fake", { transport, environment: time.environment });
  return { time, server, transport, client, producer: client.stream("s").producer(options) };
}

async function failure(promise: Promise<unknown>): Promise<TidemarkError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(TidemarkError);
  return thrown as TidemarkError;
}

describe("producer", () => {
  it("sends what is appended together as one batch, and each promise gets its offset", async () => {
    const { time, server, transport, producer } = bench();
    const offsets = ["a", "b", "c"].map((value) => producer.append(value));
    await run(time, producer.flush());
    expect(await Promise.all(offsets)).toEqual([0, 1, 2]);
    expect(server.contents("s")).toEqual(["a", "b", "c"]);
    expect(transport.commands()).toHaveLength(1);
  });

  it("tells at the next flush of a record that could be none, though nobody listened to its promise", async () => {
    const { time, server, producer } = bench();
    void producer.append("a");
    void producer.append({ value: { id: 1 } as never });
    void producer.append({ json: undefined });
    void producer.append("b");
    const flushed = failure(producer.flush());
    await run(time, flushed);
    expect(await flushed).toMatchObject({
      code: "invalid-argument",
      message: expect.stringContaining("use `json` for anything else"),
    });
    expect(server.contents("s")).toEqual(["a", "b"]);
    await run(time, producer.flush());
    void producer.append({ value: 5 as never });
    const closed = failure(producer.close());
    await run(time, closed);
    expect((await closed).code).toBe("invalid-argument");
  });

  it("appends all or says what was none of it", async () => {
    const { time, server, producer } = bench();
    const appended = failure(producer.appendAll(["a", { value: 5 as never }, "b"]));
    await run(time, appended);
    expect((await appended).code).toBe("invalid-argument");
    expect(server.contents("s")).toEqual(["a", "b"]);
  });

  it("gathers while a batch is under way", async () => {
    const { time, server, transport, producer } = bench();
    transport.held = true;
    void producer.append("0");
    await turn();
    for (let at = 1; at <= 100; at += 1) void producer.append(String(at));
    await turn();
    expect(transport.commands()).toHaveLength(1);
    transport.release();
    await run(time, producer.close());
    expect(transport.commands()).toHaveLength(2);
    expect(server.contents("s")).toEqual(Array.from({ length: 101 }, (_, at) => String(at)));
  });

  it("waits for company as long as the linger says, and no longer", async () => {
    const { time, transport, producer } = bench({ lingerMs: 20 });
    const first = producer.append("a");
    await turn();
    time.clock.advance(19);
    await turn();
    const second = producer.append("b");
    expect(transport.commands()).toHaveLength(0);
    time.clock.advance(1);
    await turn();
    expect(transport.commands()).toHaveLength(1);
    expect(await Promise.all([first, second])).toEqual([0, 1]);
  });

  it("seals a full batch at once and keeps several under way, in order, in one command", async () => {
    const { time, server, transport, producer } = bench({ batchBytes: 100, lingerMs: 1_000 });
    transport.held = true;
    for (let at = 0; at < 10; at += 1) void producer.append(`${at}`.repeat(60));
    await turn();
    expect(transport.commands()).toMatchObject([{ command: { kind: "append-run", batches: { length: 9 } } }]);
    transport.release();
    await run(time, producer.close());
    expect(server.contents("s").map((value) => value[0])).toEqual("0123456789".split(""));
  });

  it.each(["refuse", "lose-request", "lose-answer", "late"] as const)(
    "retries after %s with the same sequence: once in the stream",
    async (fault) => {
      const { time, server, transport, producer } = bench();
      transport.faults.push(fault, "none", fault, fault);
      const offsets: Promise<number>[] = [];
      for (let at = 0; at < 4; at += 1) {
        offsets.push(producer.append(`r${at}`));
        await run(time, producer.flush());
      }
      expect(await Promise.all(offsets)).toEqual([0, 1, 2, 3]);
      expect(server.contents("s")).toEqual(["r0", "r1", "r2", "r3"]);
    },
  );

  it.each(["overloaded", "unavailable", "outcome-unknown", "disk-full"] as const)("retries %s", async (code) => {
    const { time, server, transport, producer } = bench();
    transport.faults.push({ error: code }, { error: code });
    const offset = producer.append("a");
    expect(await run(time, offset)).toBe(0);
    expect(server.contents("s")).toEqual(["a"]);
  });

  it("keeps the order when one of several batches under way fails", async () => {
    const { time, server, transport, producer } = bench({ batchBytes: 60 });
    transport.faults.push("none", "refuse", "none", "lose-answer", "none");
    const offsets = ["a", "b", "c", "d", "e", "f"].map((letter) => producer.append(letter.repeat(40)));
    await run(time, producer.flush());
    expect(await Promise.all(offsets)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(server.contents("s").map((value) => value[0])).toEqual("abcdef".split(""));
  });

  it("is bounded by what is unacknowledged, and ready() waits for room", async () => {
    const { time, transport, producer, server } = bench({ unacknowledgedBytes: 1_000, batchBytes: 200 });
    transport.held = true;
    let accepted = 0;
    for (; producer.unacknowledgedBytes < 1_000; accepted += 1) void producer.append("x".repeat(84));
    const refused = await failure(producer.append("one too many"));
    expect(refused).toMatchObject({ code: "buffer-full", retryable: true, outcome: "not-applied" });
    let ready = false;
    const waiting = producer.ready().then(() => {
      ready = true;
    });
    await turn();
    expect(ready).toBe(false);
    transport.release();
    await run(time, waiting);
    void producer.append("last");
    await run(time, producer.close());
    expect(server.contents("s")).toHaveLength(accepted + 1);
  });

  it("appendAll takes any iterable at the server's pace", async () => {
    const { time, server, producer } = bench({ unacknowledgedBytes: 500 });
    const numbers = Array.from({ length: 1_000 }, (_, at) => String(at)).values();
    expect(await run(time, producer.appendAll(numbers))).toBe(1_000);
    expect(server.contents("s")).toHaveLength(1_000);
  });

  it("fenced: everything unacknowledged is rejected, and everything after", async () => {
    const { time, server, client, transport } = bench();
    const old = client.stream("s").producer({ id: "writer", epoch: 1 });
    await run(time, old.append("a"));
    const young = client.stream("s").producer({ id: "writer", epoch: 2 });
    await run(time, young.append("b"));
    transport.held = true;
    const pending = [old.append("c"), old.append("d")];
    await turn();
    pending.push(old.append("e"));
    transport.release();
    const errors = await run(time, Promise.all(pending.map(failure)));
    for (const error of errors)
      expect(error).toMatchObject({ code: "producer-fenced", retryable: false, outcome: "not-applied", epoch: 2 });
    expect(await failure(old.append("f"))).toMatchObject({ code: "producer-fenced" });
    expect(await failure(old.flush())).toMatchObject({ code: "producer-fenced" });
    expect(server.contents("s")).toEqual(["a", "b"]);
  });

  it("fenced after an attempt without answer: the outcome is unknown, for the epoch is checked first (I8)", async () => {
    const { time, server, client, transport } = bench();
    const old = client.stream("s").producer({ id: "writer", epoch: 1 });
    await run(time, old.append("a"));
    transport.faults.push("lose-answer");
    const pending = failure(old.append("b"));
    await turn();
    await run(time, client.stream("s").producer({ id: "writer", epoch: 2 }).append("c"));
    expect(await run(time, pending)).toMatchObject({ code: "producer-fenced", outcome: "unknown" });
    expect(server.contents("s")).toEqual(["a", "b", "c"]);
  });

  it("an id and epoch that someone else has used is a conflict, not a silent duplicate", async () => {
    const { time, server, client } = bench();
    await run(time, client.stream("s").producer({ id: "writer" }).append("a"));
    const second = client.stream("s").producer({ id: "writer" });
    expect(await run(time, failure(second.append("b")))).toMatchObject({
      code: "producer-conflict",
      outcome: "not-applied",
    });
    expect(server.contents("s")).toEqual(["a"]);
  });

  it("a refused batch stops the producer: nothing overtakes it", async () => {
    const { time, server, transport, producer } = bench({ batchBytes: 60 });
    await run(time, producer.append("first"));
    transport.held = true;
    const pending = ["a", "b", "c"].map((letter) => producer.append(letter.repeat(40)));
    await turn();
    const stream = server.streams.get("s");
    if (stream !== undefined) stream.closed = true;
    transport.release();
    const errors = await run(time, Promise.all(pending.map(failure)));
    expect(errors.map((error) => [error.code, error.outcome])).toEqual(
      Array.from({ length: 3 }, () => ["stream-closed", "not-applied"]),
    );
  });

  it("times out: what was sent is unknown, what was not is not applied", async () => {
    const { time, transport, producer } = bench({ batchBytes: 60, timeout: 5_000 });
    transport.faults.push("hang");
    const sent = failure(producer.append("sent".repeat(10)));
    await turn();
    const gathering = failure(producer.append("gathering"));
    const [first, second] = await run(time, Promise.all([sent, gathering]));
    expect(first).toMatchObject({ code: "timeout", outcome: "unknown", retryable: true });
    expect(second).toMatchObject({ code: "timeout", outcome: "not-applied" });
    expect(time.clock.monotonic()).toBe(5_000);
  });

  it("a server that cannot be reached: not applied, with the reason", async () => {
    const { time, server, transport, producer } = bench({ timeout: 2_000 });
    transport.faults.push(...Array.from({ length: 1_000 }, () => "refuse" as const));
    const error = await run(time, failure(producer.append("a")));
    expect(error).toMatchObject({ code: "timeout", outcome: "not-applied" });
    expect(error.cause).toMatchObject({ code: "connection-failed" });
    expect(server.contents("s")).toEqual([]);
    const sent = transport.requests.length;
    await turn();
    while (time.clock.advanceToNext()) await turn();
    expect(transport.requests).toHaveLength(sent);
  });

  it("a record's signal takes it back while it gathers; later only its promise ends", async () => {
    const { time, server, transport, producer } = bench();
    const early = new AbortController();
    const late = new AbortController();
    transport.held = true;
    const sent = failure(producer.append("sent", { signal: late.signal }));
    await turn();
    const taken = failure(producer.append("taken back", { signal: early.signal }));
    const kept = producer.append("kept");
    early.abort();
    late.abort();
    expect(await taken).toMatchObject({ code: "aborted", outcome: "not-applied" });
    expect(await sent).toMatchObject({ code: "aborted", outcome: "unknown" });
    transport.release();
    expect(await run(time, kept)).toBe(1);
    expect(server.contents("s")).toEqual(["sent", "kept"]);
  });

  it("the producer's signal gives everything up", async () => {
    const controller = new AbortController();
    const { transport, producer } = bench({ signal: controller.signal });
    transport.held = true;
    const sent = failure(producer.append("a"));
    await turn();
    const gathering = failure(producer.append("b"));
    controller.abort();
    expect(await sent).toMatchObject({ code: "aborted", outcome: "unknown" });
    expect(await gathering).toMatchObject({ code: "aborted", outcome: "not-applied" });
    expect(await failure(producer.ready())).toMatchObject({ code: "aborted" });
    transport.release();
  });

  it("refuses by itself what no server would take", async () => {
    const { time, server, producer } = bench();
    expect(await failure(producer.append({ json: undefined }))).toMatchObject({ code: "invalid-argument" });
    for (const timestamp of [0.5, 2 ** 51, -(2 ** 51), Number.NaN, new Date(Number.NaN)])
      expect(await failure(producer.append({ value: "v", timestamp }))).toMatchObject({ code: "invalid-argument" });
    expect(await failure(producer.append(new Uint8Array(8 * 1024 * 1024 + 1)))).toMatchObject({
      code: "record-too-large",
    });
    const headers = Array.from({ length: 1_025 }, () => ["h", "v"] as const);
    expect(await failure(producer.append({ value: "v", headers }))).toMatchObject({ code: "record-too-large" });
    expect(await run(time, producer.append("fine"))).toBe(0);
    expect(server.contents("s")).toEqual(["fine"]);
  });

  it("close() flushes, and then takes no more", async () => {
    const { time, server, producer } = bench({ lingerMs: 60_000 });
    void producer.append("a");
    await run(time, producer[Symbol.asyncDispose]());
    expect(server.contents("s")).toEqual(["a"]);
    expect(await failure(producer.append("b"))).toMatchObject({ code: "producer-closed" });
  });

  it("a failure that nobody listened to is told by close()", async () => {
    const { time, server, producer } = bench();
    server.streams.delete("s");
    void producer.append("a");
    expect(await run(time, failure(producer.close()))).toMatchObject({
      code: "stream-not-found",
      outcome: "not-applied",
    });
  });
});
