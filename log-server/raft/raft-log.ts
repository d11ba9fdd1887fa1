/**
 * The core's view of the log: which entries are not yet durable, committed, applied; and the entries themselves
 * from the first unapplied one on, so that applying what was just written reads no disk.
 *
 * Invariants: applied <= applying <= committed <= last; stable <= last; committed <= stable here, because a node
 * applies only what its own log has synced (I5). `#window` holds the entries (windowStart .. last]; entries
 * before it are on disk only, as all are after a restart.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Entry, LogIndex, Term } from "../../src/wire/entry.ts";

export class RaftLog {
  /** The newest entry that this node's disk holds durably. */
  stable: LogIndex;
  /** The newest entry handed to storage; in flight when greater than `stable`. */
  handed: LogIndex;
  committed: LogIndex;
  /** The newest entry handed to the state machine. */
  applying: LogIndex;
  applied: LogIndex;
  /** Bytes of entries that are not yet committed: what flow control bounds (I15). */
  uncommittedBytes = 0;

  readonly #window: Entry[] = [];
  #windowStart: LogIndex;
  #last: { readonly index: LogIndex; readonly term: Term };

  constructor(last: { readonly index: LogIndex; readonly term: Term }, applied: LogIndex) {
    assert(applied <= last.index, "I10: the applied position is within the log");
    this.#last = last;
    this.#windowStart = last.index;
    this.stable = last.index;
    this.handed = last.index;
    this.committed = applied;
    this.applying = applied;
    this.applied = applied;
  }

  get lastIndex(): LogIndex {
    return this.#last.index;
  }

  get lastTerm(): Term {
    return this.#last.term;
  }

  append(entry: Entry): void {
    assert(entry.index === this.#last.index + 1, "I2: entries follow one another");
    assert(entry.term >= this.#last.term, "I2: terms never go back");
    this.#window.push(entry);
    this.#last = entry;
    this.uncommittedBytes += entryBytes(entry);
  }

  /** The entry, if it is still in memory. */
  entry(index: LogIndex): Entry | undefined {
    return this.#window[index - this.#windowStart - 1];
  }

  /** The entries from..to that are in memory, which is all of them or a part at the end. */
  slice(from: LogIndex, to: LogIndex): readonly Entry[] {
    return this.#window.slice(Math.max(0, from - this.#windowStart - 1), Math.max(0, to - this.#windowStart));
  }

  /** The first entry in memory is the one after this. */
  get windowStart(): LogIndex {
    return this.#windowStart;
  }

  /** The term of an entry in memory or of the last one; undefined where only the disk knows. */
  term(index: LogIndex): Term | undefined {
    if (index === this.#last.index) return this.#last.term;
    return this.entry(index)?.term;
  }

  commitTo(index: LogIndex): void {
    if (index <= this.committed) return;
    assert(index <= this.stable, "I5: an entry is applied only once this node has synced it");
    for (const entry of this.slice(this.committed + 1, index)) this.uncommittedBytes -= entryBytes(entry);
    this.committed = index;
  }

  appliedTo(index: LogIndex): void {
    assert(index >= this.applied && index <= this.applying, "I4: entries are applied once, in order");
    this.applied = index;
    const drop = Math.min(index, this.stable) - this.#windowStart;
    if (drop > 0) {
      this.#window.splice(0, drop);
      this.#windowStart += drop;
    }
  }
}

function entryBytes(entry: Entry): number {
  let bytes = entry.head.length;
  for (const batch of entry.batches) bytes += batch.length;
  return bytes;
}
