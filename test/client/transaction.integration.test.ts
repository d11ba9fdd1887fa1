/** Transactions and cursors against a real node: all or nothing (I11), and once, whatever answers are lost (I8). */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, TidemarkError, type Client } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { text } from "../../src/lib/bytes.ts";
import { LossyTransport, type Loss } from "./lossy-transport.ts";

let node: RunningNode;
let transport: LossyTransport;
let client: Client;
let names = 0;

beforeAll(async () => {
  node = await startNode();
  transport = new LossyTransport(node.url);
  client = connect(node.url, { transport });
});

afterAll(async () => {
  await client.close();
  await node.close();
});

function fresh(): string {
  names += 1;
  return `s${names}`;
}

async function texts(name: string): Promise<string[]> {
  const found: string[] = [];
  for await (const record of client.stream(name).read()) found.push(record.text());
  return found;
}

async function failure(promise: Promise<unknown>): Promise<TidemarkError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(TidemarkError);
  return thrown as TidemarkError;
}

describe("a transaction", () => {
  it("does everything, and says what", async () => {
    const [made, old, gone, cursor] = [fresh(), fresh(), fresh(), fresh()];
    await client.stream(old).create();
    await client.stream(old).append(["a", "b"]);
    await client.stream(gone).create();
    const results = await client
      .transaction()
      .expectAbsent(made)
      .expectExists(gone)
      .expectNextOffset(old, 2)
      .expectCursor(cursor, null)
      .create(made, { contentType: "application/json" })
      .append(made, { json: 1 })
      .append(old, ["c", "d"])
      .append(old, "e", { expectedOffset: 4, close: true })
      .delete(gone)
      .setCursor(cursor, "5")
      .commit();
    expect(results).toMatchObject([
      { kind: "create", stream: made, created: true, contentType: "application/json" },
      { kind: "append", stream: made, offset: 0, nextOffset: 1 },
      { kind: "append", stream: old, offset: 2, nextOffset: 4 },
      { kind: "append", stream: old, offset: 4, nextOffset: 5 },
      { kind: "delete", stream: gone },
      { kind: "cursor", name: cursor },
    ]);
    expect([await texts(made), await texts(old)]).toEqual([["1"], ["a", "b", "c", "d", "e"]]);
    expect(text((await client.cursor(cursor).get()) ?? new Uint8Array())).toBe("5");
    expect((await client.stream(old).describe()).closed).toBe(true);
    expect(await failure(client.stream(gone).describe())).toMatchObject({ code: "stream-not-found" });
  });

  it("or nothing, whichever condition or operation fails", async () => {
    const [one, two, cursor] = [fresh(), fresh(), fresh()];
    await client.stream(one).create();
    await client.stream(two).create();
    const attempts = [
      [client.transaction().expectNextOffset(one, 1), "condition-failed"],
      [client.transaction().expectAbsent(one), "condition-failed"],
      [client.transaction().expectExists("nowhere"), "condition-failed"],
      [client.transaction().expectCursor(cursor, "x"), "condition-failed"],
      [client.transaction().append(two, "x", { expectedOffset: 9 }), "offset-mismatch"],
    ] as const;
    for (const [transaction, code] of attempts) {
      transaction.append(one, "no").setCursor(cursor, "no");
      expect(await failure(transaction.commit())).toMatchObject({ code, outcome: "not-applied" });
    }
    expect([await texts(one), await texts(two), await client.cursor(cursor).get()]).toEqual([[], [], undefined]);
  });

  it("one that was refused may be committed again, one that took effect not", async () => {
    const [stream, cursor] = [fresh(), fresh()];
    await client.stream(stream).create();
    const transaction = client.transaction().expectCursor(cursor, "go").append(stream, "a");
    expect(await failure(transaction.commit())).toMatchObject({ code: "condition-failed" });
    await client.cursor(cursor).set("go");
    expect(await transaction.commit()).toMatchObject([{ kind: "append", offset: 0 }]);
    expect(await failure(transaction.commit())).toMatchObject({ code: "invalid-argument" });
    expect(await texts(stream)).toEqual(["a"]);
  });

  it("refuses at once what it cannot do exactly once, or at all", () => {
    const transaction = client.transaction().append("s", "a");
    expect(() => transaction.delete("s")).toThrow(/appends to "s" and then deletes it/);
    expect(() => transaction.append("s", [])).toThrow(/at least one/);
    expect(() => transaction.append("../s", "a")).toThrow(TidemarkError);
    expect(() => transaction.expectNextOffset("s", -1)).toThrow(/whole number/);
  });

  it("nothing to do is told", async () => {
    expect(await failure(client.transaction().expectExists("s").commit())).toMatchObject({ code: "invalid-argument" });
  });

  it("I8: takes effect once and tells its first results, whatever was lost on the way", async () => {
    const loss = fc.constantFrom<Loss>("none", "lose-answer", "lose-request");
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(loss, { maxLength: 3 }), { minLength: 1, maxLength: 4 }), async (rounds) => {
        const [source, sink, cursor] = [fresh(), fresh(), fresh()];
        await client.stream(source).create();
        for (const [round, losses] of rounds.entries()) {
          const transaction = client
            .transaction()
            .expectCursor(cursor, round === 0 ? null : String(round - 1))
            .append(source, `${round}`)
            .append(source, [`${round}'`, `${round}"`])
            .setCursor(cursor, String(round));
          if (round === 0) transaction.create(sink);
          transaction.append(sink, `${round}`);
          transport.losses.push(...losses);
          const appends = (await transaction.commit()).filter(({ kind }) => kind === "append");
          expect(appends).toMatchObject([{ offset: round * 3 }, { offset: round * 3 + 1 }, { offset: round }]);
          transport.losses.length = 0;
        }
        expect(await texts(sink)).toEqual(rounds.map((_, round) => `${round}`));
        expect(await texts(source)).toHaveLength(rounds.length * 3);
      }),
      { numRuns: 12 },
    );
  });

  it("an unknown outcome is told, and the same transaction committed again finds out", async () => {
    const stream = fresh();
    await client.stream(stream).create();
    const transaction = client.transaction().expectNextOffset(stream, 0).append(stream, "a");
    const always = Array.from({ length: 200 }, (): Loss => "lose-answer");
    transport.losses.push(...always);
    expect(await failure(transaction.commit({ timeout: 200 }))).toMatchObject({ code: "timeout", outcome: "unknown" });
    transport.losses.length = 0;
    expect(() => transaction.append(stream, "b")).toThrow(/commit it again as it is/);
    // Others must not get its tag meanwhile: theirs would be a new epoch, and fence it.
    await client.transaction().append(stream, "other").commit();
    expect(await transaction.commit()).toMatchObject([{ kind: "append", offset: 0 }]);
    expect(await texts(stream)).toEqual(["a", "other"]);
  });

  it("without an append it is not repeated once it may have taken effect", async () => {
    const cursor = fresh();
    transport.commands = 0;
    transport.losses.push("lose-answer");
    const transaction = client.transaction().setCursor(cursor, "1");
    expect(await failure(transaction.commit())).toMatchObject({ code: "connection-lost", outcome: "unknown" });
    expect(transport.commands).toBe(1);
  });

  it("transactions side by side do not fence each other", async () => {
    const stream = fresh();
    await client.stream(stream).create();
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(
        Array.from({ length: 10 }, (_, at) => client.transaction().append(stream, `${round}.${at}`).commit()),
      );
    }
    expect(new Set(await texts(stream)).size).toBe(50);
  });
});

describe("a cursor", () => {
  it("is set, moved as expected, and deleted", async () => {
    const cursor = client.cursor(fresh());
    expect(await cursor.get()).toBeUndefined();
    await cursor.set("1", { expected: null });
    expect(await failure(cursor.set("2", { expected: null }))).toMatchObject({ code: "condition-failed" });
    await cursor.set(new Uint8Array([2]), { expected: "1" });
    expect(await cursor.get()).toEqual(new Uint8Array([2]));
    expect(await failure(cursor.delete({ expected: "1" }))).toMatchObject({ code: "condition-failed" });
    await cursor.delete();
    await cursor.delete();
    expect(await cursor.get()).toBeUndefined();
    expect(() => client.cursor("")).toThrow(TidemarkError);
  });

  it("a conditional move whose answer was lost is unknown, not failed", async () => {
    const cursor = client.cursor(fresh());
    transport.losses.push("lose-answer");
    expect(await failure(cursor.set("1", { expected: null }))).toMatchObject({
      code: "condition-failed",
      outcome: "unknown",
    });
    expect(text((await cursor.get()) ?? new Uint8Array())).toBe("1");
  });
});
