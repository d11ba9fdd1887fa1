/** Streams with a schema: what is appended and what is read is what it describes, or is refused and told. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import * as v from "valibot";
import { describe, expect, expectTypeOf, it } from "vitest";
import { connect, type Client } from "../../client/client.ts";
import { TidemarkError } from "../../client/error.ts";
import type { InvalidPolicy } from "../../client/reading/typed-record-stream.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeTransport } from "./fake-transport.ts";
import { virtualTime } from "./virtual-time.ts";

const ORDER = v.object({
  id: v.number(),
  at: v.pipe(
    v.string(),
    v.transform((text) => new Date(text)),
  ),
});

function bench(): { readonly client: Client; readonly server: FakeServer } {
  const { environment } = virtualTime();
  const server = new FakeServer();
  server.create("orders");
  const transport = new FakeTransport(server, environment.clock);
  return { server, client: connect("http://fake", { transport, environment }) };
}

async function failure(promise: Promise<unknown>): Promise<TidemarkError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(TidemarkError);
  return thrown as TidemarkError;
}

describe("a typed stream", () => {
  it("takes the schema's input and gives its output", async () => {
    const orders = bench().client.stream("orders", { schema: ORDER });
    await orders.create();
    const at = "2026-01-02T03:04:05.000Z";
    expect(await orders.append({ key: "k", json: { id: 1, at } })).toMatchObject({ offset: 0 });
    expect(await orders.append([{ json: { id: 2, at } }, { json: { id: 3, at } }])).toMatchObject({ nextOffset: 3 });
    const found: [number, number, Date][] = [];
    for await (const { offset, data, record } of orders.read()) {
      expectTypeOf(data).toEqualTypeOf<{ id: number; at: Date }>();
      expect(record.offset).toBe(offset);
      found.push([offset, data.id, data.at]);
    }
    expect(found).toEqual([1, 2, 3].map((id, offset) => [offset, id, new Date(at)]));
  });

  it("appends nothing if one value is not valid, and says which part", async () => {
    const { client, server } = bench();
    const orders = client.stream("orders", { schema: ORDER });
    const good = { json: { id: 1, at: "x" } };
    const error = await failure(orders.append([good, { json: { id: "2", at: "x" } as never }]));
    expect(error).toMatchObject({ code: "schema-mismatch", retryable: false, outcome: "not-applied" });
    expect(error.issues).toMatchObject([{ path: ["id"] }]);
    expect(error.message).toContain("(id)");
    expect(await failure(orders.append({ value: "text" as never, key: "k" }))).toMatchObject({
      code: "invalid-argument",
    });
    expect(server.contents("orders")).toEqual([]);
  });

  async function mixed(): Promise<ReturnType<typeof bench>> {
    const b = bench();
    await b.client
      .stream("orders")
      .append([
        { json: { id: 1, at: "2026" } },
        { json: { id: "two", at: "2026" } },
        "{",
        { value: null, key: "k" },
        new Uint8Array([255]),
        { json: { id: 6, at: "2026" } },
      ]);
    return b;
  }

  it.each([
    [1, "schema-mismatch"],
    [2, "malformed-json"],
    [3, "schema-mismatch"],
    [4, "not-text"],
  ])("an invalid record ends the reading with its offset: %i is %s", async (from, code) => {
    const reader = (await mixed()).client.stream("orders", { schema: ORDER }).read({ from });
    expect(await failure(reader.next())).toMatchObject({ code, offset: from, outcome: "not-applied" });
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  it("or is passed over, or told and passed over, as `onInvalid` says", async () => {
    const { client } = await mixed();
    const orders = client.stream("orders", { schema: ORDER });
    const told: (number | undefined)[] = [];
    for (const onInvalid of ["skip", (error: TidemarkError) => told.push(error.offset)] satisfies InvalidPolicy[]) {
      const ids: number[] = [];
      for await (const { data } of orders.read({ onInvalid })) ids.push(data.id);
      expect(ids).toEqual([1, 6]);
    }
    expect(told).toEqual([1, 2, 3, 4]);
  });

  it("a schema that allows null sees tombstones", async () => {
    const table = bench().client.stream("orders", { schema: v.nullable(v.number()) });
    await table.append([
      { key: "a", json: 1 },
      { key: "a", value: null },
    ]);
    const found: (number | null)[] = [];
    for await (const { data } of table.read()) found.push(data);
    expect(found).toEqual([1, null]);
  });

  it("an asynchronous schema keeps the order, also for calls side by side", async () => {
    const { client } = bench();
    const waiting: (() => void)[] = [];
    const slow: StandardSchemaV1<number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: async (value) => {
          // The first to come is the last to go on.
          await new Promise<void>((resolve) => {
            waiting.unshift(resolve);
            setImmediate(() => waiting.shift()?.());
          });
          return typeof value === "number" && value !== 2 ? { value } : { issues: [{ message: "no" }] };
        },
      },
    };
    const numbers = client.stream("orders", { schema: slow });
    await client.stream("orders").append([1, 2, 3, 4].map((json) => ({ json })));
    expect(await failure(numbers.append([{ json: 5 }, { json: 2 }]))).toMatchObject({
      message: "the value to append: no",
    });
    const reader = numbers.read({ onInvalid: "skip" });
    const taken = await Promise.all([reader.next(), reader.next(), reader.next(), reader.next()]);
    expect(taken.map(({ value }) => value?.data)).toEqual([1, 3, 4, undefined]);
  });

  it("what `encode` gives goes into a producer", async () => {
    const { client, server } = bench();
    const numbers = client.stream("orders", { schema: v.number() });
    await using producer = numbers.untyped.producer();
    expect(await failure(numbers.encode({ json: "x" as never }))).toMatchObject({ code: "schema-mismatch" });
    await producer.append(await numbers.encode({ json: 7 }));
    expect(server.contents("orders")).toEqual(["7"]);
    const live = numbers.subscribe();
    expect((await live.next()).value?.data).toBe(7);
    await live[Symbol.asyncDispose]();
  });
});
