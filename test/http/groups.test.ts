/** Consumer groups over native HTTP: what somebody with curl can do, and what is refused. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { type Answer, ask as askAt, expectProblem } from "./native.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;
/** Takes that wait now. */
let waiting = 0;

beforeAll(async () => {
  server = await startTestServer({
    http: { ...HTTP_LIMITS, takenBytesMax: 200 },
    observer: { liveReaders: (change) => (waiting += change) },
  });
});

afterAll(() => server.close());

function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  return askAt(server.url, method, path, body);
}

function post(group: string, verb: string, body: unknown = {}): Promise<Answer> {
  return ask("POST", `/v1/groups/${group}/${verb}`, body);
}

async function stream(name: string, ...records: readonly unknown[]): Promise<void> {
  expect((await ask("PUT", `/v1/streams/${name}`, { contentType: "application/json" })).status).toBe(201);
  if (records.length > 0) expect((await ask("POST", `/v1/records/${name}`, records)).status).toBe(200);
}

async function queue(id: string, streams: readonly string[], more: object = {}): Promise<void> {
  expect((await ask("PUT", `/v1/groups/${id}`, { mode: "queue", streams, ...more })).status).toBe(201);
}

/** Those to settle, as they were taken. */
function leased(taken: Answer, outcome: string, more: object = {}): object {
  const { records } = taken.body as { records: { stream: string; token: string; generation: number }[] };
  return {
    settlements: records.map(({ stream: from, token, generation }) => ({
      stream: from,
      offset: token,
      generation,
      outcome,
      ...more,
    })),
  };
}

describe("groups as a whole", () => {
  it("are created once, shown, listed and deleted", async () => {
    await stream("whole/a", 1, 2);
    const config = { mode: "queue", pattern: "whole/*", attemptsMax: 3, deadLetter: "whole-dead", leaseMs: 5_000 };
    const made = await ask("PUT", "/v1/groups/whole%2F1", config);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ id: "whole/1", ...config, retryDelayMs: 1_000, from: "start", lag: 2 });
    expect(made.body.progress).toMatchObject([{ stream: "whole/a", committed: 0, tail: 2, lag: 2 }]);
    expect((await ask("PUT", "/v1/groups/whole%2F1", config)).status).toBe(200);
    expectProblem(await ask("PUT", "/v1/groups/whole%2F1", { ...config, leaseMs: 6_000 }), "group-exists");
    expect((await ask("GET", "/v1/groups/whole%2F1")).body).toMatchObject({ id: "whole/1", ready: true, members: [] });
    expect((await ask("DELETE", "/v1/groups/whole%2F1")).status).toBe(204);
    expectProblem(await ask("DELETE", "/v1/groups/whole%2F1"), "group-not-found");
    expectProblem(await ask("GET", "/v1/groups/whole%2F1"), "group-not-found");
    expect((await ask("GET", "/v1/records/whole/a")).body.records).toHaveLength(2);
  });

  it("are listed page by page, and by prefix", async () => {
    await stream("listed");
    for (const id of ["l", "l-1", "l-2", "l-3", "m"]) await queue(id, ["listed"]);
    const ids = async (query: string): Promise<unknown> => {
      const { body } = await ask("GET", `/v1/groups?${query}`);
      return [(body.groups as { id: string }[]).map(({ id }) => id), body.next];
    };
    expect(await ids("prefix=l")).toEqual([["l", "l-1", "l-2", "l-3"], undefined]);
    expect(await ids("prefix=l-&limit=2")).toEqual([["l-1", "l-2"], "l-2"]);
    expect(await ids("prefix=l-&limit=2&after=l-2")).toEqual([["l-3"], undefined]);
    expect(await ids("after=l-3&limit=1")).toEqual([["m"], undefined]);
    expect(await ids("prefix=none")).toEqual([[], undefined]);
    const { body } = await ask("GET", "/v1/groups?prefix=m");
    expect(body.groups).toEqual([
      { id: "m", mode: "queue", members: 0, streams: 1, lag: 0, inFlight: 0, resting: 0, dead: 0 },
    ]);
  });

  it("are refused where they make no sense", async () => {
    const refused: readonly (readonly [unknown, Parameters<typeof expectProblem>[1]])[] = [
      [{}, "malformed-request"],
      [{ mode: "other", streams: ["a"] }, "malformed-request"],
      [{ mode: "queue", streams: ["a"], color: 1 }, "malformed-request"],
      [{ mode: "queue" }, "invalid-group"],
      [{ mode: "queue", streams: ["a"], leaseMs: 1 }, "invalid-group"],
      [{ mode: "queue", streams: ["../a"] }, "invalid-group"],
      [{ mode: "queue", streams: ["a"], attemptsMax: 0, deadLetter: "d" }, "invalid-group"],
      [{ mode: "partitions", streams: ["a"], attemptsMax: 1 }, "invalid-group"],
    ];
    for (const [body, code] of refused) expectProblem(await ask("PUT", "/v1/groups/bad", body), code);
    expectProblem(await ask("GET", "/v1/groups/bad"), "group-not-found");
    expectProblem(await ask("POST", "/v1/groups/bad", {}), "method-not-allowed");
    expectProblem(await ask("GET", "/v1/groups/bad/join"), "method-not-allowed");
    expectProblem(await post("bad", "dance"), "route-not-found");
    expectProblem(await post("bad", "join", { member: "m" }), "group-not-found");
    expectProblem(await post("bad", "take"), "group-not-found");
    expectProblem(await post("bad", "take", { waitMs: 10 }), "group-not-found");
    expectProblem(await post("%ff", "take"), "malformed-url");
  });
});

describe("members of partitions", () => {
  it("share the streams, say how far they are, and are fenced (P39)", async () => {
    for (const name of ["p/a", "p/b", "p/c", "p/d"]) await stream(name, 0, 1, 2);
    expect((await ask("PUT", "/v1/groups/p", { mode: "partitions", pattern: "p/*" })).status).toBe(201);
    const one = await post("p", "join", { member: "one" });
    expect(one.body).toMatchObject({ session: expect.any(Number), leaseMs: 30_000 });
    expect(one.body.assignments).toHaveLength(4);
    const two = await post("p", "join", { member: "two" });
    expect(two.body.assignments).toHaveLength(2);
    const session = { member: "one", session: one.body.session as number };
    const beat = await post("p", "heartbeat", session);
    expect(beat.body.assignments).toHaveLength(2);

    // Of all that it once had, only what is still its own is acknowledged.
    const acks = (one.body.assignments as { stream: string; generation: number; incarnation: number }[]).map(
      ({ stream: name, generation }) => ({ stream: name, generation, offset: 2 }),
    );
    const acked = await post("p", "ack", { ...session, acks });
    expect(acked.status).toBe(200);
    const lost = (two.body.assignments as { stream: string }[]).map((assignment) => assignment.stream);
    expect(acked.body.refused.map((refused: { stream: string }) => refused.stream).sort()).toEqual([...lost].sort());
    const { body } = await ask("GET", "/v1/groups/p");
    expect(body.members).toMatchObject([
      { name: "one", holds: 2 },
      { name: "two", holds: 2 },
    ]);
    for (const { stream: name, owner, committed, token } of body.progress) {
      expect([name, owner, committed]).toEqual([
        name,
        lost.includes(name) ? "two" : "one",
        lost.includes(name) ? 0 : 2,
      ]);
      expect(token).toMatch(/^\d{16}_\d{16}$/);
    }
    // As tokens, too.
    const own = body.progress.find(({ owner }: { owner: string }) => owner === "one");
    const past = { stream: own.stream, generation: own.generation, offset: own.token.replace(/2$/, "3") };
    expect((await post("p", "ack", { ...session, acks: [past] })).body).toEqual({ refused: [] });

    expectProblem(await post("p", "ack", { ...session, session: 999_999, acks }), "fenced");
    expectProblem(await post("p", "ack", { ...session, acks: [{ ...past, generation: 999_999 }] }), "fenced");
    expect((await post("p", "leave", session)).status).toBe(204);
    expectProblem(await post("p", "heartbeat", session), "fenced");
    expect((await post("p", "heartbeat", { member: "two", session: two.body.session })).body.assignments).toHaveLength(
      4,
    );
    expectProblem(await post("p", "take"), "invalid-group");
    expectProblem(await post("p", "take", { waitMs: 5_000 }), "invalid-group");
  });
});

describe("a queue", () => {
  it("gives records, whole, and is told what became of them", async () => {
    await stream("q/a", { value: { n: 1 }, key: "k", headers: { h: "v" } }, "two", 3);
    await queue("q", ["q/a"], { attemptsMax: 2, deadLetter: "q/dead", retryDelayMs: 0 });
    const first = await post("q", "take", { member: "me", count: 2 });
    expect(first.body).toMatchObject({ generation: expect.any(Number), untilMs: expect.any(Number) });
    expect(first.body.leases).toMatchObject([{ stream: "q/a", offset: 0, count: 2, attempt: 1 }]);
    expect(first.body.records).toMatchObject([
      { stream: "q/a", offset: 0, attempt: 1, value: { n: 1 }, key: "k", headers: [["h", "v"]] },
      { stream: "q/a", offset: 1, attempt: 1, value: "two" },
    ]);
    expect((await ask("GET", "/v1/groups/q")).body).toMatchObject({
      lag: 3,
      inFlight: 2,
      members: [{ name: "me", holds: 2, session: 0 }],
    });

    const [one, two] = first.body.records as { stream: string; offset: number; generation: number }[];
    const of = (record: object | undefined, outcome: string, more: object = {}): object => {
      const { stream: from, offset, generation } = record as { stream: string; offset: number; generation: number };
      return { stream: from, offset, generation, outcome, ...more };
    };
    const settled = await post("q", "settle", {
      settlements: [of(one, "ack"), of(two, "nack", { delayMs: 0, reason: "broken" })],
    });
    expect(settled.body).toEqual({ refused: [] });
    expectProblem(await post("q", "settle", { settlements: [of(one, "ack")] }), "fenced");

    const spare = await post("q", "take", { count: 10 });
    const given = { settlements: spare.body.records.map((record: object) => of(record, "release")) };
    expect((await post("q", "settle", given)).body).toEqual({ refused: [] });
    // Nobody worked on them, and no attempt is counted.
    const again = await post("q", "take", { count: 10 });
    expect(again.body.records).toMatchObject([
      { offset: 1, attempt: 2, value: "two" },
      { offset: 2, attempt: 1, value: 3 },
    ]);
    // One lease is current, the other is not.
    const [dead, last] = again.body.records as object[];
    const mixed = { settlements: [of(one, "ack"), of(last, "extend", { leaseMs: 60_000 })] };
    expect((await post("q", "settle", mixed)).body.refused).toEqual([
      { stream: "q/a", offset: 0, count: 1, generation: one?.generation },
    ]);
    await stream("q/dead");
    await post("q", "settle", { settlements: [of(dead, "nack", { reason: "still broken" }), of(last, "ack")] });
    const letters = await ask("GET", "/v1/records/q/dead?wait=30000");
    expect(letters.body.records).toMatchObject([{ value: "two" }]);
    expect(Object.fromEntries(letters.body.records[0].headers)).toMatchObject({
      "tidemark-group": "q",
      "tidemark-stream": "q/a",
      "tidemark-attempts": "2",
      "tidemark-reason": "still broken",
    });
    expect((await ask("GET", "/v1/groups/q")).body).toMatchObject({ lag: 0, inFlight: 0, deadLettered: 1 });
  });

  it("shows as much as one answer has room for, and leases the rest all the same", async () => {
    await stream("big");
    for (let n = 0; n < 4; n += 1) await ask("POST", "/v1/records/big", ["x".repeat(150)]);
    await queue("big", ["big"]);
    const { body } = await post("big", "take", { count: 4 });
    expect(body.records).toHaveLength(2);
    expect(body.leases).toMatchObject([
      { offset: 0, count: 2 },
      { offset: 2, count: 2 },
    ]);
    const rest = body.leases[1];
    const settle = { settlements: [{ ...rest, attempt: undefined, token: undefined, outcome: "ack" }] };
    expect((await post("big", "settle", settle)).body).toEqual({ refused: [] });
  });

  it("gives leases alone to whoever reads elsewhere", async () => {
    await stream("bare", 1);
    await queue("bare", ["bare"]);
    const { body } = await post("bare", "take", { records: false });
    expect(body).not.toHaveProperty("records");
    expect(body.leases).toMatchObject([{ stream: "bare", offset: 0, count: 1, attempt: 1 }]);
    expect((await post("bare", "take")).body).toEqual({ generation: 0, untilMs: 0, leases: [], records: [] });
  });

  it("lets a take wait for an append, a nack, and the end of a rest", async () => {
    await stream("w");
    await queue("w", ["w"]);
    const forAppend = post("w", "take", { waitMs: 20_000 });
    await until(() => waiting === 1);
    await ask("POST", "/v1/records/w", [1]);
    const first = await forAppend;
    expect(first.body.records).toMatchObject([{ offset: 0, attempt: 1 }]);

    const forNack = post("w", "take", { waitMs: 20_000 });
    await until(() => waiting === 1);
    await post("w", "settle", leased(first, "nack", { delayMs: 0 }));
    const second = await forNack;
    expect(second.body.records).toMatchObject([{ offset: 0, attempt: 2 }]);

    await post("w", "settle", leased(second, "nack", { delayMs: 50 }));
    const third = await post("w", "take", { waitMs: 20_000 });
    expect(third.body.records).toMatchObject([{ offset: 0, attempt: 3 }]);

    // Nothing comes: the time is over, and the answer is empty.
    expect((await post("w", "take", { waitMs: 20 })).body.leases).toEqual([]);
    // The group ends while somebody waits.
    const forever = post("w", "take", { waitMs: 20_000 });
    await until(() => waiting === 1);
    await ask("DELETE", "/v1/groups/w");
    expectProblem(await forever, "group-not-found");
  });

  it("takes nothing for whoever has gone", async () => {
    await stream("gone");
    await queue("gone", ["gone"]);
    const controller = new AbortController();
    const asked = fetch(`${server.url}/v1/groups/gone/take`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"waitMs":20000}',
      signal: controller.signal,
    });
    await until(() => waiting === 1);
    controller.abort();
    await expect(asked).rejects.toThrow();
    await until(() => waiting === 0);
    await ask("POST", "/v1/records/gone", [1]);
    expect((await post("gone", "take", { waitMs: 20_000 })).body.records).toMatchObject([{ offset: 0, attempt: 1 }]);
  });

  it("refuses what cannot be meant", async () => {
    await stream("odd", 1);
    await queue("odd", ["odd"]);
    expectProblem(await post("odd", "take", { count: 0 }), "malformed-request");
    expectProblem(await post("odd", "take", { count: 1_000_000 }), "too-many");
    expectProblem(await post("odd", "take", { member: "" }), "invalid-group");
    expectProblem(await post("odd", "join", { member: "m" }), "invalid-group");
    const settle = (item: object): Promise<Answer> =>
      post("odd", "settle", { settlements: [{ stream: "odd", offset: 0, generation: 1, ...item }] });
    expectProblem(await settle({ outcome: "ack", delayMs: 1 }), "malformed-request");
    expectProblem(await settle({ outcome: "ack", leaseMs: 1 }), "malformed-request");
    expectProblem(await settle({ outcome: "drop" }), "malformed-request");
    expectProblem(await settle({ outcome: "ack", offset: "x" }), "malformed-request");
    expectProblem(await settle({ outcome: "ack" }), "fenced");
    expectProblem(await post("odd", "settle", { settlements: [] }), "invalid-group");
  });
});

describe("a reset", () => {
  it("says what it would change, and then does", async () => {
    await stream("r/a", 0, 1, 2);
    await stream("r/b", 0);
    await queue("r", ["r/a", "r/b"], { from: "now" });
    const dry = await post("r", "reset", { to: "start", dryRun: true });
    expect(dry.body).toMatchObject({
      dryRun: true,
      busy: false,
      positions: [
        { stream: "r/a", from: 3, to: 0, tail: 3 },
        { stream: "r/b", from: 1, to: 0, tail: 1 },
      ],
    });
    expect((await ask("GET", "/v1/groups/r")).body.lag).toBe(0);
    expect((await post("r", "reset", { to: "start", streams: ["r/a"] })).body.positions).toHaveLength(1);
    expect((await ask("GET", "/v1/groups/r")).body.lag).toBe(3);
    const { body } = await ask("GET", "/v1/records/r/a");
    await post("r", "reset", { positions: [{ stream: "r/a", offset: body.token.replace(/3$/, "1") }] });
    expect((await ask("GET", "/v1/groups/r")).body.lag).toBe(2);
    expect((await post("r", "reset", { toTime: 0, dryRun: true })).body.positions).toMatchObject([
      { to: 0 },
      { to: 0 },
    ]);
    expect((await post("r", "reset", { toTime: "2999-01-01T00:00:00Z" })).body.positions).toMatchObject([
      { to: 3 },
      { to: 1 },
    ]);
  });

  it("does not pull the rug from under members, unless forced", async () => {
    await stream("busy", 0, 1);
    await queue("busy", ["busy"]);
    const taken = await post("busy", "take", { count: 2 });
    expect((await post("busy", "reset", { to: "end", dryRun: true })).body).toMatchObject({ busy: true });
    expectProblem(await post("busy", "reset", { to: "end" }), "group-busy");
    expect((await post("busy", "reset", { to: "end", force: true })).body.positions).toMatchObject([{ to: 2 }]);
    expectProblem(await post("busy", "settle", leased(taken, "ack")), "fenced");
    expect((await post("busy", "take")).body.leases).toEqual([]);
  });

  it("refuses places that are not there", async () => {
    await stream("places", 0);
    await stream("strange", 0);
    await queue("places", ["places"]);
    expectProblem(await post("places", "reset", {}), "malformed-request");
    expectProblem(await post("places", "reset", { to: "middle" }), "malformed-request");
    expectProblem(await post("places", "reset", { to: "end", streams: ["strange"] }), "stream-not-found");
    const to = (name: string, offset: unknown): Promise<Answer> =>
      post("places", "reset", { positions: [{ stream: name, offset }], dryRun: true });
    expectProblem(await to("places", 2), "malformed-offset");
    expectProblem(await to("strange", 0), "stream-not-found");
    const stale = `${"1".padStart(16, "0")}_${"0".padStart(16, "0")}`;
    expectProblem(await to("places", stale), "stream-gone");
    expectProblem(await ask("POST", "/v1/groups/none/reset", { to: "end" }), "group-not-found");
  });
});

/** Looks at every turn of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
