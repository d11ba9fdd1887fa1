/** `tidemark cluster wait` waits while there is progress: what is progress, and what is not. */
import { describe, expect, it } from "vitest";
import { Progress } from "../../client/cli/cluster/progress.ts";
import type { ClusterMember, ClusterStatus } from "../../client/cluster.ts";

const STATUS: ClusterStatus = {
  cluster: "c",
  node: "n1",
  leader: "n1",
  term: 1,
  committed: 0,
  applied: 0,
  standsBack: [],
  featureLevel: 1,
  changing: false,
  members: [],
};

function behind(told: Partial<ClusterMember>): ClusterStatus {
  return { ...STATUS, members: [{ node: "n2", role: "voter", leads: false, silentMs: 0, ...told }] };
}

describe("progress", () => {
  it("is less lag than ever, and not what others write", () => {
    const progress = new Progress();
    const moved = [9, 9, 12, 10, 9, 8, 8, 11, 7].map((lag) => progress.moved(behind({ lag })));
    expect(moved).toEqual([true, false, false, false, false, true, false, false, true]);
  });

  it("is what arrives of a snapshot, while the lag stands", () => {
    const progress = new Progress();
    const sent = (sentBytes: number): boolean =>
      progress.moved(behind({ lag: 1_032, role: "joining", snapshot: { bytes: 100, sentBytes } }));
    expect([10, 10, 20, 15, 20, 30].map(sent)).toEqual([true, false, true, false, false, true]);
    expect(progress.moved(behind({ lag: 1_032, role: "joining" })), "it has arrived").toBe(true);
    expect(progress.moved(behind({ lag: 1_031, role: "joining" }))).toBe(true);
  });

  it("is another leader, role or silence, from which lags count anew; an answer after an error", () => {
    const progress = new Progress();
    expect(progress.moved(behind({ lag: 1 }))).toBe(true);
    expect(progress.moved(behind({ lag: 5, silentMs: 2_001 }))).toBe(true);
    expect(progress.moved(behind({ lag: 4, silentMs: 9_000 }))).toBe(true);
    expect(progress.moved(behind({ lag: 4, silentMs: 10_000 }))).toBe(false);
    expect(progress.moved("unavailable")).toBe(true);
    expect(progress.moved("unavailable")).toBe(false);
    expect(progress.moved(behind({ lag: 4, silentMs: 10_000 }))).toBe(true);
  });
});
