/**
 * Puts together what one segment has lost, from what others offer of it. Nothing offered is trusted: a batch counts if it
 * matches the hash in its entry's head, and an entry without a head here only if the chain of identities leads through it
 * from what is intact before to what is intact behind. Several may each give a part.
 */
import { assert } from "../../../src/lib/assert.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import type { Entry, LogIndex } from "../../../src/wire/entry.ts";
import { aligned } from "../entries/frame.ts";
import type { LogEnd } from "../entries/closing.ts";
import { encodeEntryFrame, frameLengthOf, hashOfEntry } from "../entries/entry-frame.ts";
import { batchIsIntact } from "../segments/segment-scan.ts";
import type { BrokenBatch, CheckedEntries } from "./segment-check.ts";
import { SEGMENT_HEADER_LENGTH } from "../segments/segment-header.ts";

/** Entries that follow one another; batches may lack their bytes. */
export type OfferedEntries = {
  /** Of the entry before the first. */
  readonly previousHash: bigint;
  readonly entries: readonly Entry[];
};

/** What somebody else has of a log. */
export interface EntrySource {
  /**
   * As many as it sends at a time, from the first on that it has of these; none if it has none. Undefined: it does not
   * answer.
   */
  entries(from: LogIndex, to: LogIndex): Promise<OfferedEntries | undefined>;
}

/** Bytes that belong at a place of a file. */
export type Patch = { readonly place: number; readonly bytes: Uint8Array };

export type EntryRange = { readonly from: LogIndex; readonly to: LogIndex };

/** An entry that was lost and is there again. */
export type MendedEntry = {
  readonly slot: number;
  readonly place: number;
  readonly hash: bigint;
  readonly entry: Entry;
};

type Wanted = {
  readonly lost: boolean;
  entry: Entry | undefined;
  /** By ordinal; of a lost entry, once its head was offered. */
  readonly bytes: Map<number, Uint8Array>;
  /** Batches that nobody has given yet. */
  readonly missing: Map<number, BatchRef>;
};

/** Lost entries that follow one another. */
type Run = { readonly from: number; readonly to: number };

export class Mending {
  readonly #check: CheckedEntries;
  readonly #logId: number;
  readonly #before: LogEnd | undefined;
  readonly #last: bigint | undefined;
  readonly #wanted = new Map<number, Wanted>();
  readonly #runs: readonly Run[];
  /** As somebody told it, where it is not known here. */
  #offeredBefore: bigint | undefined;

  /** `before`: the entry before the segment's first; `last`: the identity of its last; where they are known. */
  constructor(check: CheckedEntries, logId: number, before: LogEnd | undefined, last: bigint | undefined) {
    this.#last = last;
    this.#check = check;
    this.#logId = logId;
    this.#before = before;
    for (const [slot, broken] of check.broken) {
      const lost = broken.kind === "lost";
      const missing = new Map(lost ? [] : broken.batches.map(({ ordinal, batch }) => [ordinal, batch]));
      this.#wanted.set(slot, { lost, entry: undefined, bytes: new Map(), missing });
    }
    this.#runs = runsOf(check);
  }

  /** What nobody has given yet. */
  ranges(): readonly EntryRange[] {
    const { firstIndex } = this.#check;
    const ranges: { from: number; to: number }[] = [];
    for (const [slot, wanted] of this.#wanted) {
      if (isComplete(wanted)) continue;
      const last = ranges.at(-1);
      if (last?.to === firstIndex + slot - 1) last.to += 1;
      else ranges.push({ from: firstIndex + slot, to: firstIndex + slot });
    }
    return ranges;
  }

  offer({ previousHash, entries }: OfferedEntries): void {
    const { firstIndex } = this.#check;
    if (entries[0]?.index === firstIndex) this.#offeredBefore ??= previousHash;
    for (const entry of entries) {
      const wanted = this.#wanted.get(entry.index - firstIndex);
      if (wanted === undefined) continue;
      if (wanted.lost && wanted.entry === undefined) {
        wanted.entry = entry;
        for (const [ordinal, batch] of entry.batches.entries()) wanted.missing.set(ordinal, batch);
      }
      for (const [ordinal, { bytes }] of entry.batches.entries()) {
        const batch = wanted.missing.get(ordinal);
        if (batch === undefined || bytes === undefined || !batchIsIntact(bytes, batch)) continue;
        wanted.missing.delete(ordinal);
        wanted.bytes.set(ordinal, bytes);
      }
    }
  }

  /** The entries whose heads were lost and are proven now. */
  entries(): readonly MendedEntry[] {
    return this.#runs.flatMap((run) => this.#entriesOf(run) ?? []);
  }

  /** What to write. `mended` is what `entries` gave. */
  patches(mended: readonly MendedEntry[]): readonly Patch[] {
    const { broken, sequence, hash } = this.#check;
    const patches: Patch[] = [];
    let last: MendedEntry | undefined;
    for (const one of mended) {
      const { place, entry, slot } = one;
      const follows = last?.slot === slot - 1 ? last.hash : undefined;
      const previousHash = follows ?? (slot === 0 ? this.#hashBefore() : hash[slot - 1]);
      assert(previousHash !== undefined, "a mended entry is in the chain");
      patches.push({
        place,
        bytes: encodeEntryFrame(entry, { logId: this.#logId, sequence, place, previousHash }),
      });
      last = one;
    }
    for (const [slot, one] of broken) {
      const given = this.#wanted.get(slot)?.bytes;
      if (one.kind === "lost" || given === undefined) continue;
      for (const { ordinal, place } of one.batches) {
        const bytes = given.get(ordinal);
        if (bytes !== undefined) patches.push({ place, bytes });
      }
    }
    return patches.sort((a, b) => a.place - b.place);
  }

  /** Stretches of which nobody knows what stood where: the mended entries in them are laid out anew. */
  blanks(mended: readonly MendedEntry[]): readonly { readonly place: number; readonly end: number }[] {
    const { place, length, count } = this.#check;
    const slots = new Set(mended.map(({ slot }) => slot));
    return this.#runs.flatMap(({ from, to }) => {
      const isLaidOut = slots.has(from) && place.subarray(from, to + 1).includes(0);
      if (!isLaidOut) return [];
      const begin =
        from === 0 ? SEGMENT_HEADER_LENGTH : aligned((place[from - 1] as number) + (length[from - 1] as number));
      return [{ place: begin, end: to + 1 < count ? (place[to + 1] as number) : Number.POSITIVE_INFINITY }];
    });
  }

  /** By slot and ordinal: the batches that were damaged in entries that are not lost, and are given. */
  given(): ReadonlyMap<number, ReadonlyMap<number, Uint8Array>> {
    const given = new Map<number, ReadonlyMap<number, Uint8Array>>();
    for (const [slot, { lost, bytes }] of this.#wanted) if (!lost) given.set(slot, bytes);
    return given;
  }

  /** Batches that nobody has given with their entries. */
  missing(): readonly (BrokenBatch & { readonly index: LogIndex })[] {
    const { broken, firstIndex } = this.#check;
    return [...broken].flatMap(([slot, one]) =>
      one.kind === "lost"
        ? []
        : one.batches.flatMap((batch) =>
            this.#wanted.get(slot)?.missing.has(batch.ordinal) === true ? [{ ...batch, index: firstIndex + slot }] : [],
          ),
    );
  }

  /** Batches that were damaged and are given. */
  get batches(): number {
    let count = 0;
    for (const { bytes, lost } of this.#wanted.values()) if (!lost) count += bytes.size;
    return count;
  }

  #hashBefore(): bigint | undefined {
    const { index, hash } = this.#before ?? { index: -1, hash: 0n };
    return hash !== 0n || index === 0 ? hash : this.#offeredBefore;
  }

  /** Undefined where one of them is not given, or they are not what stood here. */
  #entriesOf({ from, to }: Run): MendedEntry[] | undefined {
    const { hash, previousHash, count, place, length } = this.#check;
    let before = from === 0 ? this.#hashBefore() : known(hash[from - 1]);
    const behind = known(hash[to]) ?? (to + 1 < count ? known(previousHash[to + 1]) : this.#last);
    let next = from === 0 ? SEGMENT_HEADER_LENGTH : aligned((place[from - 1] as number) + (length[from - 1] as number));
    const limit = to + 1 < count ? (place[to + 1] as number) : Number.POSITIVE_INFINITY;
    const mended: MendedEntry[] = [];
    for (let slot = from; slot <= to; slot += 1) {
      const { entry, bytes } = this.#wanted.get(slot) as Wanted;
      if (entry === undefined || before === undefined) return undefined;
      const identity = hashOfEntry(this.#logId, entry, before);
      const expected = known(hash[slot]);
      if (expected !== undefined && expected !== identity) return this.#forget({ from, to });
      const at = (place[slot] as number) || next;
      const size = frameLengthOf(entry);
      // It has to fit where it stood: what is behind it stays where it is.
      if (at < next || aligned(at + size) > limit) return this.#forget({ from, to });
      const batches = entry.batches.map((batch, ordinal): BatchRef => {
        const { hash: batchHash, length: batchLength, span } = batch;
        const content = bytes.get(ordinal);
        return { hash: batchHash, length: batchLength, span, ...(content && { bytes: content }) };
      });
      mended.push({ slot, place: at, hash: identity, entry: { ...entry, batches } });
      before = identity;
      next = aligned(at + size);
    }
    if (behind === undefined || behind !== before) return this.#forget({ from, to });
    return mended;
  }

  /** Others may know better. */
  #forget({ from, to }: Run): undefined {
    for (let slot = from; slot <= to; slot += 1) {
      const wanted = this.#wanted.get(slot) as Wanted;
      wanted.entry = undefined;
      wanted.bytes.clear();
      wanted.missing.clear();
    }
    if (from === 0) this.#offeredBefore = undefined;
    return undefined;
  }
}

function isComplete({ lost, entry, missing }: Wanted): boolean {
  return (!lost || entry !== undefined) && missing.size === 0;
}

function runsOf({ broken }: CheckedEntries): readonly Run[] {
  const runs: { from: number; to: number }[] = [];
  for (const [slot, { kind }] of broken) {
    if (kind !== "lost") continue;
    const last = runs.at(-1);
    if (last?.to === slot - 1) last.to = slot;
    else runs.push({ from: slot, to: slot });
  }
  return runs;
}

function known(hash: bigint | undefined): bigint | undefined {
  return hash === 0n ? undefined : hash;
}
