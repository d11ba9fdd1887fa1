/**
 * The end of a log that damage has made doubtful, perhaps torn and perhaps acknowledged: each way in which it is settled
 * (I13; R60 to R64 of the Raft core's rules).
 */
import { describe, expect, it } from "vitest";
import { append, asAppended, create, readAll } from "./sim-node.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";

const NAMES = ["n1", "n2", "n3"];
const SECTOR = 512;
const events: string[] = [];

async function founded(
  seed = 1,
  limits: { entryCommandsMax?: number } = {},
): Promise<{ cluster: SimCluster; leader: string; others: [string, string] }> {
  events.length = 0;
  const cluster = await SimCluster.started({ seed, limits, note: (line) => events.push(line) });
  const leader = (await cluster.elected()).name;
  await cluster.settle(cluster.propose(leader, create("s")));
  return { cluster, leader, others: NAMES.filter((name) => name !== leader) as [string, string] };
}

async function appendTo(cluster: SimCluster, leader: string, ...values: readonly string[]): Promise<void> {
  for (const value of values) asAppended(await cluster.settle(cluster.propose(leader, append("s", [value]))));
}

/** The sectors of a node's newest segment that hold the record with this value. */
function harm(cluster: SimCluster, name: string, value: string): void {
  const { disk } = cluster.member(name);
  const path = disk.files().findLast((one) => one.endsWith(".log") && Buffer.from(disk.bytes(one)).includes(value));
  if (path === undefined) throw new Error(`${name} does not have ${value}`);
  const at = Buffer.from(disk.bytes(path)).indexOf(value);
  for (let byte = at; byte < at + value.length; byte += SECTOR) disk.flip(path, byte, 1);
}

function startAll(cluster: SimCluster, ...names: readonly string[]): void {
  for (const name of names) void cluster.start(name).catch(() => undefined);
}

/** Who leads, and takes commands. */
async function leads(cluster: SimCluster): Promise<string> {
  await cluster.until(() => cluster.leader?.node?.phase === "serving", "there is a leader that serves");
  return cluster.leader?.name as string;
}

function noted(what: string, name: string): boolean {
  return events.some((line) => line.includes(` ${name} ${what} `));
}

async function expectAll(cluster: SimCluster, values: readonly string[]): Promise<void> {
  await cluster.agreed();
  for (const { name } of cluster.up) {
    expect(await cluster.settle(readAll(cluster.node(name), "s")), name).toEqual(values);
    expect(cluster.node(name).status().damage, name).toEqual([]);
  }
  expect(cluster.failures).toEqual([]);
}

describe("a doubtful end", () => {
  it("is settled by a leader that has it: what was acknowledged is sent again", async () => {
    const { cluster, leader, others } = await founded();
    const [one] = others;
    await appendTo(cluster, leader, "a", "b");
    await cluster.agreed();
    cluster.kill(one, { kind: "all" });
    harm(cluster, one, "b");
    await cluster.settle(cluster.start(one));
    expect(noted("log-end-ambiguous", one)).toBe(true);
    await expectAll(cluster, ["a", "b"]);
    await cluster.until(() => noted("log-end-settled", one), "it is settled");
  });

  it("is settled by a leader that was elected without its vote, though another voter cannot be asked", async () => {
    const { cluster, leader, others } = await founded();
    const [one, other] = others;
    await appendTo(cluster, leader, "a", "b");
    await cluster.agreed();
    cluster.kill(one, { kind: "all" });
    harm(cluster, one, "b");
    cluster.kill(leader, { kind: "all" });
    startAll(cluster, leader);
    const next = await leads(cluster);
    await appendTo(cluster, next, "c");
    const silent = next === leader ? other : leader;
    cluster.network.cut(one, silent);
    cluster.network.cut(silent, one);
    startAll(cluster, one);
    await cluster.pass(1_000);
    await expectAll(cluster, ["a", "b", "c"]);
    await cluster.until(() => noted("log-end-settled", one), "it is settled");
  });

  it("is let go once all voters have said that they do not have it", async () => {
    const { cluster, leader, others } = await founded();
    await appendTo(cluster, leader, "a");
    await cluster.agreed();
    // Only this node writes it: nobody was told that it is there.
    cluster.isolate(leader);
    void cluster.propose(leader, append("s", ["only here"])).catch(() => undefined);
    await cluster.pass(100);
    for (const name of NAMES) cluster.kill(name, { kind: "all" });
    harm(cluster, leader, "only here");
    cluster.network.healAll();
    startAll(cluster, leader, others[0]);
    // Two are a majority, but they may not decide it: the third may have it.
    await cluster.pass(20_000);
    expect(noted("log-end-settled", leader)).toBe(false);
    startAll(cluster, others[1]);
    await cluster.until(() => noted("log-end-settled", leader), "it is settled");
    expect(noted("log-cut", leader)).toBe(true);
    const next = await leads(cluster);
    await appendTo(cluster, next, "c");
    await expectAll(cluster, ["a", "c"]);
  });

  it("keeps its vote from those who lack what it acknowledged, over restarts too", async () => {
    const { cluster, leader, others } = await founded();
    const [one, other] = others;
    await appendTo(cluster, leader, "a");
    await cluster.agreed();
    cluster.kill(other, { kind: "all" });
    await appendTo(cluster, leader, "b");
    cluster.kill(leader, { kind: "all" });
    cluster.kill(one, { kind: "all" });
    harm(cluster, one, "b");
    startAll(cluster, one, other);
    for (let life = 0; life < 3; life += 1) {
      await cluster.pass(10_000);
      expect(cluster.leader, "nobody who lacks it leads").toBeUndefined();
      cluster.kill(one, { kind: "all" });
      startAll(cluster, one);
    }
    startAll(cluster, leader);
    await cluster.elected();
    await expectAll(cluster, ["a", "b"]);
    await cluster.until(() => noted("log-end-settled", one), "it is settled");
  });

  it("is made whole where what is behind the damage can be read: it may be the only copy", async () => {
    let restored = 0;
    for (let seed = 1; seed <= 4; seed += 1) {
      const { cluster, leader, others } = await founded(seed, { entryCommandsMax: 1 });
      const [one, other] = others;
      await appendTo(cluster, leader, "a");
      await cluster.agreed();
      cluster.kill(other, { kind: "all" });
      // Several entries in one write, on both that are up.
      const values = ["bbbb", "cccc", "dddd"].map((value) => value.repeat(100));
      const answers = values.map((value) => cluster.propose(leader, append("s", [value])));
      for (const answer of answers) asAppended(await cluster.settle(answer));
      cluster.kill(leader, { kind: "all" });
      cluster.kill(one, { kind: "all" });
      harm(cluster, leader, "bbbb");
      harm(cluster, one, "cccc");
      startAll(cluster, ...NAMES);
      const next = await leads(cluster);
      await appendTo(cluster, next, "e");
      await expectAll(cluster, ["a", ...values, "e"]);
      await cluster.until(
        () => [leader, one].every((name) => !noted("log-end-ambiguous", name) || noted("log-end-settled", name)),
        "it is settled",
      );
      if (noted("log-end-ambiguous", leader)) restored += 1;
    }
    expect(restored, "P46").toBeGreaterThan(1);
  });

  it("of all of them, torn when the power failed, keeps nobody waiting", async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const { cluster, leader, others } = await founded(seed);
      await appendTo(cluster, leader, "a", "b");
      await cluster.agreed();
      void cluster.propose(leader, append("s", ["c".repeat(400)])).catch(() => undefined);
      await cluster.pass(seed % 3);
      for (const name of NAMES) cluster.kill(name, { kind: "all" });
      for (const name of [leader, others[seed % 2] as string]) {
        try {
          harm(cluster, name, "cccc");
        } catch {
          // It had not come so far.
        }
      }
      startAll(cluster, ...NAMES);
      const next = await leads(cluster);
      await appendTo(cluster, next, "d");
      await cluster.agreed();
      const read = await cluster.settle(readAll(cluster.node(next), "s"));
      expect(read.slice(0, 2)).toEqual(["a", "b"]);
      await expectAll(cluster, read);
    }
  });

  it("is not what damage before it makes of it: two that lack different things lead without a third whose disk is gone", async () => {
    const { cluster, leader, others } = await founded();
    await appendTo(cluster, leader, "<a>", "<b>", "<c>");
    await cluster.agreed();
    for (const name of NAMES) cluster.kill(name, { kind: "all" });
    harm(cluster, leader, "<a>");
    harm(cluster, others[0], "<b>");
    startAll(cluster, leader, others[0]);
    await leads(cluster);
    await expectAll(cluster, ["<a>", "<b>", "<c>"]);
  });

  it("waits for the third, though another has all that can be read there: it alone may know of more (I3)", async () => {
    const { cluster, leader, others } = await founded();
    await appendTo(cluster, leader, "<a>", "<b>");
    await cluster.agreed();
    for (const name of NAMES) cluster.kill(name, { kind: "all" });
    harm(cluster, leader, "<a>");
    harm(cluster, others[0], "<b>");
    startAll(cluster, leader, others[0]);
    await cluster.pass(60_000);
    expect(cluster.leader).toBeUndefined();
    startAll(cluster, others[1]);
    await leads(cluster);
    await expectAll(cluster, ["<a>", "<b>"]);
  });

  it("that is gone without a trace is noticed, for the image knew of it", async () => {
    const { cluster, leader, others } = await founded();
    const [one, other] = others;
    await appendTo(cluster, leader, "a");
    await cluster.agreed();
    cluster.kill(other, { kind: "all" });
    await appendTo(cluster, leader, "b");
    await cluster.pass(30_000);
    cluster.kill(leader, { kind: "all" });
    cluster.kill(one, { kind: "all" });
    const { disk } = cluster.member(one);
    const [path] = disk.files().filter((name) => name.endsWith(".log"));
    const bytes = Buffer.from(disk.bytes(path as string));
    const from = Math.floor(bytes.indexOf("b", bytes.lastIndexOf("\u0001s")) / SECTOR);
    for (let sector = from - 1; sector * SECTOR < bytes.length; sector += 1) disk.zeroSector(path as string, sector);
    startAll(cluster, one, other);
    await cluster.pass(20_000);
    expect(noted("log-end-ambiguous", one)).toBe(true);
    expect(cluster.leader, "nobody who lacks it leads").toBeUndefined();
    startAll(cluster, leader);
    await cluster.elected();
    await expectAll(cluster, ["a", "b"]);
  });
});
