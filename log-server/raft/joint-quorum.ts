/** Decisions of a configuration: of its voters, and while it is joint of the outgoing ones as well (Raft §6). */
import type { Configuration } from "./configuration.ts";
import { majorityReached, majorityVote, type VoteOutcome } from "./quorum.ts";
import type { NodeId } from "./types.ts";

/** The highest value that a quorum has reached. */
export function jointReached(configuration: Configuration, value: (id: NodeId) => number): number {
  const { voters, outgoing } = configuration;
  const reached = majorityReached(voters, value);
  return outgoing.length === 0 ? reached : Math.min(reached, majorityReached(outgoing, value));
}

export function jointVote(configuration: Configuration, vote: (id: NodeId) => boolean | undefined): VoteOutcome {
  const { voters, outgoing } = configuration;
  const incoming = majorityVote(voters, vote);
  if (outgoing.length === 0 || incoming === "lost") return incoming;
  const before = majorityVote(outgoing, vote);
  return before === "won" ? incoming : before;
}
