/** What the SDK tells tracers: a start and an end for each piece of work, with attributes; nothing where nobody listens. */
import { channel, tracingChannel } from "node:diagnostics_channel";
import { afterEach, describe, expect, it } from "vitest";
import { connect, type Client } from "../../client/client.ts";
import { DIAGNOSTIC_CHANNELS, type DiagnosticMessage } from "../../client/diagnostics.ts";
import { SYSTEM_ENVIRONMENT } from "../../client/environment.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeTransport } from "./fake-transport.ts";
import { run, virtualTime, type VirtualTime } from "./virtual-time.ts";

type Told = { readonly event: string; readonly message: DiagnosticMessage };

const stopListening: (() => void)[] = [];

afterEach(() => {
  for (const stop of stopListening.splice(0)) stop();
});

function listen(name: string): Told[] {
  const told: Told[] = [];
  const events = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;
  for (const event of events) {
    const heard = (message: unknown): void => {
      told.push({ event, message: message as DiagnosticMessage });
    };
    channel(`tracing:${name}:${event}`).subscribe(heard);
    stopListening.push(() => channel(`tracing:${name}:${event}`).unsubscribe(heard));
  }
  return told;
}

function bench(): { readonly time: VirtualTime; readonly client: Client; readonly transport: FakeTransport } {
  const time = virtualTime();
  const server = new FakeServer();
  server.create("s");
  const transport = new FakeTransport(server, time.environment.clock);
  const environment = { ...time.environment, channel: tracingChannel };
  return { time, transport, client: connect("http://fake:4437", { transport, environment }) };
}

describe("diagnostics", () => {
  it("an append, from its start to its end, with its retries inside", async () => {
    const { time, client, transport } = bench();
    const appends = listen(DIAGNOSTIC_CHANNELS.append);
    const requests = listen(DIAGNOSTIC_CHANNELS.request);
    transport.faults.push("lose-answer");
    await run(time, client.stream("s").append(["a", "b"]));
    expect(appends.map(({ event }) => event)).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
    expect(appends.at(-1)?.message.attributes).toMatchObject({
      "messaging.system": "tidemark",
      "messaging.operation.name": "append",
      "messaging.operation.type": "send",
      "messaging.destination.name": "s",
      "messaging.batch.message_count": 2,
      "server.address": "fake",
      "server.port": 4_437,
      "tidemark.offset": 0,
    });
    expect(new Set(appends.map(({ message }) => message)).size).toBe(1);
    const ended = requests.filter(({ event }) => event === "asyncEnd").map(({ message }) => message.attributes);
    expect(ended.map((attributes) => attributes["error.type"])).toEqual(["connection-lost", undefined]);
    expect(requests.filter(({ event }) => event === "error")).toHaveLength(1);
  });

  it("a failure has its code", async () => {
    const { time, client } = bench();
    const appends = listen(DIAGNOSTIC_CHANNELS.append);
    await expect(run(time, client.stream("none").append("a"))).rejects.toThrow();
    const [failed] = appends.filter(({ event }) => event === "error");
    expect(failed?.message.attributes["error.type"]).toBe("stream-not-found");
    expect(failed?.message).toHaveProperty("error.code", "stream-not-found");
  });

  it("a read tells how many records came, a producer's batches are appends", async () => {
    const { time, client } = bench();
    const appends = listen(DIAGNOSTIC_CHANNELS.append);
    const reads = listen(DIAGNOSTIC_CHANNELS.read);
    await run(time, client.stream("s").producer().appendAll(["a", "b", "c"]));
    const sent = appends.filter(({ event }) => event === "start").map(({ message }) => message.attributes);
    expect(sent.reduce((count, each) => count + Number(each["messaging.batch.message_count"]), 0)).toBe(3);
    for await (const record of client.stream("s").read()) expect(record.offset).toBeLessThan(3);
    const ended = reads.filter(({ event }) => event === "asyncEnd").map(({ message }) => message.attributes);
    expect(ended).toMatchObject([{ "messaging.operation.type": "receive", "messaging.batch.message_count": 3 }]);
  });

  it("without listeners nothing is made", async () => {
    const { time, client } = bench();
    let asked = 0;
    const quiet = {
      hasSubscribers: false,
      tracePromise: <T>(work: () => Promise<T>): Promise<T> => {
        asked += 1;
        return work();
      },
    };
    const { transport } = bench();
    const environment = { ...time.environment, channel: () => quiet };
    const other = connect("http://fake", { transport, environment });
    await run(time, other.stream("s").append("a"));
    await run(time, other.stream("s").read().next());
    expect(asked).toBe(0);
    await client.close();
  });

  it("on Node the platform has channels, and an environment without them works", async () => {
    expect(SYSTEM_ENVIRONMENT.channel?.("tidemark:append")).toHaveProperty("tracePromise");
    const time = virtualTime();
    expect(time.environment.channel).toBeUndefined();
    const server = new FakeServer();
    server.create("s");
    const appends = listen(DIAGNOSTIC_CHANNELS.append);
    const transport = new FakeTransport(server, time.environment.clock);
    await run(time, connect("http://fake", { transport, environment: time.environment }).stream("s").append("a"));
    expect(appends).toEqual([]);
  });
});
