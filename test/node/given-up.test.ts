/**
 * Damage that nobody can give back as it was: the others have rewritten their segments without what nobody needs, or have
 * lost the same. It goes with the segment that it is in, and stays only as far as somebody still needs what it took (I13).
 */
import { describe, expect, it } from "vitest";
import { NODE_LIMITS, type NodeLimits } from "../../log-server/node/limits.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";
import type { Command } from "../../src/wire/command.ts";
import { append, asAppended, create, readAll } from "./sim-node.ts";

const NAMES = ["n1", "n2", "n3"];
const COUNT = 30;
/** Larger than two sectors, so that what is harmed of one entry is nothing of another. */
const FILLER = "x".repeat(1_200);
const KEPT = Array.from({ length: COUNT }, (_, at) => `kept ${at} ${FILLER}`);
const SHORT = Array.from({ length: COUNT }, (_, at) => `short ${at} ${FILLER}`);
/** Back from where a value is stored: into its batch, and into the head of its entry. */
const BATCH = 5;
const HEAD = 120;

class World {
  readonly cluster: SimCluster;
  /** Nodes whose disks have no room, and so write a snapshot. */
  readonly full: Set<string>;

  private constructor(cluster: SimCluster, full: Set<string>) {
    this.cluster = cluster;
    this.full = full;
  }

  /** Three nodes with a stream of which all is kept and one of which nothing is, in turn in the same segments. */
  static async filled(
    limits: Partial<Pick<NodeLimits, "mergeSegmentsMin" | "repairBytesMax">> = {},
    nodes = NAMES.length,
  ): Promise<World> {
    const full = new Set<string>();
    const cluster = await SimCluster.started({
      nodes,
      limits: { scrubFirstMs: 1e9, lowWaterBytes: 1, ...limits },
      diskOf: ({ name, disk }) => ({
        open: (path, mode) => disk.open(path, mode),
        list: (directory) => disk.list(directory),
        createDirectory: (directory) => disk.createDirectory(directory),
        rename: (from, to) => disk.rename(from, to),
        remove: (path) => disk.remove(path),
        syncDirectory: (directory) => disk.syncDirectory(directory),
        freeBytes: async () => (full.has(name) ? 0 : disk.freeBytes()),
      }),
    });
    const world = new World(cluster, full);
    for (const stream of ["kept", "short"]) await world.propose(create(stream));
    for (let at = 0; at < COUNT; at += 1) {
      asAppended(await world.propose(append("kept", [KEPT[at] as string])));
      asAppended(await world.propose(append("short", [SHORT[at] as string])));
    }
    return world;
  }

  async propose(command: Command): ReturnType<SimCluster["propose"]> {
    const { name } = await this.cluster.elected();
    const result = await this.cluster.settle(this.cluster.propose(name, command));
    await this.cluster.agreed();
    return result;
  }

  async trim(stream = "short", before = COUNT): Promise<void> {
    await this.propose({ kind: "trim", stream, before });
  }

  /** They write a snapshot, and have room again. */
  async snapshots(...names: readonly string[]): Promise<void> {
    for (const name of names) this.full.add(name);
    const hasOne = (name: string): boolean => this.cluster.node(name).status().snapshotPosition > 0;
    await this.cluster.until(() => names.every(hasOne), "they have a snapshot", 60_000);
    this.full.clear();
  }

  logs(name: string, ending = ".log"): readonly string[] {
    return this.cluster
      .member(name)
      .disk.files()
      .filter((path) => path.endsWith(ending))
      .toSorted();
  }

  /** So many bytes before a value. */
  harm(name: string, value: string, back: number, ending?: ".compacted"): void {
    const { disk } = this.cluster.member(name);
    const isThere = (path: string): boolean => Buffer.from(disk.bytes(path)).includes(value);
    const path = this.logs(name, ending).find((one) => isThere(one)) as string;
    disk.flip(path, Buffer.from(disk.bytes(path)).indexOf(value) - back, 2);
  }

  rewritten(name: string): number {
    return this.cluster.node(name).status().compaction.segmentsRewritten;
  }

  /** Nothing is read but by this. What is damaged then. */
  async verified(name: string): Promise<readonly string[]> {
    const node = this.cluster.node(name);
    const pass = node.verify();
    await this.cluster.until(() => node.status().scrub.passes >= pass, "all was read", 20_000);
    return node.status().damage.map(({ kind }) => kind);
  }

  /** Everybody was asked, perhaps for what is left in a rewritten segment, too. */
  async asked(): Promise<void> {
    await this.cluster.pass(3 * NODE_LIMITS.repairRetryMs);
  }

  async expectWhole(names: readonly string[], kept: readonly string[] = KEPT): Promise<void> {
    for (const name of names) {
      expect(await this.verified(name), name).toEqual([]);
      expect(this.cluster.node(name).status().repair?.damagedSegments, name).toBe(0);
      const from = COUNT - kept.length;
      expect(await this.cluster.settle(readAll(this.cluster.node(name), "kept", from)), name).toEqual(kept);
    }
    expect(this.cluster.failures).toEqual([]);
  }
}

describe("damage that nobody can give back as it was", () => {
  it.each([
    ["a batch that nobody needs", SHORT, BATCH],
    ["the head of an entry that nobody needs", SHORT, HEAD],
    ["a batch that somebody needs", KEPT, BATCH],
    ["the head of an entry with records that somebody needs", KEPT, HEAD],
  ])("for the others have rewritten their segments: %s", async (_, values, back) => {
    const world = await World.filled();
    await world.trim();
    const others = NAMES.slice(1);
    await world.snapshots(...others);
    await world.cluster.until(() => others.every((name) => world.rewritten(name) > 0), "they have rewritten", 60_000);
    expect(world.cluster.node("n1").status().snapshotPosition).toBe(0);
    world.harm("n1", values[5] as string, back);
    expect(await world.verified("n1")).toHaveLength(1);
    await world.asked();
    await world.expectWhole(["n1"]);
  });

  it.each([
    ["a batch that nobody needs", SHORT, BATCH],
    ["the head of an entry that nobody needs", SHORT, HEAD],
    ["the head of an entry with records that somebody needs", KEPT, HEAD],
  ])("for they have lost the same: %s", async (_, values, back) => {
    const world = await World.filled();
    await world.trim();
    for (const name of NAMES) world.harm(name, values[5] as string, back);
    for (const name of NAMES) expect(await world.verified(name), name).toHaveLength(1);
    await world.asked();
    await world.expectWhole(NAMES);
  });

  it.each([
    ["a batch", BATCH],
    ["the head of an entry", HEAD],
  ])("for they have lost the same: %s that nobody needs, in the segment that the log ends with", async (_, back) => {
    const world = await World.filled();
    await world.trim();
    for (const name of NAMES) await world.verified(name);
    for (const name of NAMES) world.harm(name, SHORT.at(-1) as string, back);
    for (const name of NAMES) expect(await world.verified(name), name).toHaveLength(1);
    await world.asked();
    await world.expectWhole(NAMES);
  });

  it("for the others have rewritten their segments: a file that is missing", async () => {
    const world = await World.filled();
    const others = NAMES.slice(1);
    await world.snapshots(...others);
    await world.cluster.until(() => others.every((name) => world.rewritten(name) > 0), "they have rewritten", 60_000);
    const [, second] = world.logs("n1");
    await world.cluster.member("n1").disk.remove(second as string);
    expect(await world.verified("n1")).not.toEqual([]);
    await world.asked();
    await world.expectWhole(["n1"]);
  });

  it("for they have dropped what it followed: the header of a segment", async () => {
    const world = await World.filled({ mergeSegmentsMin: 1e9 });
    const [dropped] = world.logs("n1");
    for (const stream of ["kept", "short"]) await world.trim(stream, 20);
    await world.snapshots(...NAMES);
    const isDropped = (name: string): boolean => !world.logs(name).includes(dropped as string);
    await world.cluster.until(() => NAMES.every(isDropped), "what nobody needs is dropped", 60_000);
    const [first] = world.logs("n1");
    world.cluster.member("n1").disk.flip(first as string, 20, 2);
    expect(await world.verified("n1")).toEqual(["segment"]);
    await world.asked();
    await world.expectWhole(["n1"], KEPT.slice(20));
  });

  it("is not what others have, though it be more than they give at a time", async () => {
    const world = await World.filled({ repairBytesMax: 1 });
    await world.trim();
    await world.snapshots(...NAMES);
    await world.cluster.until(() => NAMES.every((name) => world.rewritten(name) > 0), "they have rewritten", 60_000);
    await world.asked();
    const harmed = KEPT.slice(3, 12);
    for (const value of harmed) world.harm("n1", value, BATCH, ".compacted");
    const rewritten = world.rewritten("n1");
    expect(await world.verified("n1")).toHaveLength(harmed.length);
    await world.asked();
    await world.expectWhole(["n1"]);
    expect(world.cluster.node("n1").status().repair?.batches).toBe(harmed.length);
    expect(world.rewritten("n1")).toBe(rewritten);
  });

  it("for there are no others: it goes with the stream that it is of", async () => {
    const world = await World.filled({}, 1);
    world.harm("n1", SHORT[5] as string, BATCH);
    expect(await world.verified("n1")).toEqual(["batch"]);
    await world.asked();
    expect(await world.verified("n1")).toEqual(["batch"]);
    await world.propose({ kind: "delete", stream: "short" });
    await world.asked();
    await world.expectWhole(["n1"]);
  });

  it("stays while somebody needs it, is not rewritten over and over, and goes once nobody does", async () => {
    const world = await World.filled();
    for (const name of NAMES) world.harm(name, SHORT[5] as string, BATCH);
    for (const name of NAMES) expect(await world.verified(name), name).toEqual(["batch"]);
    await world.asked();
    const rewritten = NAMES.map((name) => world.rewritten(name));
    await world.asked();
    expect(NAMES.map((name) => world.rewritten(name))).toEqual(rewritten);
    for (const name of NAMES) {
      expect(await world.verified(name), name).toEqual(["batch"]);
      const told = readAll(world.cluster.node(name), "short").then(
        () => "all",
        (error: Error) => error.message,
      );
      expect(await world.cluster.settle(told), name).toMatch(/^damaged:/);
    }
    await world.trim();
    await world.asked();
    await world.expectWhole(NAMES);
  });
});
