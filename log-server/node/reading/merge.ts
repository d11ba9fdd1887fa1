/**
 * Many streams read as one, in log order: by the position of the entry, and by ordinal within it.
 *
 * It works in rounds. A round begins at the position that is applied then, and notes how far each changed stream reaches
 * there: that is all there is to send, for what is appended later has a later place. Of each stream that has something its
 * next batches are read; the first of all goes out, again and again, until nothing is left. Then everything up to the
 * round's position was sent, and the mark says so (I7, I11).
 *
 * What is read ahead is bounded over all streams: a stream whose batches find no room keeps only their place, and they
 * are read again when their turn comes. It neither waits nor sends: that is whose merge it is.
 */
import { assert } from "../../../src/lib/assert.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import { comparePlaces, type LogPlace } from "../../../src/record/log-place.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { FollowedStreamEvent } from "../../../src/wire/follow-frames.ts";
import type { StreamsMachine } from "../../streams/machine.ts";
import type { StreamView } from "../../streams/views.ts";
import { AheadRoom } from "./ahead-room.ts";
import { compareHeads, goesBefore, MergeHeads } from "./merge-heads.ts";
import type { ReadBatch, ReadError, ReadOptions, ReadResult } from "./reader.ts";

/** What it reads from: a node. */
export type MergeSource = {
  readonly machine: Pick<StreamsMachine, "position" | "logTime" | "streamById">;
  read(stream: StreamView, from: Offset, options: ReadOptions): Promise<Result<ReadResult, ReadError>>;
};

export type MergeLimits = {
  /** Read ahead of their turn, over all streams; beyond it only what goes out next, and what reads under way bring. */
  readonly aheadBytesMax: number;
  /** One read stops after the batch that reaches this. */
  readonly readBytesMax: number;
  /** Reads under way together. */
  readonly readsMax: number;
};

/** `stream`: the number that batches and events call it by; of two with a batch at one place, the lower goes first. */
export type MergeStart = { readonly stream: number; readonly id: number; readonly offset: Offset };

/** Of the stream with this number. */
export type MergedBatch = ReadBatch & { readonly stream: number };

export type MergeEvent =
  | {
      readonly kind: "records";
      readonly batches: readonly MergedBatch[];
      /** Of all streams, everything before this place has now been told. */
      readonly next: LogPlace;
      /** No entry from there on is older. */
      readonly logTime: number;
    }
  | { readonly kind: "stream"; readonly stream: number; readonly event: FollowedStreamEvent };

type Source = {
  readonly stream: number;
  readonly id: number;
  /** Everything before it was told. */
  next: Offset;
  /** How far this round goes. */
  tail: Offset;
  /** At the round's beginning. */
  closed: boolean;
  /** Read, from `next` on; those before `taken` were told. Empty where there was no room for them. */
  ahead: readonly ReadBatch[];
  taken: number;
  /** Of the first that was not told. */
  head: LogPlace;
};

export class Merge {
  readonly #node: MergeSource;
  readonly #limits: MergeLimits;
  /** By stream id; those that are over are gone from here. */
  readonly #sources = new Map<number, Source>();
  /** With something left in this round, and known to begin where. */
  readonly #heads = new MergeHeads<Source>();
  /** With something left in this round that was not looked at. */
  readonly #unread: Source[] = [];
  readonly #room: AheadRoom;
  /** Where this round ends, if one is under way. */
  #end: LogPlace | undefined;
  #endLogTime = 0;
  #next: LogPlace;
  /** Of the step under way: what is to be told, and batches to be told behind it. */
  #events: MergeEvent[] = [];
  #collected: MergedBatch[] = [];
  #busy = false;

  /** Each stream from its offset on; `from`: a place that none of them begins before. Release it when it is done with. */
  constructor(
    node: MergeSource,
    streams: readonly MergeStart[],
    from: LogPlace,
    limits: MergeLimits,
    sharedRoom?: AheadRoom,
  ) {
    this.#node = node;
    this.#limits = limits;
    this.#room = new AheadRoom(limits.aheadBytesMax, sharedRoom);
    this.#next = from;
    for (const { stream, id, offset } of streams) {
      assert(!this.#sources.has(id), "a merge has each stream once");
      this.#sources.set(id, { stream, id, next: offset, tail: offset, closed: false, ahead: [], taken: 0, head: from });
    }
  }

  /** Of all streams, everything before this place was told. */
  get next(): LogPlace {
    return this.#next;
  }

  /** Something of the last round is left to be told. */
  get inRound(): boolean {
    return this.#end !== undefined;
  }

  /** All streams are over, and that was told. */
  get over(): boolean {
    return this.#sources.size === 0 && !this.inRound;
  }

  /** Begins a round with what is applied now; of streams not named here nothing has changed since the last. */
  begin(changed: Iterable<number>): void {
    assert(!this.inRound, "a round begins when the one before is over");
    const { position, logTime } = this.#node.machine;
    this.#end = { position: position + 1, ordinal: 0 };
    this.#endLogTime = logTime;
    for (const id of changed) {
      const source = this.#sources.get(id);
      const view = source && this.#viewOf(source);
      if (source === undefined || view === undefined) continue;
      source.tail = view.nextOffset;
      source.closed = view.closed;
      if (source.next < source.tail) this.#unread.push(source);
      else this.#finish(source);
    }
  }

  /**
   * What comes next, batches up to about `maxBytes` among it; the round's last answer ends with its mark. `damaged`
   * where a stream cannot be read: nothing behind that place can be told in order.
   */
  async step(maxBytes: number): Promise<Result<readonly MergeEvent[], ReadError>> {
    assert(this.inRound && !this.#busy, "a merge makes one step after the other");
    this.#busy = true;
    try {
      const failed = (await this.#readUnread()) ?? (await this.#collect(maxBytes));
      if (failed !== undefined) return err(failed);
    } finally {
      this.#busy = false;
    }
    this.#mark();
    const events = this.#events;
    this.#events = [];
    return ok(events);
  }

  /** Forgets what was read ahead: the next step is far away, or will not be. */
  release(): void {
    assert(!this.#busy, "a merge is released between two steps");
    for (const source of this.#sources.values()) this.#drop(source);
  }

  /** Read and not told. */
  get aheadBytes(): number {
    return this.#room.bytes;
  }

  async #readUnread(): Promise<ReadError | undefined> {
    while (this.#unread.length > 0) {
      const share = this.#share(this.#unread.length);
      const sources = this.#unread.splice(-this.#limits.readsMax);
      const failures = await Promise.all(sources.map((source) => this.#read(source, share)));
      const failed = failures.find((failure) => failure !== undefined);
      if (failed !== undefined) return failed;
      for (const source of sources) this.#enter(source);
    }
    return undefined;
  }

  async #collect(maxBytes: number): Promise<ReadError | undefined> {
    let room = maxBytes;
    while (room > 0) {
      const source = this.#heads.pop();
      if (source === undefined) break;
      // None where there was no room for them when their place was found; what was there may be gone by now.
      if (source.ahead.length > 0) room -= this.#take(source, room);
      if (source.ahead.length === 0 && source.next < source.tail) {
        const failed = await this.#read(source, this.#share(1));
        if (failed !== undefined) return failed;
      }
      this.#enter(source);
    }
    return undefined;
  }

  /** Moves batches out of the stream that is first, until another comes before it; returns their bytes. */
  #take(source: Source, maxBytes: number): number {
    const other = this.#heads.first();
    const { stream, ahead } = source;
    let bytes = 0;
    while (source.taken < ahead.length && bytes < maxBytes) {
      const batch = ahead[source.taken] as ReadBatch;
      if (other !== undefined && !goesBefore(batch, stream, other)) break;
      const { firstOffset, span, position, ordinal, logTime, bytes: content } = batch;
      assert(firstOffset + span > source.next, "I7: no record is told twice");
      this.#collected.push({ stream, firstOffset, span, position, ordinal, logTime, bytes: content });
      source.next = firstOffset + span;
      source.taken += 1;
      bytes += content.length;
    }
    this.#room.remove(bytes);
    const left = ahead[source.taken];
    if (left === undefined) source.ahead = NOTHING;
    else source.head = placeOf(left);
    return bytes;
  }

  /** Reads on in a stream of which nothing is ahead. Behind it that is so still if it has nothing more in this round. */
  async #read(source: Source, maxBytes: number): Promise<ReadError | undefined> {
    for (;;) {
      const view = this.#viewOf(source);
      if (view === undefined) return undefined;
      if (source.next < view.firstOffset) this.#skipTo(source, view.firstOffset);
      if (source.next >= source.tail) return undefined;
      const read = await this.#node.read(view, source.next, { maxBytes, to: source.tail });
      const now = this.#viewOf(source);
      if (now === undefined) return undefined;
      if (!read.ok) {
        const trimmed = read.error.code === "offset-trimmed" && now.firstOffset > source.next;
        if (trimmed) continue;
        return read.error;
      }
      const { batches, nextOffset } = read.value;
      const [first] = batches;
      assert(nextOffset > source.next, "I7: what lies before a stream's tail can be read");
      if (first === undefined) {
        // Compaction left nothing of it.
        this.#skipTo(source, nextOffset);
        continue;
      }
      source.ahead = batches;
      source.taken = 0;
      source.head = placeOf(first);
      this.#room.add(bytesOf(batches));
      return undefined;
    }
  }

  /** Puts a stream among those that have something, or ends its round. */
  #enter(source: Source): void {
    if (!this.#sources.has(source.id)) return;
    if (source.next >= source.tail) {
      this.#finish(source);
      return;
    }
    if (this.#room.full) {
      // What goes out next stays, however large; only that.
      const first = this.#heads.first();
      const isNext = first === undefined || compareHeads(source, first) < 0;
      if (!isNext) this.#drop(source);
      else if (first !== undefined) this.#drop(first);
    }
    this.#heads.push(source);
  }

  /** Everything of this round was told of the stream. */
  #finish(source: Source): void {
    if (source.closed) this.#stop(source, { kind: "closed", nextOffset: source.next });
  }

  #skipTo(source: Source, to: Offset): void {
    this.#tell(source, { kind: "gap", from: source.next, to });
    source.next = to;
  }

  #stop(source: Source, event: FollowedStreamEvent): void {
    this.#drop(source);
    this.#sources.delete(source.id);
    this.#tell(source, event);
  }

  /** Forgets what was read; its place stays known. */
  #drop(source: Source): void {
    this.#room.remove(bytesOf(source.ahead.slice(source.taken)));
    source.ahead = NOTHING;
  }

  /** The stream as it is now; if it is gone, that is told. */
  #viewOf(source: Source): StreamView | undefined {
    const view = this.#node.machine.streamById(source.id);
    if (view !== undefined && !view.deleted) return view;
    if (this.#sources.has(source.id)) this.#stop(source, { kind: "deleted", nextOffset: source.next });
    return undefined;
  }

  /** Behind what was collected, which may be of the same stream. */
  #tell({ stream }: Source, event: FollowedStreamEvent): void {
    const last = this.#collected.at(-1);
    if (last !== undefined) {
      const first = this.#heads.first();
      const behind = { position: last.position, ordinal: last.ordinal + 1 };
      const next = first !== undefined && comparePlaces(first.head, behind) < 0 ? first.head : behind;
      this.#tellCollected(next, last.logTime);
    }
    this.#events.push({ kind: "stream", stream, event });
  }

  /** Behind everything of this step; at the round's end in any case. */
  #mark(): void {
    const first = this.#heads.first();
    if (first === undefined) {
      this.#tellCollected(this.#end as LogPlace, this.#endLogTime);
      this.#end = undefined;
      return;
    }
    const last = this.#collected.at(-1);
    if (last !== undefined) this.#tellCollected(first.head, last.logTime);
  }

  #tellCollected(next: LogPlace, logTime: number): void {
    this.#next = next;
    this.#events.push({ kind: "records", batches: this.#collected, next, logTime });
    this.#collected = [];
  }

  /** Of the room for what is ahead, what one stream may take. */
  #share(more: number): number {
    const { aheadBytesMax, readBytesMax } = this.#limits;
    return Math.max(1, Math.min(readBytesMax, Math.floor(aheadBytesMax / (this.#heads.size + more))));
  }
}

/** Not the batch itself: a place that is kept must not keep bytes. */
function placeOf({ position, ordinal }: LogPlace): LogPlace {
  return { position, ordinal };
}

function bytesOf(batches: readonly ReadBatch[]): number {
  let bytes = 0;
  for (const batch of batches) bytes += batch.bytes.length;
  return bytes;
}

const NOTHING: readonly ReadBatch[] = [];
