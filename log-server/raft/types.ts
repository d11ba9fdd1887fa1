/**
 * What goes into the Raft core and what comes out: messages in, work out. The core performs nothing itself; the
 * node's loop persists, sends and applies what `Ready` asks for and answers by messages (etcd's asynchronous
 * storage writes).
 */
import type { Entry, LogIndex, Term } from "../../src/wire/entry.ts";

export type NodeId = string;

/** What must be durable before any message, or any vote counted, depends on it (Raft §5.2; PITFALLS P4, P5). */
export type HardState = { readonly term: Term; readonly vote: NodeId | undefined };

/** What a proposer gives; the core adds index and term. */
export type Proposal = Pick<Entry, "kind" | "logTime" | "head" | "batches">;

/** A node's role, with only the fields that exist in it. */
export type Role =
  | { readonly kind: "follower"; elapsedTicks: number }
  /** `campaign` waits for its own vote to be durable before it counts (I1). */
  | { readonly kind: "candidate"; readonly votes: Set<NodeId>; elapsedTicks: number }
  /** `termStart` is the no-op's index: reads and commits of this term begin there (Raft §5.4.2, §8). */
  | { readonly kind: "leader"; readonly termStart: LogIndex };

/** Storage finished an `AppendWork`. Guarded by term: a late answer for entries since replaced changes nothing (P7). */
export type AppendDone = {
  readonly kind: "append-done";
  /** The term whose hard state is durable now. */
  readonly hardTerm: Term;
  /** The last entry made durable, if there was one. */
  readonly last: { readonly index: LogIndex; readonly term: Term } | undefined;
};

/** The state machine has applied everything to `index`. */
export type ApplyDone = { readonly kind: "apply-done"; readonly index: LogIndex };

export type Message = AppendDone | ApplyDone;

/** Make this durable, hard state first, with one sync of the log; then step `done`. One at a time. */
export type AppendWork = {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly done: AppendDone;
};

/** Apply the committed entries `from` to `to`, both included; then step `ApplyDone`. One at a time. */
export type ApplyWork = { readonly from: LogIndex; readonly to: LogIndex };

/** A linearizable read may be served once everything to `index` is applied. Contexts are unique (P14). */
export type ReadState = { readonly context: number; readonly index: LogIndex };

export type Ready = {
  readonly append: AppendWork | undefined;
  readonly apply: ApplyWork | undefined;
  readonly reads: readonly ReadState[];
};

export type ProposeError = "not-leader" | "uncommitted-full";
