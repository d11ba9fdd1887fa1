/**
 * What the cores of two nodes say to each other. Any message may be lost, delayed, duplicated or reordered; `term` is the
 * sender's, but for pre-votes (see there). `message-codec.ts` has the bytes.
 */
import type { Entry, LogIndex, Term } from "../../src/wire/entry.ts";
import type { LogPoint, NodeId, Snapshot } from "./types.ts";

type Envelope = { readonly from: NodeId; readonly to: NodeId; readonly term: Term };

/** "Would you vote for me in `term`?", the one after the sender's own: nobody's term changes by it (thesis §9.6). */
export type PreVote = Envelope & {
  readonly kind: "pre-vote";
  readonly last: LogPoint;
  /** What the sender knows to be committed, so that who is behind learns of it (P18); term 0 if it has lost the term. */
  readonly committed: LogPoint;
};

/** Granted, `term` is the one that was asked for; refused, the sender's own (P10). */
export type PreVoteAnswer = Envelope & {
  readonly kind: "pre-vote-answer";
  readonly granted: boolean;
  readonly committed: LogPoint;
};

export type Vote = Envelope & {
  readonly kind: "vote";
  readonly last: LogPoint;
  readonly committed: LogPoint;
  /** The leader itself asked for this election: nobody waits for it to be silent first. */
  readonly transfer: boolean;
};

export type VoteAnswer = Envelope & {
  readonly kind: "vote-answer";
  readonly granted: boolean;
  readonly committed: LogPoint;
};

/** The entries behind `prev`; none, to probe or to tell of a commit. */
export type Append = Envelope & {
  readonly kind: "append";
  readonly prev: LogPoint;
  readonly committed: LogIndex;
  readonly entries: readonly Entry[];
};

/** Everything to `index` is as in the leader's log, and durable here. */
export type AppendAccepted = Envelope & { readonly kind: "append-accepted"; readonly index: LogIndex };

/** The log here does not have the point before `index + 1`; the hint is the newest point that the leader may still have. */
export type AppendRefused = Envelope & {
  readonly kind: "append-refused";
  readonly index: LogIndex;
  readonly hint: LogPoint;
  /** The end of this log is damaged: what was acknowledged behind the hint may be gone. */
  readonly lost: boolean;
};

export type Heartbeat = Envelope & {
  readonly kind: "heartbeat";
  readonly committed: LogIndex;
  /** Grows within a term; an answer confirms reads of this round and of those before. */
  readonly round: number;
};

export type HeartbeatAnswer = Envelope & {
  readonly kind: "heartbeat-answer";
  readonly round: number;
  /** It is not to lead (R102). */
  readonly standsBack: boolean;
};

/** The follower was shipped this snapshot, whole and verified, before it is stepped. */
export type SnapshotOffer = Envelope & { readonly kind: "snapshot"; readonly snapshot: Snapshot };

/** The leader hands over: campaign at once. */
export type CampaignNow = Envelope & { readonly kind: "campaign-now" };

/** The receiver's term is over: it had better look at `term`. */
export type Outdated = Envelope & { readonly kind: "outdated" };

/** A follower asks for a linearizable point. `session` is drawn anew at every start, so no answer fits a later life (P14). */
export type Read = Envelope & { readonly kind: "read"; readonly session: number; readonly context: number };

export type ReadAnswer = Envelope & {
  readonly kind: "read-answer";
  readonly session: number;
  readonly context: number;
  /** Undefined: refused; it may be asked again. */
  readonly index: LogIndex | undefined;
};

export type PeerMessage =
  | PreVote
  | PreVoteAnswer
  | Vote
  | VoteAnswer
  | Append
  | AppendAccepted
  | AppendRefused
  | Heartbeat
  | HeartbeatAnswer
  | SnapshotOffer
  | CampaignNow
  | Outdated
  | Read
  | ReadAnswer;
