/**
 * Judges what a scan found in an unsealed segment: which entries it holds, what of it is damaged, and where its
 * ambiguous tail begins, if it has one (DESIGN, "Recovery tells a crash from corruption").
 *
 * What was surely synced is known from frames written later. Damage there is corruption: an entry keeps its slot and
 * is not served, what is behind it is. Damage behind the highest such place is perhaps torn, perhaps acknowledged and
 * rotten: from there on everything is ambiguous.
 */
import type { Closing, LogEnd } from "../entries/closing.ts";
import type { Damage } from "../repair/damage.ts";
import { ENVELOPE_LENGTH } from "../entries/entry-codec.ts";
import { FRAME_HEADER_LENGTH } from "../entries/frame.ts";
import { SEGMENT_HEADER_LENGTH } from "./segment-header.ts";
import type { Piece, SegmentScan } from "./segment-scan.ts";

const ENTRY_FRAME_BYTES_MIN = FRAME_HEADER_LENGTH + ENVELOPE_LENGTH;

export type EntryPiece = Extract<Piece, { kind: "entry" }>;

/** An entry of the segment, in log order. `lost`: its head cannot be read; of a hole not even its place is known. */
export type JudgedSlot =
  | { readonly kind: "entry"; readonly piece: EntryPiece }
  | { readonly kind: "lost"; readonly place: number; readonly length: number; readonly hash: bigint };

export type JudgedSegment = {
  readonly scan: SegmentScan;
  readonly previous: LogEnd;
  readonly slots: JudgedSlot[];
  /** Of the log, with this segment's last slot; a term of 0 is hidden by damage. */
  readonly end: LogEnd;
  readonly endPlace: number;
  readonly footer: Closing | undefined;
  /** Everything before it was synced, as far as is known. */
  readonly provenEnd: number;
  /** The newest frame is a mark, and nothing is behind it. */
  readonly marked: boolean;
  readonly ambiguous: AmbiguousTail | undefined;
  readonly damage: readonly Damage[];
};

export type AmbiguousTail = {
  readonly place: number;
  readonly fromIndex: number;
  /** The last entry that can be seen in it; undefined if its end cannot be read. */
  readonly toIndex: number | undefined;
  /** Its term, where it can be seen. */
  readonly toTerm: number | undefined;
};

export type JudgeContext = {
  /** The end of the log before this segment, as far as is known. */
  readonly expected: LogEnd;
  /** A later segment was written to: this one was synced whole. */
  readonly isLast: boolean;
  /** What the next segment says of the entry before its first. */
  readonly next: LogEnd | undefined;
};

/** The newest footer. */
export function footerOf(scan: SegmentScan): Closing | undefined {
  const found = scan.pieces.findLast((piece) => piece.kind === "footer");
  return found?.kind === "footer" ? found.closing : undefined;
}

/** The index of the first entry, where it can be known from the segment alone. */
export function previousOf(scan: SegmentScan): LogEnd | undefined {
  if (scan.header !== undefined) return scan.header.previous;
  const first = scan.pieces[0];
  if (first?.kind !== "entry") return undefined;
  return { index: first.head.index - 1, term: 0, hash: first.head.previousHash, logTime: 0 };
}

export function judgeSegment(scan: SegmentScan, context: JudgeContext): JudgedSegment {
  return new Judge(scan, context).run();
}

class Judge {
  readonly #scan: SegmentScan;
  readonly #context: JudgeContext;
  readonly #footer: Closing | undefined;
  readonly #proven: number;
  readonly #previous: LogEnd;
  readonly #slots: JudgedSlot[] = [];
  readonly #damage: Damage[] = [];
  /** A stretch, proven and unreadable, of which it is not yet known what entries it held. */
  #hole: { place: number; end: number } | undefined;
  #end: LogEnd;
  /** The chain is known up to `#end`. */
  #chained = true;
  #endPlace = SEGMENT_HEADER_LENGTH;
  #ambiguous: AmbiguousTail | undefined;

  constructor(scan: SegmentScan, context: JudgeContext) {
    this.#scan = scan;
    this.#context = context;
    this.#footer = footerOf(scan);
    this.#proven = provenEnd(scan);
    this.#previous = this.#withTerm(previousOf(scan) ?? context.expected);
    this.#end = this.#previous;
    // Of what counts for nothing none is missed.
    const isEmpty = this.#footer !== undefined && this.#footer.endPlace <= SEGMENT_HEADER_LENGTH;
    if (scan.header === undefined && scan.pieces.length > 0 && !isEmpty) {
      this.#report({
        kind: "segment",
        segment: scan.sequence,
        place: 0,
        message: "the header of a segment is damaged",
      });
    }
  }

  run(): JudgedSegment {
    const { pieces } = this.#scan;
    for (const [at, piece] of pieces.entries()) {
      if (this.#footer !== undefined && piece.place >= this.#footer.endPlace) break;
      if (this.#isDoubtful(piece, pieces[at + 1])) {
        this.#beginAmbiguous(piece.place);
        break;
      }
      this.#take(piece);
    }
    // A segment without anything readable: not even its header came through.
    if (this.#context.isLast && this.#scan.header === undefined && pieces.length === 0)
      this.#beginAmbiguous(SEGMENT_HEADER_LENGTH);
    this.#close();
    const last = pieces.at(-1);
    return {
      scan: this.#scan,
      previous: this.#previous,
      slots: this.#slots,
      end: this.#end,
      endPlace: this.#footer?.endPlace ?? this.#endPlace,
      footer: this.#footer,
      provenEnd: this.#proven,
      marked: last?.kind === "mark" && this.#ambiguous === undefined,
      ambiguous: this.#ambiguous,
      damage: this.#damage,
    };
  }

  /** Damaged, and not surely synced. */
  #isDoubtful(piece: Piece, next: Piece | undefined): boolean {
    const settled = !this.#context.isLast || this.#footer !== undefined || piece.place < this.#proven;
    if (settled) return false;
    switch (piece.kind) {
      case "entry":
        return piece.damagedBatches.length > 0 || !this.#follows(piece);
      case "headless":
        return true;
      case "damaged":
        // The gap before a mark is not damage.
        return !(next?.kind === "mark" && next.closing.dataEnd <= piece.place);
      case "mark":
      case "footer":
        return false;
    }
  }

  #take(piece: Piece): void {
    switch (piece.kind) {
      case "entry":
        return this.#takeEntry(piece);
      case "headless":
        return this.#takeHeadless(piece);
      case "damaged":
        this.#widenHole(piece);
        return;
      case "mark":
        return this.#takeMark(piece.closing, piece.end);
      case "footer":
        return;
    }
  }

  #takeEntry(piece: EntryPiece): void {
    if (this.#hole !== undefined && !this.#fillHole(piece.head.index - 1)) return this.#widenHole(piece);
    // An entry that does not follow the one before it is not the log's.
    if (!this.#follows(piece)) return this.#widenHole(piece);
    for (const ordinal of piece.damagedBatches) {
      this.#report({
        kind: "batch",
        segment: this.#scan.sequence,
        place: piece.place,
        firstIndex: piece.head.index,
        lastIndex: piece.head.index,
        message: `batch ${ordinal} of entry ${piece.head.index} is damaged`,
      });
    }
    this.#slots.push({ kind: "entry", piece });
    this.#endPlace = piece.end;
    this.#chained = true;
    const { index, term, logTime } = piece.head;
    this.#end = { index, term, hash: piece.frame.entryHash, logTime };
  }

  #takeHeadless(piece: Extract<Piece, { kind: "headless" }>): void {
    if (this.#hole !== undefined || piece.frame.kind !== "entry") return this.#widenHole(piece);
    const index = this.#end.index + 1;
    this.#slots.push({ kind: "lost", place: piece.place, length: piece.frame.length, hash: piece.frame.entryHash });
    this.#reportLost(index, index, piece.place, "is damaged");
    this.#endPlace = piece.end;
    this.#chained = true;
    this.#end = { index, term: 0, hash: piece.frame.entryHash, logTime: this.#end.logTime };
  }

  #takeMark(closing: Closing, end: number): void {
    if (this.#hole !== undefined && closing.dataEnd > this.#hole.place) this.#fillHole(closing.last.index);
    this.#hole = undefined;
    this.#endPlace = end;
    this.#adopt(closing.last);
  }

  #close(): void {
    const known = this.#footer?.last ?? (this.#context.isLast ? undefined : this.#context.next);
    // Nothing is left behind what can be read, not even a footer: there was more.
    if (this.#footer === undefined && this.#hole === undefined && known !== undefined && known.index > this.#end.index)
      this.#hole = { place: this.#endPlace, end: this.#scan.fileBytes };
    if (this.#hole !== undefined && known !== undefined) this.#fillHole(known.index);
    if (known !== undefined) this.#adopt(known);
    if (this.#hole !== undefined)
      this.#reportLost(
        this.#end.index + 1,
        this.#end.index + 1,
        this.#hole.place,
        "and what follows it cannot be read",
      );
  }

  /** What a mark, footer or the next segment says of the last entry: it survives damage to that. */
  #adopt(end: LogEnd): void {
    if (end.index !== this.#end.index || this.#end.term !== 0 || end.term === 0) return;
    this.#end = end;
    this.#chained = true;
  }

  #follows(piece: EntryPiece): boolean {
    if (this.#hole !== undefined) return true;
    return piece.head.index === this.#end.index + 1 && (!this.#chained || piece.head.previousHash === this.#end.hash);
  }

  #widenHole(piece: { readonly place: number; readonly end: number }): void {
    if (this.#hole === undefined) this.#hole = { place: piece.place, end: piece.end };
    else this.#hole.end = piece.end;
    this.#endPlace = piece.end;
  }

  /** The hole held the entries up to `lastIndex`. False if that cannot be. */
  #fillHole(lastIndex: number): boolean {
    const hole = this.#hole;
    const missing = lastIndex - this.#end.index;
    if (hole === undefined || missing < 0 || missing * ENTRY_FRAME_BYTES_MIN > hole.end - hole.place) return false;
    this.#hole = undefined;
    if (missing === 0) return true;
    this.#reportLost(this.#end.index + 1, lastIndex, hole.place, "cannot be read");
    for (let slot = 0; slot < missing; slot += 1) this.#slots.push({ kind: "lost", place: 0, length: 0, hash: 0n });
    this.#end = { index: lastIndex, term: 0, hash: 0n, logTime: this.#end.logTime };
    this.#chained = false;
    return true;
  }

  #beginAmbiguous(place: number): void {
    const last = this.#scan.pieces.at(-1);
    const readable = last?.kind === "entry" && last.place >= place && last.damagedBatches.length === 0;
    const seen = readable && last.head.index > this.#end.index ? last.head : undefined;
    this.#ambiguous = { place, fromIndex: this.#end.index + 1, toIndex: seen?.index, toTerm: seen?.term };
  }

  /** Headers that were rebuilt from what follows lack the term: the segment before may know it. */
  #withTerm(previous: LogEnd): LogEnd {
    const { expected } = this.#context;
    return previous.term === 0 && previous.index === expected.index ? expected : previous;
  }

  #reportLost(firstIndex: number, lastIndex: number, place: number, what: string): void {
    const which = firstIndex === lastIndex ? `entry ${firstIndex}` : `one of the entries ${firstIndex} to ${lastIndex}`;
    this.#report({
      kind: "entry",
      segment: this.#scan.sequence,
      place,
      firstIndex,
      lastIndex,
      message: `${which} ${what}`,
    });
  }

  #report(damage: Damage): void {
    this.#damage.push(damage);
  }
}

/** The place before which everything was synced, as the frames themselves say. */
function provenEnd(scan: SegmentScan): number {
  let proven = 0;
  for (const piece of scan.pieces) {
    switch (piece.kind) {
      case "entry":
      case "headless":
        proven = Math.max(proven, piece.frame.syncedUpTo);
        break;
      case "mark":
        proven = Math.max(proven, piece.closing.dataEnd);
        break;
      case "footer":
        proven = Math.max(proven, piece.closing.endPlace);
        break;
      case "damaged":
        break;
    }
  }
  return proven;
}
