/**
 * The core's view of the log: where it ends, which entries are durable, committed, applied, which configurations wait to
 * be applied; and the newest entries themselves, so that applying what was just written, and sending it, reads no disk.
 *
 * Invariants: applied <= applying <= min(committed, stable), for a node applies only what its own log has synced (I5);
 * committed <= last; stable <= last. `#window` holds the entries (windowStart .. last]; entries before it are on disk
 * only, as all are after a restart.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Entry, LogIndex, Term } from "../../src/wire/entry.ts";
import { decodeConfiguration } from "./configuration-codec.ts";
import type { Configuration } from "./configuration.ts";
import { TermRuns } from "./term-runs.ts";
import type { LogPoint, Mended, Snapshot, TermRun } from "./types.ts";

/** A configuration in the log that is not applied yet. */
export type PendingConfiguration = { readonly index: LogIndex; readonly configuration: Configuration };

export type RaftLogStart = {
  /** The first entry on disk. */
  readonly firstIndex: LogIndex;
  readonly last: LogPoint;
  /** Where the terms of the entries change, as far back as entries may be sent. */
  readonly terms: readonly TermRun[];
  readonly applied: LogIndex;
  /** The configurations in the entries behind `applied`. */
  readonly configurations: readonly PendingConfiguration[];
  /** Damage hides some of these entries, and perhaps configurations. */
  readonly hidden: boolean;
  /** See `RaftOptions`. */
  readonly since: LogIndex;
  readonly committed: LogIndex;
};

export class RaftLog {
  /** The first entry that the log on disk still has. */
  firstIndex: LogIndex;
  committed: LogIndex;
  /** The newest entry handed to the state machine. */
  applying: LogIndex;
  applied: LogIndex;
  /** Bytes of entries in memory that are not yet committed: what flow control bounds (I15). */
  uncommittedBytes = 0;

  readonly #terms: TermRuns;
  /** What the disk holds once what was handed to it last is durable; differs from `#terms` behind `stable` only. */
  readonly #disk: TermRuns;
  #stable: LogIndex;
  #window: Entry[] = [];
  #windowStart: LogIndex;
  readonly #since: LogIndex;
  #configurations: PendingConfiguration[];
  /** There may be others up to here, which damage hides. */
  #hiddenTo: LogIndex;

  constructor({ firstIndex, last, terms, applied, configurations, hidden, since, committed }: RaftLogStart) {
    assert(applied <= last.index, "I10: the applied position is within the log");
    this.firstIndex = firstIndex;
    this.#terms = new TermRuns(terms, last.index);
    assert(this.#terms.term(last.index) === last.term, "I2: the terms are those of the log");
    this.#disk = this.#terms.copy();
    this.#windowStart = last.index;
    this.#stable = last.index;
    this.#since = since;
    this.#configurations = [...configurations];
    this.#hiddenTo = hidden ? last.index : 0;
    this.committed = Math.max(applied, this.#surelyCommitted, Math.min(committed, last.index));
    this.applying = applied;
    this.applied = applied;
  }

  get last(): LogPoint {
    return this.#terms.last;
  }

  get lastIndex(): LogIndex {
    return this.#terms.lastIndex;
  }

  /** The newest entry that this node's disk holds durably, as it is here. */
  get stable(): LogIndex {
    return this.#stable;
  }

  /** The first entry in memory is the one after this. */
  get windowStart(): LogIndex {
    return this.#windowStart;
  }

  /** What may be handed to the state machine. */
  get applicable(): LogIndex {
    return Math.min(this.committed, this.#stable);
  }

  /** A configuration is committed and not applied, or may be for all that can be read: over it nobody campaigns. */
  get unappliedConfiguration(): boolean {
    const [oldest] = this.#configurations;
    return this.applied < this.#hiddenTo || (oldest !== undefined && oldest.index <= this.committed);
  }

  /**
   * A leader begins one change of the configuration only once the one before is applied, so all but the last one in a log
   * were committed; a restart forgets no more than that it knew (R32).
   */
  get #surelyCommitted(): LogIndex {
    return this.#configurations.at(-2)?.index ?? 0;
  }

  /** Undefined where there is no such entry, or it is older than what is known. */
  term(index: LogIndex): Term | undefined {
    return this.#terms.term(index);
  }

  matches({ index, term }: LogPoint): boolean {
    return this.#terms.term(index) === term;
  }

  /** The newest entry at or before `index` whose term is at most `term`. */
  atMost(index: LogIndex, term: Term): LogPoint {
    return this.#terms.atMost(index, term);
  }

  /** Is a log that ends at `point` at least as up to date as this one (Raft §5.4.1)? */
  reachedBy(point: LogPoint): boolean {
    return reaches(point, this.#terms.last);
  }

  append(entry: Entry): void {
    this.#terms.add(entry.index, entry.term);
    this.#window.push(entry);
    this.uncommittedBytes += entryBytes(entry);
    if (entry.kind !== "configuration") return;
    const decoded = decodeConfiguration(entry.head);
    assert(decoded.ok, `I10: the configuration of entry ${entry.index} cannot be decoded by this version`);
    this.#configurations.push({ index: entry.index, configuration: decoded.value });
  }

  /** Takes a leader's entries: those that are here already stay (P8); the first that differs replaces all from it on. */
  merge(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.index <= this.lastIndex) {
        if (entry.index <= this.committed || this.matches(entry)) continue;
        this.#cut(entry.index - 1);
      }
      this.append(entry);
    }
  }

  commitTo(index: LogIndex): void {
    if (index <= this.committed) return;
    assert(index <= this.lastIndex, "I3: what is committed is in the log");
    for (const entry of this.slice(this.committed + 1, index)) this.uncommittedBytes -= entryBytes(entry);
    this.committed = index;
  }

  /** The configurations that take effect by it, oldest first: mostly none, several in a node that catches up. */
  appliedTo(index: LogIndex): readonly Configuration[] {
    assert(index >= this.applied && index <= this.applying, "I4: entries are applied once, in order");
    this.applied = index;
    const effective: Configuration[] = [];
    if (index < this.#since) return effective;
    for (
      let next = this.#configurations[0];
      next !== undefined && next.index <= index;
      next = this.#configurations[0]
    ) {
      effective.push(next.configuration);
      this.#configurations.shift();
    }
    return effective;
  }

  /** The entries that storage lacks, in memory all. */
  unstable(): readonly Entry[] {
    return this.slice(this.#stable + 1, this.lastIndex);
  }

  /**
   * Storage has written these entries. What replaced some of them meanwhile is not durable by that, even if it has
   * the same indexes (P7): durable is what this log and the disk have in common.
   */
  written(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.index <= this.#disk.lastIndex) this.#disk.cut(entry.index - 1);
      this.#disk.add(entry.index, entry.term);
    }
    this.#stable = this.#terms.commonWith(this.#disk);
  }

  /** While storage has nothing under way: what came back as it was on disk already is durable. True if there is such. */
  recheck(): boolean {
    if (this.#stable >= Math.min(this.lastIndex, this.#disk.lastIndex)) return false;
    const before = this.#stable;
    this.#stable = this.#terms.commonWith(this.#disk);
    return this.#stable > before;
  }

  /** The log becomes what a snapshot stands for; nothing of it is durable before `installed`. */
  restore(snapshot: Snapshot): void {
    assert(snapshot.index > this.committed, "I3: a snapshot never takes back what is committed");
    this.#terms.reset(snapshot);
    this.#stable = Math.min(this.#stable, this.applied);
    this.#window = [];
    this.#windowStart = snapshot.index;
    this.#configurations = [];
    this.#hiddenTo = 0;
    this.uncommittedBytes = 0;
    this.committed = snapshot.index;
  }

  installed({ index, term }: Snapshot): void {
    this.firstIndex = index + 1;
    this.#disk.reset({ index, term });
    this.#stable = index;
    this.applying = index;
    this.applied = index;
  }

  /** The entries from..to that are in memory, which is all of them or a part at the end. */
  slice(from: LogIndex, to: LogIndex): readonly Entry[] {
    return this.#window.slice(Math.max(0, from - this.#windowStart - 1), Math.max(0, to - this.#windowStart));
  }

  /** Of the entries in memory from `from` on as many as fit `bytesMax`, but one at least. */
  sliceBytes(from: LogIndex, bytesMax: number): readonly Entry[] {
    assert(from > this.#windowStart, "what is sent from memory is in memory");
    let bytes = 0;
    let end = from - this.#windowStart - 1;
    const start = end;
    for (; end < this.#window.length; end += 1) {
      bytes += entryBytes(this.#window[end] as Entry);
      if (bytes > bytesMax && end > start) break;
    }
    return this.#window.slice(start, end);
  }

  /**
   * Forgets entries in memory: those that are applied and that nobody wants (`wanted` and before), and of the others that
   * are durable and committed the oldest, where they take more than `keptBytesMax`: those are read from disk again.
   */
  trimWindow(wanted: LogIndex, keptBytesMax: number): void {
    const droppable = Math.min(this.committed, this.#stable) - this.#windowStart;
    if (droppable <= 0) return;
    let drop = Math.max(0, Math.min(droppable, Math.min(this.applied, wanted) - this.#windowStart));
    let kept = 0;
    for (let place = droppable - 1; place >= drop; place -= 1) {
      kept += entryBytes(this.#window[place] as Entry);
      if (kept > keptBytesMax) drop = place + 1;
    }
    if (drop === 0) return;
    this.#window.splice(0, drop);
    this.#windowStart += drop;
  }

  /** Storage has dropped the entries before `firstIndex`. */
  trimmed(firstIndex: LogIndex): void {
    assert(firstIndex <= this.applied + 1, "I13: only what is applied is trimmed");
    if (firstIndex <= this.firstIndex) return;
    this.firstIndex = firstIndex;
    this.#terms.trim(firstIndex);
    this.#disk.trim(firstIndex);
  }

  /** What damage had hidden of the log on disk can be read again, but for what is `hidden` still. */
  learn({ terms, configurations, hidden }: Omit<Mended, "kind">): void {
    if (!hidden) this.#hiddenTo = 0;
    this.#terms.learn(terms);
    this.#disk.learn(terms);
    const known = new Set(this.#configurations.map(({ index }) => index));
    const found = configurations.filter(
      (one) => one.index > this.applied && one.index <= this.#stable && !known.has(one.index) && this.matches(one),
    );
    this.#configurations = [...this.#configurations, ...found].sort((a, b) => a.index - b.index);
    this.commitTo(this.#surelyCommitted);
  }

  #cut(index: LogIndex): void {
    assert(index >= this.committed, "I3: what is committed is never cut off");
    for (const entry of this.slice(index + 1, this.lastIndex)) this.uncommittedBytes -= entryBytes(entry);
    this.#terms.cut(index);
    this.#window.length = Math.max(0, Math.min(this.#window.length, index - this.#windowStart));
    this.#windowStart = Math.min(this.#windowStart, index);
    this.#stable = Math.min(this.#stable, index);
    this.#configurations = this.#configurations.filter((pending) => pending.index <= index);
  }
}

/** Is a log that ends at `a` at least as up to date as one that ends at `b`? */
export function reaches(a: LogPoint, b: LogPoint): boolean {
  return a.term > b.term || (a.term === b.term && a.index >= b.index);
}

export function entryBytes(entry: Entry): number {
  let bytes = entry.head.length;
  for (const batch of entry.batches) bytes += batch.length;
  return bytes;
}

export function entriesBytes(entries: readonly Entry[]): number {
  return entries.reduce((bytes, entry) => bytes + entryBytes(entry), 0);
}
