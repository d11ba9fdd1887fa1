/** What a run is about: how many nodes, what is done to them and how often, and what must have happened in many runs. */
import type { FaultPlan } from "./faults.ts";

export type Profile = {
  readonly about: string;
  /** One of these, by the seed. */
  readonly nodes: readonly number[];
  /** One of these, by the seed: a quiet cluster shows other things than a harried one. */
  readonly plans: readonly FaultPlan[];
  /** How long the clients think between two calls, on average; one of these, by the seed. */
  readonly thinkMs: readonly number[];
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

export const PROFILES = {
  safety: {
    about: "everything at once",
    nodes: [3, 3, 3, 5],
    plans: [
      { weights: EVERYTHING, everyMs: 600 },
      { weights: EVERYTHING, everyMs: 1_500 },
      { weights: EVERYTHING, everyMs: 4_000 },
    ],
    thinkMs: [20, 60, 200],
    promised: [
      ...Object.keys(EVERYTHING).map((kind) => `fault: ${kind}`),
      "client: acknowledged",
      "client: append unknown",
      "client: append not-applied",
      "client: counter moved",
      "client: delivered",
      "client: followed",
      "client: read",
      "disk: crash",
      "disk: lost-operation",
      "disk: torn-write",
      "disk: sync-error",
      "disk: write-error",
      "disk: no-space",
      "network: lost",
      "network: duplicated",
      "network: reordered",
      "network: cut",
      "network: resets",
      "node failed",
      "term",
    ],
  },
} as const satisfies Readonly<Record<string, Profile>>;
