/** Logical time: time-outs of those without a leader, heartbeats and the leader's own watch over its quorum. */
import { preCampaign } from "./election.ts";
import { jointVote } from "./joint-quorum.ts";
import { promoteLearners } from "./membership.ts";
import type { Raft } from "./raft.ts";
import { expireReads } from "./reads.ts";
import { sendHeartbeats } from "./replication.ts";
import type { Leader } from "./role.ts";
import { standBack, tickTransfer, watchOwnDisk } from "./transfer.ts";

export function tick(raft: Raft): void {
  const role = raft.role;
  switch (role.kind) {
    case "leader":
      return tickLeader(raft, role);
    case "follower":
      expireReads(raft, role);
      break;
    case "pre-candidate":
    case "candidate":
      break;
  }
  role.elapsedTicks += 1;
  if (role.elapsedTicks < role.timeoutTicks) return;
  role.elapsedTicks = 0;
  if (raft.electable && !letsPass(raft)) preCampaign(raft);
  // Whoever may not stand does not go on asking for its own election either, nor believe in a leader that is gone.
  else raft.becomeFollower(raft.term, undefined);
}

/** Others go first; but where nobody comes to lead for long, a leader that is not to be one is better than none (R102). */
function letsPass(raft: Raft): boolean {
  if (!raft.standsBack || raft.timeoutsPassed >= raft.limits.timeoutsPassedMax) return false;
  raft.timeoutsPassed += 1;
  return true;
}

function tickLeader(raft: Raft, leader: Leader): void {
  for (const progress of leader.followers.values()) progress.silentTicks += 1;
  // CheckQuorum: a leader that a quorum does not hear lets others lead (P11, P15).
  const heard = jointVote(raft.configuration, (id) => {
    if (id === raft.id) return true;
    const progress = leader.followers.get(id);
    return progress !== undefined && progress.silentTicks < raft.options.electionTicks;
  });
  if (heard !== "won") {
    raft.becomeFollower(raft.term, undefined);
    return;
  }
  tickTransfer(raft, leader);
  watchOwnDisk(raft, leader);
  standBack(raft, leader);
  promoteLearners(raft, leader);
  leader.heartbeatTicks += 1;
  if (leader.heartbeatTicks >= raft.options.heartbeatTicks) sendHeartbeats(raft, leader);
}
