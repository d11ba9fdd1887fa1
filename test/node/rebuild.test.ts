/**
 * Nodes that cannot go on from what their own disks hold: they come up, serve nothing, and are rebuilt from what the leader
 * ships, without anybody's doing (I13). What they had acknowledged they answer for until they have it again.
 */
import { expect, it } from "vitest";
import type { NodeLimits } from "../../log-server/node/limits.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { append, asAppended, create, readAll } from "./sim-node.ts";
import { type Member, SimCluster, type SimClusterOptions } from "../../log-server/sim/sim-cluster.ts";

const LIMITS: Partial<NodeLimits> = {
  imageEveryMs: 200,
  imageEveryBytes: 8 * 1024,
  snapshotEveryBytes: 16 * 1024,
  housekeepingEveryMs: 300,
  shipmentKeptMs: 2_000,
  digestEveryEntries: 8,
  digestCompareMs: 200,
};
const NEVER_MS = 1e9;
const VALUES = Array.from({ length: 40 }, (_, at) => `value ${at} ${"x".repeat(300)}`);

type Scene = { readonly cluster: SimCluster; readonly name: string; readonly notes: string[] };

async function appendAll(cluster: SimCluster, stream: string, values: readonly string[]): Promise<void> {
  for (const value of values) {
    await cluster.until(() => cluster.leader?.node?.phase === "serving", "there is a leader");
    const { name } = cluster.leader as { name: string };
    asAppended(await cluster.settle(cluster.propose(name, append(stream, [value]))));
  }
}

/** Until the node's log begins behind its first entry. */
async function trimmed(cluster: SimCluster, name: string): Promise<void> {
  for (let at = 0; begins(cluster, name); at += 1) {
    expect(at, "the log is trimmed").toBeLessThan(100);
    await appendAll(cluster, "filler", VALUES.slice(0, 4));
    await cluster.pass(400);
  }
}

function begins(cluster: SimCluster, name: string): boolean {
  return cluster
    .member(name)
    .disk.files()
    .some((path) => path.endsWith("/0000000000000001.log"));
}

/** Three nodes whose logs were trimmed, and one that follows. */
async function scene(limits: Partial<NodeLimits> = {}, more: SimClusterOptions = {}): Promise<Scene> {
  const notes: string[] = [];
  const cluster = await SimCluster.started({
    ...more,
    limits: { ...LIMITS, ...limits },
    note: (line) => notes.push(line),
  });
  const leader = (await cluster.elected()).name;
  for (const name of ["gone", "s", "filler"]) await cluster.settle(cluster.propose(leader, create(name)));
  await appendAll(cluster, "gone", VALUES);
  await cluster.settle(cluster.propose(leader, { kind: "delete", stream: "gone" }));
  await appendAll(cluster, "s", VALUES);
  for (const { name } of cluster.members) await trimmed(cluster, name);
  await cluster.agreed();
  const name = cluster.members.find((one) => one.name !== cluster.leader?.name)?.name as string;
  return { cluster, name, notes };
}

/** The node dies and its image with it; `spoil` says what becomes of each of its snapshots. */
async function loseState(
  { cluster, name }: Scene,
  spoil: (disk: SimDisk, path: string) => unknown = () => undefined,
): Promise<Member> {
  cluster.kill(name, { kind: "all" });
  const member = cluster.member(name);
  member.kv = new SimKv();
  for (const path of member.disk.files()) if (path.endsWith(".snapshot")) await spoil(member.disk, path);
  return member;
}

function told({ notes }: Scene, code: string): number {
  return notes.filter((line) => line.includes(` ${code} `)).length;
}

async function expectRebuilt({ cluster, name, notes }: Scene): Promise<void> {
  await cluster.until(() => cluster.member(name).node?.phase === "serving", "it serves", 120_000);
  await appendAll(cluster, "s", ["one more"]);
  await cluster.agreed();
  for (const member of cluster.up)
    expect(await cluster.settle(readAll(cluster.node(member.name), "s")), member.name).toEqual([...VALUES, "one more"]);
  expect(new Set(cluster.up.map(({ node }) => node?.machine.digest())).size, "I10").toBe(1);
  expect(cluster.failures, notes.join("\n")).toEqual([]);
  // For good.
  cluster.kill(name, { kind: "all" });
  await cluster.settle(cluster.start(name));
  expect(told({ cluster, name, notes }, "snapshot-installed")).toBe(1);
}

it("comes back without image and snapshot, over a log that was trimmed", async () => {
  const one = await scene();
  const { cluster, name } = one;
  const member = await loseState(one, (disk, path) => disk.remove(path));
  cluster.isolate(name);
  cluster.start(name).catch(() => undefined);
  await cluster.pass(5_000);
  expect(member.node?.phase, "alone it serves nothing").toBe("recovering");
  expect(member.node?.position).toBe(0);
  await expect(member.node?.propose(append("s", ["x"]))).rejects.toMatchObject({ code: "unavailable" });
  cluster.network.healAll();
  await expectRebuilt(one);
  expect(told(one, "state-lost")).toBe(1);
});

it("is shipped a log that reaches as far as its own, and so gives up nothing", async () => {
  const one = await scene();
  const { cluster, name } = one;
  await loseState(one, (disk, path) => disk.zeroSector(path, 0));
  cluster.start(name).catch(() => undefined);
  await cluster.until(() => told(one, "snapshot-received") > 0, "all was shipped");
  await expectRebuilt(one);
  expect(told(one, "log-end-ambiguous")).toBe(0);
});

/** A disk that gives a file its name only once that is let through. */
function gated(disk: SimDisk, letThrough: (path: string) => Promise<unknown>): Disk {
  return {
    open: (path, mode) => disk.open(path, mode),
    list: (directory) => disk.list(directory),
    createDirectory: (directory) => disk.createDirectory(directory),
    rename: async (from, to) => {
      await letThrough(to);
      await disk.rename(from, to);
    },
    remove: (path) => disk.remove(path),
    syncDirectory: (directory) => disk.syncDirectory(directory),
    freeBytes: () => disk.freeBytes(),
  };
}

type Gate = { isAsked: boolean; readonly letThrough: Promise<void>; readonly open: () => void };

function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { isAsked: false, letThrough: promise, open: resolve };
}

it.each([
  ["with a log that was whole", false],
  ["with a doubt about its end that is settled just then", true],
])("elects nobody who lacks what it had acknowledged and given up, %s", async (_, doubted) => {
  const shipping = gate();
  const deciding = gate();
  const gateOf = (path: string): Gate | undefined => {
    if (path.endsWith("/install")) return deciding;
    return path.includes("/incoming/segments/") ? shipping : undefined;
  };
  const one = await scene(
    { tailSettleEveryMs: 20_000, snapshotEveryBytes: 64 * 1024, entryCommandsMax: 1 },
    {
      diskOf: ({ disk }) =>
        gated(disk, async (path) => {
          const found = gateOf(path);
          if (found !== undefined) found.isAsked = true;
          await found?.letThrough;
        }),
    },
  );
  const { cluster, name } = one;
  const leader = cluster.leader?.name as string;
  const third = cluster.members.find((member) => ![name, leader].includes(member.name))?.name as string;
  const appendTogether = async (values: readonly string[]): Promise<void> => {
    const group = values.map((value) => cluster.propose(leader, append("s", [value])));
    for (const result of await cluster.settle(Promise.all(group))) asAppended(result);
  };
  // Only the leader and the node itself have what comes now.
  cluster.isolate(third);
  await appendTogether(["late", "later"]);
  const member = await loseState(one, (disk, path) => disk.remove(path));
  if (doubted) {
    const path = segments(cluster, name).at(-1) as string;
    member.disk.flip(path, Buffer.from(member.disk.bytes(path)).indexOf("late"), 1);
  }
  cluster.start(name).catch(() => undefined);
  await cluster.until(() => shipping.isAsked, "something was shipped");
  expect(told(one, "log-end-ambiguous")).toBe(doubted ? 1 : 0);
  await appendTogether(["latest"]);
  shipping.open();
  await cluster.until(() => deciding.isAsked, "all was shipped");
  await cluster.pass(30_000);
  deciding.open();
  await cluster.until(() => told(one, "snapshot-received") > 0, "it is decided");
  cluster.kill(leader, { kind: "all" });
  await cluster.until(() => cluster.member(name).node !== undefined, "it has begun anew");
  cluster.network.healAll();
  await cluster.pass(20_000);
  expect(cluster.leader?.name, "I3: nobody leads who lacks what was acknowledged").toBeUndefined();
  cluster.start(leader).catch(() => undefined);
  await cluster.until(() => cluster.member(name).node?.phase === "serving", "it serves", 120_000);
  await cluster.agreed();
  for (const { name: at } of cluster.up)
    expect(await cluster.settle(readAll(cluster.node(at), "s")), at).toEqual([...VALUES, "late", "later", "latest"]);
  expect(cluster.failures, one.notes.join("\n")).toEqual([]);
});

it("gives up nothing that is intact for what is damaged, unnoticed, at the leader and everywhere else", async () => {
  const one = await scene();
  const { cluster, name } = one;
  await loseState(one, (disk, path) => disk.remove(path));
  const others = cluster.members.filter((member) => member.name !== name);
  for (const { disk } of others) {
    const path = disk.files().find((each) => Buffer.from(disk.bytes(each)).includes(VALUES[3] as string)) as string;
    disk.flip(path, Buffer.from(disk.bytes(path)).indexOf(VALUES[3] as string), 1);
  }
  cluster.start(name).catch(() => undefined);
  await cluster.until(() => cluster.member(name).node?.phase === "serving", "it serves", 120_000);
  expect(cluster.node(name).status().damage).toEqual([]);
  for (const { name: at } of others)
    await expect(cluster.settle(readAll(cluster.node(at), "s"))).rejects.toThrow(/^repairing/);
  await cluster.pass(5_000);
  await expectRebuilt(one);
});

it("stays down where there is nobody to ask", async () => {
  const one = await scene();
  const member = await loseState(one, (disk, path) => disk.remove(path));
  const alone = new SimCluster({ nodes: 1, limits: LIMITS });
  const [only] = alone.members as [(typeof alone.members)[number]];
  Object.assign(only, { disk: member.disk, kv: member.kv });
  await expect(alone.settle(alone.start(only.name))).rejects.toThrow(/snapshot-gap: the log begins at/);
});

it("serves no state that a majority contradicted, also after a restart, until it has another", async () => {
  const one = await scene();
  const { cluster, name } = one;
  const { machine } = cluster.node(name);
  const digest = machine.digest.bind(machine);
  Object.assign(machine, { digest: () => digest() + 1n });
  const failed = cluster.node(name);
  await appendAll(cluster, "filler", VALUES.slice(0, 12));
  await cluster.until(() => failed.phase === "failed", "it stops serving");
  expect(cluster.failures.splice(0)).toHaveLength(1);
  cluster.kill(name, { kind: "all" });
  cluster.isolate(name);
  cluster.start(name).catch(() => undefined);
  await cluster.pass(5_000);
  expect(cluster.member(name).node?.phase).toBe("recovering");
  cluster.network.healAll();
  await expectRebuilt(one);
});

/**
 * The node has all entries, and has to apply those behind its snapshot once more, of which one is damaged; the others have newer
 * snapshots, and no entry before those.
 */
async function blockedScene(limits: Partial<NodeLimits>): Promise<Scene> {
  let stuck: string | undefined;
  const never = new Promise<void>(() => undefined);
  const diskOf = ({ name, disk }: Member): Disk =>
    gated(disk, async (path) => (name === stuck && path.endsWith(".snapshot") ? never : undefined));
  const one = await scene(limits, { diskOf });
  const { cluster, name } = one;
  stuck = name;
  const others = cluster.members.filter((member) => member.name !== name);
  const newest = (member: Member): string => segments(cluster, member.name).at(-1) as string;
  const damaged = newest(cluster.member(name));
  const atOthers = others.map(newest);
  const isThere = (): boolean => others.some(({ disk }, at) => disk.exists(atOthers[at] as string));
  for (let at = 0; isThere(); at += 1) {
    expect(at, "the others have dropped it").toBeLessThan(100);
    await appendAll(cluster, "filler", VALUES.slice(0, 4));
    await cluster.pass(400);
  }
  await cluster.agreed();
  const { disk } = await loseState(one);
  for (let sector = 2; sector < 8; sector += 1) disk.zeroSector(damaged, sector);
  stuck = undefined;
  return one;
}

it("takes what the leader ships where an entry in its way is damaged, as soon as all others have said that they have it no more", async () => {
  const one = await blockedScene({ rebuildAfterMs: NEVER_MS });
  const { cluster, name } = one;
  cluster.start(name).catch(() => undefined);
  await expectRebuilt(one);
  expect(told(one, "apply-blocked")).toBeGreaterThan(0);
});

it("takes it in the end where its disk is full at first", async () => {
  const one = await blockedScene({ rebuildAfterMs: NEVER_MS });
  const { cluster, name } = one;
  const { disk } = cluster.member(name);
  const path = (one: string): boolean => one.includes("/incoming/");
  for (let nth = 1; nth <= 3; nth += 1) disk.arm({ operation: "write", effect: "no-space", nth, path });
  cluster.start(name).catch(() => undefined);
  await expectRebuilt(one);
  expect(disk.faultsInjected.get("no-space")).toBe(3);
});

it("waits for one that may have it, and not for ever", async () => {
  const one = await blockedScene({ rebuildAfterMs: 40_000 });
  const { cluster, name } = one;
  const { name: third } = cluster.up.find((each) => each !== cluster.leader) as Member;
  cluster.kill(third, { kind: "all" });
  cluster.start(name).catch(() => undefined);
  await cluster.until(() => told(one, "apply-blocked") > 0, "it cannot go on");
  await cluster.pass(30_000);
  expect(told(one, "rebuilding")).toBe(0);
  await expectRebuilt(one);
});

it("is not rebuilt over and over where the leader ships the same damage", async () => {
  let stuck: readonly string[] = [];
  const never = new Promise<void>(() => undefined);
  const diskOf = ({ name, disk }: Member): Disk =>
    gated(disk, async (path) => (stuck.includes(name) && path.endsWith(".snapshot") ? never : undefined));
  const one = await scene({ rebuildAfterMs: 300_000 }, { diskOf });
  const { cluster, name } = one;
  // The entry stays behind the leader's snapshot.
  stuck = cluster.members.map((member) => member.name);
  const late = Array.from({ length: 8 }, (_, at) => `late ${at} ${"x".repeat(1_200)}`);
  await appendAll(cluster, "s", late);
  await cluster.agreed();
  await loseState(one);
  for (const { disk } of cluster.members) {
    const value = late[4] as string;
    const path = disk.files().find((each) => Buffer.from(disk.bytes(each)).includes(value)) as string;
    // In the head of its entry.
    disk.flip(path, Buffer.from(disk.bytes(path)).indexOf(value) - 120, 2);
  }
  stuck = stuck.filter((other) => other !== name);
  cluster.start(name).catch(() => undefined);
  await cluster.until(() => told(one, "apply-blocked") > 1, "it is in the way again");
  await cluster.pass(200_000);
  expect(told(one, "snapshot-installed")).toBe(1);
  await cluster.pass(200_000);
  expect(told(one, "snapshot-installed")).toBe(2);
});

function segments(cluster: SimCluster, name: string): string[] {
  const { disk } = cluster.member(name);
  return disk.files().filter((path) => path.endsWith(".log") && disk.bytes(path).some((byte) => byte > 0));
}
