/** What is done to a cluster. Each fault ends with everything it did undone, but for processes that are down. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Prng } from "../../src/lib/prng.ts";
import type { Cluster } from "./cluster.ts";
import type { NodeProcess } from "./node-process.ts";
import { pause } from "./pause.ts";

export type Fault = {
  readonly name: string;
  /** All nodes serve. False if there was nothing to do it to: it has not happened then. */
  readonly changesMembers?: true;
  readonly run: (cluster: Cluster, prng: Prng) => Promise<boolean | void>;
};

const HELD_MS_MIN = 500;
const HELD_MS_MORE = 4_000;
const SECTOR_BYTES = 512;
const BALLAST_STEP_BYTES = 256 * 1024;
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
    name: "a disk is lost, and the node replaced",
    changesMembers: true,
    run: async (cluster, prng) => {
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
      const leader = await cluster.leader();
      const node = prng.pick(cluster.nodes.filter((each) => each !== leader));
      await cluster.command("remove", node.name);
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

/** One sector of a segment that is not the newest: a bit of it, or all of it. False if there is none. */
function damageSegment(node: NodeProcess, prng: Prng): boolean {
  const folder = join(node.data, "logs/0/segments");
  if (!existsSync(folder)) return false;
  const segments = readdirSync(folder)
    .filter((name) => /^\d+\.log$/.test(name))
    .toSorted();
  if (segments.length < 2) return false;
  const path = join(folder, prng.pick(segments.slice(0, -1)));
  const at = prng.below(Math.floor(statSync(path).size / SECTOR_BYTES)) * SECTOR_BYTES;
  const sector = Buffer.alloc(SECTOR_BYTES);
  const file = openSync(path, "r+");
  readSync(file, sector, 0, SECTOR_BYTES, at);
  if (prng.chance(0.5)) sector.fill(0);
  else sector.writeUInt8(sector.readUInt8(7) ^ (1 << prng.below(8)), 7);
  writeSync(file, sector, 0, SECTOR_BYTES, at);
  fsyncSync(file);
  closeSync(file);
  return true;
}

/** The next sync of the log fails; the node ends by itself. */
async function failNextSync(node: NodeProcess): Promise<void> {
  const calls = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1"];
  const tracer = spawn("strace", ["-f", "-p", String(node.pid), ...calls], { stdio: ["ignore", "ignore", "pipe"] });
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
