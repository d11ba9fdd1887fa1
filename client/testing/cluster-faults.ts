/**
 * What befalls a running cluster without a loss of what its disks had synced: each fault drawn before it happens, so that any part of a
 * list of them is a life as well. Who is meant by "leader" is decided when it happens.
 */
import { unreachable } from "../../src/lib/assert.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { NetworkFaults } from "../../src/sim/network.ts";

export type Target = "leader" | "follower" | number;
/** Of what was written and not synced, when the power goes. */
export type Keep = "none" | "all" | "random";

export type ClusterFault =
  | { readonly kind: "kill"; readonly node: Target; readonly keep: Keep; readonly downMs: number }
  | { readonly kind: "kill-all"; readonly keep: Keep; readonly downMs: number }
  | { readonly kind: "pause"; readonly node: Target; readonly forMs: number }
  | { readonly kind: "isolate"; readonly node: Target; readonly forMs: number }
  /** It is heard and hears nothing, or the other way round. */
  | { readonly kind: "deafen" | "mute"; readonly node: Target; readonly forMs: number }
  | { readonly kind: "cut-one-way"; readonly from: Target; readonly to: Target; readonly forMs: number }
  | { readonly kind: "reset"; readonly node: Target }
  | { readonly kind: "rough"; readonly faults: NetworkFaults; readonly forMs: number }
  | { readonly kind: "hold-disk"; readonly node: Target; readonly forMs: number }
  | { readonly kind: "break-clients"; readonly node: Target }
  | { readonly kind: "silence-clients"; readonly node: Target; readonly forMs: number };

export type ClusterFaultKind = ClusterFault["kind"];

/** On a rough network, of a wrong bit in a message of entries. */
const DAMAGE_CHANCE = 0.01;

export function drawClusterFault(
  prng: Prng,
  nodes: number,
  kind: ClusterFaultKind,
  node: Target = drawTarget(prng, nodes),
): ClusterFault {
  switch (kind) {
    case "kill":
      return { kind, node, keep: drawKeep(prng), downMs: drawMs(prng, 4_000) };
    case "kill-all":
      return { kind, keep: drawKeep(prng), downMs: drawMs(prng, 2_000) };
    case "pause":
      return { kind, node, forMs: drawMs(prng, 6_000) };
    case "isolate":
    case "deafen":
    case "mute":
      return { kind, node, forMs: drawMs(prng, 8_000) };
    case "cut-one-way":
      return { kind, from: node, to: drawTarget(prng, nodes), forMs: drawMs(prng, 8_000) };
    case "reset":
    case "break-clients":
      return { kind, node };
    case "rough":
      return { kind, faults: drawRoughness(prng), forMs: drawMs(prng, 10_000) };
    case "hold-disk":
      return { kind, node, forMs: drawMs(prng, 3_000) };
    case "silence-clients":
      return { kind, node, forMs: drawMs(prng, 6_000) };
    default:
      return unreachable(kind);
  }
}

export function drawTarget(prng: Prng, nodes: number): Target {
  return prng.chance(0.4) ? "leader" : prng.chance(0.2) ? "follower" : prng.below(nodes);
}

/** From some milliseconds to the maximum, as often in each power of ten. */
export function drawMs(prng: Prng, maxMs: number): number {
  return Math.round(10 * Math.pow(maxMs / 10, prng.float()));
}

function drawKeep(prng: Prng): Keep {
  return prng.pick(["none", "none", "all", "random"]);
}

function drawRoughness(prng: Prng): NetworkFaults {
  return {
    delayMsMin: prng.pick([0.1, 0.2, 20]),
    delayMsMax: prng.pick([1, 5, 100, 400]),
    lossChance: prng.pick([0, 0.01, 0.1, 0.3]),
    duplicateChance: prng.pick([0, 0.02, 0.2]),
    reorderChance: prng.pick([0, 0.02, 0.2]),
    reorderMsMax: prng.pick([10, 100, 2_000]),
    damageChance: DAMAGE_CHANCE,
    bytesPerSecond: prng.pick([100_000_000, 1_000_000, 100_000]),
  };
}
