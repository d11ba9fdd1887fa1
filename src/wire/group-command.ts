/**
 * Commands of consumer groups, and what applying them answers: a part of `command.ts`, encoded by
 * `group-command-codec.ts`. A group is the name under which consumers share the streams it follows:
 *
 * - `partitions`: each stream has one member at a time, which reads it in order and commits how far it is.
 * - `queue`: each record is leased to one taker at a time, who settles it; what is not settled in time, or refused, is
 *   given out again, and after so many attempts is dead.
 *
 * Who owns what, until when, and what is done is decided by applied commands alone (I9, I14). Every session, ownership
 * and lease has a generation that is never given twice in a log, so whoever lost one is told so, whatever happened since
 * (P39).
 */
import type { BatchRef } from "../record/batch.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import type { StreamName } from "./command.ts";

export type GroupId = string;

/** What a consumer calls itself. In a group of mode `partitions` one name has one session. */
export type MemberName = string;

export type GroupMode =
  | { readonly kind: "partitions" }
  | {
      readonly kind: "queue";
      /** Leases that a record gets; 0: as many as it takes. */
      readonly attemptsMax: number;
      /** How long a record rests that was refused without saying how long. */
      readonly retryDelayMs: number;
      /** Where dead records go; absent: they are dropped, and counted. */
      readonly deadLetter?: StreamName;
    };

/** Where a group begins in streams that are there when it is created; in later ones at their beginning, or for `now` behind what a fork inherits. */
export type GroupStart = "start" | "now";

export type GroupConfig = {
  readonly id: GroupId;
  readonly mode: GroupMode;
  /** Named streams, whether or not they are there yet, and … */
  readonly streams: readonly StreamName[];
  /** … those whose names match: `*` is one segment, `**` any number. */
  readonly pattern?: string;
  readonly from: GroupStart;
  /** How long a member's session, or the lease of a record, lasts without a word. */
  readonly leaseMs: number;
};

/** The same configuration again is no error and changes nothing; another is `group-exists`. */
export type GroupCreateCommand = GroupConfig & { readonly kind: "group-create" };

/** What it knew is gone; records of its streams are not touched. */
export type GroupDeleteCommand = { readonly kind: "group-delete"; readonly id: GroupId };

/**
 * Begins a session; what the name owned before it owns again, under new generations, and its old session is fenced.
 * For `partitions` only, as are `group-leave`, `group-heartbeat` and `group-ack`.
 */
export type GroupJoinCommand = { readonly kind: "group-join"; readonly id: GroupId; readonly member: MemberName };

/** Who speaks for a member: an older session, or one that has ended, is `fenced`. */
export type GroupSession = { readonly id: GroupId; readonly member: MemberName; readonly session: number };

export type GroupLeaveCommand = GroupSession & { readonly kind: "group-leave" };
export type GroupHeartbeatCommand = GroupSession & { readonly kind: "group-heartbeat" };

/** Everything before `offset` is processed, by the owner of that generation. What is committed already stays so. */
export type GroupAck = {
  readonly stream: StreamName;
  readonly incarnation: Incarnation;
  readonly generation: number;
  readonly offset: Offset;
};
/** Commits, and renews the session. What is no longer the member's is refused by itself; if all is, the whole is `fenced`. */
export type GroupAckCommand = GroupSession & { readonly kind: "group-ack"; readonly acks: readonly GroupAck[] };

/** Leases records, for `queue`: those whose rest is over, then those never leased, of one stream after the other in turn. */
export type GroupTakeCommand = {
  readonly kind: "group-take";
  readonly id: GroupId;
  /** Shown to others while the lease lasts. */
  readonly member: MemberName;
  /** At most so many; fewer if there are no more, or too many are leased. */
  readonly count: number;
};

/**
 * `nack`: not now. Rests for `delayMs`, or as the group has it. `extend`: the lease lasts `leaseMs` from now, or as the
 * group has it. `release`: nobody worked on it. It is given out again at once, and this lease was no attempt.
 */
export type GroupOutcome =
  | { readonly kind: "ack" }
  | { readonly kind: "nack"; readonly delayMs?: number; readonly reason?: string }
  | { readonly kind: "extend"; readonly leaseMs?: number }
  | { readonly kind: "release" };

/** Records `[offset, offset + count)` of a stream, leased under that generation. */
export type GroupSettlement = {
  readonly stream: StreamName;
  readonly incarnation: Incarnation;
  readonly offset: Offset;
  readonly count: number;
  readonly generation: number;
  readonly outcome: GroupOutcome;
};
/** Records whose lease is over are refused by themselves; if all are, the whole is `fenced`. For `queue` only. */
export type GroupSettleCommand = {
  readonly kind: "group-settle";
  readonly id: GroupId;
  readonly settlements: readonly GroupSettlement[];
};

export type GroupPosition = { readonly stream: StreamName; readonly incarnation: Incarnation; readonly offset: Offset };
/**
 * Sets where the group goes on; an offset before the first retained record means that record. Refused as `group-busy`
 * while members have sessions or records are leased, unless `force`d: then their generations are over.
 */
export type GroupResetCommand = {
  readonly kind: "group-reset";
  readonly id: GroupId;
  readonly force: boolean;
  readonly positions: readonly GroupPosition[];
};

/**
 * The leader's: a dead record's bytes go to the dead-letter stream and the record is done, in one step. Only after the
 * state says that it is dead. Without a batch: compaction has removed the record, and there is nothing to keep.
 */
export type GroupDeadLetterCommand = {
  readonly kind: "group-dead-letter";
  readonly id: GroupId;
  readonly stream: StreamName;
  readonly incarnation: Incarnation;
  readonly offset: Offset;
  /** Of its last lease. */
  readonly generation: number;
  readonly batch?: BatchRef;
};

export type GroupCommand =
  | GroupCreateCommand
  | GroupDeleteCommand
  | GroupJoinCommand
  | GroupLeaveCommand
  | GroupHeartbeatCommand
  | GroupAckCommand
  | GroupTakeCommand
  | GroupSettleCommand
  | GroupResetCommand
  | GroupDeadLetterCommand;

/* What applying a command answers. */

export type GroupCreatedResult = { readonly kind: "group-created"; readonly created: boolean };

/** A stream that a member owns. */
export type GroupAssignment = {
  readonly stream: StreamName;
  readonly incarnation: Incarnation;
  readonly generation: number;
  /** Where to go on. */
  readonly committed: Offset;
};
/** To a join and a heartbeat: all that is the member's now. */
export type GroupAssignedResult = {
  readonly kind: "group-assigned";
  readonly session: number;
  /** Without a word for so long, it ends. */
  readonly leaseMs: number;
  readonly assignments: readonly GroupAssignment[];
};

/** Of one item of a command, by its place there: of these records the lease was over, of an ack (`count` 0) the generation. */
export type GroupRefusal = { readonly item: number; readonly offset: Offset; readonly count: number };
export type GroupSettledResult = {
  readonly kind: "group-settled";
  /** Everything else took effect. */
  readonly refused: readonly GroupRefusal[];
};

/** Records `[offset, offset + count)`: offsets, that is; of some the record may have been removed by compaction. */
export type GroupLease = {
  readonly stream: StreamName;
  readonly incarnation: Incarnation;
  readonly offset: Offset;
  readonly count: number;
  /** The how manieth lease of these records this is, from 1. */
  readonly attempt: number;
};
export type GroupTakenResult = {
  readonly kind: "group-taken";
  /** Of all these leases. Without leases 0, and so is `untilMs`. */
  readonly generation: number;
  /** Log time at which they end. */
  readonly untilMs: number;
  readonly leases: readonly GroupLease[];
};

export type GroupResult = GroupCreatedResult | GroupAssignedResult | GroupSettledResult | GroupTakenResult;
