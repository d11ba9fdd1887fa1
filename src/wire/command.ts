/**
 * Commands: what clients ask for. One type from the wire to the log to `apply`; `command-codec.ts` is its only
 * encoding. Every check is decided when a command is applied, in log order, the same on every node (I9).
 *
 * Whatever is random or read from outside (ids, jitter, secrets' digests, resolved fork points) is drawn before
 * proposing and travels in the command, so that applying needs nothing but the state and the entry (I10).
 */
import type { BatchRef } from "../record/batch.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import type { TaskPlace } from "../record/task-place.ts";
import type { AppCommand, AppEpochResult, AppOperation } from "./app-command.ts";
import type { ErrorCode } from "./errors.ts";
import type { GroupCommand, GroupResult } from "./group-command.ts";

/** A stream's name: its URL path below `/v1/stream/`, decoded, segments joined by `/`; see `stream-name.ts`. */
export type StreamName = string;

/** Who appends, for idempotence (I8). One sequence number per command, from 0 in each epoch. */
export type ProducerTag = { readonly id: string; readonly epoch: number; readonly sequence: number };

/** When a stream ends by itself. Sliding: `ttlSeconds` after the last read or write; absolute: at `atMs` of log time. */
export type Expiry =
  | { readonly kind: "never" }
  | { readonly kind: "sliding"; readonly ttlSeconds: number }
  | { readonly kind: "absolute"; readonly atMs: number };

/** Keeps the newest record of each key; a tombstone that deletes one stays at least `tombstoneMs` of log time. */
export type Compaction = { readonly tombstoneMs: number };

/** What a stream may forget by itself. Absent fields: no bound, and nothing but what a bound takes away. */
export type Retention = { readonly maxAgeMs?: number; readonly maxBytes?: number; readonly compaction?: Compaction };

/**
 * Where a fork leaves its source. The proposer resolves sub-offsets, for that needs the records' sizes; `apply`
 * checks that the source still has this incarnation and reaches this far.
 */
export type ForkPoint = {
  readonly source: StreamName;
  /** As the proposer saw it; a mismatch at apply is `stream-not-found`. */
  readonly incarnation: Incarnation;
  /** Records before this offset are inherited; absent: the source's tail when applied. */
  readonly offset?: Offset;
  /** Of the source's record at `offset`, this many leading bytes are inherited as one more record; usually 0. */
  readonly partialBytes: number;
};

export type CreateCommand = {
  readonly kind: "create";
  readonly stream: StreamName;
  /** Absent: the source's for a fork, else `application/octet-stream`. Normalised by the proposer. */
  readonly contentType?: string;
  /** Absent: inherited for a fork, else never. */
  readonly expiry?: Expiry;
  readonly retention?: Retention;
  readonly closed: boolean;
  readonly fork?: ForkPoint;
  /** Initial content. */
  readonly batch?: BatchRef;
};

/** Appends a batch, closes, or both. Neither is malformed. */
export type AppendCommand = {
  readonly kind: "append";
  readonly stream: StreamName;
  /** Must equal the stream's when given (native clients pin the stream they know). */
  readonly incarnation?: Incarnation;
  /** Must match the stream's when given. */
  readonly contentType?: string;
  readonly batch?: BatchRef;
  readonly close: boolean;
  readonly producer?: ProducerTag;
  /** The Durable Streams `Stream-Seq`: must be greater, bytewise, than the stream's last one. Scope: the stream. */
  readonly streamSequence?: string;
  /** Must equal the stream's next offset. */
  readonly expectedOffset?: Offset;
};

/**
 * Appends of one producer to one stream, one behind the other, as one command: the n-th has the n-th batch and the n-th
 * sequence from the tag's on. Each is an append of its own, with its own answer; so a run may take effect in part.
 */
export type AppendRunCommand = {
  readonly kind: "append-run";
  readonly stream: StreamName;
  readonly incarnation?: Incarnation;
  readonly contentType?: string;
  /** Of the first. */
  readonly producer: ProducerTag;
  /** One at least, at most `WIRE_LIMITS.runBatchesMax`. */
  readonly batches: readonly BatchRef[];
};

export type DeleteCommand = {
  readonly kind: "delete";
  readonly stream: StreamName;
  readonly incarnation?: Incarnation;
};

/** Reads refresh sliding expiry through one coalesced command, not one each. */
export type TouchCommand = { readonly kind: "touch"; readonly streams: readonly StreamName[] };

/** Moves log time and nothing else, so that an idle log still expires and fires what is due (I14). */
export type TickCommand = { readonly kind: "tick" };

export type SettingsCommand = { readonly kind: "settings"; readonly stream: StreamName; readonly retention: Retention };

/** Moves the frontier below which a stream's records are gone. Never back, never past the tail. */
export type TrimCommand = {
  readonly kind: "trim";
  readonly stream: StreamName;
  readonly incarnation?: Incarnation;
  readonly before: Offset;
};

/**
 * The leader's: moves the frontiers below which a stream is compacted, never back. A keyed record before `before` stays
 * only if it is the newest of its key there, and no tombstone before `tombstonesBefore`. That may not lie past the
 * frontier as it was: a tombstone is for a while a record like any other. What pins the stream (a fork) or no longer
 * asks for compaction makes this do nothing; while a fork inherits records, its tombstones stay, for they may be of those.
 */
export type CompactCommand = {
  readonly kind: "compact";
  readonly stream: StreamName;
  readonly incarnation: Incarnation;
  readonly before: Offset;
  readonly tombstonesBefore: Offset;
};

/** Sets a named cursor (a small durable value), or deletes it when `value` is absent. `expected`: its value must be this; `null`: must not exist. */
export type CursorCommand = {
  readonly kind: "cursor";
  readonly name: string;
  readonly value?: Uint8Array;
  readonly expected?: Uint8Array | null;
};

export type Condition =
  | { readonly kind: "stream-exists"; readonly stream: StreamName; readonly incarnation?: Incarnation }
  | { readonly kind: "stream-absent"; readonly stream: StreamName }
  | { readonly kind: "next-offset"; readonly stream: StreamName; readonly offset: Offset }
  | { readonly kind: "cursor"; readonly name: string; readonly value: Uint8Array | null };

export type TransactionOperation = CreateCommand | AppendCommand | DeleteCommand | CursorCommand | AppOperation;

/** All or nothing, at one position (I11). The first condition or operation that fails rejects the whole. */
export type TransactionCommand = {
  readonly kind: "transaction";
  readonly conditions: readonly Condition[];
  readonly operations: readonly TransactionOperation[];
};

/* Durable Streams subscriptions (protocol sections 6 and 7). */

export type SubscriptionDelivery =
  | { readonly kind: "webhook"; readonly url: string }
  | { readonly kind: "pull-wake"; readonly wakeStream: StreamName };

export type SubscriptionCreateCommand = {
  readonly kind: "subscription-create";
  readonly id: string;
  readonly delivery: SubscriptionDelivery;
  readonly pattern?: string;
  readonly streams: readonly StreamName[];
  readonly leaseMs: number;
  readonly description?: string;
};
export type SubscriptionDeleteCommand = { readonly kind: "subscription-delete"; readonly id: string };
export type SubscriptionLinkCommand = {
  readonly kind: "subscription-link";
  readonly id: string;
  readonly streams: readonly StreamName[];
};
export type SubscriptionUnlinkCommand = {
  readonly kind: "subscription-unlink";
  readonly id: string;
  readonly stream: StreamName;
};

/**
 * The leader's claim to wake an idle subscription with pending work. It names the generation it will make; only
 * once it is applied may the webhook be sent. For pull-wake the event goes to the wake stream in the same step.
 */
export type SubscriptionWakeCommand = {
  readonly kind: "subscription-wake";
  readonly id: string;
  readonly generation: number;
  readonly wakeId: string;
  /** The wake event, for pull-wake. */
  readonly batch?: BatchRef;
};
export type SubscriptionClaimCommand = {
  readonly kind: "subscription-claim";
  readonly id: string;
  readonly worker: string;
  readonly wakeId: string;
};
export type SubscriptionAck = {
  readonly stream: StreamName;
  readonly incarnation: Incarnation;
  readonly offset: Offset;
};
/** Ack, heartbeat and completion; also what a webhook's callback or `{ "done": true }` becomes. */
export type SubscriptionAckCommand = {
  readonly kind: "subscription-ack";
  readonly id: string;
  readonly generation: number;
  readonly wakeId: string;
  readonly acks: readonly SubscriptionAck[];
  readonly done: boolean;
};
export type SubscriptionReleaseCommand = {
  readonly kind: "subscription-release";
  readonly id: string;
  readonly generation: number;
  readonly wakeId: string;
};
/** A webhook attempt failed: when to try next, jitter already drawn. */
export type SubscriptionFailedCommand = {
  readonly kind: "subscription-failed";
  readonly id: string;
  readonly generation: number;
  readonly wakeId: string;
  readonly retryAtMs: number;
};

/**
 * A member's disk and address, told before it is made a member. No disk: whoever comes first under the name gives it. A
 * disk that is known is changed only by way of none: a node that lost its data is another, until it is replaced (P33).
 */
export type MemberSetCommand = {
  readonly kind: "member-set";
  readonly node: string;
  /** Only while its disk is this; null: only while there is no such member. */
  readonly was?: string | null;
  readonly disk: string;
  readonly host: string;
  readonly port: number;
};

/** Nobody connects to it any more. */
export type MemberRemoveCommand = {
  readonly kind: "member-remove";
  readonly node: string;
  /** Only while its disk is this. */
  readonly was?: string;
};

/** What is applied from here on may be as this level has it; a lower one than before changes nothing. */
export type FeatureLevelCommand = { readonly kind: "feature-level"; readonly level: number };

export type Command =
  | CreateCommand
  | AppendCommand
  | AppendRunCommand
  | DeleteCommand
  | TouchCommand
  | TickCommand
  | SettingsCommand
  | TrimCommand
  | CursorCommand
  | TransactionCommand
  | SubscriptionCreateCommand
  | SubscriptionDeleteCommand
  | SubscriptionLinkCommand
  | SubscriptionUnlinkCommand
  | SubscriptionWakeCommand
  | SubscriptionClaimCommand
  | SubscriptionAckCommand
  | SubscriptionReleaseCommand
  | SubscriptionFailedCommand
  | CompactCommand
  | MemberSetCommand
  | MemberRemoveCommand
  | FeatureLevelCommand
  | GroupCommand
  | AppCommand;

/* What applying a command answers. */

export type CreatedResult = {
  readonly kind: "created";
  /** False: it existed with the same configuration. */
  readonly created: boolean;
  readonly incarnation: Incarnation;
  readonly nextOffset: Offset;
  readonly contentType: string;
  readonly closed: boolean;
  readonly expiry: Expiry;
};

export type AppendedResult = {
  readonly kind: "appended";
  readonly incarnation: Incarnation;
  /** Of the batch; absent for close-only, and for a duplicate too old for its answer to be kept (I8). */
  readonly firstOffset?: Offset;
  /** After the batch, for a duplicate too; absent as above. */
  readonly nextOffset?: Offset;
  /** The stream's next offset now. */
  readonly tail: Offset;
  readonly closed: boolean;
  readonly duplicate: boolean;
  /** The producer's epoch and highest accepted sequence, when one was given. */
  readonly producer?: { readonly epoch: number; readonly sequence: number };
};

/**
 * How neighbours of a run fared alike: what one append of all their batches would have been answered. Those that were
 * appended, or had been, lie one behind the other, each with as many offsets as its batch covers.
 */
export type RunPart = { readonly count: number; readonly result: AppendedResult | Rejection };
/** Every append of the run is in one part, in order. */
export type AppendedRunResult = { readonly kind: "appended-run"; readonly parts: readonly RunPart[] };

export type DoneResult = { readonly kind: "done" };
export type TrimmedResult = { readonly kind: "trimmed"; readonly firstOffset: Offset };
export type TransactionResult = { readonly kind: "transaction"; readonly results: readonly CommandResult[] };
export type SubscriptionCreatedResult = { readonly kind: "subscription-created"; readonly created: boolean };
export type SubscriptionClaimedResult = {
  readonly kind: "subscription-claimed";
  readonly generation: number;
  readonly wakeId: string;
  readonly leaseMs: number;
};
export type SubscriptionAckedResult = { readonly kind: "subscription-acked"; readonly nextWake: boolean };

/**
 * Refused, with nothing changed. The optional fields are what the code's error answer needs to show: the tail of a
 * closed stream, a fenced producer's epoch, the sequence expected, the first retained offset, a lease's holder, where a task is.
 */
export type Rejection = {
  readonly kind: "rejected";
  readonly code: ErrorCode;
  readonly message: string;
  readonly incarnation?: Incarnation;
  readonly tail?: Offset;
  readonly closed?: boolean;
  readonly firstOffset?: Offset;
  readonly epoch?: number;
  readonly expectedSequence?: number;
  readonly holder?: string;
  readonly generation?: number;
  readonly place?: TaskPlace;
};

export type CommandResult =
  | CreatedResult
  | AppendedResult
  | AppendedRunResult
  | DoneResult
  | TrimmedResult
  | TransactionResult
  | SubscriptionCreatedResult
  | SubscriptionClaimedResult
  | SubscriptionAckedResult
  | GroupResult
  | AppEpochResult
  | Rejection;
