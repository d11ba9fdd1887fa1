/**
 * What is done to a cluster, drawn before it begins: a list of faults with their times, any part of which is a life as well,
 * so that a failing one can be made shorter. Who is meant by "leader" is decided when it happens.
 */
import {
  type ClusterFault,
  drawClusterFault,
  drawMs,
  drawTarget,
  type Target,
} from "../../../client/testing/cluster-faults.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import type { DiskFault } from "../../../src/sim/disk-faults.ts";

/**
 * A bit that flips, a sector that is all zeros, one that is as it was before it was last written; a write to come that goes nowhere,
 * or elsewhere, and is said to be done.
 */
export type Damage = "flip" | "zero" | "stale" | "lost" | "misdirected";

/** Of a snapshot's way: the leader begins to ship it, a follower to receive it; it is all there, and takes the log's place. */
export type Stage = "sending" | "receiving" | "received";

export type Fault =
  | ClusterFault
  /** The power goes at so many mutating calls of the disk from now on. */
  | { readonly kind: "cut-power"; readonly node: Target; readonly calls: number }
  | { readonly kind: "disk-error"; readonly node: Target; readonly fault: DiskFault }
  /** Of the one node that may be damaged: what is nowhere else cannot be repaired. */
  | {
      readonly kind: "damage";
      readonly node: number;
      readonly how: Damage;
      readonly file: number;
      readonly place: number;
    }
  /** A follower is gone for long: what it lacks then, the others may not have as entries any more. */
  | { readonly kind: "leave-behind"; readonly node: Target; readonly downMs: number }
  /** Whoever is next at this stage of a snapshot's way loses its power, so many mutating calls of its disk later. */
  | { readonly kind: "ambush"; readonly stage: Stage; readonly calls: number }
  /** It is started again as a newer build, or, rolled back, as today's. */
  | { readonly kind: "upgrade"; readonly node: Target; readonly downMs: number }
  /** Asked of the nodes by an operator, who does one thing at a time. */
  | { readonly kind: "add"; readonly votes: boolean }
  | { readonly kind: "promote" }
  | { readonly kind: "remove" | "replace" | "transfer"; readonly node: Target }
  /** A machine of old, which was replaced or removed, is found and started again, with all that its disk had. */
  | { readonly kind: "return-disk"; readonly which: number; readonly forMs: number }
  | { readonly kind: "skew"; readonly node: Target; readonly aheadMs: number };

export type FaultKind = Fault["kind"];
export type TimedFault = { readonly atMs: number; readonly fault: Fault };

/** How often each kind is drawn, against the others. */
export type FaultWeights = Partial<Readonly<Record<FaultKind, number>>>;

export type FaultPlan = { readonly weights: FaultWeights; readonly everyMs: number };

/** The faults of so many milliseconds, in order of their time. */
export function drawFaults(prng: Prng, nodes: number, durationMs: number, plan: FaultPlan): TimedFault[] {
  const kinds = Object.entries(plan.weights) as [FaultKind, number][];
  const total = kinds.reduce((sum, [, weight]) => sum + weight, 0);
  const faults: TimedFault[] = [];
  const damaged = plan.weights.damage === undefined ? 0 : prng.below(nodes);
  for (let atMs = prng.float() * plan.everyMs; atMs < durationMs; atMs += prng.exponential(plan.everyMs)) {
    let left = prng.float() * total;
    const [kind] = kinds.find(([, weight]) => (left -= weight) < 0) ?? kinds[0] ?? ["reset"];
    faults.push({ atMs: Math.round(atMs), fault: drawFault(prng, nodes, damaged, kind) });
  }
  return faults;
}

function drawFault(prng: Prng, nodes: number, damaged: number, kind: FaultKind): Fault {
  const node = drawTarget(prng, nodes);
  switch (kind) {
    case "cut-power":
      return { kind, node, calls: 1 + prng.below(prng.pick([5, 30, 150])) };
    case "disk-error":
      return { kind, node, fault: drawDiskFault(prng) };
    case "damage": {
      const how = prng.pick(["flip", "zero", "stale", "lost", "misdirected"] as const);
      return { kind, node: damaged, how, file: prng.float(), place: prng.float() };
    }
    case "leave-behind":
      return { kind, node: prng.chance(0.5) ? "follower" : node, downMs: 2_000 + drawMs(prng, 15_000) };
    case "ambush":
      return {
        kind,
        stage: prng.pick(["sending", "receiving", "received"] as const),
        calls: 1 + prng.below(prng.pick([5, 30])),
      };
    case "upgrade":
      return { kind, node, downMs: drawMs(prng, 2_000) };
    case "add":
      return { kind, votes: prng.chance(0.7) };
    case "promote":
      return { kind };
    case "remove":
    case "replace":
    case "transfer":
      return { kind, node };
    case "return-disk":
      return { kind, which: prng.float(), forMs: 500 + drawMs(prng, 10_000) };
    case "skew":
      return { kind, node, aheadMs: prng.pick([-60_000, -2_000, -100, 0, 0, 100, 2_000, 60_000]) };
    default:
      return drawClusterFault(prng, nodes, kind, node);
  }
}

function drawDiskFault(prng: Prng): DiskFault {
  const operation = prng.pick([
    "write",
    "write",
    "sync",
    "sync",
    "read",
    "rename",
    "create",
    "allocate",
    "sync-directory",
  ] as const);
  const effect = operation === "write" || operation === "allocate" ? prng.pick(["io", "no-space"] as const) : "io";
  return { operation, effect, nth: 1 + prng.below(prng.pick([3, 20, 100])) };
}
