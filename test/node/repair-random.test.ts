/**
 * A cluster whose disks rot: in each round one node loses power, sectors and files of its log are damaged, and it starts
 * again beside the others, which go on. Whatever it was, it is found and made good, and nothing that was acknowledged is lost
 * (I13).
 */
import { expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { append, asAppended, create, readAll } from "./sim-node.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";

const NAMES = ["n1", "n2", "n3"];
const SECTOR = 512;
const ROUNDS = 6;
const SEEDS = Number(process.env["REPAIR_SEEDS"] ?? 4);
const FIRST_SEED = Number(process.env["REPAIR_SEED"] ?? 1);

async function appendSome(cluster: SimCluster, acknowledged: string[], count: number, prng: Prng): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    await cluster.until(() => cluster.leader?.node?.phase === "serving", "there is a leader");
    const value = `${acknowledged.length} ${"x".repeat(prng.below(400))}`;
    asAppended(await cluster.settle(cluster.propose(cluster.leader?.name as string, append("s", [value]))));
    acknowledged.push(value);
  }
}

function damage(cluster: SimCluster, name: string, prng: Prng): string[] {
  const { disk } = cluster.member(name);
  const done: string[] = [];
  // What ends the log is another rule's business: of that only the last file has anything.
  const logs = disk.files().filter((path) => path.endsWith(".log") && disk.bytes(path).some((byte) => byte > 0));
  const files = disk.files().filter((path) => /\.(log|index|snapshot)$/.test(path) && path !== logs.at(-1));
  const isMendable = (path: string): boolean =>
    // Of a rewritten segment's index only what its stripes make good comes back by itself.
    !path.endsWith(".index") || !disk.exists(path.replace(".index", ".compacted"));
  const used = files.filter(isMendable).filter((path) => disk.bytes(path).some((byte) => byte > 0));
  for (let count = 1 + prng.below(4); count > 0 && used.length > 0; count -= 1) {
    const path = used[prng.below(used.length)] as string;
    const sector = prng.below(Math.ceil(disk.bytes(path).length / SECTOR));
    const kind = prng.below(4);
    if (kind === 0) disk.zeroSector(path, sector);
    else if (kind === 1) disk.staleSector(path, sector);
    else if (kind === 2)
      disk.flip(path, Math.min(disk.bytes(path).length - 1, sector * SECTOR + prng.below(SECTOR)), 3);
    else for (let at = sector; at < sector + 4; at += 1) disk.zeroSector(path, at);
    done.push(`${path} sector ${sector} ${kind}`);
  }
  return done;
}

async function live(seed: number): Promise<number> {
  const prng = new Prng(seed);
  const notes: string[] = [];
  const limits = { snapshotEveryBytes: 20_000, imageEveryMs: 2_000, scrubFirstMs: 5_000, scrubEveryMs: 5_000 };
  const cluster = await SimCluster.started({
    seed,
    limits,
    segmentBytes: 8 * 1024,
    note: (line) => line.includes("scrubbed") || notes.push(line),
  });
  const acknowledged: string[] = [];
  let damaged = 0;
  try {
    await cluster.settle(cluster.propose((await cluster.elected()).name, create("s")));
    for (let round = 0; round < ROUNDS; round += 1) {
      await appendSome(cluster, acknowledged, 10 + prng.below(40), prng);
      if (prng.chance(0.5)) await cluster.agreed();
      if (prng.chance(0.5)) await cluster.pass(prng.below(5_000));
      const name = NAMES[prng.below(3)] as string;
      const isRunning = prng.chance(0.3);
      if (!isRunning) cluster.kill(name, { kind: "all" });
      const what = damage(cluster, name, prng);
      damaged += what.length;
      notes.push(`# ${name} ${isRunning ? "running" : "stopped"}: ${what.join("; ")}`);
      if (!isRunning) {
        await appendSome(cluster, acknowledged, prng.below(10), prng);
        void cluster.start(name).catch((error: unknown) => notes.push(`# ${name} cannot start: ${String(error)}`));
      }
      const passes = (): number => cluster.node(name).status().scrub.passes;
      await cluster.until(() => cluster.up.length === 3 && passes() >= 0, "it is up again");
      const before = passes();
      await cluster.until(() => passes() > before + 1, "all was read", 200_000);
      await cluster.until(() => cluster.node(name).status().damage.length === 0, "all is made good", 200_000);
      await cluster.agreed();
      for (const one of NAMES) expect(await cluster.settle(readAll(cluster.node(one), "s")), one).toEqual(acknowledged);
    }
    expect(new Set(cluster.up.map(({ node }) => node?.machine.digest())).size, "I10").toBe(1);
    expect(cluster.failures).toEqual([]);
  } catch (error) {
    const left = cluster.up.map(({ name, node }) => `${name} ${JSON.stringify(node?.status().damage)}`).join("\n");
    throw new Error(`seed ${seed}\n${notes.slice(-40).join("\n")}\n${left}`, { cause: error });
  }
  return damaged;
}

it("makes good what rots, node by node", { timeout: 120_000 }, async () => {
  let damaged = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) damaged += await live(seed);
  expect(damaged, "P46").toBeGreaterThan(SEEDS * ROUNDS);
});
