/** The runtime's log on a real node: what tasks read, how their commits take effect once (I12). */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type Client } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import { BEFORE_RECORDS, compareRecordPlaces, type RecordPlace } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import type { Feed, FeedItem, FeedRecord, TaskLog } from "../../src/runtime/task-log.ts";
import type { TaskCommit } from "../../src/wire/app-command.ts";
import { commitsStream } from "../../src/wire/app-streams.ts";

let node: RunningNode;
let client: Client;
let log: TaskLog;
let names = 0;

beforeAll(async () => {
  node = await startNode();
  client = connect(node.url.replace(/^http/, "ws"));
  log = client.taskLog();
});

afterAll(async () => {
  await client.close();
  await node.close();
});

const START: TaskPlace = { cursor: BEFORE_RECORDS, outputs: 0 };

async function fresh(...more: readonly string[]): Promise<string[]> {
  names += 1;
  const streams = ["", ...more].map((name) => `s${names}${name}`);
  for (const stream of streams) await client.stream(stream).create();
  return streams;
}

async function until(feed: Feed, enough: (items: readonly FeedItem[]) => boolean): Promise<FeedItem[]> {
  const items: FeedItem[] = [];
  while (!enough(items)) items.push(...((await feed.next()) ?? []));
  return items;
}

const recordsIn = (items: readonly FeedItem[]) => items.filter((item): item is FeedRecord => item.kind === "record");
const records = (count: number) => (items: readonly FeedItem[]) => recordsIn(items).length >= count;
const texts = (items: readonly FeedItem[]) => recordsIn(items).map(({ value }) => text(value ?? new Uint8Array()));

describe("a feed", () => {
  it("has records of several streams in log order, each with its own place, and marks behind them", async () => {
    const [a = "", b = ""] = await fresh("b");
    await client.stream(a).append(["a0", "a1", "a2"]);
    await client.stream(b).append([{ value: "b0", key: "k", headers: { h: "v" }, timestamp: 5 }]);
    await client.stream(a).append(["a3"]);
    const feed = log.follow([{ stream: b }, { stream: a }], BEFORE_RECORDS);
    const items = await until(feed, (seen) => records(5)(seen) && seen.at(-1)?.kind === "mark");
    expect(texts(items)).toEqual(["a0", "a1", "a2", "b0", "a3"]);
    const places = recordsIn(items).map(({ place }) => place);
    for (const [n, place] of places.entries())
      if (n > 0) expect(compareRecordPlaces(place, places[n - 1] as RecordPlace)).toBeGreaterThan(0);
    expect(places.slice(0, 3).map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(recordsIn(items)[3]).toMatchObject({ stream: b, offset: 0, key: utf8("k"), timestamp: 5 });
    const mark = items.at(-1);
    expect(mark?.kind === "mark" && mark.position).toBeGreaterThan(places.at(-1)?.position ?? Infinity);
    feed.close();
    expect(await feed.next()).toBeUndefined();
  });

  it("goes on from a place within a batch: that batch comes again, and nothing before it", async () => {
    const [a = ""] = await fresh();
    await client.stream(a).append(["a0"]);
    await client.stream(a).append(["a1", "a2", "a3"]);
    const first = log.follow([{ stream: a }], BEFORE_RECORDS);
    const seen = recordsIn(await until(first, records(4)));
    first.close();
    const again = log.follow([{ stream: a }], seen[2]?.place as RecordPlace);
    expect(texts(await until(again, records(3)))).toEqual(["a1", "a2", "a3"]);
    again.close();
  });

  it("waits for a stream that is missing, and ends where one is deleted", async () => {
    const [a = ""] = await fresh();
    await client.stream(a).append(["a0"]);
    const feed = log.follow([{ stream: a }, { stream: `${a}-late` }], BEFORE_RECORDS);
    const items = until(feed, records(2));
    await client.stream(`${a}-late`).create();
    await client.stream(`${a}-late`).append(["late"]);
    expect(texts(await items)).toEqual(["a0", "late"]);
    await client.stream(a).delete();
    await expect(until(feed, () => false)).rejects.toMatchObject({ code: "stream-gone" });
    const waiting = log.follow([{ stream: `${a}-never` }], BEFORE_RECORDS);
    const pending = waiting.next();
    waiting.close();
    expect(await pending).toBeUndefined();
  });

  it("tells what is no longer kept, if it is asked for", async () => {
    const [a = ""] = await fresh();
    for (const value of ["a0", "a1", "a2", "a3"]) await client.stream(a).append([value]);
    const whole = log.follow([{ stream: a }], BEFORE_RECORDS);
    const [first] = recordsIn(await until(whole, records(4)));
    whole.close();
    await client.stream(a).trim(3);
    for (const after of [BEFORE_RECORDS, first?.place as RecordPlace]) {
      const feed = log.follow([{ stream: a, offset: 1 }], after);
      const items = (await until(feed, records(1))).filter(({ kind }) => kind !== "mark");
      expect(items[0]).toEqual({ kind: "gap", stream: a, from: 1, to: 3 });
      expect(texts(items)).toEqual(["a3"]);
      feed.close();
    }
    const feed = log.follow([{ stream: a }], BEFORE_RECORDS);
    expect((await until(feed, records(1))).filter(({ kind }) => kind === "gap")).toEqual([]);
    feed.close();
  });
});

describe("a commit", () => {
  const outputsTo = (stream: string, ...values: readonly string[]): TaskOutput[] =>
    values.map((value, n) => ({ stream, value: utf8(value), timestamp: n, ...(n === 0 && { key: utf8("k") }) }));

  async function app(): Promise<{ commit: (more?: Partial<TaskCommit>) => TaskCommit; out: string; name: string }> {
    const [out = ""] = await fresh();
    const name = `app-${out}`;
    await client.stream(commitsStream(name, "0.0")).create();
    const { epoch } = await client.app(name).deploy({ version: 1, tasks: [{ task: "0.0", inputs: ["in"] }] });
    const digests = [{ records: 1, logTime: 2, state: 3n, outputs: 4n }];
    const to = { cursor: { position: 1, ordinal: 0, index: 1 }, outputs: 3 };
    const base = { app: name, task: "0.0", epoch, replica: "r", from: START, to, chain: 5n, digests, nextDue: 6 };
    return { commit: (more = {}) => ({ ...base, ...more }), out, name };
  }

  it("is all there at once: outputs, the task's place, and a record of it that replicas read behind what it covers", async () => {
    const { commit, out, name } = await app();
    const made = commit();
    const outputs = [...outputsTo(out, "o1", "o2"), ...outputsTo(`${out}-b`, "b1")];
    expect(await log.commit(made, outputs)).toMatchObject({ ok: false, error: { kind: "refused" } });
    await client.stream(`${out}-b`).create();
    expect(await log.commit(made, outputs)).toEqual({ ok: true });
    const commits = commitsStream(name, "0.0");
    const feed = log.follow([{ stream: commits }, { stream: out }, { stream: `${out}-b` }], BEFORE_RECORDS);
    const seen = recordsIn(await until(feed, records(4)));
    expect(seen.map(({ stream }) => stream)).toEqual([out, out, `${out}-b`, commits]);
    expect(new Set(seen.map(({ place }) => place.position)).size).toBe(1);
    expect(log.readCommit(seen[3] as FeedRecord)).toEqual(made);
    expect(seen[0]).toMatchObject({ key: utf8("k"), value: utf8("o1"), timestamp: 0 });
    const by = { app: name, task: "0.0", epoch: made.epoch, replica: "s" };
    expect(await log.say(by, { key: utf8("objection"), value: utf8("no") })).toEqual({ ok: true });
    expect(log.readCommit(recordsIn(await until(feed, records(1)))[0] as FeedRecord)).toBeUndefined();
    expect(await log.say({ ...by, epoch: made.epoch + 1 }, { value: null })).toMatchObject({ ok: false });
    expect(await feed.trim({ ...by, epoch: made.epoch + 1 }, commits, 1)).toMatchObject({ ok: false });
    expect(await feed.trim(by, commits, 1)).toEqual({ ok: true });
    expect(await client.stream(commits).describe()).toMatchObject({ firstOffset: 1, nextOffset: 2 });
    feed.close();
    expect(await log.task(name, "0.0")).toEqual({
      epoch: made.epoch,
      begins: new Map([["in", 0]]),
      verified: undefined,
      paused: false,
      place: made.to,
      chain: 5n,
      committing: "r",
      nextDue: 6,
      digest: made.digests[0],
      start: BEFORE_RECORDS,
      born: made.epoch,
    });
    expect([await log.task(name, "9.9"), await log.task("none", "0.0")]).toEqual([undefined, undefined]);
  });

  it("is refused for what it is, and nothing of it is there", async () => {
    const { commit, out, name } = await app();
    const made = commit();
    const refused = async (more: Partial<TaskCommit>) => {
      const done = await log.commit(commit(more), outputsTo(out, "never"));
      return done.ok ? undefined : done.error;
    };
    expect(await log.commit(made, outputsTo(out, "once"))).toEqual({ ok: true });
    expect(await refused({})).toEqual({ kind: "moved", place: made.to });
    expect(await refused({ from: made.to, epoch: made.epoch + 1 })).toEqual({ kind: "fenced" });
    expect(await refused({ from: made.to, app: "none" })).toMatchObject({ kind: "refused" });
    await client.app(name).pause();
    expect(await refused({ from: made.to })).toEqual({ kind: "paused" });
    await client.app(name).resume();
    const huge = [{ stream: out, value: new Uint8Array(9 * 1024 * 1024), timestamp: 0 }];
    expect(await log.commit(commit({ from: made.to }), huge)).toMatchObject({ ok: false, error: { kind: "refused" } });
    await client.app(name).delete();
    expect(await refused({ from: made.to })).toEqual({ kind: "gone" });
    const by = { app: name, task: "0.0", epoch: made.epoch, replica: "r" };
    expect(await log.say(by, { value: null })).toMatchObject({ ok: false });
    const feed = log.follow([{ stream: out }], BEFORE_RECORDS);
    const items = await until(feed, (seen) => seen.at(-1)?.kind === "mark" && records(1)(seen));
    expect(texts(items)).toEqual(["once"]);
    feed.close();
  });
});
