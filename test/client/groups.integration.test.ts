/** Groups of a real node over both transports: members, queues, and graceful restarts under them. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, type Client, type Delivery, type TidemarkError } from "../../client/index.ts";
import { RestartableNode } from "./restartable-node.ts";

describe.each(["http", "ws"] as const)("over %s", (scheme) => {
  let node: RestartableNode;
  let client: Client;

  beforeEach(async () => {
    node = await RestartableNode.start();
    client = connect(node.url(scheme));
  });

  afterEach(async () => {
    await client.close();
    await node.remove();
  });

  async function fill(name: string, count: number): Promise<void> {
    const stream = client.stream(name);
    await stream.create({ contentType: "text/plain" });
    await using producer = stream.producer();
    for (let at = 0; at < count; at += 1) void producer.append(`${name} ${at}`);
    await producer.close();
  }

  it("members share streams, hand them over, and go on where the group is", async () => {
    for (const name of ["p/a", "p/b", "p/c", "p/d"]) await fill(name, 50);
    const group = client.group("billing");
    expect(await group.create({ mode: "partitions", pattern: "p/*" })).toEqual({ created: true });
    expect(await group.create({ mode: "partitions", pattern: "p/*" })).toEqual({ created: false });
    await using other = connect(node.url(scheme));
    const seen = new Map<string, number[]>();
    const note = (stream: string, offset: number): void => {
      seen.set(stream, [...(seen.get(stream) ?? []), offset]);
    };
    const revoked: string[] = [];
    await using one = await group.join({
      ack: "manual",
      onRevoked: (streams) => revoked.push(...streams.map(({ stream }) => stream)),
    });
    expect(one.streams).toEqual(["p/a", "p/b", "p/c", "p/d"]);
    for (let taken = 0; taken < 40; taken += 1) {
      const { value: record } = await one.next();
      if (record === undefined) break;
      note(record.stream, record.offset);
      await one.ack(record);
    }
    await using two = await other.group("billing").join();
    expect(two.streams).toHaveLength(2);
    const rest = (async () => {
      for await (const record of two) note(record.stream, record.offset);
    })();
    // Of the first member's, two are lost; an acknowledgement hears of it.
    while (revoked.length < 2) {
      const { value: record } = await one.next();
      if (record === undefined) break;
      const refused = await one.ack(record).then(
        () => undefined,
        (error: unknown) => error as TidemarkError,
      );
      if (refused === undefined) note(record.stream, record.offset);
      else expect(refused.code).toBe("fenced");
    }
    await one.close();
    while ([...seen.values()].reduce((sum, { length }) => sum + length, 0) < 200)
      await new Promise((resolve) => setImmediate(resolve));
    await two.close();
    await rest;
    for (const [name, offsets] of seen) expect(offsets, name).toEqual(Array.from({ length: 50 }, (_, at) => at));
    // Every loop came back after its last record, so all is processed.
    expect(await group.describe()).toMatchObject({ lag: 0, members: [] });
  });

  it("workers of a queue handle each record, and those that fail again", async () => {
    await fill("jobs", 200);
    await client.stream("dead").create();
    const group = client.group("workers");
    await group.create({ mode: "queue", streams: ["jobs"], deadLetter: "dead", attemptsMax: 3, retryDelayMs: 0 });
    const handled = new Map<number, number>();
    const ending = new AbortController();
    const work = async (delivery: Delivery): Promise<void> => {
      handled.set(delivery.offset, (handled.get(delivery.offset) ?? 0) + 1);
      if (delivery.offset % 50 === 7) throw new Error(`cannot do ${delivery.text()}`);
      if (delivery.offset % 50 === 8 && delivery.attempt === 1) await delivery.nack({ delayMs: 0 });
    };
    const options = { concurrency: 8, signal: ending.signal };
    await using other = connect(node.url(scheme));
    const workers = [group.run(work, options), other.group("workers").run(work, options)];
    const letters: string[] = [];
    for await (const letter of client.stream("dead").subscribe()) {
      letters.push(letter.text());
      if (letters.length === 4) break;
    }
    while ((await group.describe()).lag > 0) await new Promise((resolve) => setImmediate(resolve));
    ending.abort();
    await Promise.all(workers);
    expect(letters.sort()).toEqual(["jobs 107", "jobs 157", "jobs 57", "jobs 7"]);
    expect(handled.size).toBe(200);
    for (const [offset, times] of handled) expect(times, `${offset}`).toBe({ 7: 3, 8: 2 }[offset % 50] ?? 1);
    expect(await group.describe()).toMatchObject({ lag: 0, inFlight: 0, dead: 0, deadLettered: 4, dropped: 0 });
  });

  it("a loop over a queue waits for records, and settles each as it likes", async () => {
    await client.stream("q").create();
    const group = client.group("loop");
    await group.create({ mode: "queue", streams: ["q"], retryDelayMs: 0 });
    const deliveries = group.take({ count: 4 });
    const first = deliveries.next();
    await client.stream("q").append(["a", "b", "c"]);
    const { value: a } = await first;
    expect([a?.text(), a?.attempt, a?.stream]).toEqual(["a", 1, "q"]);
    const { value: b } = await deliveries.next();
    await Promise.all([a?.ack(), b?.nack()]);
    await expect(a?.ack()).rejects.toMatchObject({ code: "invalid-argument" });
    const { value: c } = await deliveries.next();
    await c?.extend(60_000);
    const { value: again } = await deliveries.next();
    expect([again?.text(), again?.attempt]).toEqual(["b", 2]);
    await Promise.all([c?.ack(), again?.ack()]);
    await deliveries.close();
    expect(await deliveries.next()).toEqual({ done: true, value: undefined });
    expect(await group.describe()).toMatchObject({ lag: 0, inFlight: 0 });
  });

  it("gives back what was not delivered", async () => {
    await fill("back", 3);
    const group = client.group("back");
    await group.create({ mode: "queue", streams: ["back"] });
    for await (const delivery of group.take({ count: 3 })) {
      await delivery.ack();
      break;
    }
    for await (const delivery of client.group("back").take({ count: 2 })) {
      expect([delivery.offset, delivery.attempt]).toEqual([1, 1]);
      break;
    }
  });

  it("goes on after a restart, in both modes", async () => {
    await fill("r", 10);
    const queue = client.group("r-queue");
    const shared = client.group("r-shared");
    await queue.create({ mode: "queue", streams: ["r"] });
    await shared.create({ mode: "partitions", streams: ["r"] });
    const statuses: string[] = [];
    await using deliveries = queue.take({ onStatus: ({ kind }) => statuses.push(kind) });
    await using member = await shared.join();
    const jobs: number[] = [];
    const read: number[] = [];
    const take = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at += 1) {
        const { value: job } = await deliveries.next();
        if (job === undefined) throw new Error("the queue has ended");
        jobs.push(job.offset);
        await job.ack();
        const { value: record } = await member.next();
        if (record === undefined) throw new Error("the membership has ended");
        read.push(record.offset);
      }
    };
    await take(5);
    await node.stop();
    const rest = take(10);
    await node.start();
    await client.stream("r").append(["10", "11", "12", "13", "14"]);
    await rest;
    expect(jobs).toEqual(Array.from({ length: 15 }, (_, at) => at));
    expect(read).toEqual(jobs);
    expect(statuses).toContain("disconnected");
    expect(statuses.at(-1)).toBe("connected");
  });

  it("is reset to offsets, times, the start and the end", async () => {
    await fill("reset", 5);
    const group = client.group("reset");
    await group.create({ mode: "queue", streams: ["reset"], from: "now" });
    const moves = async (...args: Parameters<typeof group.reset>): Promise<unknown> =>
      (await group.reset(...args)).moves;
    const dry = await group.reset("start", { dryRun: true });
    expect(dry).toEqual({ dryRun: true, busy: false, moves: [{ stream: "reset", from: 5, to: 0, tail: 5 }] });
    expect((await group.describe()).lag).toBe(0);
    expect(await moves({ places: { reset: 2 } })).toEqual([{ stream: "reset", from: 5, to: 2, tail: 5 }]);
    expect(await moves({ time: 0 })).toEqual([{ stream: "reset", from: 2, to: 0, tail: 5 }]);
    expect(await moves("end")).toEqual([{ stream: "reset", from: 0, to: 5, tail: 5 }]);
    expect(await moves("start", { streams: [] })).toEqual([]);
    await expect(group.reset("start", { streams: ["other"] })).rejects.toMatchObject({ code: "stream-not-found" });
    await expect(group.reset({ places: { other: 0 } })).rejects.toMatchObject({ code: "stream-not-found" });
    await group.reset("start");
    const { value: job } = await group.take().next();
    await expect(group.reset("start")).rejects.toMatchObject({ code: "group-busy" });
    expect(await group.reset("end", { force: true })).toMatchObject({ busy: true });
    await expect(job?.ack()).rejects.toMatchObject({ code: "fenced", outcome: "not-applied" });
  });

  it("is listed, and refused where there is none", async () => {
    for (const id of ["l-1", "l-2", "m"]) await client.group(id).create({ mode: "queue", streams: ["s"] });
    const ids = async (options: Parameters<typeof client.groups>[0]): Promise<string[]> => {
      const found: string[] = [];
      for await (const { id } of client.groups(options)) found.push(id);
      return found;
    };
    expect(await ids({})).toEqual(["l-1", "l-2", "m"]);
    expect(await ids({ prefix: "l-" })).toEqual(["l-1", "l-2"]);
    expect(await ids({ prefix: "l-", limit: 1 })).toEqual(["l-1"]);
    expect(await ids({ after: "l-1" })).toEqual(["l-2", "m"]);
    const none = client.group("none");
    const code = async (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => undefined,
        (error: unknown) => (error as TidemarkError).code,
      );
    expect(await code(none.describe())).toBe("group-not-found");
    expect(await code(none.delete())).toBe("group-not-found");
    expect(await code(none.join())).toBe("group-not-found");
    expect(await code(none.take().next())).toBe("group-not-found");
    expect(await code(none.run(() => undefined))).toBe("group-not-found");
    expect(await code(client.group("m").join())).toBe("invalid-group");
    expect(await code(client.group("l-1").create({ mode: "partitions", streams: ["s"] }))).toBe("group-exists");
    expect(await code(client.group("x").create({ mode: "partitions", streams: ["s"], attemptsMax: 1 }))).toBe(
      "invalid-argument",
    );
  });

  it("ends for who works on it when it is deleted", async () => {
    await client.stream("d").create();
    const group = client.group("d");
    await group.create({ mode: "queue", streams: ["d"] });
    const waiting = group.run(() => undefined);
    // Its take has found nothing; whenever the group goes, it hears.
    await group.describe();
    await group.delete();
    await expect(waiting).rejects.toMatchObject({ code: "group-not-found" });
  });

  it("hears of the caller's signal", async () => {
    await client.stream("s").create();
    const queue = client.group("sq");
    const shared = client.group("ss");
    await queue.create({ mode: "queue", streams: ["s"] });
    await shared.create({ mode: "partitions", streams: ["s"] });
    const ending = new AbortController();
    const { signal } = ending;
    const job = queue.take({ signal }).next();
    await using member = await shared.join({ signal });
    const record = member.next();
    const running = queue.run(() => undefined, { signal });
    ending.abort();
    await expect(job).rejects.toMatchObject({ code: "aborted" });
    await expect(record).rejects.toMatchObject({ code: "aborted" });
    await running;
    await member.close();
    expect((await shared.describe()).members).toEqual([]);
  });
});
