/** Majorities: what one has reached, and how it has voted. The arithmetic of every decision, and nothing else (P2). */
import type { NodeId } from "./types.ts";

export type VoteOutcome = "won" | "lost" | "pending";

export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** The highest value that a majority has reached; without voters nothing holds anything back. */
export function majorityReached(voters: readonly NodeId[], value: (id: NodeId) => number): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  if (voters.length === 1) return value(voters[0] as NodeId);
  const ascending = voters.map(value).sort((a, b) => a - b);
  return ascending[voters.length - majorityOf(voters.length)] as number;
}

/** `vote` is undefined for who has not voted. Without voters every vote is won. */
export function majorityVote(voters: readonly NodeId[], vote: (id: NodeId) => boolean | undefined): VoteOutcome {
  if (voters.length === 0) return "won";
  let granted = 0;
  let refused = 0;
  for (const id of voters) {
    const given = vote(id);
    if (given === true) granted += 1;
    if (given === false) refused += 1;
  }
  if (granted >= majorityOf(voters.length)) return "won";
  return voters.length - refused < majorityOf(voters.length) ? "lost" : "pending";
}
