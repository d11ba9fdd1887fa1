/** Takers of a queue: leases, what becomes of them, and what a handler makes of it, under a clock that tests move. */
import { beforeEach, describe, expect, it } from "vitest";
import { Client } from "../../client/client.ts";
import type { Delivery, Group, TidemarkError } from "../../client/index.ts";
import { CLIENT_LIMITS } from "../../client/limits.ts";
import { parseReceipt } from "../../client/groups/receipt.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import type { GroupTotals } from "../../src/wire/group-look-up.ts";
import { MachineServer, MachineTransport } from "./machine-server.ts";
import { run, turn, virtualTime, type VirtualTime } from "./virtual-time.ts";

const LEASE_MS = 10_000;

let time: VirtualTime;
let server: MachineServer;
let transport: MachineTransport;
let group: Group;

beforeEach(() => {
  time = virtualTime();
  server = new MachineServer(time.clock);
  server.apply({ kind: "create", stream: "jobs", closed: false, contentType: "text/plain" });
  append(5);
  server.apply({
    kind: "group-create",
    id: "g",
    mode: { kind: "queue", attemptsMax: 0, retryDelayMs: 0 },
    streams: ["jobs"],
    from: "start",
    leaseMs: LEASE_MS,
  });
  transport = new MachineTransport(server);
  group = new Client("http://test", { transport, environment: time.environment }).group("g");
});

let appended = 0;

/** `keyBytes`: of a key that makes them large. */
function append(count: number, keyBytes = 0): void {
  if (server.machine.stream("jobs")?.nextOffset === 0) appended = 0;
  const bytes = encodeBatch(
    Array.from({ length: count }, (_, at) => ({
      value: utf8(`job ${appended + at}`),
      key: new Uint8Array(keyBytes),
    })),
  );
  appended += count;
  const hash = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  const batch = { hash, length: bytes.length, span: count, bytes };
  server.apply({ kind: "append", stream: "jobs", close: false, batch });
}

function settle<T>(promise: Promise<T>): Promise<T> {
  return run(time, promise);
}

async function advance(ms: number): Promise<void> {
  const untilMs = time.clock.monotonic() + ms;
  for (let nextMs = time.clock.nextDueMs; nextMs !== undefined && nextMs <= untilMs; nextMs = time.clock.nextDueMs) {
    time.clock.advance(nextMs - time.clock.monotonic());
    await turn();
  }
  time.clock.advance(Math.max(0, untilMs - time.clock.monotonic()));
  await turn();
}

function totals(): GroupTotals {
  const { lag, inFlight, resting, dead } = server.machine.group("g") as GroupTotals;
  return { lag, inFlight, resting, dead };
}

function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: unknown) => (error as TidemarkError).code,
  );
}

async function next(deliveries: AsyncIterator<Delivery, undefined>): Promise<Delivery> {
  const { value } = await settle(deliveries.next());
  if (value === undefined) throw new Error("the taking has ended");
  return value;
}

function kinds(kind: string): number {
  return transport.commands.filter((command) => command.kind === kind).length;
}

describe("leases", () => {
  it("are not renewed by themselves: the record goes to another, and its first holder is fenced (P39)", async () => {
    const deliveries = group.take();
    const first = await next(deliveries);
    await advance(LEASE_MS + 1);
    const again = await next(group.take());
    expect([again.offset, again.attempt, again.text()]).toEqual([0, 2, "job 0"]);
    expect(await settle(codeOf(first.ack()))).toBe("fenced");
    await settle(again.ack());
    expect(totals()).toMatchObject({ lag: 4, inFlight: 0 });
  });

  it("are renewed until they are settled, where that is asked for", async () => {
    const deliveries = group.take({ autoExtend: true });
    const first = await next(deliveries);
    await advance(LEASE_MS * 5);
    expect(totals()).toMatchObject({ inFlight: 1 });
    await settle(first.ack());
    expect(totals()).toMatchObject({ lag: 4, inFlight: 0 });
    // Nothing is left to renew, and nobody does.
    const settles = kinds("group-settle");
    await advance(LEASE_MS * 5);
    expect(kinds("group-settle")).toBe(settles);
    expect(time.clock.nextDueMs).toBeUndefined();
    await next(deliveries);
    await settle(deliveries.close());
    await advance(LEASE_MS * 2);
    expect(totals()).toMatchObject({ inFlight: 0, resting: 1 });
  });

  it("of records that wait for the loop are renewed in any case", async () => {
    const deliveries = group.take({ count: 3 });
    await next(deliveries);
    await advance(LEASE_MS * 3);
    const second = await next(deliveries);
    expect([second.offset, second.attempt]).toEqual([1, 1]);
    await settle(second.ack());
    expect(totals()).toEqual({ lag: 4, inFlight: 1, resting: 1, dead: 0 });
  });

  it("of records that were not even read are renewed, too", async () => {
    append(5, CLIENT_LIMITS.prefetchBytesMin);
    const deliveries = group.take({ count: 10, prefetchBytes: 1 });
    await next(deliveries);
    await advance(LEASE_MS * 3);
    expect(totals()).toMatchObject({ inFlight: 9, resting: 1 });
    for (let offset = 1; offset < 10; offset += 1) {
      const delivery = await next(deliveries);
      expect([delivery.offset, delivery.attempt]).toEqual([offset, 1]);
    }
    await settle(deliveries.close());
  });

  it("of records that were lost while they waited are not delivered", async () => {
    append(5, CLIENT_LIMITS.prefetchBytesMin);
    const deliveries = group.take({ count: 10, prefetchBytes: 1 });
    await next(deliveries);
    transport.cut = true;
    await advance(LEASE_MS * 3);
    transport.cut = false;
    await advance(LEASE_MS);
    // All are given out again, from the first, whether or not they had been read.
    const again = await next(deliveries);
    expect([again.offset, again.attempt]).toEqual([0, 2]);
    await settle(deliveries.close());
  });

  it("end by hand: extended, given back with a delay, taken over by a receipt", async () => {
    const deliveries = group.take();
    const first = await next(deliveries);
    await advance(LEASE_MS - 1);
    await settle(first.extend(LEASE_MS * 3));
    await advance(LEASE_MS * 2);
    expect(totals()).toMatchObject({ inFlight: 1 });
    await settle(first.nack({ delayMs: 60_000, reason: "not yet" }));
    expect(totals()).toMatchObject({ inFlight: 0, resting: 1 });
    expect((await next(deliveries)).offset).toBe(1);
    const second = await next(deliveries);
    expect(parseReceipt(second.receipt)).toMatchObject({ stream: "jobs", offset: 2, generation: second.generation });
    await settle(group.ack(second.receipt));
    expect(await settle(codeOf(second.ack()))).toBe("fenced");
    const third = await next(deliveries);
    await settle(group.extend(third.receipt, LEASE_MS * 2));
    await settle(group.nack(third.receipt, { delayMs: 0 }));
    expect(await settle(codeOf(group.ack("nonsense")))).toBe("invalid-argument");
    expect(await settle(codeOf(group.nack(third.receipt, { delayMs: -1 })))).toBe("invalid-argument");
    await settle(deliveries.close());
  });
});

describe("settlements", () => {
  it("asked for together travel together, neighbours as one", async () => {
    const deliveries = group.take({ count: 5 });
    const all: Delivery[] = [];
    for (let at = 0; at < 5; at += 1) all.push(await next(deliveries));
    const [a, b, c, d, e] = all as [Delivery, Delivery, Delivery, Delivery, Delivery];
    await settle(Promise.all([a.ack(), b.ack(), c.nack({ delayMs: 60_000 }), d.ack(), e.extend()]));
    const [command] = transport.commands.filter(({ kind }) => kind === "group-settle");
    expect(kinds("group-settle")).toBe(1);
    expect(command).toMatchObject({
      settlements: [
        { offset: 0, count: 2, outcome: { kind: "ack" } },
        { offset: 2, count: 1, outcome: { kind: "nack" } },
        { offset: 3, count: 1, outcome: { kind: "ack" } },
        { offset: 4, count: 1, outcome: { kind: "extend" } },
      ],
    });
    expect(totals()).toEqual({ lag: 2, inFlight: 1, resting: 1, dead: 0 });
    await settle(deliveries.close());
  });

  it("of which some are refused tell each its own", async () => {
    const deliveries = group.take({ count: 2 });
    const old = [await next(deliveries), await next(deliveries)];
    await advance(LEASE_MS + 1);
    const other = group.take({ count: 3 });
    const current = [await next(other), await next(other), await next(other)];
    const outcomes = [...old, ...current].map((delivery) => codeOf(delivery.ack()));
    expect(await settle(Promise.all(outcomes))).toEqual(["fenced", "fenced", undefined, undefined, undefined]);
  });

  it("whose answer was lost are refused as fenced, and not known to have failed", async () => {
    const deliveries = group.take();
    const first = await next(deliveries);
    transport.losses.push("lose-answer");
    const refused = first.ack().catch((error: unknown) => error);
    expect(await settle(refused)).toMatchObject({ code: "fenced", outcome: "unknown" });
    expect(totals()).toMatchObject({ lag: 4 });
    const second = await next(deliveries);
    transport.losses.push("lose-request");
    await settle(second.ack());
    expect(totals()).toMatchObject({ lag: 3 });
    await settle(deliveries.close());
  });

  it("of which an earlier attempt did a part tell the rest as it is", async () => {
    const deliveries = group.take({ count: 3 });
    const [a, b, c] = [await next(deliveries), await next(deliveries), await next(deliveries)];
    transport.losses.push("lose-answer");
    const acked = a.ack().catch((error: unknown) => error);
    const extended = b.extend();
    expect(await settle(acked)).toMatchObject({ code: "fenced", outcome: "unknown" });
    await settle(extended);
    await settle(c.ack());
    expect(totals()).toEqual({ lag: 3, inFlight: 1, resting: 0, dead: 0 });
    await settle(deliveries.close());
  });

  it("of records that are no neighbours leave alone what lies between", async () => {
    const deliveries = group.take({ count: 3 });
    const [a, b, c] = [await next(deliveries), await next(deliveries), await next(deliveries)];
    await settle(Promise.all([a.ack(), c.ack()]));
    expect(totals()).toEqual({ lag: 3, inFlight: 1, resting: 0, dead: 0 });
    await settle(b.nack({ delayMs: 0 }));
    expect(totals()).toEqual({ lag: 3, inFlight: 0, resting: 1, dead: 0 });
    await settle(deliveries.close());
  });

  it("happen once for a delivery", async () => {
    const deliveries = group.take();
    const first = await next(deliveries);
    await settle(first.ack());
    expect(first.settled).toBe(true);
    for (const again of [first.ack(), first.nack(), first.extend()])
      expect(await codeOf(again)).toBe("invalid-argument");
    await settle(deliveries.close());
  });
});

describe("taking", () => {
  it("takes what is asked for, and waits for more without asking again and again", async () => {
    const deliveries = group.take({ count: 5 });
    for (let at = 0; at < 5; at += 1) await settle((await next(deliveries)).ack());
    const waiting = deliveries.next();
    await advance(CLIENT_LIMITS.longPollMs * 4);
    expect(kinds("group-take")).toBe(2);
    append(1);
    expect((await settle(waiting)).value?.offset).toBe(5);
    expect(kinds("group-take")).toBe(3);
    await settle(deliveries.close());
  });

  it("does not ask in a tight loop where others are always faster", async () => {
    for (const delivery of await settle(group.takeOnce({ count: 5 }))) await settle(delivery.ack());
    transport.hasty = true;
    const deliveries = group.take();
    const waiting = deliveries.next();
    const takes = kinds("group-take");
    await advance(1_000);
    expect(kinds("group-take") - takes).toBeLessThanOrEqual(1_000 / CLIENT_LIMITS.backoffFirstMs + 2);
    // What comes after a quiet time is asked for at once.
    transport.hasty = false;
    await advance(CLIENT_LIMITS.longPollMs);
    append(2);
    const first = (await settle(waiting)).value;
    expect(first?.offset).toBe(5);
    await settle(Promise.all([first?.ack(), (await next(deliveries)).ack()]));
    const third = deliveries.next();
    await advance(0);
    append(1);
    const beganMs = time.clock.monotonic();
    expect((await settle(third)).value?.offset).toBe(7);
    expect(time.clock.monotonic() - beganMs).toBe(0);
    await settle(deliveries.close());
  });

  it("of a batch reads it once, though its records are taken one by one", async () => {
    append(100);
    const deliveries = group.take();
    for (let at = 0; at < 105; at += 1) {
      const delivery = await next(deliveries);
      expect([delivery.offset, delivery.text()]).toEqual([at, `job ${at}`]);
      await settle(delivery.ack());
    }
    expect(transport.reads).toBeLessThanOrEqual(2);
    await settle(deliveries.close());
  });

  it("acknowledges by itself what is gone", async () => {
    append(3);
    server.forget("jobs", 0);
    const deliveries = group.take({ count: 6 });
    expect((await next(deliveries)).offset).toBe(5);
    await advance(0);
    expect(totals()).toEqual({ lag: 3, inFlight: 1, resting: 0, dead: 0 });
    const { incarnation = 0 } = server.machine.stream("jobs") ?? {};
    server.apply({ kind: "trim", stream: "jobs", incarnation, before: 7 });
    expect((await next(deliveries)).offset).toBe(7);
    await settle(deliveries.close());
  });

  it("ends and gives back what it holds, even where nobody hears of it", async () => {
    const deliveries = group.take({ count: 5 });
    await next(deliveries);
    await settle(deliveries.close());
    expect(totals()).toEqual({ lag: 5, inFlight: 1, resting: 4, dead: 0 });
    expect(await deliveries.next()).toEqual({ done: true, value: undefined });
    const other = group.take({ count: 4 });
    // Nobody had attempted it.
    expect((await next(other)).attempt).toBe(1);
    transport.cut = true;
    const beganMs = time.clock.monotonic();
    await settle(other.close());
    expect(time.clock.monotonic() - beganMs).toBeLessThanOrEqual(CLIENT_LIMITS.groupCloseMs);
  });

  it("gives back what a take has leased whose answer comes when it has ended", async () => {
    const gate = Promise.withResolvers<void>();
    transport.gate = gate.promise;
    const ending = new AbortController();
    const deliveries = group.take({ count: 2, signal: ending.signal });
    const waiting = codeOf(deliveries.next());
    await advance(0);
    expect(totals()).toMatchObject({ inFlight: 2 });
    ending.abort();
    expect(await settle(waiting)).toBe("aborted");
    gate.resolve();
    await settle(deliveries.close());
    expect(totals()).toEqual({ lag: 5, inFlight: 0, resting: 2, dead: 0 });
  });

  it("once takes what there is, at most so many, waiting at most so long", async () => {
    const taken = await settle(group.takeOnce({ count: 10 }));
    expect(taken.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4]);
    expect(await settle(group.takeOnce())).toEqual([]);
    const beganMs = time.clock.monotonic();
    const waiting = settle(group.takeOnce({ waitMs: 1_000 }));
    expect(await waiting).toEqual([]);
    expect(time.clock.monotonic() - beganMs).toBe(1_000);
    const fed = group.takeOnce({ count: 2, waitMs: 5_000 });
    await advance(100);
    append(3);
    expect((await settle(fed)).map(({ offset }) => offset)).toEqual([5, 6]);
    await settle(Promise.all(taken.map((delivery) => delivery.ack())));
    expect(totals()).toMatchObject({ lag: 3, inFlight: 2 });
  });

  it("gives back by hand what it does not work on, too, and that is no attempt", async () => {
    const [first, second] = await settle(group.takeOnce({ count: 2 }));
    await settle(Promise.all([first?.release(), group.release(second?.receipt ?? "")]));
    expect(first?.settled).toBe(true);
    expect(await settle(codeOf(group.release(second?.receipt ?? "")))).toBe("fenced");
    const again = await settle(group.takeOnce({ count: 2 }));
    expect(again.map(({ offset, attempt }) => [offset, attempt])).toEqual([
      [0, 1],
      [1, 1],
    ]);
  });

  it("refuses what cannot be meant", async () => {
    expect(() => group.take({ count: 0 })).toThrow("`count` is a whole number from 1");
    expect(() => group.run(() => undefined, { concurrency: 0 })).toThrow("`concurrency` is a whole number");
    expect(await settle(codeOf(group.take({ count: 1_000_000 }).next()))).toBe("too-many");
    expect(() => new Client("http://test", { transport }).group("")).toThrow("a group has an id");
  });
});

describe("run", () => {
  it("takes no more than it can handle at a time, and renews what takes long", async () => {
    const ending = new AbortController();
    const open: (() => void)[] = [];
    let most = 0;
    const running = group.run(
      async () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        open.push(resolve);
        most = Math.max(most, totals().inFlight);
        await promise;
      },
      { concurrency: 2, signal: ending.signal },
    );
    await advance(LEASE_MS * 3);
    expect([open.length, most]).toEqual([2, 2]);
    open[0]?.();
    await advance(LEASE_MS);
    expect([open.length, most]).toEqual([3, 2]);
    // What is under way when it ends is handled to its end, however long that takes.
    ending.abort();
    await advance(LEASE_MS * 3);
    for (const resolve of open) resolve();
    await settle(running);
    expect(totals()).toEqual({ lag: 2, inFlight: 0, resting: 0, dead: 0 });
    expect(open).toHaveLength(3);
  });

  it("gives back what the handler throws at, and leaves alone what it settled", async () => {
    const ending = new AbortController();
    const errors: unknown[] = [];
    const seen: string[] = [];
    await settle(
      group.run(
        async (delivery) => {
          seen.push(`${delivery.offset}/${delivery.attempt}`);
          if (delivery.offset === 0 && delivery.attempt < 3) throw new Error("no");
          if (delivery.offset === 1 && delivery.attempt === 1) await delivery.nack({ delayMs: 0 });
          if (delivery.offset === 2) await delivery.ack();
          if (seen.length === 8) ending.abort();
        },
        { signal: ending.signal, retryDelayMs: 0, onError: (error) => errors.push(error) },
      ),
    );
    expect(seen.toSorted()).toEqual(["0/1", "0/2", "0/3", "1/1", "1/2", "2/1", "3/1", "4/1"]);
    expect(errors).toEqual([new Error("no"), new Error("no")]);
    expect(totals()).toEqual({ lag: 0, inFlight: 0, resting: 0, dead: 0 });
  });

  it("tells of what could not be acknowledged, and goes on", async () => {
    const ending = new AbortController();
    const errors: unknown[] = [];
    await settle(
      group.run(
        ({ offset }) => {
          if (offset === 0) transport.losses.push("lose-answer");
          if (offset === 4) ending.abort();
        },
        { signal: ending.signal, onError: (error) => errors.push(error) },
      ),
    );
    expect(errors).toMatchObject([{ code: "fenced", outcome: "unknown" }]);
    expect(totals()).toMatchObject({ lag: 0 });
  });

  it("ends with an error that trying again does not mend", async () => {
    const running = codeOf(group.run(() => undefined));
    await advance(1_000);
    server.apply({ kind: "group-delete", id: "g" });
    expect(await settle(running)).toBe("group-not-found");
    expect(await settle(codeOf(group.run(() => undefined)))).toBe("group-not-found");
  });
});
