/**
 * What goes into the Raft core from its own node, and what comes out: messages in, work out. The core performs nothing
 * itself; the node's loop persists, sends, reads, installs and applies what `Ready` asks for and answers by messages
 * (etcd's asynchronous storage writes). What nodes say to each other is in `message.ts`.
 */
import type { Entry, LogIndex, Term } from "../../src/wire/entry.ts";
import type { Configuration } from "./configuration.ts";
import type { PeerMessage } from "./message.ts";

export type NodeId = string;

/** A place in the log with its term, which together name one entry and all before it (I2). */
export type LogPoint = { readonly index: LogIndex; readonly term: Term };

/** From this entry to the next run's first. */
export type TermRun = { readonly firstIndex: LogIndex; readonly term: Term };

/** What must be durable before any message, or any vote counted, depends on it (Raft §5.2; PITFALLS P4, P5). */
export type HardState = { readonly term: Term; readonly vote: NodeId | undefined };

/** What a proposer gives; the core adds index and term. */
export type Proposal = Pick<Entry, "kind" | "logTime" | "head" | "batches">;

/** The state at a position, as Raft sees it: where it stands and who belonged to the group there. */
export type Snapshot = { readonly index: LogIndex; readonly term: Term; readonly configuration: Configuration };

/** Storage finished an `AppendWork`: the very object that the work carried, once (P7). */
export type AppendDone = {
  readonly kind: "append-done";
  /** The term whose hard state is durable now. */
  readonly hardTerm: Term;
  /** The last entry made durable, if there was one. */
  readonly last: LogPoint | undefined;
};

/** The state machine has applied everything to `index`. */
export type ApplyDone = { readonly kind: "apply-done"; readonly index: LogIndex };

/** Log and state machine stand at the snapshot that an `InstallWork` named. */
export type InstallDone = { readonly kind: "install-done"; readonly index: LogIndex };

/**
 * A `FetchWork` was read. `trimmed`: the log no longer has these entries. `unavailable`: they cannot be read now;
 * it is asked for again later.
 */
export type Fetched = {
  readonly kind: "fetched";
  readonly id: number;
  readonly node: NodeId;
  readonly outcome:
    | { readonly kind: "entries"; readonly entries: readonly Entry[] }
    | { readonly kind: "trimmed" }
    | { readonly kind: "unavailable" };
};

/** Entries before this one are gone from the log on disk: they are in a snapshot. */
export type Trimmed = { readonly kind: "trimmed"; readonly firstIndex: LogIndex };

/**
 * Damage that hid older entries when this life began is made good: where their terms change, and the configurations among
 * them and behind that are not applied.
 */
export type Mended = {
  readonly kind: "mended";
  readonly terms: readonly TermRun[];
  readonly configurations: readonly (LogPoint & { readonly configuration: Configuration })[];
  /** Some of these entries cannot be read yet. */
  readonly hidden: boolean;
};

/** A message to this node was lost, as far as the transport knows. */
export type Unreachable = { readonly kind: "unreachable"; readonly node: NodeId };

/** A `SnapshotWork` ended: the follower has it whole and was sent the `snapshot` message, or it came to nothing. */
export type SnapshotStatus = {
  readonly kind: "snapshot-status";
  readonly id: number;
  readonly node: NodeId;
  readonly outcome: { readonly kind: "sent"; readonly index: LogIndex } | { readonly kind: "failed" };
};

/** What the node tells its own core. */
export type LocalMessage =
  | AppendDone
  | ApplyDone
  | InstallDone
  | Fetched
  | Trimmed
  | Mended
  | Unreachable
  | SnapshotStatus;

export type Message = PeerMessage | LocalMessage;

/**
 * Make this durable, hard state first, with one sync of the log; then step `done`. One at a time. The first entry
 * follows the last one on disk, or takes the place of one with another term: that one and all behind it are cut off.
 */
export type AppendWork = {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly done: AppendDone;
};

/** Apply the committed entries `from` to `to`, both included; then step `ApplyDone`. One at a time. */
export type ApplyWork = { readonly from: LogIndex; readonly to: LogIndex };

/** Replace log and state machine by the snapshot that was received; then step `InstallDone`. Nothing else is under way. */
export type InstallWork = { readonly snapshot: Snapshot };

/** Read entries `from` to `to`, both included, as many as fit `bytesMax` but one at least; then step `Fetched`. */
export type FetchWork = {
  readonly id: number;
  /** Whom they are for. */
  readonly node: NodeId;
  readonly from: LogIndex;
  readonly to: LogIndex;
  readonly bytesMax: number;
};

/** The follower needs more than the log has: ship a snapshot, then its `snapshot` message; then step `SnapshotStatus`. */
export type SnapshotWork = { readonly id: number; readonly node: NodeId };

/** A linearizable read may be served once everything to `index` is applied. Contexts are unique (P14). */
export type ReadState = { readonly context: number; readonly index: LogIndex };

export type Ready = {
  readonly append: AppendWork | undefined;
  readonly apply: ApplyWork | undefined;
  readonly install: InstallWork | undefined;
  /** To be sent now, in this order; any of them may get lost. */
  readonly messages: readonly PeerMessage[];
  readonly fetches: readonly FetchWork[];
  readonly snapshots: readonly SnapshotWork[];
  readonly reads: readonly ReadState[];
  /** Reads that will not be answered: leadership changed, or the leader was silent. They may be asked again. */
  readonly refusedReads: readonly number[];
};

export type ProposeError = "not-leader" | "transferring" | "uncommitted-full";
export type ReadError = "no-leader" | "reads-full";
