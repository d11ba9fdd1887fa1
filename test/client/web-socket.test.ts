/** The WebSocket transport in virtual time: connections that break anywhere, storms of reconnects, readers that stall. */
import { channel } from "node:diagnostics_channel";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Addresses } from "../../client/addresses.ts";
import { Session } from "../../client/transport/session.ts";
import { connect, type Client } from "../../client/client.ts";
import { DIAGNOSTIC_CHANNELS, Diagnostics, type DiagnosticMessage } from "../../client/diagnostics.ts";
import { SYSTEM_ENVIRONMENT } from "../../client/environment.ts";
import { WebSocketTransport } from "../../client/transport/web-socket-transport.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeSocketServer, type SocketFault } from "./fake-web-socket.ts";
import { run, turn, virtualTime, type VirtualTime } from "./virtual-time.ts";

type Bench = {
  readonly time: VirtualTime;
  readonly server: FakeServer;
  readonly world: FakeSocketServer;
  readonly client: Client;
};

const URL_TEXT = "ws://fake:4437";

function bench(seed = 1, timeout = 3_600_000): Bench {
  const time = virtualTime(seed);
  const server = new FakeServer();
  server.create("s");
  const world = new FakeSocketServer(server, time.clock);
  const { environment } = time;
  const baseUrl = new URL(URL_TEXT);
  const transport = new WebSocketTransport(
    {
      addresses: new Addresses([baseUrl]),
      session: new Session(),
      token: undefined,
      fetch: () => Promise.reject(new TypeError("nobody there")),
      clock: environment.clock,
      webSocket: world.constructorFor,
    },
    environment,
    new Diagnostics(SYSTEM_ENVIRONMENT, baseUrl),
  );
  return { time, server, world, client: connect(URL_TEXT, { transport, environment, timeout }) };
}

async function passMs({ time }: Bench, durationMs: number): Promise<void> {
  const end = time.clock.monotonic() + durationMs;
  await turn();
  while ((time.clock.nextDueMs ?? Number.POSITIVE_INFINITY) <= end) {
    time.clock.advanceToNext();
    await turn();
  }
}

describe("over a WebSocket", () => {
  it("I7, I8: wherever it breaks, what is appended is there once, and each reader sees it once, in order", async () => {
    const fault = fc.oneof(
      { weight: 4, arbitrary: fc.constant<SocketFault>("none") },
      fc.constant<SocketFault>("break"),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 60 }),
        fc.array(fc.integer({ min: 0, max: 4_000 }), { minLength: 1, maxLength: 20 }),
        fc.integer(),
        async (faults, sizes, seed) => {
          const b = bench(seed);
          b.world.faults.push(...faults);
          const stream = b.client.stream("s");
          const values = sizes.map((size, at) => `${at}:`.padEnd(size, "x"));
          const seen: string[] = [];
          const tailed = (async () => {
            for await (const record of stream.subscribe({ prefetchBytes: 8_192 })) {
              expect(record.offset).toBe(seen.length);
              seen.push(record.text());
            }
          })();
          const producer = stream.producer({ batchBytes: 3_000, unacknowledgedBytes: 10_000 });
          const appended = producer.appendAll(values).then(() => stream.close());
          await run(b.time, Promise.all([tailed, appended]));
          expect(seen).toEqual(values);
          expect(b.server.contents("s")).toEqual(values);
          await b.client.close();
        },
      ),
      { numRuns: 40 },
    );
  });

  it("a reader that stalls is sent no more than its prefetch and one batch, and all of it in the end", async () => {
    const b = bench();
    const values = Array.from({ length: 100 }, (_, at) => `${at}:`.padEnd(1_000, "x"));
    for (const value of values) await run(b.time, b.client.stream("s").append(value));
    b.world.sentBytes = 0;
    const reader = b.client.stream("s").subscribe({ prefetchBytes: 16_384 });
    const first = await run(b.time, reader.next());
    await passMs(b, 5_000);
    expect(b.world.sentBytes).toBeGreaterThan(2_000);
    expect(b.world.sentBytes).toBeLessThanOrEqual(16_384 + 1_100);
    const seen = [first.value?.text()];
    while (seen.length < values.length) seen.push((await run(b.time, reader.next())).value?.text());
    expect(seen).toEqual(values);
    reader.close();
  });

  it("a reader at the tail ends when its signal fires, after any number of answers, and so does its subscription", async () => {
    for (const answers of [0, 1, 3]) {
      const b = bench();
      for (let at = 0; at < answers; at += 1) await run(b.time, b.client.stream("s").append(`${at}`));
      const ending = new AbortController();
      const reader = b.client.stream("s").subscribe({ signal: ending.signal });
      for (let at = 0; at < answers; at += 1) await run(b.time, reader.next());
      const waiting = reader.next();
      await passMs(b, 1_000);
      expect(b.world.subscriptions).toBe(1);
      ending.abort();
      await expect(run(b.time, waiting)).rejects.toMatchObject({ code: "aborted" });
      await passMs(b, 5);
      expect(b.world.subscriptions).toBe(0);
    }
  });

  it("a reader that is left in the middle leaves no subscription", async () => {
    const b = bench();
    for (const value of ["a", "b"]) await run(b.time, b.client.stream("s").append(value));
    const reader = b.client.stream("s").subscribe();
    await run(b.time, reader.next());
    await passMs(b, 1_000);
    reader.close();
    await passMs(b, 5);
    expect(b.world.subscriptions).toBe(0);
  });

  it("a storm: many callers, one opening at a time, with growing pauses, and all are served when it is over", async () => {
    const b = bench();
    b.world.down = true;
    const stream = b.client.stream("s");
    const readers = Array.from({ length: 50 }, () => stream.subscribe({ from: 0 }));
    const firsts = Promise.all(readers.map((reader) => reader.next()));
    const appends = Promise.all(Array.from({ length: 50 }, (_, at) => stream.append(String(at))));
    await passMs(b, 60_000);
    // Pauses of one to two seconds after the first few.
    expect(b.world.openings).toBeGreaterThan(20);
    expect(b.world.openings).toBeLessThan(100);
    expect(b.world.openingsAtOnceMax).toBe(1);
    b.world.down = false;
    const [taken, placed] = await run(b.time, Promise.all([firsts, appends]));
    expect(taken.map(({ value }) => value?.offset)).toEqual(readers.map(() => 0));
    expect(placed.map(({ offset }) => offset)).toEqual(placed.map((_, at) => at));
    for (let round = 0; round < 10; round += 1) {
      b.world.breakAll();
      await passMs(b, 10);
    }
    const seconds = await run(b.time, Promise.all(readers.map((reader) => reader.next())));
    expect(seconds.map(({ value }) => value?.offset)).toEqual(readers.map(() => 1));
    for (const reader of readers) reader.close();
    await b.client.close();
  });

  it("what was sent on a connection that broke is unknown, what never left is not applied", async () => {
    const b = bench();
    b.world.faults.push("none", "none", "break");
    const lost = b.client.stream("s").append("a", { timeout: 5_000 });
    await passMs(b, 3);
    b.world.down = true;
    await expect(run(b.time, lost)).rejects.toMatchObject({ code: "timeout", outcome: "unknown" });
    expect(b.server.contents("s")).toEqual(["a"]);
    const unsent = bench();
    unsent.world.down = true;
    await expect(run(unsent.time, unsent.client.stream("s").append("a", { timeout: 5_000 }))).rejects.toMatchObject({
      code: "timeout",
      outcome: "not-applied",
    });
  });

  it("tells tracers of each opening after the first, and of its failure", async () => {
    const b = bench();
    const told: DiagnosticMessage["attributes"][] = [];
    const ended = channel(`tracing:${DIAGNOSTIC_CHANNELS.reconnect}:asyncEnd`);
    const heard = (message: unknown): void => void told.push((message as DiagnosticMessage).attributes);
    ended.subscribe(heard);
    await run(b.time, b.client.stream("s").append("a"));
    expect(told).toEqual([]);
    b.world.breakAll();
    await passMs(b, 5);
    b.world.faults.push("break");
    await run(b.time, b.client.stream("s").append("b"));
    ended.unsubscribe(heard);
    expect(told).toMatchObject([
      { "server.address": "fake", "tidemark.openings": 2, "error.type": "connection-failed" },
      { "tidemark.openings": 3 },
    ]);
    expect(told[1]).not.toHaveProperty("error.type");
  });

  it("a connection that is silent is asked, and given up", async () => {
    const b = bench();
    await run(b.time, b.client.stream("s").append("a"));
    for (const socket of b.world.sockets) socket.send = () => undefined;
    const appended = b.client.stream("s").append("b");
    await run(b.time, appended);
    expect(b.server.contents("s")).toEqual(["a", "b"]);
    expect(b.world.openings).toBe(2);
    await b.client.close();
  });
});
