/** Subscriptions: links, pending work, wakes, leases, fencing (Durable Streams, 6 and 7; PITFALLS P39). */
import { describe, expect, it } from "vitest";
import type {
  SubscriptionAckCommand,
  SubscriptionCreateCommand,
  SubscriptionWakeCommand,
} from "../../src/wire/command.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { append, batchOf, create, Driver, restored, START_MS } from "./driver.ts";

function subscribe(id: string, more: Partial<SubscriptionCreateCommand> = {}): SubscriptionCreateCommand {
  return {
    kind: "subscription-create",
    id,
    delivery: { kind: "webhook", url: "https://example.test/hook" },
    streams: [],
    leaseMs: 1_000,
    ...(more.streams === undefined && { pattern: "events/*" }),
    ...more,
  };
}

const pull = (id: string, more: Partial<SubscriptionCreateCommand> = {}) =>
  subscribe(id, { delivery: { kind: "pull-wake", wakeStream: "wake" }, ...more });

function wake(generation: number, more: Partial<SubscriptionWakeCommand> = {}): SubscriptionWakeCommand {
  return { kind: "subscription-wake", id: "s", generation, wakeId: `w${generation}`, ...more };
}

function ack(generation: number, more: Partial<SubscriptionAckCommand> = {}): SubscriptionAckCommand {
  return { kind: "subscription-ack", id: "s", generation, wakeId: `w${generation}`, acks: [], done: true, ...more };
}

const claim = (worker: string, wakeId = "c") => ({ kind: "subscription-claim", id: "s", worker, wakeId }) as const;
const release = (generation: number, wakeId = `w${generation}`) =>
  ({ kind: "subscription-release", id: "s", generation, wakeId }) as const;
const fail = (generation: number, retryAtMs: number) =>
  ({ kind: "subscription-failed", id: "s", generation, wakeId: `w${generation}`, retryAtMs }) as const;
const link = (...streams: readonly string[]) => ({ kind: "subscription-link", id: "s", streams }) as const;
const unlink = (stream: string) => ({ kind: "subscription-unlink", id: "s", stream }) as const;

function links(driver: Driver): string[] {
  const views = driver.machine.subscription("s")?.streams() ?? [];
  return views.map(
    ({ stream, linkType, ackedOffset, tailOffset }) => `${stream} ${linkType} ${ackedOffset}/${tailOffset}`,
  );
}

const wakeable = (driver: Driver): string[] => driver.machine.wakeable().map(({ id }) => id);

/** A webhook subscription with something pending. */
function pending(): Driver {
  const driver = new Driver();
  driver.run(subscribe("s"));
  driver.create("events/a", { batch: batchOf(2) });
  return driver;
}

describe("making a subscription", () => {
  it("links what exists at its tail, and what comes later before its first record", () => {
    const driver = new Driver();
    driver.create("events/a", { batch: batchOf(3) });
    driver.create("other/a", { batch: batchOf(3) });
    expect(driver.run(subscribe("s"))).toEqual({ kind: "subscription-created", created: true });
    expect(links(driver)).toEqual(["events/a glob 3/3"]);
    expect(wakeable(driver)).toEqual([]);
    const applied = driver.apply(create("events/b", { batch: batchOf(1) }));
    expect(applied.subscriptionsChanged).toBe(true);
    expect(links(driver)).toEqual(["events/a glob 3/3", "events/b glob 0/1"]);
    expect(wakeable(driver)).toEqual(["s"]);
    expect(driver.machine.subscription("s")).toMatchObject({
      pattern: "events/*",
      generation: 0,
      phase: { kind: "idle" },
      status: "active",
      failures: 0,
      createdAtMs: START_MS,
      hasPending: true,
    });
    expect(driver.machine.subscription("s")).not.toHaveProperty("description");
  });

  it("links a fork where it leaves its source", () => {
    const driver = new Driver();
    driver.create("source", { batch: batchOf(5) });
    driver.run(subscribe("s"));
    driver.fork("source", "events/f", { offset: 3, partialBytes: 1 });
    expect(links(driver)).toEqual(["events/f glob 4/4"]);
  });

  it("names streams that do not exist yet, and links them when they do", () => {
    const driver = new Driver();
    driver.create("x", { batch: batchOf(2) });
    driver.run(subscribe("s", { streams: ["x", "y"] }));
    expect(links(driver)).toEqual(["x explicit 2/2", "y explicit 0/0"]);
    expect(driver.machine.subscription("s")?.streams()[1]).toEqual({
      stream: "y",
      linkType: "explicit",
      incarnation: 0,
      ackedOffset: 0,
      tailOffset: 0,
      hasPending: false,
    });
    driver.create("y");
    driver.append("y", 4);
    expect(links(driver)).toEqual(["x explicit 2/2", "y explicit 0/4"]);
    driver.run({ kind: "delete", stream: "y" });
    expect(links(driver)).toEqual(["x explicit 2/2", "y explicit 0/0"]);
    expect(wakeable(driver)).toEqual([]);
  });

  it("is idempotent with the same configuration, in whatever order streams are named", () => {
    const driver = new Driver();
    const command = subscribe("s", { pattern: "a/*", streams: ["x", "y"], description: "d" });
    driver.run(command);
    driver.run(link("z"));
    expect(driver.run({ ...command, streams: ["y", "x", "y"] })).toEqual({
      kind: "subscription-created",
      created: false,
    });
    const { pattern: _pattern, ...withoutPattern } = command;
    const { description: _description, ...withoutDescription } = command;
    for (const other of [
      { ...command, streams: ["x"] },
      { ...command, pattern: "b/*" },
      withoutPattern,
      withoutDescription,
      { ...command, description: "e" },
      { ...command, leaseMs: 2_000 },
      { ...command, delivery: { kind: "webhook", url: "other" } },
      { ...command, delivery: { kind: "pull-wake", wakeStream: "https://example.test/hook" } },
    ] as const) {
      expect(driver.refused(other).code).toBe("subscription-exists");
    }
  });

  it.each([
    { id: "" },
    { id: "x".repeat(STREAMS_LIMITS.subscriptionIdBytesMax + 1) },
    { streams: [] },
    { pattern: "a//b" },
    { streams: ["a//b"] },
    { leaseMs: 999 },
    { leaseMs: 600_001 },
    { description: "x".repeat(STREAMS_LIMITS.descriptionBytesMax + 1) },
    { delivery: { kind: "webhook", url: "x".repeat(STREAMS_LIMITS.webhookUrlBytesMax + 1) } },
    { delivery: { kind: "pull-wake", wakeStream: "/" } },
    { delivery: { kind: "pull-wake", wakeStream: "w" }, streams: ["w"] },
  ] as readonly Partial<SubscriptionCreateCommand>[])("is refused when it makes no sense: %j", (more) => {
    const driver = new Driver();
    expect(driver.refused(subscribe("s", more)).code).toBe("invalid-subscription");
    expect(driver.machine.subscriptions()).toEqual([]);
  });

  it("is bounded; a stream that finds no place is made all the same, and counted", () => {
    const driver = Driver.limited({
      subscriptionsMax: 2,
      linksPerSubscriptionMax: 2,
      linksMax: 3,
      explicitStreamsMax: 2,
    });
    expect(driver.refused(subscribe("s", { streams: ["a", "b", "c"] })).code).toBe("too-many");
    driver.run(subscribe("s"));
    driver.run(subscribe("t"));
    expect(driver.refused(subscribe("u")).code).toBe("too-many");
    driver.create("events/a");
    driver.create("events/b");
    driver.create("events/c");
    expect(driver.machine.subscriptions().map(({ id, unlinked }) => `${id} ${unlinked}`)).toEqual(["s 1", "t 2"]);
    driver.create("x");
    expect(driver.refused(link("x")).code).toBe("too-many");
    expect(driver.run(link("not there"))).toEqual({ kind: "done" });
    expect(driver.refused(link("p", "q")).code).toBe("too-many");
    driver.run({ kind: "subscription-delete", id: "s" });
    expect(driver.refused(subscribe("s", { pattern: "**" })).code).toBe("too-many");
    expect(driver.machine.subscriptions().map(({ id }) => id)).toEqual(["t"]);
  });
});

describe("explicit streams", () => {
  it("come and go; what the pattern matches stays linked", () => {
    const driver = pending();
    driver.create("x", { batch: batchOf(2) });
    driver.run(link("x", "y", "events/a", "x"));
    expect(links(driver)).toEqual(["events/a explicit 0/2", "x explicit 2/2", "y explicit 0/0"]);
    driver.append("x", 1);
    driver.run(link("x"));
    expect(links(driver)[1]).toBe("x explicit 2/3");
    for (const stream of ["events/a", "x", "y", "y", "never"])
      expect(driver.run(unlink(stream))).toEqual({ kind: "done" });
    expect(links(driver)).toEqual(["events/a glob 0/2"]);
    driver.create("y");
    expect(links(driver)).toEqual(["events/a glob 0/2"]);
  });

  it("unlinked while pending are pending no more", () => {
    const driver = new Driver();
    driver.create("x");
    driver.run(subscribe("s", { streams: ["x"] }));
    driver.append("x");
    expect(wakeable(driver)).toEqual(["s"]);
    driver.run(unlink("x"));
    expect(wakeable(driver)).toEqual([]);
  });

  it("of an unknown subscription, or of no good name, are refused", () => {
    const driver = new Driver();
    expect(driver.refused(link("x")).code).toBe("subscription-not-found");
    expect(driver.refused(unlink("x")).code).toBe("subscription-not-found");
    driver.run(pull("s"));
    expect(driver.refused(link("x//y")).code).toBe("invalid-subscription");
    expect(driver.refused(link("wake")).code).toBe("invalid-subscription");
  });
});

describe("a webhook subscription", () => {
  it("is woken once at a time, by the generation that follows", () => {
    const driver = pending();
    expect(driver.refused(wake(2)).code).toBe("fenced");
    expect(driver.refused(wake(1, { batch: batchOf(1) })).code).toBe("malformed-command");
    expect(driver.refused(wake(1, { wakeId: "" })).code).toBe("malformed-command");
    expect(driver.refused(wake(1, { id: "unknown" })).code).toBe("subscription-not-found");
    expect(driver.run(wake(1))).toEqual({ kind: "done" });
    expect(driver.machine.subscription("s")?.phase).toEqual({
      kind: "leased",
      wakeId: "w1",
      holder: "webhook",
      untilMs: START_MS + 1_000,
    });
    expect(wakeable(driver)).toEqual([]);
    expect(driver.refused(wake(2))).toMatchObject({ code: "fenced", generation: 1 });
    expect(driver.refused(claim("worker")).code).toBe("invalid-subscription");
  });

  it("acked and done is idle, and woken again for what came meanwhile", () => {
    const driver = pending();
    driver.run(wake(1));
    driver.append("events/a", 1);
    const acks = [{ stream: "events/a", incarnation: 2, offset: 2 }];
    expect(driver.run(ack(1, { acks }))).toEqual({ kind: "subscription-acked", nextWake: true });
    expect(links(driver)).toEqual(["events/a glob 2/3"]);
    expect(driver.refused(ack(1, { acks })).code).toBe("fenced");
    driver.run(wake(2));
    expect(driver.run(ack(2, { acks: [{ stream: "events/a", incarnation: 2, offset: 3 }] }))).toMatchObject({
      nextWake: false,
    });
    expect(wakeable(driver)).toEqual([]);
    driver.append("events/a", 1);
    expect(wakeable(driver)).toEqual(["s"]);
  });

  it("refuses acks past the end, passes over what is not linked, and never goes back", () => {
    const driver = pending();
    driver.create("elsewhere", { batch: batchOf(9) });
    driver.run(wake(1));
    const to = (offset: number, more: object = {}) => ({
      acks: [
        { stream: "events/a", incarnation: 2, offset, ...more },
        { stream: "elsewhere", incarnation: 3, offset: 5 },
        { stream: "missing", incarnation: 3, offset: 5 },
      ],
    });
    expect(driver.refused(ack(1, to(3))).code).toBe("malformed-offset");
    expect(driver.run(ack(1, { ...to(2), done: false }))).toMatchObject({ nextWake: false });
    driver.run(ack(1, { ...to(1), done: false }));
    driver.run(ack(1, { ...to(1, { incarnation: 9 }), done: false }));
    expect(links(driver)).toEqual(["events/a glob 2/2"]);
  });

  it("keeps its lease while it is acked, and loses it in log time", () => {
    const driver = pending();
    driver.run(wake(1));
    driver.pass(900);
    driver.run(ack(1, { done: false }));
    expect(driver.machine.nextDeadline()).toBe(START_MS + 1_900);
    driver.pass(900);
    expect(wakeable(driver)).toEqual([]);
    expect(driver.pass(100).subscriptionsChanged).toBe(true);
    expect(wakeable(driver)).toEqual(["s"]);
    expect(driver.machine.subscription("s")?.phase).toEqual({ kind: "idle" });
    for (const late of [ack(1), release(1), fail(1, 0)]) expect(driver.refused(late)).toMatchObject({ code: "fenced" });
    driver.run(wake(2));
    for (const late of [ack(1), release(1), fail(1, 0), ack(2, { wakeId: "w1" })]) {
      expect(driver.refused(late)).toMatchObject({ code: "fenced", generation: 2 });
    }
  });

  it("that failed waits for its retry, and is well again with the first ack", () => {
    const driver = pending();
    driver.run(wake(1));
    driver.run(fail(1, START_MS + 5_000));
    expect(driver.machine.subscription("s")).toMatchObject({
      status: "failed",
      failures: 1,
      retryAtMs: START_MS + 5_000,
    });
    expect(driver.machine.nextDeadline()).toBe(START_MS + 5_000);
    expect(wakeable(driver)).toEqual([]);
    expect(driver.refused(wake(2)).code).toBe("fenced");
    driver.append("events/a", 1);
    expect(wakeable(driver)).toEqual([]);
    expect(driver.pass(5_000).subscriptionsChanged).toBe(true);
    expect(wakeable(driver)).toEqual(["s"]);
    expect(driver.machine.nextDeadline()).toBeUndefined();
    driver.run(wake(2));
    expect(driver.machine.subscription("s")).toMatchObject({ status: "active", failures: 1 });
    driver.run(fail(2, START_MS + 6_000));
    expect(driver.machine.subscription("s")).toMatchObject({ status: "failed", failures: 2 });
    driver.pass(1_000);
    driver.run(wake(3));
    driver.run(ack(3, { done: false }));
    expect(driver.machine.subscription("s")).toMatchObject({ status: "active", failures: 0 });
  });

  it("released is idle with its work still pending", () => {
    const driver = pending();
    driver.run(wake(1));
    expect(driver.run(release(1))).toEqual({ kind: "done" });
    expect(wakeable(driver)).toEqual(["s"]);
    expect(driver.refused(release(1)).code).toBe("fenced");
  });

  it("with nothing pending any more is not woken", () => {
    const driver = pending();
    driver.run({ kind: "delete", stream: "events/a" });
    expect(wakeable(driver)).toEqual([]);
    expect(driver.refused(wake(1)).code).toBe("fenced");
    driver.create("events/a", { expiry: { kind: "absolute", atMs: START_MS + 10 }, batch: batchOf(1) });
    expect(wakeable(driver)).toEqual(["s"]);
    driver.pass(10);
    expect(wakeable(driver)).toEqual([]);
  });

  it("deleted leaves nothing, and refuses what was under way", () => {
    const driver = pending();
    driver.run(link("x"));
    driver.run(wake(1));
    expect(driver.run({ kind: "subscription-delete", id: "s" })).toEqual({ kind: "done" });
    for (const late of [
      ack(1),
      release(1),
      fail(1, 0),
      claim("k"),
      wake(2),
      { kind: "subscription-delete", id: "s" } as const,
    ]) {
      expect(driver.refused(late).code).toBe("subscription-not-found");
    }
    driver.append("events/a", 1);
    driver.create("x");
    expect(driver.machine.nextDeadline()).toBeUndefined();
    expect([...driver.machine.rows()].map(([key]) => key[0])).toEqual([0, 1, 1]);
    driver.run(subscribe("s"));
    driver.append("events/a", 1);
    driver.run(wake(1, { wakeId: "fresh" }));
    expect(driver.refused(ack(1)).code).toBe("fenced");
  });
});

describe("a pull-wake subscription", () => {
  function waiting(): Driver {
    const driver = new Driver();
    driver.create("wake");
    driver.run(pull("s"));
    driver.create("events/a", { batch: batchOf(1) });
    return driver;
  }

  it("writes its wake event and waits for a worker, without limit", () => {
    const driver = waiting();
    expect(driver.refused(wake(1)).code).toBe("malformed-command");
    const applied = driver.apply(wake(1, { batch: batchOf(1) }));
    expect(applied.results[0]).toEqual({ kind: "done" });
    expect(applied.placements).toEqual([{ accepted: true, streamId: 1, incarnation: 1, firstOffset: 0, span: 1 }]);
    expect(applied.changed).toEqual([1]);
    expect(driver.machine.subscription("s")?.phase).toEqual({ kind: "woken", wakeId: "w1" });
    const again = driver.apply(wake(2, { batch: batchOf(1) }));
    expect(again.results[0]).toMatchObject({ code: "fenced" });
    expect(again.placements).toEqual([{ accepted: false }]);
    expect(driver.machine.nextDeadline()).toBeUndefined();
    for (const early of [ack(1), release(1)]) expect(driver.refused(early).code).toBe("fenced");
  });

  it("is claimed by one worker at a time, under the wake's generation", () => {
    const driver = waiting();
    driver.run(wake(1, { batch: batchOf(1) }));
    expect(driver.run(claim("k1"))).toEqual({
      kind: "subscription-claimed",
      generation: 1,
      wakeId: "w1",
      leaseMs: 1_000,
    });
    expect(driver.refused(claim("k2"))).toMatchObject({ code: "already-claimed", holder: "k1", generation: 1 });
    expect(driver.run(ack(1, { acks: [{ stream: "events/a", incarnation: 3, offset: 1 }] }))).toMatchObject({
      nextWake: false,
    });
    for (const worker of ["", "x".repeat(STREAMS_LIMITS.workerBytesMax + 1)]) {
      expect(driver.refused(claim(worker)).code).toBe("invalid-subscription");
    }
    expect(driver.refused(claim("k", "")).code).toBe("malformed-command");
  });

  it("may be claimed before its wake event is written: the wake is then fenced (P39)", () => {
    const driver = waiting();
    expect(driver.run(claim("k1", "mine"))).toMatchObject({ generation: 1, wakeId: "mine" });
    expect(driver.refused(wake(1, { batch: batchOf(1) })).code).toBe("fenced");
    driver.run(release(1, "mine"));
    expect(driver.run(claim("k1", "again"))).toMatchObject({ generation: 2, wakeId: "again" });
    driver.pass(1_000);
    expect(driver.run(claim("k2", "third"))).toMatchObject({ generation: 3 });
  });

  it("is not woken without an open wake stream, but is when there is one", () => {
    const driver = new Driver();
    driver.run(pull("s"));
    driver.create("events/a", { batch: batchOf(1) });
    const event = () => wake(1, { batch: batchOf(1) });
    expect(wakeable(driver)).toEqual([]);
    expect(driver.refused(event()).code).toBe("stream-not-found");
    expect(driver.apply(create("wake")).subscriptionsChanged).toBe(true);
    expect(wakeable(driver)).toEqual(["s"]);
    driver.fork("wake", "fork");
    driver.append("wake", 0, { close: true });
    expect(wakeable(driver)).toEqual([]);
    expect(driver.refused(event()).code).toBe("stream-closed");
    driver.run({ kind: "delete", stream: "wake" });
    expect(driver.refused(event()).code).toBe("stream-gone");
    driver.run({ kind: "delete", stream: "fork" });
    driver.create("wake");
    expect(driver.run(event())).toEqual({ kind: "done" });
  });

  it("does not follow its own wake stream by its pattern; others may", () => {
    const driver = new Driver();
    driver.run(pull("s", { pattern: "**" }));
    driver.run(subscribe("t", { pattern: "**" }));
    driver.create("wake");
    driver.create("events/a", { batch: batchOf(1) });
    expect(links(driver)).toEqual(["events/a glob 0/1"]);
    driver.run(wake(1, { batch: batchOf(1) }));
    expect(
      driver.machine
        .subscription("t")
        ?.streams()
        .map(({ stream, hasPending }) => [stream, hasPending]),
    ).toEqual([
      ["events/a", true],
      ["wake", true],
    ]);
  });
});

describe("pending work", () => {
  it("is the same after a restore, with leases, retries and what is ready", () => {
    const driver = new Driver();
    driver.create("wake");
    driver.run(pull("s", { streams: ["x", "y"], pattern: "events/*" }));
    driver.run(subscribe("t"));
    driver.run(subscribe("u", { pattern: "**" }));
    driver.create("events/a", { batch: batchOf(3) });
    driver.create("x", { batch: batchOf(3) });
    driver.run({ ...wake(1), id: "t" });
    driver.run({ ...fail(1, START_MS + 9_000), id: "t" });
    driver.run(claim("k"));
    driver.run(ack(1, { wakeId: "c", acks: [{ stream: "x", incarnation: 6, offset: 3 }], done: false }));
    const again = new Driver(restored(driver.machine));
    const seen = ({ machine }: Driver) => ({
      subscriptions: machine.subscriptions().map(({ streams, ...view }) => ({ ...view, streams: streams() })),
      wakeable: machine.wakeable().map(({ id }) => id),
      deadline: machine.nextDeadline(),
    });
    expect(seen(again)).toEqual(seen(driver));
    expect(seen(driver)).toMatchObject({ wakeable: ["u"], deadline: START_MS + 1_000 });
    for (const each of [driver, again]) {
      each.pass(9_000);
      each.append("x", 1);
    }
    expect(seen(again)).toEqual(seen(driver));
    expect(wakeable(driver)).toEqual(["s", "t", "u"]);
  });
});

it("appends to a stream with all its links pending cost nothing for subscriptions", () => {
  const driver = pending();
  expect(driver.apply(append("events/a")).subscriptionsChanged).toBe(false);
  driver.create("x");
  expect(driver.apply(append("x")).subscriptionsChanged).toBe(false);
});
