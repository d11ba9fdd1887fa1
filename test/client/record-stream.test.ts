/** Reading: each record once and in order, over broken connections, gaps and damage (I7). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connect, type Client } from "../../client/client.ts";
import { TidemarkError, type Gap } from "../../client/error.ts";
import type { ReceivedRecord } from "../../client/reading/received-record.ts";
import type { ReadStatus, RecordStream } from "../../client/reading/record-stream.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { encodeSparseBatch } from "../../src/record/batch-codec.ts";
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
  server.create("s");
  const transport = new FakeTransport(server, time.environment.clock);
  return { time, server, transport, client: connect("http://fake", { transport, environment: time.environment }) };
}

/** Appends each group as one batch. */
async function fill({ time, client }: Bench, groups: readonly (readonly string[])[]): Promise<void> {
  for (const group of groups) await run(time, client.stream("s").append(group));
}

async function collect(reader: AsyncIterable<ReceivedRecord>, count = Number.POSITIVE_INFINITY): Promise<string[]> {
  const seen: string[] = [];
  for await (const record of reader) {
    seen.push(`${record.offset}:${record.text()}`);
    if (seen.length === count) break;
  }
  return seen;
}

async function failure(promise: Promise<unknown>): Promise<TidemarkError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(TidemarkError);
  return thrown as TidemarkError;
}

function hold(reader: RecordStream): { readonly seen: string[]; readonly done: Promise<void> } {
  const seen: string[] = [];
  const done = (async () => {
    for await (const record of reader) seen.push(`${record.offset}:${record.text()}`);
  })();
  return { seen, done };
}

describe("read", () => {
  it("catches up and ends at the tail", async () => {
    const b = bench();
    await fill(b, [["a", "b"], ["c"]]);
    const reader = b.client.stream("s").read();
    expect(await run(b.time, collect(reader))).toEqual(["0:a", "1:b", "2:c"]);
    expect(reader).toMatchObject({
      nextOffset: 3,
      tail: 3,
      upToDate: true,
      nextToken: "0000000000000001_0000000000000003",
    });
    expect(await run(b.time, collect(b.client.stream("s").read({ from: "now" })))).toEqual([]);
  });

  it("begins in the middle of a batch, at an offset or a token, or behind one", async () => {
    const b = bench();
    await fill(b, [["a", "b", "c"], ["d"]]);
    const stream = b.client.stream("s");
    expect(await run(b.time, collect(stream.read({ from: 1 })))).toEqual(["1:b", "2:c", "3:d"]);
    const [second] = await run(
      b.time,
      stream
        .read({ from: 1 })
        .next()
        .then(({ value }) => [value] as const),
    );
    expect(await run(b.time, collect(stream.read({ from: second?.token ?? "" })))).toEqual(["1:b", "2:c", "3:d"]);
    expect(await run(b.time, collect(stream.read({ after: second?.token ?? "" })))).toEqual(["2:c", "3:d"]);
    expect(await run(b.time, collect(stream.read({ from: second?.nextToken ?? "" })))).toEqual(["2:c", "3:d"]);
    expect(await run(b.time, collect(stream.read({ after: 2 })))).toEqual(["3:d"]);
    expect(await run(b.time, collect(stream.read({ from: "0000000000000000_0000000000000000" }), 1))).toEqual(["0:a"]);
  });

  it("a token of a deleted stream never reads its successor", async () => {
    const b = bench();
    await fill(b, [["a"]]);
    const token = (await run(b.time, b.client.stream("s").append("b"))).token;
    b.server.create("s");
    expect(await run(b.time, failure(collect(b.client.stream("s").read({ from: token }))))).toMatchObject({
      code: "stream-not-found",
    });
  });

  it("gives what was appended: key, headers, time, tombstone", async () => {
    const b = bench();
    const stream = b.client.stream("s");
    const headers = { trace: "1", raw: new Uint8Array([0, 255]) };
    await run(b.time, stream.append([{ key: "k", value: null, headers, timestamp: new Date(7) }, { json: { n: 1 } }]));
    const records: ReceivedRecord[] = [];
    for await (const record of stream.read()) records.push(record);
    const [first, second] = records;
    expect(first?.keyText()).toBe("k");
    expect(first?.value).toBeNull();
    expect([first?.text(), first?.json(), first?.bytes().length]).toEqual(["", null, 0]);
    expect(first?.headers).toEqual([
      ["trace", new Uint8Array([49])],
      ["raw", new Uint8Array([0, 255])],
    ]);
    expect(first?.timestamp).toBe(7);
    expect(second?.json<{ n: number }>().n).toBe(1);
    expect(second?.key).toBeUndefined();
    expect(second?.timestamp).toBe(second?.logTime);
  });

  it("text and JSON that are none are errors of that record, not of the reading", async () => {
    const b = bench();
    await run(b.time, b.client.stream("s").append([new Uint8Array([255]), "{"]));
    const [binary, broken] = (await run(b.time, b.client.stream("s").read().batches().next())).value ?? [];
    expect(() => binary?.text()).toThrow("not UTF-8");
    expect(() => broken?.json()).toThrow("not JSON");
  });

  it("fetches one chunk ahead and no more", async () => {
    const b = bench();
    await fill(
      b,
      Array.from({ length: 20 }, (_, at) => ["x".repeat(3_000), String(at)]),
    );
    b.transport.requests.length = 0;
    const reader = b.client.stream("s").read({ prefetchBytes: 8 * 1024 });
    await run(b.time, reader.next());
    for (let at = 0; at < 10; at += 1) await turn();
    expect(b.transport.requests).toHaveLength(2);
    expect(await run(b.time, collect(reader))).toHaveLength(39);
  });

  it("retries until the server is back, and gives up in time if it is not", async () => {
    const b = bench();
    await fill(b, [["a"]]);
    b.transport.faults.push("refuse", "lose-answer", { error: "unavailable" });
    expect(await run(b.time, collect(b.client.stream("s").read()))).toEqual(["0:a"]);
    b.transport.faults.push(...Array.from({ length: 1_000 }, () => "refuse" as const));
    const error = await run(b.time, failure(collect(b.client.stream("s").read({ timeout: 5_000 }))));
    expect(error).toMatchObject({ code: "timeout", outcome: "not-applied", retryable: true });
    expect(error.cause).toMatchObject({ code: "connection-failed" });
  });

  it("gives up in time when the server hangs", async () => {
    const b = bench();
    await fill(b, [["a"]]);
    b.transport.faults.push("hang");
    const startedAt = b.time.environment.clock.monotonic();
    const error = await run(b.time, failure(collect(b.client.stream("s").read({ timeout: 1_000 }))));
    expect(error).toMatchObject({ code: "timeout", outcome: "not-applied" });
    expect(b.time.environment.clock.monotonic() - startedAt).toBe(1_000);
  });

  it("says at the end why it was refused before, also where the last attempt had no answer", async () => {
    const b = bench();
    await fill(b, [["a"]]);
    b.transport.faults.push({ error: "node-removed" }, "hang");
    const error = await run(b.time, failure(collect(b.client.stream("s").read({ timeout: 1_000 }))));
    expect(error).toMatchObject({ code: "timeout", message: "no answer for 1000 ms: node-removed" });
    expect(error.cause).toMatchObject({ code: "node-removed" });
  });

  it("what is wrong for good ends it", async () => {
    const b = bench();
    expect(await run(b.time, failure(collect(b.client.stream("other").read())))).toMatchObject({
      code: "stream-not-found",
    });
    await fill(b, [["abc"]]);
    b.server.streams.get("s")?.batches[0]?.bytes.set([0], 40);
    expect(await run(b.time, failure(collect(b.client.stream("s").read())))).toMatchObject({
      code: "checksum-mismatch",
    });
  });

  it("a server that repeats is found out", async () => {
    const b = bench();
    await fill(b, [["a", "b"], ["c"]]);
    const stored = b.server.streams.get("s");
    const [first] = stored?.batches ?? [];
    if (first !== undefined) stored?.batches.splice(1, 0, { ...first, firstOffset: 1 });
    expect(await run(b.time, failure(collect(b.client.stream("s").read())))).toMatchObject({ code: "protocol-error" });
  });

  it("batches that compaction left nothing of are told of as one gap with what their neighbours lost (W82)", async () => {
    const b = bench();
    await fill(b, [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]);
    const stored = b.server.streams.get("s");
    const none = { firstOffset: 1, span: 1, logTime: 1, bytes: encodeSparseBatch([], 1) };
    stored?.batches.splice(0, 5, none);
    const events: string[] = [];
    const reader = b.client.stream("s").read({ from: 0, onGap: (gap) => events.push(`gap ${gap.from}..${gap.to}`) });
    await run(
      b.time,
      (async () => {
        for await (const each of reader) events.push(`${each.offset}:${each.text()}`);
      })(),
    );
    expect(events).toEqual(["gap 0..5", "5:f"]);
    // Nobody has to listen: that older records of a key are gone is what compaction is for.
    expect(await run(b.time, collect(b.client.stream("s").read()))).toEqual(["5:f"]);
  });

  it("a gap is an error that says what is missing, or told to whoever asks (I7)", async () => {
    const b = bench();
    await fill(b, [["a", "b"], ["c"]]);
    const stored = b.server.streams.get("s");
    if (stored !== undefined) stored.firstOffset = 2;
    const stream = b.client.stream("s");
    expect(await run(b.time, collect(stream.read()))).toEqual(["2:c"]);
    expect(await run(b.time, failure(collect(stream.read({ from: 0 }))))).toMatchObject({
      code: "offset-trimmed",
      gap: { from: 0, to: 2 },
    });
    const gaps: Gap[] = [];
    expect(await run(b.time, collect(stream.read({ from: 1, onGap: (gap) => gaps.push(gap) })))).toEqual(["2:c"]);
    expect(gaps).toEqual([{ from: 1, to: 2 }]);
  });

  it("what compaction removed is told of between its neighbours", async () => {
    const b = bench();
    const survivors = [
      { offsetDelta: 1, record: { value: utf8("b") } },
      { offsetDelta: 3, record: { value: utf8("d") } },
    ];
    const stored = b.server.streams.get("s");
    stored?.batches.push({ firstOffset: 0, span: 6, logTime: 1, bytes: encodeSparseBatch(survivors, 6) });
    if (stored !== undefined) stored.next = 6;
    const events: string[] = [];
    const reader = b.client.stream("s").read({ from: 0, onGap: (gap) => events.push(`gap ${gap.from}..${gap.to}`) });
    await run(
      b.time,
      (async () => {
        for await (const each of reader) events.push(`${each.offset}:${each.text()}`);
      })(),
    );
    expect(events).toEqual(["gap 0..1", "1:b", "gap 2..3", "3:d", "gap 4..6"]);
    expect(reader.nextOffset).toBe(6);
  });
});

describe("subscribe", () => {
  it("goes on at the tail, and ends when the stream is closed", async () => {
    const b = bench();
    await fill(b, [["a"]]);
    const { seen, done } = hold(b.client.stream("s").subscribe());
    await turn();
    await fill(b, [["b"], ["c"]]);
    await turn();
    expect(seen).toEqual(["0:a", "1:b", "2:c"]);
    await run(b.time, b.client.stream("s").close());
    await run(b.time, done);
  });

  it("from now: ready() settles the place", async () => {
    const b = bench();
    await fill(b, [["old"]]);
    const reader = b.client.stream("s").subscribe({ from: "now" });
    await run(b.time, reader.ready());
    await fill(b, [["new"]]);
    expect(await run(b.time, collect(reader, 1))).toEqual(["1:new"]);
  });

  it("a long-poll that ends empty is asked again", async () => {
    const b = bench();
    const { seen, done } = hold(b.client.stream("s").subscribe());
    await turn();
    for (let polls = 0; polls < 5; polls += 1) {
      b.time.clock.advanceToNext();
      await turn();
    }
    expect(b.transport.requests.length).toBeGreaterThan(5);
    await fill(b, [["a"]]);
    await turn();
    expect(seen).toEqual(["0:a"]);
    await run(b.time, b.client.stream("s").close());
    await run(b.time, done);
  });

  it("a server that does not wait is not asked in a tight loop", async () => {
    const b = bench();
    b.server.atTail = () => false;
    const reader = b.client.stream("s").subscribe();
    hold(reader);
    for (let at = 0; at < 10; at += 1) await turn();
    expect(b.transport.requests.length).toBeLessThan(4);
    reader.close();
  });

  it("tells of broken connections, and goes on without gap or repeat", async () => {
    const b = bench();
    const statuses: string[] = [];
    const onStatus = (status: ReadStatus): void => void statuses.push(status.kind);
    await fill(b, [["a"]]);
    b.transport.faults.push("none", "lose-answer", "refuse");
    const reader = b.client.stream("s").subscribe({ onStatus });
    const { seen } = hold(reader);
    await turn();
    await fill(b, [["b"]]);
    while (seen.length < 2) {
      b.time.clock.advanceToNext();
      await turn();
    }
    expect(seen).toEqual(["0:a", "1:b"]);
    expect(statuses[0]).toBe("connected");
    expect(statuses).toContain("disconnected");
    expect(statuses.at(-1)).toBe("connected");
    reader.close();
  });

  it("close() and break end a pending wait; a signal ends it with an error", async () => {
    const b = bench();
    const closed = hold(b.client.stream("s").subscribe());
    const reader = b.client.stream("s").subscribe();
    const pending = reader.next();
    const controller = new AbortController();
    const aborted = failure(collect(b.client.stream("s").subscribe({ signal: controller.signal })));
    await turn();
    reader.close();
    expect(await pending).toEqual({ done: true, value: undefined });
    controller.abort();
    expect(await aborted).toMatchObject({ code: "aborted" });
    await run(b.time, b.client.stream("s").close());
    await run(b.time, closed.done);
  });

  it("an abort drops what was fetched and not yet delivered", async () => {
    const b = bench();
    await fill(b, [["a", "b", "c"]]);
    const controller = new AbortController();
    const reader = b.client.stream("s").read({ signal: controller.signal });
    await run(b.time, reader.next());
    controller.abort();
    expect(await failure(reader.next())).toMatchObject({ code: "aborted" });
  });

  it("a stream made anew under its name is not mixed in", async () => {
    const b = bench();
    await fill(b, [["a"]]);
    const reader = b.client.stream("s").subscribe();
    expect((await run(b.time, reader.next())).value?.text()).toBe("a");
    const next = failure(reader.next());
    await turn();
    b.server.create("s");
    await run(
      b.time,
      b.client
        .stream("s")
        .append("other", { timeout: 1 })
        .catch(() => undefined),
    );
    expect(await run(b.time, next)).toMatchObject({ code: "stream-not-found" });
  });

  it("under arbitrary failures: every record once, in order", async () => {
    const fault = fc.constantFrom<Fault>("none", "none", "refuse", "lose-answer", "lose-request", "hang", {
      error: "unavailable",
    });
    const scenario = fc.record({
      faults: fc.array(fault, { maxLength: 30 }),
      groups: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 10 }),
      from: fc.nat(3),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ faults, groups, from }) => {
        const b = bench();
        let next = 0;
        const batches = groups.map((size) => Array.from({ length: size }, () => `r${next++}`));
        await fill(b, batches.slice(0, 1));
        b.transport.faults.push(...faults);
        const place = Math.min(from, batches[0]?.length ?? 0);
        const { seen, done } = hold(b.client.stream("s").subscribe({ from: place, prefetchBytes: 1 }));
        await turn();
        const producer = b.client.stream("s").producer({ timeout: 600_000 });
        for (const batch of batches.slice(1)) {
          for (const value of batch) void producer.append(value);
          await run(b.time, producer.flush());
        }
        await run(b.time, b.client.stream("s").close({ timeout: 600_000 }));
        await run(b.time, done);
        expect(seen).toEqual(
          batches
            .flat()
            .map((value, at) => `${at}:${value}`)
            .slice(place),
        );
      }),
      { numRuns: 300 },
    );
  });
});
