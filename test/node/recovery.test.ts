/**
 * A cluster of which one node is left, begun anew from what that has: wherever the power goes there is the old cluster or the
 * new one, whole; and nothing that this node had is lost (I3, I13, R100, R101).
 */
import { beforeAll, describe, expect, it } from "vitest";
import { HardStateFile } from "../../log-server/log/hard-state.ts";
import { LOG_LIMITS } from "../../log-server/log/limits.ts";
import {
  createIdentity,
  joinCluster,
  type Member,
  type NodeIdentity,
  readIdentity,
} from "../../log-server/log/node-identity.ts";
import {
  finishRecovery,
  type RecoveryOptions,
  startRecovery,
  surveyRecovery,
} from "../../log-server/node/cluster/recovery.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import { openNode } from "../../log-server/node/open-node.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { Prng } from "../../src/lib/prng.ts";
import { SimClock } from "../../src/sim/clock.ts";
import type { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { SimNetwork } from "../../src/sim/network.ts";
import { crashEverywhere, type Machine } from "../log/crash-everywhere.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";
import { append, create, readAll } from "./sim-node.ts";

const LIMITS = { imageEveryMs: 400, lowWaterBytes: 0 };
const RECORDS = 30;
const VALUES = Array.from({ length: RECORDS }, (_, place) => `record ${place}`);
/** What a simulated cluster is called. */
const OLD = "test-cluster";
const NAMES = ["n1", "n2", "n3"];

/** What is left of three nodes that were four for a while: n1's disk, with configurations and members of the old cluster. */
let left: Machine;
let old: NodeIdentity;

beforeAll(async () => {
  const cluster = await SimCluster.started({ nodes: 4, limits: LIMITS });
  const { name: leader } = await cluster.elected();
  if (leader !== "n1") await cluster.settle(cluster.node(leader).changeCluster({ kind: "transfer", node: "n1" }));
  await cluster.elected("n4");
  await cluster.settle(cluster.propose("n1", create("s")));
  const told = NAMES.map(
    (node) => ({ kind: "member-set", node, disk: `disk-of-${node}`, host: "h", port: 1 }) as const,
  );
  for (const member of told) await cluster.settle(cluster.propose("n1", member));
  await cluster.settle(cluster.propose("n1", { kind: "member-set", node: "n4", disk: "d", host: "h", port: 1 }));
  for (const [place, value] of VALUES.entries()) {
    await cluster.settle(cluster.propose("n1", append("s", [value])));
    if (place === 10) await cluster.settle(cluster.node("n1").changeCluster({ kind: "remove", node: "n4" }));
    if (place === 20) await cluster.pass(1_000);
  }
  // The others are gone; this one's image is behind its log, and its last word reached nobody.
  for (const name of ["n2", "n3", "n4"]) cluster.kill(name);
  const alone = cluster.propose("n1", append("s", ["told nobody"])).catch(() => undefined);
  await cluster.pass(50);
  cluster.kill("n1", { kind: "all" });
  await alone;
  const { disk, kv } = cluster.member("n1");
  left = { disk, kv };
  const created = await createIdentity(disk, "n1", { bytes: (length) => new Prng(3).bytes(length) }, false);
  if (!created.ok) throw new Error(created.error.message);
  const founders = NAMES.map((node): Member => ({ node, disk: `disk-of-${node}`, host: "h", port: 1 }));
  old = await joinCluster(disk, { ...created.value, diskId: "disk-of-n1" }, { clusterId: OLD, founders });
});

function optionsFor({ disk, kv }: Machine): RecoveryOptions & { readonly clock: SimClock } {
  const prng = new Prng(5);
  return {
    disk,
    kv,
    clock: new SimClock(),
    entropy: { bytes: (length) => prng.bytes(length) },
    zstd: undefined,
    logId: 0,
    limits: {
      node: { ...NODE_LIMITS, ...LIMITS },
      log: { ...LOG_LIMITS, segmentBytes: 16 * 1024, allocationStepBytes: 8 * 1024 },
      streams: STREAMS_LIMITS,
    },
    observer: NO_OBSERVER,
  };
}

async function identityOn(disk: SimDisk): Promise<NodeIdentity> {
  const read = await readIdentity(disk, "n1");
  if (!read.ok || read.value === undefined) throw new Error("the folder has no identity");
  return read.value;
}

/** As the command does, to the end; simulated time goes on where nothing else does. */
async function recovered(machine: Machine, from?: NodeIdentity): Promise<NodeIdentity> {
  const options = optionsFor(machine);
  let identity = from ?? (await identityOn(machine.disk));
  if (identity.since === undefined) {
    const survey = await pumped(options.clock, surveyRecovery(options, identity));
    if (!survey.ok) throw new Error(survey.error.message);
    identity = await startRecovery(options, identity, survey.value.member);
  }
  const finished = await pumped(options.clock, finishRecovery(options, identity));
  if (!finished.ok) throw new Error(finished.error.message);
  return finished.value;
}

async function pumped<T>(clock: SimClock, work: Promise<T>): Promise<T> {
  let settled = false;
  const done = (): void => {
    settled = true;
  };
  work.then(done, done);
  for (let turns = 0; turns < 100_000; turns += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    if (settled) return work;
    clock.advanceToNext();
  }
  throw new Error("it does not come to an end");
}

/** Started as `tidemark serve` starts it: a member of a cluster that is only this node. */
async function started(machine: Machine, identity: NodeIdentity): Promise<{ node: LogNode; clock: SimClock }> {
  const options = optionsFor(machine);
  const { clock } = options;
  const network = new SimNetwork({ clock, prng: new Prng(1) });
  const voters = (identity.founders ?? []).map(({ node }) => node);
  const opened = await openNode({ ...options, ...identity, cluster: { voters, link: network.join("n1") } });
  if (!opened.ok) throw new Error(opened.error.message);
  await pumped(clock, opened.value.start());
  return { node: opened.value, clock };
}

async function isWhole(machine: Machine, identity: NodeIdentity, where: string): Promise<void> {
  const { node, clock } = await started(machine, identity);
  expect(node.leads, where).toBe(true);
  expect((await readAll(node, "s")).slice(0, RECORDS), where).toEqual(VALUES);
  expect(
    node.clusterStatus().members.map((member) => [member.node, member.role]),
    where,
  ).toEqual([["n1", "voter"]]);
  expect(node.machine.members, where).toEqual([{ node: "n1", disk: "disk-of-n1", host: "h", port: 1 }]);
  const answer = await pumped(clock, node.propose(append("s", ["after"])));
  expect(answer.kind, where).toBe("appended");
  await pumped(clock, node.stop());
}

describe("a node that is left alone", () => {
  it("is told what is there, and what can be said of the rest", async () => {
    const machine = { disk: left.disk.crash({ kind: "all" }), kv: left.kv.crash() };
    const options = optionsFor(machine);
    const survey = await surveyRecovery(options, old);
    expect(survey).toMatchObject({
      ok: true,
      value: { cluster: OLD, node: "n1", others: ["n2", "n3"], damagedEnd: false, damage: [] },
    });
    if (!survey.ok) return;
    const { committed, lastIndex } = survey.value;
    expect(committed).toBeGreaterThan(0);
    expect(committed).toBeLessThan(lastIndex);
    expect(survey.value.member).toEqual({ node: "n1", disk: "disk-of-n1", host: "h", port: 1 });
    const alone = await surveyRecovery(options, { ...old, founders: undefined });
    expect(alone).toMatchObject({ ok: false, error: { kind: "alone" } });
  });

  it("is told of a damaged end that the others had not settled, also where nothing is left of it", async () => {
    const machine = { disk: left.disk.crash({ kind: "all" }), kv: left.kv.crash() };
    const hardState = await HardStateFile.open(machine.disk, "logs/0/hard-state");
    if (!hardState.ok) throw new Error(hardState.error.kind);
    await hardState.value.writeDoubt({ index: 1e6, term: hardState.value.state.term });
    await hardState.value.close();
    const survey = await surveyRecovery(optionsFor(machine), old);
    expect(survey).toMatchObject({ ok: true, value: { damagedEnd: true } });
  });

  it("does not start without the others before it is recovered, and does after", async () => {
    const machine = { disk: left.disk.crash({ kind: "all" }), kv: left.kv.crash() };
    await expect(started(machine, old)).rejects.toThrow("does not come to an end");
    const again = { disk: left.disk.crash({ kind: "all" }), kv: left.kv.crash() };
    const identity = await recovered(again);
    expect(identity).toMatchObject({ nodeName: "n1", diskId: "disk-of-n1", since: { kind: "recovered" } });
    expect(identity.clusterId).not.toBe(OLD);
    await isWhole(again, identity, "with its image");
    // From the log alone, in which the old cluster's configurations stand before that of the new one.
    await isWhole({ disk: again.disk, kv: new SimKv() }, identity, "without its image");
  }, 20_000);

  it("is of the old cluster or of the new one, whole, wherever the power goes", async () => {
    const before = await surveyRecovery(
      optionsFor({ disk: left.disk.crash({ kind: "all" }), kv: left.kv.crash() }),
      old,
    );
    const seen = { old: 0, begun: 0, done: 0 };
    const tally = await crashEverywhere({
      base: left,
      begin: () => ({ done: false }),
      samples: 1,
      seed: 7,
      work: async (machine, progress) => {
        try {
          await recovered(machine);
          progress.done = true;
        } catch (error) {
          // Whatever it was doing failed.
          if (!machine.disk.plugPulled) throw error;
        }
      },
      verify: async (machine, { done }, where) => {
        const identity = await identityOn(machine.disk);
        if (identity.clusterId === OLD) {
          seen.old += 1;
          expect(done, where).toBe(false);
          expect(identity, where).toEqual(old);
          expect(await surveyRecovery(optionsFor(machine), identity), where).toEqual(before);
          return;
        }
        seen[identity.since?.kind === "recovering" ? "begun" : "done"] += 1;
        const finished = identity.since?.kind === "recovering" ? await recovered(machine, identity) : identity;
        await isWhole(machine, finished, where);
      },
    });
    expect(tally.crashes).toBeGreaterThan(20);
    expect(Math.min(seen.old, seen.begun, seen.done)).toBeGreaterThan(0);
  }, 60_000);
});
