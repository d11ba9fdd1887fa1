/**
 * An entry of the log: what Raft orders, the log stores and the state machine applies.
 *
 * Its identity is the envelope's hash: it covers the envelope, the commands' heads and the directory of the batches
 * (their own hashes), and the previous entry's hash, so entries form a chain, and identity survives damage to a
 * payload. Raft sees `head` and `batches` as bytes.
 */
import type { BatchRef } from "../record/batch.ts";

export type LogIndex = number;
export type Term = number;

/** `noop`: the start of a term. `commands`: head is commands, encoded. `configuration`: Raft's own. */
export type EntryKind = "noop" | "commands" | "configuration";

export type Entry = {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  /** The leader's clock, never going back: max(previous, stamp); milliseconds since the Unix epoch. */
  readonly logTime: number;
  /** The commands without their batches (`command-codec.ts`), or the configuration; empty for a no-op. */
  readonly head: Uint8Array;
  /** The batches that the commands name, in order. */
  readonly batches: readonly BatchRef[];
};
