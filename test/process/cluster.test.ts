/**
 * Three servers as processes, on loopback: they found a cluster, go on without the one that led, take it back, refuse
 * one that lost its disk, and hand leadership over when they are told to stop.
 */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { connect } from "../../client/client.ts";
import type { ClusterStatus } from "../../client/cluster.ts";
import type { Stream } from "../../client/stream.ts";
import { append, create, readMessages, send } from "./http.ts";
import { complaintsIn, eventsIn, Server } from "./server.ts";
import {
  appended,
  cli,
  Cluster,
  LOOK_EVERY_MS,
  NAMES,
  others,
  PATIENCE_MS,
  STREAM,
  upTo,
  type View,
} from "./server-cluster.ts";

/** Heard so long ago a member does not keep up. */
const SILENT_MS = 2_500;

/** Snapshots soon, and what is below them goes soon. */
const SOON_TRIMMED = {
  imageEveryMs: 500,
  imageEveryBytes: 65_536,
  snapshotEveryBytes: 262_144,
  housekeepingEveryMs: 500,
};

/** Whoever has nothing of the log from now on is behind what it has: a stream that is deleted leaves a hole. */
async function trimmed(cluster: Cluster, leader: string): Promise<void> {
  const { url } = cluster.server(leader);
  expect((await create(url, "gone")).status).toBe(201);
  const body = JSON.stringify("x".repeat(100_000));
  // On a busy machine one of these may not be answered in time: it is to be deleted anyway.
  for (let times = 0; times < 100; times += 1) await append(url, "gone", { body });
  await send(`${url}/v1/stream/gone`, { method: "DELETE" });
  const dropped = (): boolean =>
    eventsIn(cluster.server(leader).stderr).some(({ event }) => event === "segments-dropped");
  expect((await create(url, "filler")).status).toBe(201);
  for (const end = Date.now() + PATIENCE_MS; !dropped(); await sleep(LOOK_EVERY_MS)) {
    expect(Date.now()).toBeLessThan(end);
    expect((await append(url, "filler", { body })).status).toBeLessThan(300);
  }
}

/** Numbers appended one after the other, each a millisecond after the one before, until it is told to end. */
class Load {
  #sent: number;
  #ended = false;
  readonly #running: Promise<void>;

  constructor(stream: Stream, first: number) {
    this.#sent = first;
    this.#running = this.#run(stream);
  }

  get sent(): number {
    return this.#sent;
  }

  /** What fails must end the test at once. */
  orFails<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#running.then(() => Promise.reject(new Error("the load has ended")))]);
  }

  async hasSent(count: number): Promise<void> {
    while (this.#sent < count) await this.orFails(sleep(LOOK_EVERY_MS));
  }

  /** Resolves to the number after the last, once not one was refused or is not known to be there. */
  async end(): Promise<number> {
    this.#ended = true;
    await this.#running;
    return this.#sent;
  }

  async #run(stream: Stream): Promise<void> {
    const producer = stream.producer();
    const receipts: Promise<unknown>[] = [];
    while (!this.#ended) {
      await producer.ready();
      receipts.push(producer.append({ json: this.#sent }));
      this.#sent += 1;
      await sleep(1);
    }
    await producer.close();
    await Promise.all(receipts);
  }
}

/** Until this server says that it, or the leader, has not heard the node for long. */
async function silent(url: string, name: string): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(LOOK_EVERY_MS)) {
    const { body } = await send(`${url}/v1/cluster`, { method: "GET" });
    const { members } = JSON.parse(Buffer.from(body).toString()) as ClusterStatus;
    if ((members.find(({ node }) => node === name)?.silentMs ?? 0) > SILENT_MS) return;
  }
  throw new Error(`${name} is not found silent at ${url}`);
}

describe("three servers", () => {
  it("go on without their leader, take it back, and refuse one without its disk", async () => {
    const cluster = await Cluster.started();
    const ids = NAMES.map((name) => {
      const ready = cluster.server(name).events.find(({ event }) => event === "ready");
      return ready?.["cluster"];
    });
    expect(new Set(ids).size).toBe(1);
    const first = await cluster.leader();
    for (const other of others(first))
      expect(await cluster.metricsOf(first)).toContain(`tidemark_peer_connected{peer="${other}"} 1`);
    expect((await create(cluster.server(first).url, STREAM)).status).toBe(201);
    for (let sequence = 0; sequence < 20; sequence += 1) await appended(cluster.server(first).url, sequence);

    await cluster.server(first).kill();
    const second = await cluster.leader(others(first));
    for (let sequence = 20; sequence < 40; sequence += 1) await appended(cluster.server(second).url, sequence);

    await cluster.spawn(first).ready();
    for (const name of NAMES) expect(await readMessages(cluster.server(name).url, STREAM)).toEqual(upTo(40));

    const lost = others(second)[0] as string;
    await cluster.server(lost).kill();
    rmSync(cluster.dataOf(lost), { recursive: true });
    const wiped = cluster.spawn(lost);
    await wiped.logged("peer-refused");
    expect(eventsIn(wiped.stderr).find(({ event }) => event === "peer-refused")).toMatchObject({
      code: "disk-changed",
    });
    expect(wiped.url).toBe("");
    await appended(cluster.server(second).url, 40);
    expect(await readMessages(cluster.server(second).url, STREAM)).toEqual(upTo(41));

    // Told to, the others take it in anew: it is caught up, votes, and has everything.
    const url = cluster.server(second).url;
    const replaced = await cli(["cluster", "replace", lost, "--url", url]);
    expect(replaced).toContain("joining");
    await wiped.ready();
    const view = JSON.parse(await cli(["cluster", "wait", "--url", wiped.url, "-o", "json"])) as View;
    expect(view.members.map(({ node, role }) => [node, role])).toEqual(NAMES.map((name) => [name, "voter"]));
    await appended(wiped.url, 41);
    expect(await readMessages(wiped.url, STREAM)).toEqual(upTo(42));
    // It stands in for the one that goes now.
    const third = others(second).find((name) => name !== lost) as string;
    await cluster.server(third).kill();
    await appended(wiped.url, 42);
    expect(await readMessages(wiped.url, STREAM)).toEqual(upTo(43));
    // Nor does a founder that starts again turn it away by the disks that were there at the founding.
    await cluster.spawn(third).ready();
    expect(eventsIn(cluster.server(third).stderr).filter(({ event }) => event === "peer-refused")).toEqual([]);
    await cluster.server(third).kill();
    // Whoever is asked knows that one is missing, the leader or not: 5, unavailable.
    for (const each of [url, wiped.url]) {
      await silent(each, third);
      const waited = cli(["cluster", "wait", "--stalled", "3", "--url", each]);
      await expect(waited).rejects.toMatchObject({ code: 5, stderr: expect.stringContaining(third) });
    }
  });

  it("take in a fourth, hand leadership to whom they are told to, and let one go", async () => {
    const cluster = await Cluster.started();
    const first = await cluster.leader();
    const { url } = cluster.server(first);
    expect((await create(url, STREAM)).status).toBe(201);
    await appended(url, 0);
    const [elsewhere, gone] = others(first) as [string, string];
    const asked = cluster.server(elsewhere).url;
    expect(await cli(["cluster", "add", `n4=${cluster.addressOf("n4")}`, "--url", asked])).toContain("joining");
    const fourth = cluster.spawn("n4");
    await fourth.ready();
    await cli(["cluster", "wait", "--url", url]);
    await using client = connect([`ws://${cluster.listenOf(elsewhere)}`]);
    await client.cluster().transfer("n4");
    expect(await cluster.leader(["n4"])).toBe("n4");
    expect(await client.cluster().status()).toMatchObject({ leader: "n4", node: elsewhere, changing: false });
    await expect(client.cluster().remove("n4")).rejects.toMatchObject({ code: "cluster-conflict" });
    await expect(client.cluster().remove("n9")).rejects.toMatchObject({ code: "member-not-found" });
    const view = JSON.parse(await cli(["cluster", "remove", gone, "--url", asked, "-o", "json"])) as View;
    expect(view.members.map(({ node }) => node)).not.toContain(gone);
    await appended(fourth.url, 1);
    for (const name of [first, elsewhere, "n4"])
      expect(await readMessages(cluster.server(name).url, STREAM)).toEqual(upTo(2));
    // What they know of each other they know from the log, whatever they are told at a start.
    await fourth.stop();
    await cluster.spawn("n4").ready();
    await appended(cluster.server("n4").url, 2);
  });

  it("ship a snapshot to one that is behind what they have, and it starts anew with that", async () => {
    const cluster = await Cluster.started(SOON_TRIMMED);
    const leader = await cluster.leader();
    const behind = others(leader)[0] as string;
    const { url } = cluster.server(leader);
    expect((await create(url, STREAM)).status).toBe(201);
    for (let sequence = 0; sequence < 10; sequence += 1) await appended(url, sequence);
    await cluster.server(behind).kill();
    for (let sequence = 10; sequence < 20; sequence += 1) await appended(url, sequence);
    await trimmed(cluster, leader);

    const again = cluster.spawn(behind);
    await again.ready();
    expect(again.events.some(({ event }) => event === "node-starts-anew")).toBe(true);
    expect(await readMessages(again.url, STREAM)).toEqual(upTo(20));
    await appended(again.url, 20);
    expect(await readMessages(url, STREAM)).toEqual(upTo(21));
    expect(complaintsIn(again.stderr)).toEqual([]);
  });

  it("take in a fourth that is behind what they have, under load: it is shipped a snapshot, votes, and reads right", async () => {
    const cluster = await Cluster.started(SOON_TRIMMED);
    const leader = await cluster.leader();
    const { url } = cluster.server(leader);
    expect((await create(url, STREAM)).status).toBe(201);
    for (let sequence = 0; sequence < 10; sequence += 1) await appended(url, sequence);
    await trimmed(cluster, leader);

    await using client = connect(NAMES.map((name) => `http://${cluster.listenOf(name)}`));
    const load = new Load(client.stream(STREAM), 10);
    await load.hasSent(20);
    expect(await cli(["cluster", "add", `n4=${cluster.addressOf("n4")}`, "--url", url])).toContain("joining");
    const fourth = cluster.spawn("n4");
    await load.orFails(fourth.ready());
    await load.orFails(cli(["cluster", "wait", "--url", url]));
    const before = load.sent;
    await load.hasSent(before + 20);
    const total = await load.end();

    expect(cluster.server(leader).events.filter(({ event }) => event === "snapshot-sent")).toMatchObject([
      { node: "n4" },
    ]);
    expect(fourth.events.map(({ event }) => event)).toContain("snapshot-installed");
    const { members } = await client.cluster().status();
    expect(members.find(({ node }) => node === "n4")?.role).toBe("voter");
    const installed = /^tidemark_snapshot_installed_index (\d+)$/m.exec(await cluster.metricsOf("n4"))?.[1];
    expect(Number(installed)).toBeGreaterThan(0);
    expect(await readMessages(fourth.url, STREAM)).toEqual(upTo(total));
    // Of four, three make a majority: it counts.
    await cluster.server(others(leader)[0] as string).kill();
    await using there = connect([fourth.url]);
    await there.stream(STREAM).append({ json: total });
    expect(await readMessages(fourth.url, STREAM)).toEqual(upTo(total + 1));
    expect(complaintsIn(fourth.stderr)).toEqual([]);
  });

  it("hand leadership over before they stop, one after the other", async () => {
    const cluster = await Cluster.started();
    const first = await cluster.leader();
    expect((await create(cluster.server(first).url, STREAM)).status).toBe(201);
    let sequence = 0;
    for (const name of [first, ...others(first)]) {
      const stopped = cluster.server(name);
      const elsewhere = cluster.server(others(name)[0] as string);
      await appended(elsewhere.url, sequence);
      sequence += 1;
      const ended = stopped.stop();
      await appended(elsewhere.url, sequence);
      sequence += 1;
      expect(await ended).toMatchObject({ code: 0 });
      await cluster.spawn(name).ready();
    }
    for (const name of NAMES) expect(await readMessages(cluster.server(name).url, STREAM)).toEqual(upTo(sequence));
  });

  it("are restarted one after the other under load, and who uses them sees nothing of it", async () => {
    const cluster = await Cluster.started();
    await using client = connect(NAMES.map((name) => `http://${cluster.listenOf(name)}`));
    const stream = client.stream(STREAM);
    await stream.create({ contentType: "application/json" });
    const read: unknown[] = [];
    let total = Number.POSITIVE_INFINITY;
    const stop = new AbortController();
    const reading = (async () => {
      for await (const record of stream.subscribe({ from: "start", signal: stop.signal })) {
        read.push(record.json());
        if (read.length === total) break;
      }
    })();
    const load = new Load(stream, 0);
    const first = await cluster.leader();
    for (const name of [first, ...others(first)]) {
      const before = load.sent;
      expect(await load.orFails(Promise.race([reading, cluster.server(name).stop()]))).toMatchObject({ code: 0 });
      await load.orFails(Promise.race([reading, cluster.spawn(name).ready()]));
      await cli(["cluster", "wait", "--url", `http://${cluster.listenOf(name)}`]);
      expect(load.sent).toBeGreaterThan(before);
    }
    const sent = await load.end();
    // One more, so that the reader sees that it has all.
    total = sent + 1;
    await stream.append({ json: sent });
    await reading;
    stop.abort();
    expect(read).toEqual(upTo(total));
    for (const name of NAMES) expect(await readMessages(cluster.server(name).url, STREAM)).toEqual(upTo(total));
  });

  it("are not started apart, once they are a cluster", async () => {
    const cluster = await Cluster.started();
    await cluster.server("n2").stop();
    const { code, stderr } = await Server.spawn(cluster.dataOf("n2")).ended();
    expect(code).toBe(1);
    expect(complaintsIn(stderr)).toEqual([expect.stringContaining("needs --peers and --peer-listen")]);
  });
});
