/** What is done to a cluster. Each fault ends with everything it did undone, but for processes that are down. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import type { Prng } from "../../src/lib/prng.ts";
import { damageSomewhere, filesIn, flipBit, zero } from "../process/damaged-files.ts";
import type { Cluster } from "./cluster.ts";
import type { NodeProcess } from "./node-process.ts";
import { pause } from "./pause.ts";

export type Fault = {
  readonly name: string;
  readonly changesMembers?: true;
  /**
   * All nodes serve when it begins. Resolves to what was done in particular, where that is chance, and to false if there was
   * nothing to do it to: it has not happened then.
   */
  readonly run: (cluster: Cluster, prng: Prng) => Promise<string | false | void>;
};

const HELD_MS_MIN = 500;
const HELD_MS_MORE = 4_000;
const SECTOR_BYTES = 512;
/** What a node's log and its image consist of, beside the hard state. */
const LOG_FILES = /^(?:image|logs\/0\/(?:segments|snapshots|tails))\//;
const MISSING_CHANCE = 0.25;
const BALLAST_STEP_BYTES = 256 * 1024;
const LEADS = /leads: transfer leadership/;
const TRACER_READY = /attached/;

export const FAULTS: readonly Fault[] = [
  {
    name: "kill -9 of a node",
    run: async (cluster, prng) => {
      await cluster.any(prng).kill();
      await held(prng);
    },
  },
  {
    name: "kill -9 of the leader",
    run: async (cluster, prng) => {
      await (await cluster.leader()).kill();
      await held(prng);
    },
  },
  {
    name: "kill -9 of all nodes",
    run: async (cluster, prng) => {
      await Promise.all(cluster.nodes.map((node) => node.kill()));
      if (prng.chance(0.5)) await held(prng);
    },
  },
  {
    name: "SIGTERM of the leader",
    run: async (cluster) => {
      await (await cluster.leader()).stop();
    },
  },
  {
    name: "SIGSTOP of the leader",
    run: async (cluster, prng) => {
      const leader = await cluster.leader();
      leader.pause();
      await held(prng);
      leader.resume();
    },
  },
  {
    name: "one-way drops between two nodes",
    run: async (cluster, prng) => {
      const from = cluster.any(prng);
      const to = prng.pick(cluster.nodes.filter((node) => node !== from));
      cluster.network.cut(from.name, to.name);
      await held(prng);
      cluster.network.heal();
    },
  },
  {
    name: "the leader hears nobody",
    run: async (cluster, prng) => {
      const leader = await cluster.leader();
      for (const node of cluster.nodes) if (node !== leader) cluster.network.cut(node.name, leader.name);
      await held(prng);
      cluster.network.heal();
    },
  },
  {
    name: "the leader is heard by nobody",
    run: async (cluster, prng) => {
      const leader = await cluster.leader();
      for (const node of cluster.nodes) if (node !== leader) cluster.network.cut(leader.name, node.name);
      await held(prng);
      cluster.network.heal();
    },
  },
  {
    name: "flipped and zeroed sectors",
    run: async (cluster, prng) => {
      const node = cluster.any(prng);
      await node.kill();
      return damageSegment(node, prng);
    },
  },
  {
    // What stood in one of these sectors stands in another place on each node: each record is whole somewhere.
    name: "flipped and zeroed sectors on every node",
    run: async (cluster, prng) => {
      await Promise.all(cluster.nodes.map((node) => node.kill()));
      const done = cluster.nodes.map((node) => damageSegment(node, prng)).filter((what) => what !== false);
      return done.length > 1 && done.join("; ");
    },
  },
  {
    name: "damage to any file of the log",
    run: async (cluster, prng) => {
      const node = cluster.any(prng);
      await node.kill();
      return damageFile(node, prng);
    },
  },
  {
    name: "a disk is lost, and the node replaced",
    changesMembers: true,
    run: async (cluster, prng) => {
      await allWhole(cluster);
      const node = cluster.any(prng);
      await node.kill();
      node.wipe();
      await cluster.leader();
      await cluster.command("replace", node.name);
    },
  },
  {
    name: "a member is removed, and added again",
    changesMembers: true,
    run: async (cluster, prng) => {
      await allWhole(cluster);
      const node = await removeFollower(cluster, prng);
      await held(prng);
      await node.kill();
      node.wipe();
      await cluster.command("add", `${node.name}=${node.peerAddress}`);
    },
  },
  {
    name: "EIO of a sync",
    run: async (cluster, prng) => {
      const node = cluster.any(prng);
      await failNextSync(node);
    },
  },
  {
    name: "disk full",
    run: async (cluster, prng) => {
      const ballast = join(cluster.any(prng).folder, "ballast");
      fill(ballast);
      await held(prng);
      rmSync(ballast);
    },
  },
];

function held(prng: Prng): Promise<void> {
  return pause(HELD_MS_MIN + prng.below(HELD_MS_MORE));
}

/** Before a disk goes: what is damaged on another may stand there, and nowhere else. */
async function allWhole(cluster: Cluster): Promise<void> {
  const left = await cluster.unmended();
  if (left.length > 0) throw new Error(left.join("; "));
}

/** Of a node that does not lead. It may come to while it is asked for: then that is refused, and another is chosen. */
async function removeFollower(cluster: Cluster, prng: Prng): Promise<NodeProcess> {
  for (;;) {
    const leader = await cluster.leader();
    const node = prng.pick(cluster.nodes.filter((each) => each !== leader));
    try {
      await cluster.command("remove", node.name);
      return node;
    } catch (error) {
      if (!LEADS.test(String(error))) throw error;
    }
  }
}

/** One sector of a segment that is not the newest, with something in it: a bit of it, or all of it. False if there is none. */
function damageSegment(node: NodeProcess, prng: Prng): string | false {
  const folder = join(node.data, "logs/0/segments");
  if (!existsSync(folder)) return false;
  const segments = readdirSync(folder)
    .filter((name) => /^\d+\.log$/.test(name))
    .toSorted();
  if (segments.length < 2) return false;
  const name = prng.pick(segments.slice(0, -1));
  const path = join(folder, name);
  const bytes = readFileSync(path);
  const written = bytes.findLastIndex((byte) => byte !== 0);
  if (written < SECTOR_BYTES) return false;
  const at = prng.below(Math.floor(written / SECTOR_BYTES)) * SECTOR_BYTES;
  if (prng.chance(0.5)) zero(path, at, SECTOR_BYTES);
  else flipBit(path, at + prng.below(SECTOR_BYTES), prng.below(8));
  return `${name} of ${node.name}, sector at ${at} of ${written}`;
}

/**
 * Anything in a file of any kind but the hard state's, or all of the file gone. The hard state damaged in both slots is a
 * disk that was lost. False if there is none.
 */
function damageFile(node: NodeProcess, prng: Prng): string | false {
  const folder = node.data;
  const files = filesIn(folder, LOG_FILES).filter((name) => statSync(join(folder, name)).size > 0);
  const kinds = Map.groupBy(files, kindOf);
  if (kinds.size === 0) return false;
  const name = prng.pick(kinds.get(prng.pick([...kinds.keys()])) ?? []);
  const path = join(folder, name);
  if (!prng.chance(MISSING_CHANCE)) return `${name} of ${node.name}: ${damageSomewhere(path, prng)}`;
  rmSync(path);
  return `${name} of ${node.name}: gone`;
}

function kindOf(name: string): string {
  return `${dirname(name)} ${extname(name)}`;
}

/** The next write or sync of the log fails; the node ends by itself. */
async function failNextSync(node: NodeProcess): Promise<void> {
  const calls = ["-e", "trace=pwrite64,fdatasync", "-e", "inject=pwrite64,fdatasync:error=EIO:when=1"];
  // Spares among them: the log goes on in one.
  const files = filesIn(node.folder, /^logs\/0\/segments\/\d+\.log$/).flatMap((name) => [
    "-P",
    join(node.folder, name),
  ]);
  const args = ["-f", "-p", String(node.pid), ...files, ...calls];
  const tracer = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(tracer, "exit");
  await new Promise<void>((resolve) => {
    tracer.stderr.on("data", (chunk: Buffer) => TRACER_READY.test(String(chunk)) && resolve());
    void exited.then(() => resolve());
  });
  await node.ended;
  tracer.kill("SIGKILL");
  await exited;
}

/** Until nothing more fits. */
function fill(path: string): void {
  const file = openSync(path, "w");
  const step = Buffer.alloc(BALLAST_STEP_BYTES);
  try {
    for (;;) writeSync(file, step);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(file);
  }
}
