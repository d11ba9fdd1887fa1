/**
 * The last resort for damage that nobody makes good: the log is shipped anew while the node goes on, and takes the old one's
 * place only where nothing that is intact goes with that (I13, N65).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SegmentedLog } from "../../log-server/log/segmented-log.ts";
import type { NodeLimits } from "../../log-server/node/limits.ts";
import type { FollowerStatus, NodeStatus as RaftStatus } from "../../log-server/raft/node-status.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";
import { goesOnWithout } from "../../log-server/node/repair/renewer.ts";
import { append, asAppended, create, readAll } from "./sim-node.ts";

const NAMES = ["n1", "n2", "n3"];
const COUNT = 40;
/** Larger than two sectors, so that what is harmed of one entry is nothing of another. */
const FILLER = "x".repeat(1_200);
const AFTER_MS = 60_000;
const PAUSE_MS = 120_000;
const LIMITS: Partial<NodeLimits> = {
  scrubFirstMs: 1e9,
  renewAfterMs: AFTER_MS,
  renewAskEveryMs: 5_000,
  renewPauseMs: PAUSE_MS,
  renewPauseMsMax: 4 * PAUSE_MS,
};

class World {
  readonly cluster: SimCluster;
  readonly notes: string[];
  readonly values: string[] = [];
  /** Told of what nodes say. */
  heard: (line: string) => void = () => undefined;

  private constructor(cluster: SimCluster, notes: string[]) {
    this.cluster = cluster;
    this.notes = notes;
  }

  static async filled(limits: Partial<NodeLimits> = {}, nodes = NAMES.length): Promise<World> {
    const notes: string[] = [];
    let world: World | undefined = undefined as World | undefined;
    const cluster = await SimCluster.started({
      nodes,
      limits: { ...LIMITS, ...limits },
      note: (line) => {
        notes.push(line);
        world?.heard(line);
      },
    });
    world = new World(cluster, notes);
    await cluster.settle(cluster.propose((await cluster.elected()).name, create("s")));
    for (let at = 0; at < COUNT; at += 1) await world.append();
    await cluster.agreed();
    await world.lead("n1");
    return world;
  }

  async append(): Promise<void> {
    const value = `value ${this.values.length} ${FILLER}`;
    await this.cluster.until(() => this.cluster.leader?.node?.phase === "serving", "somebody leads");
    const { name } = this.cluster.leader as { name: string };
    asAppended(await this.cluster.settle(this.cluster.propose(name, append("s", [value]))));
    this.values.push(value);
  }

  async lead(node: string): Promise<void> {
    const { name } = await this.cluster.elected();
    if (name !== node) await this.cluster.settle(this.cluster.node(name).changeCluster({ kind: "transfer", node }));
    await this.cluster.until(() => this.cluster.leader?.name === node, "it leads");
  }

  harm(name: string, at: number): void {
    const { disk } = this.cluster.member(name);
    const value = this.values[at] as string;
    const path = disk.files().find((one) => Buffer.from(disk.bytes(one)).includes(value)) as string;
    disk.flip(path, Buffer.from(disk.bytes(path)).indexOf(value), 2);
  }

  /** How many places are damaged there, once all was read. */
  async verified(name: string): Promise<number> {
    const node = this.cluster.node(name);
    const pass = node.verify();
    await this.cluster.until(() => node.status().scrub.passes >= pass, "all was read", 20_000);
    return node.status().damage.length;
  }

  /** Of this node. */
  told(name: string, code: string): number {
    return this.notes.filter((line) => line.includes(` ${name} ${code} `)).length;
  }

  tries(name: string): number {
    return this.cluster.node(name).status().renewal?.tries ?? 0;
  }

  async expectWhole(): Promise<void> {
    const { cluster } = this;
    await cluster.until(() => cluster.up.length === NAMES.length, "all are up");
    await cluster.agreed();
    for (const name of NAMES) {
      expect(await this.verified(name), name).toBe(0);
      expect(await cluster.settle(readAll(cluster.node(name), "s")), name).toEqual(this.values);
    }
    expect(cluster.failures, this.notes.join("\n")).toEqual([]);
  }
}

/** Of the values before the one with this number, and behind it. */
async function expectServes({ cluster, values }: World, name: string, harmed: number): Promise<void> {
  const node = cluster.node(name);
  await cluster.agreed();
  expect(await cluster.settle(readAll(node, "s", harmed + 1))).toEqual(values.slice(harmed + 1));
  await expect(cluster.settle(readAll(node, "s"))).rejects.toThrow(/^damaged/);
}

describe("damage that nobody makes good", () => {
  // Why nobody does is another matter: see `given-up.test.ts`.
  beforeEach(() => {
    vi.spyOn(SegmentedLog.prototype, "offered").mockResolvedValue({ previousHash: 0n, entries: [] });
    vi.spyOn(SegmentedLog.prototype, "kept").mockResolvedValue(undefined);
    vi.spyOn(SegmentedLog.prototype, "keptRange").mockResolvedValue(undefined);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("goes with the log, which the leader ships while this node goes on", async () => {
    const world = await World.filled();
    const { cluster } = world;
    world.harm("n2", 5);
    expect(await world.verified("n2")).toBe(1);
    await cluster.pass(AFTER_MS - 10_000);
    expect(world.tries("n2")).toBe(0);
    await expectServes(world, "n2", 5);
    await cluster.until(() => world.tries("n2") > 0, "it is shipped");
    for (let at = 0; at < 5; at += 1) await world.append();
    await cluster.until(() => world.told("n2", "snapshot-installed") > 0, "it is in place");
    expect(world.told("n2", "log-end-ambiguous"), "nothing was given up").toBe(0);
    await world.expectWhole();
    expect(world.told("n2", "renewing")).toBe(1);
  });

  it("goes where the log never rests, too", async () => {
    const world = await World.filled();
    const { cluster } = world;
    world.harm("n2", 5);
    await world.verified("n2");
    await cluster.until(() => world.tries("n2") > 0, "it is shipped", 2 * AFTER_MS);
    for (let more = 0; world.told("n2", "snapshot-installed") === 0; more += 1) {
      expect(more).toBeLessThan(1_000);
      await world.append();
      await cluster.pass(20);
    }
    expect(world.told("n2", "renewal-closing")).toBe(1);
    expect(world.told("n2", "log-end-ambiguous"), "nothing was given up").toBe(0);
    await world.expectWhole();
  });

  it("is no reason to take no entries for long", async () => {
    const world = await World.filled();
    const { cluster } = world;
    world.harm("n2", 5);
    await world.verified("n2");
    world.heard = (line) => {
      if (line.includes(" n2 renewal-closing ")) cluster.kill("n1", { kind: "all" });
    };
    await cluster.until(() => world.tries("n2") > 0, "it is shipped", 2 * AFTER_MS);
    for (let more = 0; cluster.member("n1").node !== undefined; more += 1) {
      expect(more).toBeLessThan(100);
      await world.append();
      await cluster.pass(100);
    }
    await cluster.until(() => world.told("n2", "renewal-ended") > 0, "it is given up");
    await world.append();
    await expectServes(world, "n2", 5);
    await cluster.settle(cluster.start("n1"));
    await cluster.until(() => world.told("n2", "snapshot-installed") > 0, "the next try", 2 * PAUSE_MS);
    await world.expectWhole();
  });

  it.each([
    ["renewing", 40],
    ["renewal-closing", 3],
    ["renewal-closing", 12],
    ["snapshot-received", 1],
    ["snapshot-received", 20],
    ["snapshot-received", 60],
    ["snapshot-installed", 5],
  ])("goes, or not, and nothing else does, if the power goes: %s, and %i calls of the disk", async (after, calls) => {
    const world = await World.filled();
    const { cluster } = world;
    world.harm("n2", 5);
    await world.verified("n2");
    const { disk } = cluster.member("n2");
    world.heard = (line) => {
      if (line.includes(` n2 ${after} `) && world.told("n2", after) === 1) cluster.killAt("n2", calls);
    };
    await cluster.until(() => world.tries("n2") > 0, "it is shipped", 2 * AFTER_MS);
    for (let at = 0; at < 5; at += 1) await world.append();
    await cluster.until(() => cluster.member("n2").disk !== disk, "the power goes", 60_000);
    // What n2 had acknowledged it has still, or whoever lacks it does not come to lead.
    cluster.isolate("n3");
    await cluster.settle(cluster.start("n2"));
    for (let at = 0; at < 3; at += 1) await world.append();
    cluster.kill("n1", { kind: "all" });
    cluster.network.healAll();
    await world.append();
    await cluster.settle(cluster.start("n1"));
    // Nobody remembers damage over a restart: it is found again.
    if ((await world.verified("n2")) > 0)
      await cluster.until(() => world.told("n2", "snapshot-installed") > 0, "it is in place", 4 * PAUSE_MS);
    await world.expectWhole();
  });

  it("goes from all nodes, one after the other, from that which has none", async () => {
    const world = await World.filled();
    const { cluster } = world;
    world.harm("n1", 3);
    world.harm("n2", 5);
    for (const name of ["n1", "n2"]) expect(await world.verified(name), name).toBe(1);
    await cluster.until(
      () => ["n1", "n2"].every((name) => world.told(name, "snapshot-installed") > 0),
      "both are renewed",
      4 * AFTER_MS,
    );
    expect(world.told("n1", "leadership-given-up")).toBe(1);
    await world.expectWhole();
  });

  it("stays where every node has some, and each what others lack", async () => {
    const world = await World.filled();
    const { cluster } = world;
    for (const [at, name] of NAMES.entries()) world.harm(name, at);
    for (const name of NAMES) expect(await world.verified(name), name).toBe(1);
    await cluster.pass(3 * AFTER_MS);
    expect(NAMES.map((name) => world.tries(name))).toEqual([0, 0, 0]);
    expect(world.told("n1", "leadership-given-up")).toBe(0);
    vi.restoreAllMocks();
    await cluster.pass(30_000);
    await world.expectWhole();
  });

  it("stays where the leader ships what is damaged, too, and did not know it", async () => {
    const world = await World.filled();
    const { cluster } = world;
    world.harm("n1", 3);
    world.harm("n2", 5);
    expect(await world.verified("n2")).toBe(1);
    await cluster.until(() => world.told("n2", "renewal-ended") > 0, "it is given up", 4 * AFTER_MS);
    expect(world.told("n2", "snapshot-installed")).toBe(0);
    expect(
      cluster
        .member("n2")
        .disk.files()
        .filter((path) => path.includes("/incoming/")),
    ).toEqual([]);
    await expectServes(world, "n2", 5);
    expect(await world.verified("n1")).toBe(1);
    await cluster.until(() => world.told("n2", "snapshot-installed") > 0, "another leads, and ships", 4 * PAUSE_MS);
    await cluster.until(() => world.told("n1", "snapshot-installed") > 0, "likewise", 4 * PAUSE_MS);
    await world.expectWhole();
  });

  it("stays while the others would be no majority without this node", async () => {
    const world = await World.filled();
    const { cluster } = world;
    world.harm("n2", 5);
    await world.verified("n2");
    await cluster.pass(AFTER_MS / 2);
    cluster.kill("n3", { kind: "all" });
    await cluster.pass(2 * AFTER_MS);
    expect(world.tries("n2")).toBe(0);
    await cluster.settle(cluster.start("n3"));
    await cluster.until(() => world.told("n2", "snapshot-installed") > 0, "it is in place", 2 * AFTER_MS);
    await world.expectWhole();
  });

  it("does not have the log shipped over and over where that does not help", async () => {
    const world = await World.filled();
    const { cluster } = world;
    world.harm("n2", 5);
    await world.verified("n2");
    await cluster.until(() => world.told("n2", "snapshot-installed") === 1, "it is in place", 2 * AFTER_MS);
    await world.expectWhole();
    world.harm("n2", 5);
    expect(await world.verified("n2")).toBe(1);
    await cluster.pass(3 * PAUSE_MS);
    expect(world.tries("n2")).toBe(0);
    await cluster.until(() => world.told("n2", "snapshot-installed") === 2, "it is in place", 2 * PAUSE_MS);
    await world.expectWhole();
  });
});

describe("a leader that is asked for its log", () => {
  const HEARTBEAT_TICKS = 2;
  const follower = (id: string): FollowerStatus => ({
    id,
    flow: "replicate",
    match: 7,
    silentTicks: 1,
    standsBack: false,
  });
  const raft = (...followers: readonly FollowerStatus[]): RaftStatus => ({
    role: "leader",
    term: 1,
    leader: "n1",
    configuration: { voters: ["n1", ...followers.map(({ id }) => id)], outgoing: [], learners: [], demoted: [] },
    changing: false,
    firstIndex: 1,
    lastIndex: 7,
    stable: 7,
    committed: 7,
    applied: 7,
    transferringTo: undefined,
    standsBack: false,
    followers,
  });

  it("goes on without the node that asks only where the others that keep up are a majority", () => {
    const [n2, n3, n4, n5] = [follower("n2"), follower("n3"), follower("n4"), follower("n5")] as const;
    const goesOn = (status: RaftStatus): boolean => goesOnWithout(status, "n2", HEARTBEAT_TICKS);
    expect(goesOn(raft(n2, n3))).toBe(true);
    expect(goesOn(raft(n2))).toBe(false);
    expect(goesOn(raft(n2, { ...n3, flow: "probe" }))).toBe(false);
    expect(goesOn(raft(n2, { ...n3, silentTicks: 2 * HEARTBEAT_TICKS + 1 }))).toBe(false);
    expect(goesOn(raft(n2, n3, n4, { ...n5, flow: "snapshot" }))).toBe(true);
    expect(goesOn(raft(n2, n3, { ...n4, flow: "probe" }, { ...n5, flow: "snapshot" }))).toBe(false);
    expect(goesOn({ ...raft(n2, n3), changing: true })).toBe(false);
    expect(goesOn({ ...raft(n2, n3), role: "follower" })).toBe(false);
  });
});
