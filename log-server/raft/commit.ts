/** Commit by quorums: what enough members hold durably, if that reaches an entry of the leader's own term. */
import { jointReached } from "./joint-quorum.ts";
import type { Raft } from "./raft.ts";
import type { Leader } from "./role.ts";

/**
 * Raft §5.4.2 (P1): entries of earlier terms are committed only through one of this term, never by counting copies. The
 * leader itself counts with what its own disk has synced, like everybody (I5, P3).
 */
export function maybeCommit(raft: Raft, leader: Leader): void {
  const reached = jointReached(raft.configuration, (id) =>
    id === raft.id ? raft.log.stable : (leader.followers.get(id)?.match ?? 0),
  );
  if (reached >= leader.termStart) raft.log.commitTo(reached);
}
