/**
 * What can still be read behind the proven end of a log whose tail is damaged. It counts for nothing by itself; but what
 * is lacking in between may come from others, and they may lack what is here.
 */
import type { Disk } from "../../../src/ports/disk.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import type { Entry, LogIndex } from "../../../src/wire/entry.ts";
import type { LogEnd } from "../entries/closing.ts";
import { ENVELOPE_LENGTH } from "../entries/entry-codec.ts";
import { readEntryFrame } from "../entries/entry-frame.ts";
import { FRAME_HEADER_LENGTH } from "../entries/frame.ts";
import { type EntrySource, Mending, type OfferedEntries } from "./mending.ts";
import { type BrokenEntry, brokenBatches, type CheckedEntries } from "./segment-check.ts";
import type { AmbiguousTail } from "../segments/segment-judge.ts";
import { type Piece, scanSegment } from "../segments/segment-scan.ts";

const ENTRY_FRAME_BYTES_MIN = FRAME_HEADER_LENGTH + ENVELOPE_LENGTH;

type TailPlace = { readonly disk: Disk; readonly path: string; readonly sequence: number; readonly logId: number };

export class TailRemains {
  readonly #check: CheckedEntries;
  readonly #logId: number;
  readonly #end: LogEnd;
  /** By slot; batches that are damaged have no bytes. */
  readonly #entries: ReadonlyMap<number, Entry>;

  private constructor(check: CheckedEntries, logId: number, end: LogEnd, entries: ReadonlyMap<number, Entry>) {
    this.#check = check;
    this.#logId = logId;
    this.#end = end;
    this.#entries = entries;
  }

  /** `end`: the proven one. */
  static async read(at: TailPlace, tail: AmbiguousTail, end: LogEnd): Promise<TailRemains | undefined> {
    const { disk, path, sequence, logId } = at;
    const file = await disk.open(path, "read");
    try {
      const scan = await scanSegment(file, sequence, logId, () => undefined);
      if (!scan.ok) return undefined;
      const pieces = scan.value.pieces.filter(({ place }) => place >= tail.place);
      const found = slotsOf(pieces, end.index);
      const count = 1 + Math.max(-1, ...found.keys());
      const place = new Uint32Array(count);
      const length = new Uint32Array(count);
      const hash = new BigUint64Array(count);
      const previousHash = new BigUint64Array(count);
      const broken = new Map<number, BrokenEntry>();
      const entries = new Map<number, Entry>();
      for (let slot = 0; slot < count; slot += 1) {
        const piece = found.get(slot);
        if (piece?.kind !== "entry") {
          broken.set(slot, { kind: "lost" });
          if (piece === undefined) continue;
        }
        place[slot] = piece.place;
        length[slot] = piece.frame.length;
        hash[slot] = piece.frame.entryHash;
        if (piece.kind !== "entry") continue;
        const bytes = new Uint8Array(piece.frame.length);
        await file.read(piece.place, bytes);
        const index = end.index + 1 + slot;
        const frame = readEntryFrame(bytes, { logId, sequence, place: piece.place, index });
        if (frame === undefined) {
          broken.set(slot, { kind: "lost" });
          continue;
        }
        previousHash[slot] = frame.head.previousHash;
        const { term, kind, logTime, head } = frame.head;
        entries.set(slot, { index, term, kind, logTime, head, batches: frame.batches });
        const batches = brokenBatches(frame, piece.place);
        if (batches.length > 0) broken.set(slot, { kind: "batches", batches });
      }
      const check = { sequence, firstIndex: end.index + 1, count, place, length, hash, previousHash, broken };
      return new TailRemains(check, logId, end, entries);
    } finally {
      await file.close();
    }
  }

  /** Whether there is anything that others could help to make whole. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Entries from the proven end to the last that is known of. */
  get count(): number {
    return this.#check.count;
  }

  /** What there is of these entries, from the first on. */
  offered(from: LogIndex, to: LogIndex): OfferedEntries | undefined {
    const first = [...this.#entries.keys()].find((slot) => slot >= from - this.#check.firstIndex);
    if (first === undefined) return undefined;
    const entries: Entry[] = [];
    for (let slot = first; slot <= to - this.#check.firstIndex; slot += 1) {
      const entry = this.#entries.get(slot);
      if (entry === undefined) break;
      entries.push(entry);
    }
    return { previousHash: this.#check.previousHash[first] as bigint, entries };
  }

  /** The entries right behind the proven end that are whole, with what others give of them. */
  async mended(sources: readonly EntrySource[]): Promise<readonly Entry[]> {
    const mending = new Mending(this.#check, this.#logId, this.#end, undefined);
    for (const source of sources) {
      for (const { from, to } of mending.ranges()) {
        const offered = await source.entries(from, to);
        if (offered !== undefined) mending.offer(offered);
      }
    }
    const lost = new Map(mending.entries().map(({ slot, entry, hash }) => [slot, { entry, hash }]));
    const given = mending.given();
    const whole: Entry[] = [];
    let { hash } = this.#end;
    for (let slot = 0; slot < this.#check.count; slot += 1) {
      const here = this.#entries.get(slot);
      if (here !== undefined && this.#check.previousHash[slot] !== hash) break;
      const found =
        lost.get(slot) ?? (here && { entry: withBatches(here, given.get(slot)), hash: this.#check.hash[slot] });
      if (found === undefined || found.entry.batches.some(({ bytes }) => bytes === undefined)) break;
      whole.push(found.entry);
      hash = found.hash as bigint;
    }
    return whole;
  }
}

function withBatches(entry: Entry, given: ReadonlyMap<number, Uint8Array> | undefined): Entry {
  const batches = entry.batches.map((batch, ordinal): BatchRef => {
    const bytes = batch.bytes ?? given?.get(ordinal);
    return bytes === undefined ? batch : { ...batch, bytes };
  });
  return { ...entry, batches };
}

type EntryPiece = Extract<Piece, { kind: "entry" | "headless" }>;

/** Which entry each piece is, as far as can be told: behind a hole only one whose head can be read says so. */
function slotsOf(pieces: readonly Piece[], endIndex: LogIndex): Map<number, EntryPiece> {
  const slots = new Map<number, EntryPiece>();
  let next: number | undefined = 0;
  let holeAt: number | undefined;
  let last = -1;
  for (const piece of pieces) {
    switch (piece.kind) {
      case "entry": {
        const slot = piece.head.index - endIndex - 1;
        const room = holeAt === undefined ? 0 : Math.floor((piece.place - holeAt) / ENTRY_FRAME_BYTES_MIN);
        // What cannot have stood there is not of this tail.
        if (slot <= last || slot > last + 1 + room) return slots;
        slots.set(slot, piece);
        last = slot;
        next = slot + 1;
        holeAt = undefined;
        break;
      }
      case "headless":
        if (piece.frame.kind === "entry" && next !== undefined) {
          slots.set(next, piece);
          last = next;
          next += 1;
        } else {
          next = undefined;
          holeAt ??= piece.place;
        }
        break;
      case "damaged":
        next = undefined;
        holeAt ??= piece.place;
        break;
      case "mark":
      case "footer":
        break;
    }
  }
  return slots;
}
