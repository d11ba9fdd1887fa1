/**
 * Damage to the disks of a cluster's nodes: found, never served, and made good from the others without anybody's doing
 * (I13), also where each of them has some.
 */
import { describe, expect, it } from "vitest";
import { append, asAppended, create, readAll } from "./sim-node.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import { type Member, SimCluster } from "../../log-server/sim/sim-cluster.ts";
import type { Disk } from "../../src/ports/disk.ts";
import { withFlaws } from "../sim/flawed-disk.ts";

const NAMES = ["n1", "n2", "n3"];
const SECTOR = 512;
const COUNT = 120;
const VALUES = Array.from({ length: COUNT }, (_, at) => `value ${at} ${"x".repeat(300)}`);

/** Three nodes that have the same stream of records, in several segments, the older ones sealed. */
async function filled(
  limits: {
    imageEveryMs?: number;
    scrubFirstMs?: number;
    scrubEveryMs?: number;
    repairRetryMs?: number;
    snapshotEveryBytes?: number;
  } = {},
  diskOf: (member: Member) => Disk = ({ disk }) => disk,
): Promise<SimCluster> {
  const cluster = await SimCluster.started({ limits, diskOf });
  const leader = (await cluster.elected()).name;
  await cluster.settle(cluster.propose(leader, create("s")));
  for (const value of VALUES) asAppended(await cluster.settle(cluster.propose(leader, append("s", [value]))));
  await cluster.agreed();
  return cluster;
}

/** `flaw` may change what a read has read. */
function withReads(disk: Disk, flaw: (path: string, target: Uint8Array) => void): Disk {
  return withFlaws(disk, (file) => ({
    read: async (position, target) => {
      const length = await file.read(position, target);
      flaw(file.path, target);
      return length;
    },
  }));
}

function logs(cluster: SimCluster, name: string): string[] {
  const { disk } = cluster.member(name);
  return disk.files().filter((path) => path.endsWith(".log") && disk.bytes(path).some((byte) => byte > 0));
}

function snapshotsOf(cluster: SimCluster, name: string): string[] {
  const { disk } = cluster.member(name);
  return disk.files().filter((path) => path.includes("/snapshots/"));
}

async function restart(cluster: SimCluster, ...names: readonly string[]): Promise<void> {
  await cluster.settle(Promise.all(names.map((name) => cluster.start(name))));
}

/** Whatever is damaged is read once, and so known. */
async function lookAtAll(cluster: SimCluster, name: string): Promise<void> {
  await cluster.settle(readAll(cluster.node(name), "s").catch(() => []));
}

async function mended(cluster: SimCluster, ...names: readonly string[]): Promise<void> {
  await cluster.until(
    () => names.every((name) => cluster.node(name).status().damage.length === 0 && cluster.node(name).tailKnown),
    "all damage is made good",
  );
  await cluster.agreed();
  for (const name of names) {
    expect(await cluster.settle(readAll(cluster.node(name), "s")), name).toEqual(VALUES);
  }
  expect(new Set(cluster.up.map(({ node }) => node?.machine.digest())).size, "I10").toBe(1);
  expect(cluster.failures).toEqual([]);
}

describe("repair from peers", () => {
  it.each([
    [
      "flipped bits",
      (cluster: SimCluster, name: string, path: string, sector: number): void =>
        cluster.member(name).disk.flip(path, sector * SECTOR + 77, 3),
    ],
    [
      "zeroed sectors",
      (cluster: SimCluster, name: string, path: string, sector: number): void =>
        void cluster.member(name).disk.zeroSector(path, sector),
    ],
    [
      "stale sectors",
      (cluster: SimCluster, name: string, path: string, sector: number): void =>
        void cluster.member(name).disk.staleSector(path, sector),
    ],
  ])("%s, found at a start", async (_, harm) => {
    const cluster = await filled();
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    cluster.kill(name, { kind: "all" });
    const paths = logs(cluster, name);
    expect(paths.length).toBeGreaterThan(2);
    for (const path of paths.slice(0, -1)) for (const sector of [0, 3, 4, 9]) harm(cluster, name, path, sector);
    await restart(cluster, name);
    await lookAtAll(cluster, name);
    await mended(cluster, name);
    const { entries = 0, batches = 0 } = cluster.node(name).status().repair ?? {};
    expect(entries + batches).toBeGreaterThan(3);
  });

  it("what happens while it runs, at the leader, found by a reader", async () => {
    const cluster = await filled();
    const { name } = await cluster.elected();
    const [path] = logs(cluster, name);
    for (const sector of [2, 5, 11]) cluster.member(name).disk.zeroSector(path as string, sector);
    const read = await cluster.settle(
      readAll(cluster.node(name), "s").then(
        () => "all",
        (error: Error) => error.message,
      ),
    );
    expect(read).toMatch(/^repairing:/);
    await mended(cluster, name);
    expect(cluster.node(name).status().repair).toMatchObject({ segments: 1 });
  });

  it("a reader may try again for as long as somebody may have it, and no longer", async () => {
    const cluster = await filled();
    const { name } = await cluster.elected();
    const away = NAMES.find((one) => one !== name) as string;
    for (const one of NAMES) {
      const { disk } = cluster.member(one);
      const path = logs(cluster, one).find((file) =>
        Buffer.from(disk.bytes(file)).includes(VALUES[5] as string),
      ) as string;
      disk.flip(path, Buffer.from(disk.bytes(path)).indexOf(VALUES[5] as string), 2);
    }
    cluster.isolate(away);
    const told = (): Promise<string> =>
      cluster.settle(
        readAll(cluster.node(name), "s").then(
          () => "all",
          (error: Error) => error.message,
        ),
      );
    expect(await told()).toMatch(/^repairing:/);
    const asked = (): number => cluster.node(name).status().repair?.fetchedBytes ?? 0;
    await cluster.until(() => asked() > 0, "the one that can be heard was asked");
    await cluster.pass(5_000);
    expect(await told(), "one has not answered").toMatch(/^repairing:/);
    cluster.network.healAll();
    await cluster.pass(NODE_LIMITS.repairRetryMs + 5_000);
    expect(await told(), "all have answered").toMatch(/^damaged:/);
    expect(cluster.node(name).status().repair).toMatchObject({ damagedSegments: 1, segments: 0 });
  });

  it("what nobody asks for is found by the scrub, in segments and in their indexes", async () => {
    const cluster = await filled({ scrubFirstMs: 30_000, scrubEveryMs: 10_000 });
    const indexes = new Map<string, Buffer>();
    for (const [at, name] of NAMES.entries()) {
      const { disk } = cluster.member(name);
      const [first, second] = logs(cluster, name).filter((path) => disk.exists(path.replace(".log", ".index")));
      disk.flip(first as string, (3 + 4 * at) * SECTOR + 100, 2);
      disk.flip(first as string, 20, 2);
      const index = (second as string).replace(".log", ".index");
      indexes.set(name, Buffer.from(disk.bytes(index)));
      disk.flip(index, 3, 2);
      expect(indexes.get(name)?.equals(disk.bytes(index))).toBe(false);
    }
    await cluster.until(
      () => cluster.up.every(({ node }) => (node?.status().scrub.passes ?? 0) >= 2),
      "all was read twice",
    );
    for (const name of NAMES) {
      const { disk } = cluster.member(name);
      const [, second] = logs(cluster, name).filter((path) => disk.exists(path.replace(".log", ".index")));
      expect(indexes.get(name)?.equals(disk.bytes((second as string).replace(".log", ".index"))), name).toBe(true);
      expect(cluster.node(name).status().repair?.segments, name).toBeGreaterThan(0);
    }
    await mended(cluster, ...NAMES);
  });

  it("what nobody asks for is found at once by who has it verified, and refused while nobody gives it", async () => {
    const cluster = await filled();
    const { name } = await cluster.elected();
    cluster.isolate(name);
    const [path] = logs(cluster, name);
    cluster.member(name).disk.flip(path as string, 3 * SECTOR + 100, 2);
    const node = cluster.node(name);
    const pass = node.verify();
    await cluster.until(() => node.status().scrub.passes >= pass, "all was read", 5_000);
    expect(node.status().damage).toHaveLength(1);
    const oldestMs = (): number => node.status().repair?.oldestMs ?? 0;
    await cluster.until(() => oldestMs() > 3_000, "it is damaged for some time", 10_000);
    expect(node.status().repair).toMatchObject({ damagedSegments: 1, segments: 0, fetchedBytes: 0 });
    cluster.network.healAll();
    await mended(cluster, name);
    await cluster.until(() => node.status().repair?.oldestMs === undefined, "nothing is damaged any more", 5_000);
    expect(node.status().repair).toMatchObject({ damagedSegments: 0, segments: 1 });
    expect(node.status().repair?.fetchedBytes).toBeGreaterThan(0);
    const again = node.verify();
    await cluster.until(() => node.status().scrub.passes >= again, "all was read again", 5_000);
    expect(node.status().damage).toEqual([]);
    expect(node.status().scrub.segments).toBeGreaterThan(1);
    expect(node.status().scrub.checked).toBe(node.status().scrub.segments);
  });

  it("what is in the segment that is being written is verified as well", async () => {
    const cluster = await filled();
    const { name } = await cluster.elected();
    const path = logs(cluster, name).at(-1) as string;
    const { disk } = cluster.member(name);
    const node = cluster.node(name);
    const place = Buffer.from(disk.bytes(path)).lastIndexOf(VALUES.at(-1) as string);
    expect(place, "the newest record is in it").toBeGreaterThan(0);
    disk.flip(path, place, 2);
    const pass = node.verify();
    await cluster.until(() => node.status().scrub.passes >= pass, "all was read", 5_000);
    expect(node.status().damage.length + (node.status().repair?.batches ?? 0)).toBe(1);
    await mended(cluster, name);
  });

  it("entries that had yet to be applied: applying goes on, and the node takes part again", async () => {
    // No image: after a start all is applied again.
    const cluster = await filled({ imageEveryMs: 1e9 });
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    cluster.kill(name, { kind: "all" });
    cluster.isolate(name);
    const [, path] = logs(cluster, name);
    cluster.member(name).disk.zeroSector(path as string, 6);
    void cluster.start(name).catch(() => undefined);
    await cluster.pass(5_000);
    expect(cluster.node(name).position).toBeLessThan(COUNT);
    for (const other of NAMES) {
      cluster.network.heal(name, other);
      cluster.network.heal(other, name);
    }
    await mended(cluster, name);
    const leader = (await cluster.elected()).name;
    VALUES.push("one more");
    await cluster.settle(cluster.propose(leader, append("s", ["one more"])));
    await mended(cluster, ...NAMES);
    VALUES.pop();
  });

  it("what had yet to be applied and was misread once: applying goes on", async () => {
    let misread = "";
    const cluster = await filled({ imageEveryMs: 1e9 }, ({ disk }) =>
      withReads(disk, (path, target) => {
        if (path !== misread) return;
        misread = "";
        target.fill(0);
      }),
    );
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    cluster.kill(name, { kind: "all" });
    void cluster.start(name);
    await cluster.until(() => cluster.member(name).node !== undefined, "its log is open");
    [misread = ""] = logs(cluster, name);
    await cluster.until(() => cluster.node(name).status().damage.length > 0, "it is taken for damage");
    expect(cluster.node(name).position).toBeLessThan(COUNT);
    await mended(cluster, name);
    expect(cluster.node(name).status().repair).toMatchObject({ segments: 0 });
  });

  it("a file that is missing", async () => {
    const cluster = await filled();
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    cluster.kill(name, { kind: "all" });
    const { disk } = cluster.member(name);
    const path = logs(cluster, name).find((one) => disk.exists(one.replace(".log", ".index")));
    await disk.remove(path as string);
    await restart(cluster, name);
    await mended(cluster, name);
    expect(disk.exists(path as string)).toBe(true);
  });

  it("a newest segment that is missing: until the others have said what it held its node helps nobody to lead (I3, I5)", async () => {
    const cluster = await filled({ imageEveryMs: 1e9 });
    const leader = (await cluster.elected()).name;
    const [name, other] = NAMES.filter((one) => one !== leader) as [string, string];
    cluster.isolate(other);
    for (const value of VALUES.slice(0, 3)) await cluster.settle(cluster.propose(leader, append("s", [value])));
    for (const one of [leader, name]) cluster.kill(one, { kind: "all" });
    const { disk } = cluster.member(name);
    await disk.remove(logs(cluster, name).at(-1) as string);
    cluster.network.healAll();
    void cluster.start(name).catch(() => undefined);
    await cluster.pass(60_000);
    // Together these two were a majority, without what was acknowledged.
    expect(cluster.leader).toBeUndefined();
    await cluster.settle(cluster.start(leader));
    await cluster.agreed();
    for (const one of NAMES)
      expect(await cluster.settle(readAll(cluster.node(one), "s")), one).toEqual([...VALUES, ...VALUES.slice(0, 3)]);
    expect(cluster.failures).toEqual([]);
  });

  it.each([
    ["applied", {}],
    ["to be applied again", { imageEveryMs: 1e9 }],
  ])("a segment that is gone with its index, what was in it %s", async (_, limits) => {
    const cluster = await filled(limits);
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    cluster.kill(name, { kind: "all" });
    const { disk } = cluster.member(name);
    const [, second, third] = logs(cluster, name).filter((one) => disk.exists(one.replace(".log", ".index")));
    for (const path of [second, third] as [string, string]) {
      await disk.remove(path);
      await disk.remove(path.replace(".log", ".index"));
    }
    void cluster.start(name);
    await cluster.until(() => cluster.up.length === 3, "it is up");
    await mended(cluster, name);
    const { entries = 0 } = cluster.node(name).status().repair ?? {};
    expect(entries).toBeGreaterThan(20);
  });

  it.each([
    ["before a start", true],
    ["while it runs", false],
  ])("an index that is missing, of what nobody applies again, %s", async (_, stopped) => {
    const cluster = await filled({ scrubFirstMs: 60_000, scrubEveryMs: 60_000, snapshotEveryBytes: 1 });
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    const member = cluster.member(name);
    await cluster.until(() => cluster.node(name).status().snapshotPosition > COUNT / 2, "there is a snapshot");
    if (stopped) cluster.kill(name, { kind: "all" });
    const { disk } = member;
    const indexes = disk.files().filter((path) => path.endsWith(".index"));
    expect(indexes.length).toBeGreaterThan(1);
    const [path] = indexes as [string];
    const before = Buffer.from(disk.bytes(path));
    await disk.remove(path);
    if (stopped) await restart(cluster, name);
    else await cluster.until(() => cluster.node(name).status().damage.length > 0, "it is missed", 200_000);
    await cluster.until(
      () => disk.exists(path) && cluster.node(name).status().damage.length === 0,
      "it is there again",
      200_000,
    );
    expect(Buffer.compare(disk.bytes(path), before), "the same bytes").toBe(0);
    await mended(cluster, name);
    cluster.kill(name, { kind: "all" });
    await restart(cluster, name);
    await mended(cluster, name);
  });

  it("an index whose pages are damaged beyond their parity, found by a reader", async () => {
    const cluster = await filled({ snapshotEveryBytes: 1, scrubFirstMs: 1e9 });
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    await cluster.until(() => cluster.node(name).status().snapshotPosition > COUNT / 2, "there is a snapshot");
    cluster.kill(name, { kind: "all" });
    const { disk } = cluster.member(name);
    const [path] = disk.files().filter((one) => one.endsWith(".index")) as [string];
    const before = Buffer.from(disk.bytes(path));
    for (let sector = 0; sector < before.length / SECTOR; sector += 1) disk.zeroSector(path, sector);
    await restart(cluster, name);
    await lookAtAll(cluster, name);
    expect(cluster.node(name).status().damage).toMatchObject([{ kind: "index" }]);
    await mended(cluster, name);
    expect(Buffer.compare(disk.bytes(path), before), "the same bytes").toBe(0);
  });

  it.each(["snapshots", "tails"])("a snapshot that rots (%s): found by the scrub, and written anew", async (folder) => {
    const cluster = await filled({ snapshotEveryBytes: 1, scrubFirstMs: 30_000, scrubEveryMs: 10_000 });
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    const { disk } = cluster.member(name);
    await cluster.until(() => cluster.node(name).status().snapshotPosition > COUNT / 2, "there is a snapshot");
    await cluster.pass(10_000);
    const newest = disk.files().findLast((path) => path.includes(`/${folder}/`)) as string;
    const before = Buffer.from(disk.bytes(newest));
    disk.flip(newest, Math.floor(before.length / 2), 3);
    await cluster.until(() => (cluster.node(name).status().scrub.passes ?? 0) >= 1, "all was read");
    expect(Buffer.compare(disk.bytes(newest), before), "the same bytes").toBe(0);
    expect(cluster.node(name).status().snapshotPosition).toBeGreaterThan(COUNT / 2);
    expect(cluster.node(name).status().damage).toEqual([]);
    await mended(cluster, name);
  });

  it("snapshots that are gone: missed by the scrub, and written anew", async () => {
    const cluster = await filled({ snapshotEveryBytes: 1, scrubFirstMs: 30_000, scrubEveryMs: 10_000 });
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    const { disk } = cluster.member(name);
    await cluster.until(() => cluster.node(name).status().snapshotPosition > COUNT / 2, "there is a snapshot");
    await cluster.pass(10_000);
    const snapshots = snapshotsOf(cluster, name);
    for (const path of snapshots) await disk.remove(path);
    await cluster.until(() => cluster.node(name).status().scrub.passes >= 1, "all was read");
    expect(snapshotsOf(cluster, name)).toEqual(snapshots.slice(-1));
    expect(cluster.node(name).status().damage).toEqual([]);
    await mended(cluster, name);
  });

  it("snapshots that are gone at a start: written anew, though nothing is appended any more", async () => {
    const cluster = await filled({ snapshotEveryBytes: 1 });
    const [name] = NAMES.filter((one) => one !== cluster.leader?.name) as [string];
    await cluster.until(() => cluster.node(name).status().snapshotPosition > COUNT / 2, "there is a snapshot");
    await cluster.pass(NODE_LIMITS.imageEveryMs + 2 * NODE_LIMITS.housekeepingEveryMs);
    cluster.kill(name, { kind: "all" });
    for (const path of snapshotsOf(cluster, name)) await cluster.member(name).disk.remove(path);
    await restart(cluster, name);
    await cluster.until(() => snapshotsOf(cluster, name).length > 0, "there is a snapshot again");
    await mended(cluster, name);
  });

  it("damage on every node, each record intact on one of them at least, loses nothing", async () => {
    const cluster = await filled({ imageEveryMs: 1e9, repairRetryMs: 1_000 });
    for (const name of NAMES) cluster.kill(name, { kind: "all" });
    let harmed = 0;
    for (const [at, name] of NAMES.entries()) {
      const { disk } = cluster.member(name);
      for (const path of logs(cluster, name).slice(0, -1)) {
        const sectors = Math.floor(disk.bytes(path).length / SECTOR);
        // An entry spans two sectors at most: none is damaged on two nodes.
        for (let sector = 2 + 6 * at; sector < sectors; sector += 18) if (disk.zeroSector(path, sector)) harmed += 1;
      }
    }
    expect(harmed).toBeGreaterThan(5);
    for (const name of NAMES) void cluster.start(name).catch(() => undefined);
    await cluster.until(() => cluster.up.length === 3, "all are up");
    await mended(cluster, ...NAMES);
    for (const { node } of cluster.up) expect(node?.status().repair?.segments).toBeGreaterThan(0);
  });
});
