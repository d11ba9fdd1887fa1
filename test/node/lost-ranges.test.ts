/**
 * What damage took on one node, and the others have compacted since: nobody has it as it was. It comes back as they keep it by
 * now, with a rewrite (I13); until then it is refused, and never is anything served that was not so at some time (I6).
 */
import { describe, expect, it } from "vitest";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Command } from "../../src/wire/command.ts";
import { EAGER } from "./compaction-world.ts";
import { asAppended, create, readAll, append, streamOf } from "./sim-node.ts";

const NAMES = ["n1", "n2", "n3"];
const OTHERS = NAMES.slice(1);
const FILLER = "x".repeat(1_200);
const SECTOR = 512;
const ROUNDS = 30;
const SEEDS = 4;
const TOMBSTONE_MS = 10_000;

class World {
  readonly cluster: SimCluster;
  /** Nodes whose disks have no room for the copy that a rewrite makes. */
  readonly tight: Set<string>;
  readonly events: string[];
  readonly #expected = new Map<string, string>();

  private constructor(cluster: SimCluster, tight: Set<string>, events: string[]) {
    this.cluster = cluster;
    this.tight = tight;
    this.events = events;
  }

  /** Three nodes, the first of which does not rewrite anything for now. */
  static async started(): Promise<World> {
    const tight = new Set(["n1"]);
    const events: string[] = [];
    const cluster = await SimCluster.started({
      limits: { ...EAGER, scrubFirstMs: 1e9, housekeepingEveryMs: 1_000, lowWaterBytes: 1 },
      onEvent: (name, code) => events.push(`${name} ${code}`),
      diskOf: ({ name, disk }) => ({
        open: (path, mode) => disk.open(path, mode),
        list: (directory) => disk.list(directory),
        createDirectory: (directory) => disk.createDirectory(directory),
        rename: (from, to) => disk.rename(from, to),
        remove: (path) => disk.remove(path),
        syncDirectory: (directory) => disk.syncDirectory(directory),
        freeBytes: async () => (tight.has(name) ? 2 : disk.freeBytes()),
      }),
    });
    const world = new World(cluster, tight, events);
    await world.propose(create("table", { retention: { compaction: { tombstoneMs: TOMBSTONE_MS } } }));
    await world.propose(create("plain"));
    return world;
  }

  async propose(command: Command): ReturnType<SimCluster["propose"]> {
    const { name } = await this.cluster.elected();
    const result = await this.cluster.settle(this.cluster.propose(name, command));
    await this.cluster.agreed();
    return result;
  }

  async put(...pairs: readonly (readonly [string, string | null])[]): Promise<void> {
    for (const [key, value] of pairs) {
      if (value === null) this.#expected.delete(key);
      else this.#expected.set(key, value);
    }
    const bytes = encodeBatch(
      pairs.map(([key, value]) => ({ key: utf8(key), value: value === null ? null : utf8(value) })),
    );
    const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    const batch = { hash, length: bytes.length, span: pairs.length, bytes };
    asAppended(await this.propose({ kind: "append", stream: "table", close: false, batch }));
  }

  /** Each round has two records that stay and one that the next one supersedes, in one batch; and another stream's. */
  async rounds(from: number, count = ROUNDS): Promise<void> {
    for (let round = from; round < from + count; round += 1) {
      await this.put(["newest", `${round}`], [`small ${round}`, "1"], [`key ${round}`, `value ${round} ${FILLER}`]);
      asAppended(await this.propose(append("plain", [`plain ${round} ${FILLER}`])));
    }
  }

  disk(name: string): SimDisk {
    return this.cluster.member(name).disk;
  }

  files(name: string, kind: string): readonly string[] {
    return this.disk(name)
      .files()
      .filter((path) => path.includes("segments/") && path.endsWith(kind))
      .toSorted();
  }

  /** The one that holds this. */
  fileWith(name: string, kind: string, content: string): string {
    const path = this.files(name, kind).find((one) => Buffer.from(this.disk(name).bytes(one)).includes(content));
    if (path === undefined) throw new Error(`no ${kind} of ${name} holds ${content}`);
    return path;
  }

  harm(name: string, kind: string, content: string): void {
    const path = this.fileWith(name, kind, content);
    this.disk(name).flip(path, Buffer.from(this.disk(name).bytes(path)).indexOf(content) + 1, 2);
  }

  /** A segment's file and its index: removed while the node is down, and zeroed under it while it runs. */
  async lose(name: string, path: string): Promise<void> {
    const disk = this.disk(name);
    for (const one of [path, path.replace(/\.\w+$/, ".index")]) {
      if (this.cluster.member(name).node === undefined) await disk.remove(one);
      else for (let at = 0; at < disk.bytes(one).length; at += SECTOR) disk.zeroSector(one, at / SECTOR);
    }
  }

  rewritten(name: string): number {
    return this.cluster.node(name).status().compaction.segmentsRewritten;
  }

  /** Compaction of these has nothing more to do for what was appended by now. */
  async compacted(...names: readonly string[]): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      const before = names.map((name) => this.rewritten(name));
      await this.cluster.pass(3_000);
      quiet = names.every((name, at) => this.rewritten(name) === before[at]) ? quiet + 1 : 0;
    }
    for (const name of names) expect(this.rewritten(name), name).toBeGreaterThan(0);
  }

  async found(name: string): Promise<number> {
    const node = this.cluster.node(name);
    const pass = node.verify();
    await this.cluster.until(() => node.status().scrub.passes >= pass, "all was read", 60_000);
    return node.status().damage.length;
  }

  async restart(name: string, between: () => Promise<void>): Promise<void> {
    this.cluster.kill(name, { kind: "all" });
    await between();
    await this.cluster.settle(this.cluster.start(name));
    await this.cluster.elected();
    await this.cluster.agreed();
  }

  /** It has room again, and time to mend what it has lost. */
  async mended(name: string): Promise<void> {
    this.tight.delete(name);
    await this.cluster.pass(4 * NODE_LIMITS.repairRetryMs);
  }

  async expectWhole(name: string, rounds = ROUNDS): Promise<void> {
    await this.expectTold(name, rounds);
    expect(this.events).toContain(`${name} ranges-taken`);
  }

  /** All that was appended. */
  async expectTold(name: string, rounds = ROUNDS): Promise<void> {
    const node = this.cluster.node(name);
    expect(await this.found(name), JSON.stringify(node.status().damage)).toBe(0);
    expect(await this.cluster.settle(this.table(node))).toEqual(this.expected);
    const plain = Array.from({ length: rounds }, (_, round) => `plain ${round} ${FILLER}`);
    expect(await this.cluster.settle(readAll(node, "plain"))).toEqual(plain);
    expect(this.cluster.failures).toEqual([]);
  }

  get expected(): Record<string, string> {
    return Object.fromEntries(this.#expected);
  }

  async table(node: LogNode): Promise<Record<string, string>> {
    const table = new Map<string, string>();
    const { firstOffset, nextOffset } = streamOf(node, "table");
    for (let next = firstOffset; next < nextOffset;) {
      const read = await node.read(streamOf(node, "table"), next, { maxBytes: 10_000 });
      if (!read.ok) throw new Error(`${read.error.code}: ${read.error.message}`);
      for (const { bytes, firstOffset: first } of read.value.batches) {
        const decoded = decodeBatch(bytes, { rawBytesMax: 100_000 });
        if (!decoded.ok) throw new Error(decoded.error.message);
        for (const { record, offsetDelta } of decoded.value.records) {
          if (record.key === undefined || first + offsetDelta < next) continue;
          if (record.value === null) table.delete(text(record.key) ?? "");
          else table.set(text(record.key) ?? "", text(record.value) ?? "");
        }
      }
      next = read.value.nextOffset;
    }
    return Object.fromEntries(table);
  }
}

describe("what the others have compacted since", () => {
  it("comes back as they keep it: a batch of a segment as it was sealed", async () => {
    const world = await World.started();
    await world.rounds(0);
    await world.compacted(...OTHERS);
    expect(world.rewritten("n1")).toBe(0);
    world.harm("n1", ".log", `value 3 ${FILLER}`);
    expect(await world.found("n1")).toBe(1);
    await world.mended("n1");
    await world.expectWhole("n1");
  });

  it("comes back as they keep it: a batch of a rewritten segment", async () => {
    const world = await World.started();
    world.tight.clear();
    await world.rounds(0);
    await world.compacted(...NAMES);
    world.tight.add("n1");
    for (let round = 2; round < 20; round += 1) await world.put([`small ${round}`, "2"]);
    await world.rounds(ROUNDS, 5);
    await world.compacted(...OTHERS);
    world.harm("n1", ".compacted", `value 11 ${FILLER}`);
    expect(await world.found("n1")).toBe(1);
    await world.mended("n1");
    await world.expectWhole("n1", ROUNDS + 5);
  });

  it.each(["while it runs", "while it is down"])(
    "comes back as they keep it: both files of a rewritten segment, %s",
    async (when) => {
      const world = await World.started();
      world.tight.clear();
      await world.rounds(0);
      await world.compacted(...NAMES);
      world.tight.add("n1");
      const [path] = world.files("n1", ".compacted") as [string];
      if (when === "while it runs") await world.lose("n1", path);
      else await world.restart("n1", () => world.lose("n1", path));
      expect(await world.found("n1")).toBeGreaterThan(0);
      await expect(world.cluster.settle(readAll(world.cluster.node("n1"), "plain"))).rejects.toThrow(/^repairing:/);
      await world.mended("n1");
      await world.expectWhole("n1");
    },
  );

  it.each(["while it runs", "while it is down"])(
    "comes back as they keep it: both files of a segment as it was sealed, %s",
    async (when) => {
      const world = await World.started();
      await world.rounds(0);
      await world.compacted(...OTHERS);
      const path = world.fileWith("n1", ".log", `value 3 ${FILLER}`);
      if (when === "while it runs") await world.lose("n1", path);
      else await world.restart("n1", () => world.lose("n1", path));
      expect(await world.found("n1")).toBeGreaterThan(0);
      await expect(world.cluster.settle(readAll(world.cluster.node("n1"), "plain"))).rejects.toThrow(/^repairing:/);
      await world.mended("n1");
      await world.expectWhole("n1");
    },
  );

  it("comes with all that the leader has where the sparse index is lost, too: nothing here says what it was", async () => {
    const world = await World.started();
    world.tight.clear();
    await world.rounds(0);
    await world.compacted(...NAMES);
    const [path] = world.files("n1", ".compacted") as [string];
    await world.restart("n1", async () => {
      await world.lose("n1", path);
      world.cluster.member("n1").kv = new SimKv();
    });
    const { node } = world.cluster.member("n1");
    await expect(world.cluster.settle(readAll(world.cluster.node("n1"), "plain"))).rejects.toThrow(/^repairing:/);
    await world.cluster.until(() => world.cluster.member("n1").node !== node, "it has begun anew", 1_000_000);
    await world.cluster.agreed();
    expect(world.events).toContain("n1 renewing");
    await world.expectTold("n1");
  });

  it("brings nothing back that was deleted, though the tombstone is what was lost", async () => {
    const world = await World.started();
    await world.rounds(0, 4);
    await world.put(["deleted", `value ${FILLER}`]);
    await world.rounds(4, 8);
    await world.put(["deleted", null], ["tombstone", `beside it ${FILLER}`]);
    await world.rounds(12, 8);
    await world.cluster.pass(2 * TOMBSTONE_MS);
    await world.rounds(20, 5);
    await world.compacted(...OTHERS);
    await world.rounds(25, 5);
    await world.compacted(...OTHERS);
    const { tombstonesBefore } = streamOf(world.cluster.node("n1"), "table");
    expect(tombstonesBefore).toBeGreaterThan(27);
    world.harm("n1", ".log", `beside it ${FILLER}`);
    expect(await world.found("n1")).toBe(1);
    await world.mended("n1");
    await world.expectWhole("n1");
  });
});

describe("any history of a table on a node that rots", () => {
  it("reads as its table wherever it can be read, and can be again once it was mended", async () => {
    let taken = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const prng = new Prng(seed);
      const world = await World.started();
      for (let step = 0; step < 50; step += 1) {
        const keys = new Set(Array.from({ length: 1 + prng.below(3) }, () => `key ${prng.below(12)}`));
        await world.put(
          ...[...keys].map(
            (key) => [key, prng.chance(0.35) ? null : `${step} ${FILLER.slice(prng.below(900))}`] as const,
          ),
        );
        if (prng.chance(0.3)) await world.cluster.pass(prng.below(8_000));
        if (prng.chance(0.1)) world.tight.add("n1");
        else if (prng.chance(0.2)) world.tight.delete("n1");
        if (prng.chance(0.15)) await rot(world, prng);
        await expectTableOrRefusal(world, `seed ${seed}, step ${step}`);
      }
      await world.mended("n1");
      await world.cluster.pass(4 * NODE_LIMITS.repairRetryMs);
      for (const name of NAMES) {
        expect(await world.found(name), `seed ${seed}: ${name}`).toBe(0);
        expect(await world.cluster.settle(world.table(world.cluster.node(name))), `seed ${seed}: ${name}`).toEqual(
          world.expected,
        );
      }
      expect(world.cluster.failures, `seed ${seed}`).toEqual([]);
      taken += world.events.filter((event) => event === "n1 ranges-taken").length;
    }
    expect(taken).toBeGreaterThan(SEEDS / 2);
  });
});

/** Something of a segment: a sector, or both files, with and without a restart. */
async function rot(world: World, prng: Prng): Promise<void> {
  const disk = world.disk("n1");
  const indexes = world.files("n1", ".index");
  if (indexes.length === 0) return;
  const index = prng.pick(indexes);
  const data = [".log", ".compacted"].map((kind) => index.replace(".index", kind)).find((path) => disk.exists(path));
  if (data === undefined) return;
  if (prng.chance(0.4)) {
    disk.zeroSector(data, prng.below(Math.ceil(disk.bytes(data).length / SECTOR)));
    await world.found("n1");
  } else if (prng.chance(0.5)) {
    await world.restart("n1", () => world.lose("n1", data));
  } else {
    await world.lose("n1", data);
    await world.found("n1");
  }
}

async function expectTableOrRefusal(world: World, where: string): Promise<void> {
  const read = await world.cluster.settle(
    world.table(world.cluster.node("n1")).then(
      (table) => ({ table }),
      (error: Error) => ({ error: error.message }),
    ),
  );
  if ("error" in read) expect(read.error, where).toMatch(/^(?:repairing|damaged):/);
  else expect(read.table, where).toEqual(world.expected);
}
