/**
 * Handing leadership over (thesis §3.10): the leader takes no more proposals, lets the other one catch up, and tells it
 * to campaign at once. If it has not come to that within an election time-out, the leader goes on.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import { isVoter } from "./configuration.ts";
import type { Raft } from "./raft.ts";
import type { Leader } from "./role.ts";
import type { NodeId } from "./types.ts";

export type TransferError = "not-leader" | "not-voter" | "transferring";

export function beginTransfer(raft: Raft, to: NodeId): Result<undefined, TransferError> {
  const leader = raft.role;
  if (leader.kind !== "leader") return err("not-leader");
  if (to === raft.id) return ok(undefined);
  if (leader.transfer !== undefined && leader.transfer.to !== to) return err("transferring");
  if (!raft.configuration.voters.includes(to) || !leader.followers.has(to)) return err("not-voter");
  leader.transfer ??= { to, elapsedTicks: 0, told: false };
  advanceTransfer(raft, leader);
  return ok(undefined);
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
