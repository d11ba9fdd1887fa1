/** A node's role, with only the fields that exist in it. */
import type { LogIndex } from "../../src/wire/entry.ts";
import type { Progress } from "./progress.ts";
import type { LeaderReads } from "./read-index.ts";
import type { NodeId } from "./types.ts";

export type Follower = {
  readonly kind: "follower";
  readonly leader: NodeId | undefined;
  /** Since the leader was last heard, or a vote given. */
  elapsedTicks: number;
  readonly timeoutTicks: number;
  /** Everything to here is as in the log of this term's leader. */
  matched: LogIndex;
  /** What the leader was last told of it. */
  acknowledged: LogIndex;
  /** Reads sent to the leader, and the ticks since. */
  readonly reads: Map<number, number>;
};

/** Asks whether it would be elected, without disturbing anybody (thesis §9.6). */
export type PreCandidate = {
  readonly kind: "pre-candidate";
  readonly votes: Map<NodeId, boolean>;
  elapsedTicks: number;
  readonly timeoutTicks: number;
};

export type Candidate = {
  readonly kind: "candidate";
  /** Its own is among them once it is durable (I1). */
  readonly votes: Map<NodeId, boolean>;
  elapsedTicks: number;
  readonly timeoutTicks: number;
};

export type Transfer = { readonly to: NodeId; elapsedTicks: number; told: boolean };

export type Leader = {
  readonly kind: "leader";
  /** The no-op's index: reads and commits of this term begin there (Raft §5.4.2, §8). */
  readonly termStart: LogIndex;
  /** Of all members but itself. */
  readonly followers: Map<NodeId, Progress>;
  readonly reads: LeaderReads;
  heartbeatTicks: number;
  /** What was committed at the last tick: who has it keeps up. */
  committedBefore: LogIndex;
  /** What its own disk had then, and for how many ticks it has had no more, though others have committed more. */
  stableBefore: LogIndex;
  stuckTicks: number;
  /** Not to lead, it hands over: ticks until it tries, or tries again. */
  untilHandOverTicks: number;
  /** A configuration may be in the log up to here; the next one waits until this is applied. */
  configurationIndex: LogIndex;
  /** While it hands over it takes no proposals. */
  transfer: Transfer | undefined;
};

export type Role = Follower | PreCandidate | Candidate | Leader;
