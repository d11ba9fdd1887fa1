/**
 * Handing leadership over (thesis §3.10): the leader takes no more proposals, lets the other one catch up, and tells it
 * to campaign at once. If it has not come to that within an election time-out, the leader goes on.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import { isVoter } from "./configuration.ts";
import type { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import type { Leader } from "./role.ts";
import type { NodeId } from "./types.ts";

export type TransferError = "not-leader" | "not-voter" | "stands-back" | "transferring";

export function beginTransfer(raft: Raft, to: NodeId): Result<undefined, TransferError> {
  const leader = raft.role;
  if (leader.kind !== "leader") return err("not-leader");
  if (to === raft.id) return ok(undefined);
  if (leader.transfer !== undefined && leader.transfer.to !== to) return err("transferring");
  if (!raft.configuration.voters.includes(to) || !leader.followers.has(to)) return err("not-voter");
  if (leader.followers.get(to)?.standsBack === true) return err("stands-back");
  leader.transfer ??= { to, elapsedTicks: 0, told: false };
  advanceTransfer(raft, leader);
  return ok(undefined);
}

/** To the other voter that is furthest, of those that are heard and do not stand back; false where there is none, or it is handed over already. */
export function handOver(raft: Raft): boolean {
  const leader = raft.role;
  if (leader.kind !== "leader" || leader.transfer !== undefined) return false;
  let furthest: Progress | undefined;
  for (const progress of leader.followers.values()) {
    if (!raft.configuration.voters.includes(progress.id) || progress.flow.kind !== "replicate") continue;
    if (progress.silentTicks > 2 * raft.options.heartbeatTicks || progress.standsBack) continue;
    if (furthest === undefined || progress.match > furthest.match) furthest = progress;
  }
  return furthest !== undefined && beginTransfer(raft, furthest.id).ok;
}

/**
 * Once a tick: a leader whose own disk has given no word for an election time-out, while others have committed what it
 * lacks, can apply nothing and answers nobody; one of those others leads better.
 */
export function watchOwnDisk(raft: Raft, leader: Leader): void {
  const { stable, committed } = raft.log;
  leader.stuckTicks = stable === leader.stableBefore && stable < committed ? leader.stuckTicks + 1 : 0;
  leader.stableBefore = stable;
  if (leader.stuckTicks >= raft.options.electionTicks) handOver(raft);
}

/** Once a tick: who is not to lead hands over. After each attempt it takes proposals for as long as that may have lasted. */
export function standBack(raft: Raft, leader: Leader): void {
  leader.untilHandOverTicks = Math.max(0, leader.untilHandOverTicks - 1);
  if (!raft.standsBack || leader.untilHandOverTicks > 0 || !handOver(raft)) return;
  leader.untilHandOverTicks = 2 * raft.options.electionTicks;
}

/** Whenever something was accepted: the one that takes over may have everything now. */
export function advanceTransfer(raft: Raft, leader: Leader): void {
  const { transfer } = leader;
  if (transfer === undefined || transfer.told) return;
  if ((leader.followers.get(transfer.to)?.match ?? 0) < raft.log.lastIndex) return;
  transfer.told = true;
  raft.send({ kind: "campaign-now", to: transfer.to, term: raft.term });
}

export function tickTransfer(raft: Raft, leader: Leader): void {
  if (leader.transfer === undefined) return;
  leader.transfer.elapsedTicks += 1;
  if (leader.transfer.elapsedTicks >= raft.options.electionTicks || !isVoter(raft.configuration, leader.transfer.to))
    leader.transfer = undefined;
}
