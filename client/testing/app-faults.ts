/** What befalls an app in a simulation: faults of the cluster and of its workers, under the names by which tests ask for them. */
import type { Prng } from "../../src/lib/prng.ts";
import { type ClusterFault, drawClusterFault, drawMs } from "./cluster-faults.ts";
import { SIMULATION_DEFAULTS, SIMULATION_LIMITS } from "./limits.ts";
import { checkNames, invalid } from "./options.ts";

const KINDS = ["crashes", "pauses", "partitions", "duplicates", "slowness"] as const;

export type FaultName = (typeof KINDS)[number];

/** Each: whether it happens, or how often in a simulated minute, on average. */
export type FaultRates = {
  /** Nodes lose their power, and what they had not synced; workers are killed, and what they had in memory is gone. */
  readonly crashes?: boolean | number;
  /** Nodes and workers stand still, and then go on as if nothing had happened. */
  readonly pauses?: boolean | number;
  /** Nodes are cut off from others, in one direction or both, or from all clients. */
  readonly partitions?: boolean | number;
  /** Messages between nodes come twice, late, out of order or never; connections break with calls under way, which are sent again. */
  readonly duplicates?: boolean | number;
  /** Disks and workers take their time. */
  readonly slowness?: boolean | number;
};

export type WorkerFault =
  | { readonly kind: "kill-worker" | "stop-worker"; readonly worker: number; readonly downMs: number }
  | { readonly kind: "pause-worker"; readonly worker: number; readonly forMs: number }
  | { readonly kind: "slow-worker"; readonly worker: number; readonly forMs: number; readonly waitMs: number }
  | { readonly kind: "break-worker"; readonly worker: number }
  | { readonly kind: "break-input" };

export type AppFault = {
  readonly atMs: number;
  readonly name: FaultName;
  readonly fault: ClusterFault | WorkerFault;
};

type Kind = ClusterFault["kind"] | WorkerFault["kind"];

/** One of these, as often as it stands here. */
const FAULTS: Readonly<Record<FaultName, readonly Kind[]>> = {
  crashes: ["kill", "kill", "kill", "kill-all", "kill-worker", "kill-worker", "kill-worker", "stop-worker"],
  pauses: ["pause", "pause-worker"],
  partitions: ["isolate", "deafen", "mute", "cut-one-way", "silence-clients"],
  duplicates: ["rough", "reset", "break-clients", "break-worker", "break-worker", "break-input"],
  slowness: ["hold-disk", "slow-worker"],
};

const MINUTE_MS = 60_000;

/** In order of their time. */
export function drawAppFaults(
  prng: Prng,
  rates: FaultRates,
  { nodes, workers, durationMs }: { readonly nodes: number; readonly workers: number; readonly durationMs: number },
): AppFault[] {
  const faults = KINDS.flatMap((name) => {
    const own = prng.fork(name);
    const everyMs = MINUTE_MS / perMinute(rates[name]);
    const drawn: AppFault[] = [];
    for (let atMs = own.exponential(everyMs); atMs < durationMs; atMs += own.exponential(everyMs))
      drawn.push({ atMs, name, fault: draw(own, nodes, workers, own.pick(FAULTS[name])) });
    return drawn;
  });
  return faults.toSorted((a, b) => a.atMs - b.atMs);
}

/** What a test asks for. Throws `invalid-argument`. */
export function checkFaults(faults: boolean | FaultRates): FaultRates {
  if (typeof faults === "boolean")
    return { crashes: faults, pauses: faults, partitions: faults, duplicates: faults, slowness: faults };
  checkNames("faults", faults, KINDS);
  for (const name of KINDS) {
    const rate = faults[name];
    const isOften = typeof rate === "number" && rate >= 0 && rate <= SIMULATION_LIMITS.faultsPerMinuteMax;
    if (rate !== undefined && typeof rate !== "boolean" && !isOften) {
      const most = SIMULATION_LIMITS.faultsPerMinuteMax;
      throw invalid(
        `faults.${name} is true, false, or how often in a minute, ${most} at most, and was ${String(rate)}`,
      );
    }
  }
  return faults;
}

function perMinute(rate: boolean | number | undefined): number {
  return typeof rate === "number" ? rate : rate === true ? SIMULATION_DEFAULTS.faultsPerMinute : 0;
}

function draw(prng: Prng, nodes: number, workers: number, kind: Kind): AppFault["fault"] {
  const worker = prng.below(workers);
  const { downMsMax, pauseMsMax, slowMsMax, slowWaitMsMax } = SIMULATION_LIMITS;
  switch (kind) {
    case "kill-worker":
    case "stop-worker":
      return { kind, worker, downMs: drawMs(prng, downMsMax) };
    case "pause-worker":
      return { kind, worker, forMs: drawMs(prng, pauseMsMax) };
    case "slow-worker":
      return { kind, worker, forMs: drawMs(prng, slowMsMax), waitMs: 1 + prng.below(slowWaitMsMax) };
    case "break-worker":
      return { kind, worker };
    case "break-input":
      return { kind };
    default:
      return drawClusterFault(prng, nodes, kind);
  }
}
