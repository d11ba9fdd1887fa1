/**
 * What damage took here, and nobody can give back as it was, for the others have compacted it since: they are asked what they
 * keep of those stretches of streams by now, and a rewrite takes that (`compactor.ts`). And answers when they ask.
 *
 * All of a stretch comes from one node in one state, or nothing of it does: a tombstone that is gone from one answer may be the
 * reason why a record should not be in another. What is malformed, out of order or does not match its hashes is not used, nor
 * is anything else that its giver said; whether the rest may be used here is for `usable-ranges.ts` to say.
 */
import { comparePlaces } from "../../../src/record/log-place.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { Damage } from "../../log/repair/damage.ts";
import type { LostRanges } from "../../log/repair/lost-ranges.ts";
import type { RangeBatch, StreamRange } from "../../log/repair/stream-range.ts";
import type { TakenRange } from "../../log/rewrite/taken-ranges.ts";
import { batchIsIntact } from "../../log/segments/segment-scan.ts";
import type { NodeId } from "../../raft/types.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { NodeParts } from "../node-parts.ts";
import {
  decodeRanges,
  decodeRangesRequest,
  encodeRanges,
  encodeRangesRequest,
  type ToldRange,
  type ToldRanges,
} from "./range-codec.ts";

/** Given by a node that had applied everything up to `position`. */
export type GivenRange = TakenRange & { readonly position: LogIndex };

export type GivenRanges = {
  readonly ranges: readonly GivenRange[];
  /** Segments of which nothing here can be used, and all that somebody needs of them is given. */
  readonly unreadable: ReadonlySet<number>;
};

export type RangeParts = Pick<NodeParts, "clock" | "limits" | "observer"> & {
  readonly log: Pick<
    NodeParts["log"],
    "keptRange" | "lostRanges" | "rewrittenTo" | "sealedSegments" | "streamSegments"
  >;
  readonly machine: Pick<NodeParts["machine"], "neededFrom" | "position" | "streamById">;
};

/** What one node answered. */
type Answered = {
  readonly given: readonly GivenRange[];
  readonly left: readonly StreamRange[];
  /** It may have more of it another time. */
  readonly again: boolean;
};

/** A stretch of which a part has come. */
type Begun = { incarnation: number; batches: RangeBatch[]; next: number };

export const NOTHING_GIVEN: GivenRanges = { ranges: [], unreadable: new Set() };

/** Of a batch in an answer, beside its bytes: roughly. */
const HEAD_BYTES = 64;

export class RangeExchange {
  readonly #parts: RangeParts;
  readonly #calls: Pick<PeerCalls, "call" | "handle">;
  readonly #others: () => readonly NodeId[];
  /** Of each segment that others were asked about, when to ask again. */
  readonly #nextTry = new Map<number, number>();
  /** Those of which all others have said that they cannot give what is missing. */
  readonly #refused = new Set<number>();
  /** How often was asked: not always the same node first, which may be wrong. */
  #rounds = 0;
  fetchedBytes = 0;
  /** Of which something was taken, and how many batches that was. */
  segments = 0;
  batches = 0;

  /** `others`: those who have the log, this node not among them. */
  constructor(parts: RangeParts, calls: Pick<PeerCalls, "call" | "handle">, others: () => readonly NodeId[]) {
    this.#parts = parts;
    this.#calls = calls;
    this.#others = others;
    calls.handle("repair-ranges", (_from, body) => this.#give(body));
  }

  /** Whether others may have something to be put in the place of what this hides. */
  hopesFor({ segment }: Damage): boolean {
    if (segment === undefined || this.#refused.has(segment)) return false;
    return this.#parts.log.sealedSegments().some(({ sequence }) => sequence === segment);
  }

  /** Asks for what these segments have lost, unless that was done lately. */
  async ask(sequences: readonly number[]): Promise<GivenRanges> {
    const { log, clock, limits } = this.#parts;
    for (const known of [...this.#nextTry.keys(), ...this.#refused])
      if (!sequences.includes(known)) this.#forget(known);
    const wanted = new Map<number, LostRanges>();
    const now = clock.monotonic();
    // All of them together: neighbours are rewritten as one.
    if (!sequences.some((sequence) => (this.#nextTry.get(sequence) ?? 0) <= now)) return NOTHING_GIVEN;
    for (const sequence of sequences) {
      this.#nextTry.set(sequence, now + limits.repairRetryMs);
      const lost = await log.lostRanges(sequence);
      if (lost === undefined) this.#refused.add(sequence);
      else wanted.set(sequence, lost);
    }
    const ranges: GivenRange[] = [];
    let left: readonly StreamRange[] = this.#askable([...wanted.values()].flatMap((lost) => lost.ranges));
    let again = false;
    const others = this.#others();
    this.#rounds += 1;
    for (let at = 0; at < others.length; at += 1) {
      const node = others[(at + this.#rounds) % others.length] as NodeId;
      if (left.length === 0) break;
      const answered = await this.#askOne(node, left, limits.rangesBytesMax - bytesOf(ranges));
      ranges.push(...answered.given);
      left = answered.left;
      again ||= answered.again;
    }
    const unreadable = new Set<number>();
    for (const [sequence, lost] of wanted) {
      const isGiven = !lost.ranges.some((range) => left.some((one) => overlap(one, range)));
      if (isGiven || again) this.#refused.delete(sequence);
      else this.#refused.add(sequence);
      if (isGiven && lost.unreadable) unreadable.add(sequence);
    }
    return { ranges, unreadable };
  }

  /** These segments were rewritten with so many batches that others gave. */
  taken(segments: readonly number[], batches: number): void {
    this.segments += segments.length;
    this.batches += batches;
    this.#parts.observer.event("ranges-taken", { segments, batches });
  }

  #forget(sequence: number): void {
    this.#nextTry.delete(sequence);
    this.#refused.delete(sequence);
  }

  /**
   * What is asked for: of what is lost, all that somebody needs. Where tombstones may be gone from it, what they deleted may be
   * before it, here and not there: then all of the stream up to there is asked for, too.
   */
  #askable(ranges: readonly StreamRange[]): readonly StreamRange[] {
    const { machine, log } = this.#parts;
    const askable: StreamRange[] = [];
    for (const [streamId, lost] of Map.groupBy(ranges, (range) => range.streamId)) {
      const neededFrom = machine.neededFrom(streamId);
      const needed = lost.filter(({ to }) => to > neededFrom);
      const tombstonesBefore = machine.streamById(streamId)?.tombstonesBefore ?? 0;
      const first = log.streamSegments(streamId)[0]?.firstOffset ?? 0;
      const to = Math.max(...needed.map((range) => range.to));
      if (needed.some(({ from }) => from < tombstonesBefore)) askable.push({ streamId, from: first, to });
      else askable.push(...needed);
    }
    return askable;
  }

  async #askOne(node: NodeId, ranges: readonly StreamRange[], bytesMax: number): Promise<Answered> {
    const nothing: Answered = { given: [], left: ranges, again: false };
    const given: TakenRange[] = [];
    const left: StreamRange[] = [];
    let position = 0;
    let state: number | undefined;
    let bytes = 0;
    let begun: Begun | undefined;
    while (given.length + left.length < ranges.length) {
      const at = given.length + left.length;
      const [first, ...others] = ranges.slice(at, at + this.#parts.limits.rangesPerCall) as [StreamRange];
      const asked = [{ ...first, from: begun?.next ?? first.from }, ...others];
      const told = await this.#fetch(node, asked);
      if (told === "unsupported") return nothing;
      // It has rewritten something meanwhile, or does so now.
      if (told === undefined || told.ranges.length === 0) return { ...nothing, again: true };
      if (state !== undefined && told.rewrittenTo !== state) return { ...nothing, again: true };
      state = told.rewrittenTo;
      position = Math.max(position, told.position);
      for (const [next, one] of told.ranges.entries()) {
        const range = asked[next];
        if (range === undefined || !isSound(one, range) || (begun && begun.incarnation !== one.incarnation)) {
          this.#parts.observer.event("ranges-refused", { from: node });
          return nothing;
        }
        bytes += bytesIn(one.batches);
        const batches: RangeBatch[] = [...(begun?.batches ?? []), ...one.batches];
        const whole = ranges[at + next] as StreamRange;
        begun = undefined;
        if (one.damaged) left.push(whole);
        else if (one.next === range.to) given.push({ ...whole, incarnation: one.incarnation, batches });
        else begun = { incarnation: one.incarnation, batches, next: one.next };
        if (begun !== undefined) break;
      }
      if (bytes > bytesMax) {
        left.push(...ranges.slice(given.length + left.length));
        break;
      }
    }
    return { given: given.map((range) => ({ ...range, position })), left, again: false };
  }

  /** Undefined: it does not answer, or not in a way that can be read. */
  async #fetch(node: NodeId, asked: readonly StreamRange[]): Promise<ToldRanges | "unsupported" | undefined> {
    const request = encodeRangesRequest(asked);
    const answer = await this.#calls.call(node, "repair-ranges", [request], this.#parts.limits.repairTimeoutMs);
    if (!answer.ok) return answer.error === "unsupported" ? "unsupported" : undefined;
    this.fetchedBytes += answer.value.length;
    return decodeRanges(answer.value);
  }

  async #give(body: Uint8Array): Promise<readonly Uint8Array[]> {
    const { log, machine, limits } = this.#parts;
    const state = log.rewrittenTo;
    const ranges: ToldRange[] = [];
    let room = limits.repairBytesMax;
    for (const range of (decodeRangesRequest(body) ?? []).slice(0, limits.rangesPerCall)) {
      if (room <= 0) break;
      const told = await this.#told(range, room);
      ranges.push(told);
      room -= bytesIn(told.batches);
      if (!told.damaged && told.next < range.to) break;
    }
    const isOneState = state !== undefined && log.rewrittenTo === state;
    // The position last: nothing that is gone went for the sake of what came behind it.
    return encodeRanges({ position: machine.position, rewrittenTo: state ?? 0, ranges: isOneState ? ranges : [] });
  }

  async #told(range: StreamRange, bytesMax: number): Promise<ToldRange> {
    const { log, machine } = this.#parts;
    const { streamId, from, to } = range;
    const stream = machine.streamById(streamId);
    const incarnation = stream?.incarnation ?? 0;
    const batches: RangeBatch[] = [];
    // What is not known here yet is not there, and was not compacted.
    if (stream === undefined || stream.nextOffset < to) return { incarnation, batches, next: from, damaged: true };
    let next = Math.min(to, Math.max(from, machine.neededFrom(streamId)));
    for (let bytes = 0; next < to && bytes < bytesMax;) {
      const kept = await log.keptRange({ streamId, from: next, to }, bytesMax - bytes);
      if (kept === undefined) return { incarnation, batches, next, damaged: true };
      batches.push(...kept.batches);
      bytes += bytesIn(kept.batches);
      ({ next } = kept);
    }
    return { incarnation, batches, next, damaged: false };
  }
}

/** Whether an answer is one to what was asked, and all in it is what it says it is. */
function isSound({ batches, next, damaged }: ToldRange, { from, to }: StreamRange): boolean {
  let end = from;
  let before: RangeBatch | undefined;
  for (const batch of batches) {
    const { firstOffset, span, hash, bytes } = batch;
    if (firstOffset < end || span === 0 || !batchIsIntact(bytes, { hash, length: bytes.length })) return false;
    if (before !== undefined && comparePlaces(before, batch) >= 0) return false;
    end = firstOffset + span;
    before = batch;
  }
  return end <= next && next <= to && (damaged || next > from);
}

function overlap(one: StreamRange, other: StreamRange): boolean {
  return one.streamId === other.streamId && one.from < other.to && other.from < one.to;
}

function bytesIn(batches: readonly RangeBatch[]): number {
  return batches.reduce((sum, { bytes }) => sum + bytes.length + HEAD_BYTES, 0);
}

function bytesOf(ranges: readonly TakenRange[]): number {
  return ranges.reduce((sum, { batches }) => sum + bytesIn(batches), 0);
}
