/**
 * What clients of one stream asked for, were told and have seen, held against each other and, at the end, against what
 * every node has. It knows nothing of logs or nodes: records are told apart by their text, which nobody sends twice.
 *
 *  - what is acknowledged is there once, at its offset, for ever (I5, I6, I8)
 *  - what was acknowledged before a call began lies before what the call appended, and is seen by every linearizable read (P12–P14)
 *  - an offset shows one record to everybody, always (I4, I6, I7); offsets are dense
 *  - what was refused is nowhere; what is not known is there once or nowhere
 *  - of one session, records stand in the order in which they were sent; of a producer none is left out before another
 *  - what is gone is what somebody asked to be trimmed, and that is gone (I6, I7)
 */
import { Violation } from "../history.ts";

export type Fate = "open" | "acknowledged" | "not-applied" | "unknown";

export type Sent = {
  readonly text: string;
  /** Whose; the n-th of it. */
  readonly session: string;
  readonly ordinal: number;
  /** What the stream held for certain when it was sent. */
  readonly floor: number;
  fate: Fate;
  offset: number | undefined;
};

type Session = { readonly dense: boolean; readonly sent: Sent[] };

export class StreamHistory {
  readonly name: string;
  readonly #sent = new Map<string, Sent>();
  readonly #sessions = new Map<string, Session>();
  /** Offset to text, of everything that anybody was told or shown. */
  readonly #known = new Map<number, string>();
  /** One past the greatest offset that anybody was told or shown by a linearizable answer. */
  #floor = 0;
  /** And by any answer. */
  #shown = 0;
  /** Before this offset everything is gone; before the other it may be. */
  #trimmed = 0;
  #trimAsked = 0;

  readonly #note: (line: string) => void;

  constructor(name: string, note: (line: string) => void = () => {}) {
    this.name = name;
    this.#note = note;
  }

  /** A linearizable read that begins now shows at least so many records. */
  get floor(): number {
    return this.#floor;
  }

  get sentCount(): number {
    return this.#sent.size;
  }

  /** `dense`: what is there of this session has no holes. */
  session(id: string, dense: boolean): void {
    this.#sessions.set(id, { dense, sent: [] });
  }

  sent(session: string, text: string): Sent {
    const all = this.#sessions.get(session)?.sent ?? [];
    const sent: Sent = { text, session, ordinal: all.length, floor: this.#floor, fate: "open", offset: undefined };
    all.push(sent);
    this.#sent.set(text, sent);
    return sent;
  }

  acknowledged(sent: Sent, offset: number): void {
    sent.fate = "acknowledged";
    sent.offset = offset;
    this.#note(`${sent.session} #${sent.ordinal} is acknowledged at ${this.#at(offset)}`);
    this.saw(offset, sent.text, "its acknowledgement");
    this.#floor = Math.max(this.#floor, offset + 1);
  }

  /** From now on what is before `offset` may be gone. */
  trimAsked(offset: number): void {
    this.#trimAsked = Math.max(this.#trimAsked, offset);
  }

  /** Somebody was told that what is before `offset` is gone. */
  trimmed(offset: number, where: string): void {
    if (offset > this.#trimAsked)
      throw new Violation(
        `I6: by ${where} ${this.name} begins at ${offset}; nobody has asked for more than ${this.#trimAsked} to go`,
      );
    this.#trimmed = Math.max(this.#trimmed, offset);
  }

  failed(sent: Sent, outcome: "applied" | "not-applied" | "unknown"): void {
    // Applied, and too long ago for its offset to be known: it must be there, somewhere.
    sent.fate = outcome === "applied" ? "acknowledged" : outcome;
    this.#note(`${sent.session} #${sent.ordinal} of ${this.name} is ${outcome}`);
  }

  /** A linearizable answer to a question that was asked when the floor was `floor`. */
  tailShown(tail: number, floor: number, where: string): void {
    if (tail < floor)
      throw new Violation(
        `P12: ${where} shows ${tail} records of ${this.name}, where ${floor} were known before it was asked`,
      );
    this.#floor = Math.max(this.#floor, tail);
  }

  /** An answer that need not be of now, to whom was told or shown `floor` records before. */
  tailShownTo(tail: number, floor: number, who: string): void {
    if (tail < floor)
      throw new Violation(`P12: ${who} is shown ${tail} records of ${this.name}, and was shown ${floor} before`);
    this.#shown = Math.max(this.#shown, tail);
  }

  /** Somebody was shown this record. */
  saw(offset: number, text: string, where: string): void {
    const known = this.#known.get(offset);
    if (known !== undefined && known !== text)
      throw new Violation(`I6: ${this.#at(offset)} is ${text} by ${where}, and was ${known}`);
    this.#known.set(offset, text);
    if (known !== undefined) return;
    const sent = this.#sent.get(text);
    if (sent === undefined) throw new Violation(`I6: ${this.#at(offset)} is ${text} by ${where}, which nobody sent`);
    if (sent.fate === "not-applied")
      throw new Violation(`I8: ${this.#at(offset)} is ${text} by ${where}; its sender was told that it had no effect`);
    if (sent.offset !== undefined && sent.offset !== offset)
      throw new Violation(`I8: ${text} is at ${offset} by ${where}, and at ${sent.offset}`);
    if (offset < sent.floor)
      throw new Violation(`I9: ${this.#at(offset)} is ${text}, sent when ${sent.floor} records were acknowledged`);
    sent.offset = offset;
  }

  /** All of the stream, as one node has it when nothing is under way any more, from its first offset on. */
  judge(records: readonly string[], first: number, where: string): void {
    const end = first + records.length;
    if (end < Math.max(this.#floor, this.#shown))
      throw new Violation(
        `I5: ${where} has ${this.name} up to ${end}; ${Math.max(this.#floor, this.#shown)} records were known`,
      );
    if (first < this.#trimmed)
      throw new Violation(`I6: ${where} has ${this.#at(first)} again, which was gone up to ${this.#trimmed}`);
    this.trimmed(first, where);
    records.forEach((text, place) => this.saw(first + place, text, where));
    for (const offset of this.#known.keys())
      if (offset >= end) throw new Violation(`I6: ${where} has no ${this.#at(offset)}, which was read`);
    const there = new Set(records);
    if (there.size < records.length) throw new Violation(`I8: ${where} has a record of ${this.name} twice`);
    const mayBeGone = ({ offset }: Sent): boolean => (offset ?? 0) < first;
    for (const sent of this.#sent.values()) {
      const { text, fate } = sent;
      if (fate === "acknowledged" && !there.has(text) && !mayBeGone(sent))
        throw new Violation(`I5: ${text} was acknowledged, and ${where} does not have it`);
      if (fate === "not-applied" && there.has(text))
        throw new Violation(`I8: ${where} has ${text}, whose sender was told that it had no effect`);
      if (fate === "open") throw new Violation(`${text} was never answered`);
    }
    for (const session of this.#sessions.values()) this.#judgeOrder(session, there, mayBeGone, where);
  }

  #judgeOrder(
    { dense, sent }: Session,
    there: ReadonlySet<string>,
    mayBeGone: (sent: Sent) => boolean,
    where: string,
  ): void {
    let before: Sent | undefined;
    let missing: Sent | undefined;
    for (const one of sent) {
      if (!there.has(one.text)) {
        if (!mayBeGone(one)) missing ??= one;
        continue;
      }
      if (dense && missing !== undefined)
        throw new Violation(`I8: ${where} has ${one.text} of ${this.name}, and not ${missing.text} before it`);
      if (before !== undefined && (before.offset ?? 0) > (one.offset ?? 0))
        throw new Violation(`I7: in ${this.name}, ${one.text} stands before ${before.text}, which was sent before it`);
      before = one;
    }
  }

  #at(offset: number): string {
    return `${this.name}@${offset}`;
  }
}
