/** What a run is about: how many nodes, what is done to them and how often, and what must have happened in many runs. */
import { NODE_LIMITS, type NodeLimits } from "../../../log-server/node/limits.ts";
import type { FaultPlan } from "./faults.ts";

const KIB = 1_024;

/** What is done to a cluster, and what it is like, so that this can be done to it. */
export type Plan = FaultPlan & {
  /** Of the nodes, instead of the world's own. */
  readonly limits?: Partial<NodeLimits>;
  readonly segmentBytes?: number;
  /** Machines beyond the founders', so many: members come and go. */
  readonly spares?: number;
  /** Clients fill a stream whose beginning they trim: followers that are behind need snapshots. */
  readonly passing?: true;
};

export type Profile = {
  readonly about: string;
  /** One of these, by the seed. */
  readonly nodes: readonly number[];
  /** One of these, by the seed: a quiet cluster shows other things than a harried one. */
  readonly plans: readonly Plan[];
  /** How long the clients think between two calls, on average; one of these, by the seed. */
  readonly thinkMs: readonly number[];
  /** An app runs on the cluster, in workers that have troubles of their own. */
  readonly app?: true;
  /** From healing until something is acknowledged again, if it must be sooner than in the others. */
  readonly recoverMs?: number;
  /** Must all have happened in many seeds, else the run was vacuous (P46). */
  readonly promised: readonly string[];
};

const EVERYTHING = {
  "kill": 6,
  "kill-all": 1,
  "cut-power": 5,
  "pause": 4,
  "isolate": 4,
  "deafen": 2,
  "mute": 2,
  "cut-one-way": 4,
  "reset": 2,
  "rough": 3,
  "hold-disk": 3,
  "disk-error": 3,
  "skew": 2,
  "break-clients": 2,
  "silence-clients": 2,
} as const;

const CUTS = {
  "pause": 3,
  "kill": 3,
  "isolate": 5,
  "deafen": 4,
  "mute": 4,
  "cut-one-way": 10,
  "reset": 2,
  "rough": 2,
} as const;

const DISKS = { "kill": 3, "kill-all": 1, "cut-power": 5, "disk-error": 4, "hold-disk": 3, "damage": 4 } as const;

const CHANGES = { add: 4, promote: 2, remove: 4, replace: 4, transfer: 3 } as const;

const CHURN = {
  ...CHANGES,
  "return-disk": 4,
  "kill": 4,
  "kill-all": 1,
  "cut-power": 3,
  "pause": 2,
  "isolate": 3,
  "cut-one-way": 2,
  "reset": 1,
  "rough": 2,
  "hold-disk": 1,
  "disk-error": 1,
} as const;

/** And members that come and go meanwhile, snapshots that are cut short, builds that are mixed. */
const EVERYTHING_AND_CHANGES = {
  ...EVERYTHING,
  "add": 3,
  "promote": 1,
  "remove": 3,
  "replace": 3,
  "transfer": 2,
  "return-disk": 3,
  "leave-behind": 2,
  "ambush": 2,
  "upgrade": 1,
} as const;

const VERSIONS = {
  "upgrade": 6,
  "transfer": 2,
  "kill": 2,
  "cut-power": 2,
  "isolate": 2,
  "reset": 2,
  "rough": 2,
} as const;

const LAGGARDS = {
  "leave-behind": 8,
  "ambush": 5,
  "isolate": 3,
  "kill": 2,
  "kill-all": 1,
  "cut-power": 4,
  "pause": 2,
  "rough": 4,
  "reset": 2,
  "disk-error": 1,
} as const;

/** So small that a follower who was away for some seconds may need a snapshot, and has it cut short. */
const SNAPSHOT_LIMITS = {
  imageEveryBytes: 8 * KIB,
  imageEveryMs: 500,
  snapshotEveryBytes: 24 * KIB,
  housekeepingEveryMs: 1_000,
  shipmentKeptMs: 2_000,
  rewriteGainBytesMin: 2 * KIB,
  rollEveryMs: 2_000,
} as const satisfies Partial<NodeLimits>;

/** Seldom enough to leave room for all else. */
const SELDOM_SNAPSHOT_LIMITS = {
  snapshotEveryBytes: 96 * KIB,
  shipmentKeptMs: 2_000,
  rewriteGainBytesMin: 32 * KIB,
  rollEveryMs: 5_000,
} as const satisfies Partial<NodeLimits>;

/** The log's beginning goes: who was away, and who is new, needs a snapshot. */
const PASSING = { limits: SNAPSHOT_LIMITS, segmentBytes: 8 * KIB, passing: true } as const satisfies Partial<Plan>;

/** The upper end of the randomised election timeout, and how many of them pass at most until there is progress. */
const ELECTION_MS_MAX = NODE_LIMITS.tickMs * NODE_LIMITS.electionTicks * 2;
const ELECTION_TIMEOUTS = 10;

export const PROFILES = {
  safety: {
    about: "everything at once; in two seeds of five members come and go meanwhile, and builds are mixed",
    nodes: [3, 3, 3, 5],
    plans: [
      { weights: EVERYTHING, everyMs: 600 },
      { weights: EVERYTHING, everyMs: 1_500 },
      { weights: EVERYTHING, everyMs: 4_000 },
      { weights: EVERYTHING_AND_CHANGES, everyMs: 800, spares: 1, passing: true, limits: SELDOM_SNAPSHOT_LIMITS },
      { weights: EVERYTHING_AND_CHANGES, everyMs: 2_000, spares: 2, passing: true, limits: SELDOM_SNAPSHOT_LIMITS },
    ],
    thinkMs: [20, 60, 200],
    promised: [
      ...Object.keys(EVERYTHING).map((kind) => `fault: ${kind}`),
      // The rarer changes are for "churn" and "laggards" to promise.
      "fault: return-disk",
      "fault: leave-behind",
      "fault: ambush",
      "done: add",
      "done: replace",
      "event: snapshot-received",
      "network: unwelcome",
      "node started anew",
      "versions mixed",
      "client: acknowledged",
      "client: append unknown",
      "client: append not-applied",
      "client: counter moved",
      "client: delivered",
      "client: followed",
      "client: read",
      "client: described, session",
      "client: described, eventual",
      "client: read, session",
      "client: counter read, session",
      "client: counter read, eventual",
      "disk: crash",
      "disk: lost-operation",
      "disk: torn-write",
      "disk: sync-error",
      "disk: write-error",
      "disk: no-space",
      "network: lost",
      "network: duplicated",
      "network: reordered",
      "network: damaged",
      "network: cut",
      "network: resets",
      "node failed",
      "term",
    ],
  },
  liveness: {
    about: "partitions of every shape, pauses and crashes; then, soon, there must be progress",
    nodes: [3, 5],
    plans: [
      { weights: CUTS, everyMs: 300 },
      { weights: CUTS, everyMs: 1_000 },
    ],
    thinkMs: [60],
    recoverMs: ELECTION_TIMEOUTS * ELECTION_MS_MAX,
    promised: [...Object.keys(CUTS).map((kind) => `fault: ${kind}`), "client: acknowledged", "network: cut", "term"],
  },
  disks: {
    about: "disks that fail, fill, stall, lose power, and on one node rot",
    nodes: [3],
    plans: [
      { weights: DISKS, everyMs: 800 },
      { weights: DISKS, everyMs: 3_000 },
    ],
    thinkMs: [20, 60],
    promised: [
      ...Object.keys(DISKS).map((kind) => `fault: ${kind}`),
      "disk: bit-flip",
      "disk: zeroed-sector",
      "disk: stale-sector",
      "disk: lost-write",
      "disk: misdirected-write",
      "disk: torn-write",
      "disk: sync-error",
      "disk: no-space",
      "client: acknowledged",
    ],
  },
  churn: {
    about:
      "members that are added, promoted, removed and replaced, leadership handed over, and old disks that come back, " +
      "while all else goes on",
    nodes: [3, 3, 5],
    plans: [
      { weights: CHURN, everyMs: 700, spares: 2, ...PASSING },
      { weights: CHURN, everyMs: 2_000, spares: 2, ...PASSING },
    ],
    thinkMs: [60, 200],
    promised: [
      ...Object.keys(CHURN).map((kind) => `fault: ${kind}`),
      ...Object.keys(CHANGES).map((kind) => `done: ${kind}`),
      "event: removed",
      "network: unwelcome",
      "event: snapshot-received",
      "node started anew",
      "client: acknowledged",
      "term",
    ],
  },
  versions: {
    about:
      "nodes of which some are of a build that tells of a newer version and feature level, changed one after another; " +
      "all speak version 1, for there is no other yet: what is tried is that they go on talking",
    nodes: [3, 5],
    plans: [
      { weights: VERSIONS, everyMs: 700, spares: 0 },
      { weights: VERSIONS, everyMs: 2_500, spares: 0 },
    ],
    thinkMs: [60],
    promised: [
      ...Object.keys(VERSIONS).map((kind) => `fault: ${kind}`),
      "versions mixed",
      "client: acknowledged",
      "term",
    ],
  },
  laggards: {
    about: "followers that are away for long while the log behind them goes; snapshots that are cut short",
    nodes: [3, 3, 5],
    plans: [
      { weights: LAGGARDS, everyMs: 1_000, ...PASSING },
      { weights: LAGGARDS, everyMs: 3_000, ...PASSING },
    ],
    thinkMs: [60, 120],
    promised: [
      ...Object.keys(LAGGARDS).map((kind) => `fault: ${kind}`),
      "ambushed: snapshot-sending",
      "ambushed: snapshot-receiving",
      "ambushed: snapshot-received",
      "event: snapshot",
      "event: segments-dropped",
      "event: snapshot-sent",
      "event: snapshot-received",
      "node started anew",
      "client: acknowledged",
      "client: gap",
      "client: trimmed",
    ],
  },
  operators: {
    about:
      "an app's replicas in workers that are killed, stand still, are cut off and come late, on a cluster that is harmed",
    nodes: [3],
    plans: [
      { weights: CUTS, everyMs: 1_000 },
      { weights: CUTS, everyMs: 3_000 },
      { weights: EVERYTHING, everyMs: 2_000 },
    ],
    thinkMs: [60, 200],
    app: true,
    promised: [
      "fault: kill",
      "fault: pause",
      "fault: isolate",
      "client: acknowledged",
      "app: fed",
      "app: committed",
      "app: worker started",
      "app: worker killed",
      "app: worker paused",
      "app: snapshots deleted",
      "app: trimmed",
      "client: snapshot-needed",
      "term",
    ],
  },
  overload: {
    about: "more than the nodes take, while they are paused, slow and killed; then it passes",
    nodes: [3],
    plans: [
      {
        weights: { "kill": 2, "pause": 3, "hold-disk": 4, "rough": 2, "silence-clients": 1 },
        everyMs: 2_000,
        limits: { proposalsMax: 4, proposalBytesMax: 8 * KIB, barriersMax: 2 },
      },
    ],
    thinkMs: [2],
    promised: [
      "client: acknowledged",
      "fault: hold-disk",
      "fault: kill",
      "fault: pause",
      "at their bound: forwarded commands",
      "at their bound: linearizable reads",
    ],
  },
} as const satisfies Readonly<Record<string, Profile>>;
