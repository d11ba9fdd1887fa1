/** The profiles of `npm run sim`: one node that is harmed in every way, and whole clusters. */
import { BROKEN_QUORUMS, canaryOf, quorumCanary } from "./canaries.ts";
import { DONE_WITHOUT, liveOnce, type LifeReport, shrinkLife } from "./cluster/life.ts";
import { type Profile, PROFILES } from "./cluster/profiles.ts";
import { exploreSeed } from "./explore.ts";
import type { Subject } from "./subject.ts";

export const DEFAULT_PROFILE = "safety";
export type ProfileName = "node" | keyof typeof PROFILES;
export const PROFILE_NAMES: readonly ProfileName[] = ["node", ...(Object.keys(PROFILES) as (keyof typeof PROFILES)[])];

/** `seconds`: simulated ones, of faults, where the profile counts them. */
export function subjectOf(name: ProfileName, seconds: number): Subject {
  return name === "node" ? NODE : clusterSubject(name, PROFILES[name], seconds);
}

function clusterSubject(name: string, profile: Profile, seconds: number): Subject {
  const options = { profile, durationMs: seconds * 1_000 };
  return {
    name,
    seconds,
    run: (seed) => liveOnce(seed, options),
    shrink: (report) => shrinkLife(report.seed, options, report as LifeReport),
    promised: [...profile.promised, DONE_WITHOUT],
    canaries: [
      canaryOf("disks whose syncs do nothing", (seed) => liveOnce(seed, { ...options, lyingSyncs: true })),
      ...BROKEN_QUORUMS.map((broken) => quorumCanary(broken, "clients")),
    ],
  };
}

const NODE: Subject = {
  name: "node",
  run: (seed) => exploreSeed(seed),
  canaries: [canaryOf("a disk whose syncs do nothing", (seed) => exploreSeed(seed, { lyingSyncs: true }))],
  promised: [
    "fault: crash",
    "fault: lost-operation",
    "fault: torn-write",
    "fault: write-error",
    "fault: sync-error",
    "fault: no-space",
    "fault: bit-flip",
    "fault: zeroed-sector",
    "fault: stale-sector",
    "fault: lost-store",
    "clean stop",
    "start failed",
    "event: snapshot",
    "event: segments-dropped",
    "event: segments-rewritten",
    "client: acknowledged",
    "client: unknown",
    "client: duplicates",
    "client: runs",
    "damage: refused to read",
  ],
};
