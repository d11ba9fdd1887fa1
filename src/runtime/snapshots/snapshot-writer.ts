/**
 * Writes snapshots of one task into its stream. Nothing stops for it: what is written was captured, and is read in short turns.
 *
 * What has changed since the snapshot before is written as deltas; and for every byte of these two bytes of the oldest slices are
 * written again. So the stream is a circle: what a restore reads is at most about half as much again as the state, what stands before
 * the oldest slice is needed no more, and a snapshot costs three times what has changed. (Writing changed buckets whole would write
 * nearly everything as soon as one key in a hundred changes.)
 *
 * Of several replicas that begin at once the one whose piece comes first goes on, for each would write all of the state; but nothing
 * depends on that. A snapshot stands on one that is whole, and of the same replica, or the one that this began with: what
 * another has in its slices may be something else, if that one computes something else.
 */
import { assert } from "../../lib/assert.ts";
import { compareBytes } from "../../lib/bytes.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { TaskCapture } from "../../operators/engine/task.ts";
import type { RowCapture } from "../../operators/state/row-capture.ts";
import { ROWS_FROM, ROWS_TO } from "../../operators/state/row-keys.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Zstd } from "../../ports/zstd.ts";
import { compareDigestPoints, type DigestPoint } from "../../record/digest-point.ts";
import type { Incarnation, Offset } from "../../record/offset.ts";
import { SNAPSHOT_LIMITS, type SnapshotSizes } from "./limits.ts";
import { encodeManifest, firstNeeded, type Manifest, type PieceRef, type SliceRef } from "./manifest.ts";
import { endsInManifest, manifestsBack } from "./manifest-search.ts";
import type { PieceKind } from "./piece.ts";
import { byOffset, PieceQueue } from "./piece-queue.ts";
import { PieceRows } from "./piece-rows.ts";
import type { SnapshotStream, StreamBounds } from "./snapshot-stream.ts";
import { Turns } from "./turns.ts";

export type Snapshot = {
  readonly manifest: Manifest;
  /** Of the manifest. */
  readonly offset: Offset;
  /** Before it nothing of the snapshot stands. */
  readonly firstNeeded: Offset;
  /** Of the stream that it stands in. */
  readonly incarnation: Incarnation;
};

export type WrittenSnapshot = Snapshot & { readonly writtenBytes: number };

/** A snapshot that did not come about. The next one makes up for it. */
export type SnapshotFailure =
  /** There is a newer one. */
  | "overtaken"
  /** Another replica had begun one before. */
  | "elsewhere"
  /** More was replaced meanwhile than is kept: reading it took too long. */
  | "lost"
  /** What the task did until there will not be committed by this replica's life. */
  | "uncommitted"
  /** The stream was deleted meanwhile, and what was written of it until then. */
  | "deleted";

export type SnapshotWriterConfig = {
  /** The epoch in which the task's state began. */
  readonly born: number;
  readonly replica: string;
  /** The manifest that its task began with, if it did. */
  readonly restored?: Pick<Snapshot, "offset" | "incarnation">;
  /** How many times as long as it works a snapshot rests. */
  readonly restRatio: number;
  readonly sizes: SnapshotSizes;
};

class Failed extends Error {
  readonly failure: SnapshotFailure;

  constructor(failure: SnapshotFailure) {
    super(failure);
    this.failure = failure;
  }
}

export class SnapshotWriter {
  readonly #stream: SnapshotStream;
  readonly #zstd: Zstd;
  readonly #clock: Clock;
  readonly #config: SnapshotWriterConfig;
  /** The newest, as far as this writer knows. */
  #last: Snapshot | undefined;
  /** Where the stream ends unless others write. */
  #end: Offset | undefined;
  #distrusted = false;

  constructor(stream: SnapshotStream, zstd: Zstd, clock: Clock, config: SnapshotWriterConfig) {
    this.#stream = stream;
    this.#zstd = zstd;
    this.#clock = clock;
    this.#config = config;
  }

  /**
   * `committed` resolves, to true, once a commit has covered all outputs until the captured place: from a snapshot that is further,
   * nobody could make the outputs in between. Rejects where the stream cannot be reached. The caller settles the capture.
   */
  async write(
    capture: TaskCapture,
    committed: () => Promise<boolean>,
  ): Promise<Result<WrittenSnapshot, SnapshotFailure>> {
    try {
      return ok(await this.#write(capture, committed));
    } catch (error) {
      if (error instanceof Failed) return err(error.failure);
      throw error;
    }
  }

  /** What is in the stream is not what it should be: the next snapshot stands on nothing of it. */
  distrust(): void {
    this.#distrusted = true;
  }

  /**
   * The newest, whoever made it. `elsewhere`: what stands at the end is of one that is being written, as far as can be told: there is more of
   * it than at the last look.
   */
  async look(): Promise<Snapshot | "elsewhere" | undefined> {
    const before = this.#end;
    const bounds = await this.#stream.bounds();
    this.#end = bounds.next;
    const isMore = bounds.next !== before && bounds.next > bounds.first;
    return isMore && !(await endsInManifest(this.#stream, bounds)) ? "elsewhere" : this.#newest(bounds);
  }

  async #write(capture: TaskCapture, committed: () => Promise<boolean>): Promise<WrittenSnapshot> {
    const bounds = await this.#stream.bounds();
    const { incarnation } = bounds;
    const newest = await this.#newest(bounds);
    const before = this.#distrusted ? undefined : newest;
    if (before !== undefined && compareDigestPoints(capture.point, before.manifest.point) <= 0)
      throw new Failed("overtaken");
    const base =
      before !== undefined && this.#isOwn(before) && knowsChanges(capture, before) ? before.manifest : undefined;
    const work = new Turns(this.#clock, this.#config.restRatio);
    const pieces = new PieceQueue(this.#stream, this.#zstd, work, bounds.next);
    try {
      const deltas = base === undefined ? [] : await this.#writeDeltas(capture, pieces, work);
      const slices = await this.#writeSlices(capture, base, bytesOf(deltas), pieces, work);
      const oldest = slices.reduce((least, { offset }) => Math.min(least, offset), Infinity);
      const { point, place } = capture;
      const manifest: Manifest = {
        born: this.#config.born,
        replica: this.#config.replica,
        point,
        place,
        totals: capture.rows.totals,
        slices,
        // What is before all slices, all slices have.
        deltas: [...(base?.deltas ?? []), ...deltas].filter(({ offset }) => offset > oldest),
      };
      if (!(await committed())) throw new Failed("uncommitted");
      // Behind another's newer one it would be the last, on which nobody else's next may stand: that would be a whole one, again and again.
      const now = await this.#stream.bounds();
      if (now.incarnation !== incarnation) throw new Failed("deleted");
      if ((pieces.interrupted || now.next !== pieces.end) && (await this.#isOvertaken(point, now)))
        throw new Failed("overtaken");
      // Nothing may stand on it before it is known to be in the stream of the pieces that it names, whatever it looks like.
      this.#distrusted = true;
      await pieces.put("manifest", encodeManifest(manifest));
      const [{ offset, parts }] = (await pieces.drained()) as readonly [PieceRef];
      assert(parts === 1, "I15: a manifest is one record");
      if ((await this.#stream.bounds()).incarnation !== incarnation) throw new Failed("deleted");
      this.#distrusted = false;
      const written = { manifest, offset, firstNeeded: firstNeeded(manifest, offset), incarnation };
      this.#last = written;
      // The one before is kept, too, for the case that this one is damaged.
      await this.#stream.trim(Math.min(written.firstNeeded, before?.firstNeeded ?? Infinity), incarnation);
      return { ...written, writtenBytes: pieces.writtenBytes };
    } catch (error) {
      // With another before it, what there is of it goes with that one, when a next one comes about.
      if (newest === undefined && error instanceof Failed && error.failure === "lost")
        await this.#takeAway(pieces, bounds);
      throw error;
    } finally {
      this.#end = pieces.end;
    }
  }

  /** Pieces that are of no use, and all before them; unless another has finished a snapshot since there were these `bounds`. */
  async #takeAway(pieces: PieceQueue, { next, incarnation }: StreamBounds): Promise<void> {
    await pieces.drained();
    if (pieces.interrupted) {
      const now = await this.#stream.bounds();
      const since = { ...now, first: Math.max(now.first, next) };
      for await (const _ of manifestsBack(this.#stream, this.#zstd, since)) return;
    }
    await this.#stream.trim(pieces.end, incarnation);
  }

  /** Of which nothing was trimmed, whoever made it. */
  async #newest(bounds: StreamBounds): Promise<Snapshot | undefined> {
    const last = this.#last;
    const { first, next, incarnation } = bounds;
    if (last?.incarnation === incarnation && next === last.offset + 1 && first <= last.firstNeeded) return last;
    for await (const { offset, manifest } of manifestsBack(this.#stream, this.#zstd, bounds)) {
      if (!manifest.ok || manifest.value.born !== this.#config.born) continue;
      const needed = firstNeeded(manifest.value, offset);
      if (needed >= first) return { manifest: manifest.value, offset, firstNeeded: needed, incarnation };
    }
    return undefined;
  }

  async #isOvertaken(point: DigestPoint, bounds: StreamBounds): Promise<boolean> {
    const newest = await this.#newest(bounds);
    return newest !== undefined && compareDigestPoints(point, newest.manifest.point) <= 0;
  }

  #isOwn({ manifest, offset, incarnation }: Snapshot): boolean {
    const { replica, restored } = this.#config;
    return manifest.replica === replica || (offset === restored?.offset && incarnation === restored.incarnation);
  }

  async #writeDeltas({ rows }: TaskCapture, pieces: PieceQueue, work: Turns): Promise<readonly PieceRef[]> {
    const { deltaBytes, rowsPerTurn } = this.#config.sizes;
    const piece = new PieceRows();
    let turn = 0;
    for (const key of rows.changed?.keys() ?? []) {
      piece.add(key, rows.get(key));
      turn += 1;
      const isFull = piece.bytes >= deltaBytes;
      if (!isFull && turn % rowsPerTurn !== 0) continue;
      if (isFull) await put(pieces, "delta", piece);
      await work.rest(hurryOf(rows));
      if (rows.lost) throw new Failed("lost");
    }
    if (piece.bytes > 0) await put(pieces, "delta", piece);
    return (await pieces.drained()).toSorted(byOffset);
  }

  /** All slices of the new snapshot, those of the base that stay among them. */
  async #writeSlices(
    { rows }: TaskCapture,
    base: Manifest | undefined,
    changedBytes: number,
    pieces: PieceQueue,
    work: Turns,
  ): Promise<SliceRef[]> {
    const { rewrittenPerChanged, snapshotsPerCycle, rowsPerTurn } = this.#config.sizes;
    const { totals } = rows;
    const sliceBytes = sliceLength(totals.bytes, this.#config.sizes);
    const enough =
      base === undefined ? Infinity : Math.max(rewrittenPerChanged * changedBytes, totals.bytes / snapshotsPerCycle);
    const start = base === undefined ? ROWS_FROM : oldestOf(base.slices).from;
    const written: Uint8Array[] = [];
    const piece = new PieceRows();
    let from = start;
    let done = 0;
    let next: Uint8Array = start;
    for (;;) {
      if (rows.lost) throw new Failed("lost");
      let taken = 0;
      let stop: Uint8Array | undefined;
      // A walk is not held over turns: stores need not stand that.
      for (const [key, value] of rows.range(next, ROWS_TO)) {
        next = key;
        stop = key;
        if (taken >= rowsPerTurn || piece.bytes >= sliceBytes) break;
        piece.add(key, value);
        taken += 1;
        stop = undefined;
      }
      const ended = stop === undefined;
      if (ended || piece.bytes >= sliceBytes) {
        done += piece.bytes;
        written.push(from);
        await put(pieces, "slice", piece);
        // Kept for long, which the row's memory need not be.
        from = next.slice();
        if (ended || done >= enough) {
          const slices = (await pieces.drained()).map((ref, place) => ({ from: written[place] as Uint8Array, ...ref }));
          return joined(base?.slices ?? [], slices, start, ended ? ROWS_TO : from);
        }
      }
      await work.rest(hurryOf(rows));
    }
  }
}

/** The more is replaced meanwhile the less it rests, and from the half of what is kept on hardly at all: with all of it, it would be lost. */
function hurryOf({ spent }: RowCapture): number {
  return Math.min(SNAPSHOT_LIMITS.hurryMax, 2 * spent);
}

/** What was gathered. Whoever comes late leaves it to the one that began before. */
async function put(pieces: PieceQueue, kind: PieceKind, rows: PieceRows): Promise<void> {
  await pieces.put(kind, rows.take());
  if (pieces.late) throw new Failed("elsewhere");
}

/** The base's slices outside of `[start, stop)`, and those that were written of it. */
function joined(
  base: readonly SliceRef[],
  written: readonly SliceRef[],
  start: Uint8Array,
  stop: Uint8Array,
): SliceRef[] {
  const before = base.filter(({ from }) => compareBytes(from, start) < 0);
  const behind = base.flatMap((slice, place) => {
    const end = base[place + 1]?.from ?? ROWS_TO;
    if (compareBytes(end, stop) <= 0) return [];
    // Of the one that the walk stopped in, the rest.
    return compareBytes(slice.from, stop) < 0 ? [{ ...slice, from: stop }] : [slice];
  });
  return [...before, ...written, ...behind];
}

function oldestOf(slices: readonly SliceRef[]): SliceRef {
  const [first, ...others] = slices;
  assert(first !== undefined, "a manifest has a slice");
  return others.reduce((oldest, slice) => (slice.offset < oldest.offset ? slice : oldest), first);
}

/** The capture's changes are counted from this snapshot, or from before it. */
function knowsChanges({ since, rows }: TaskCapture, { manifest: { point } }: Snapshot): boolean {
  if (since === undefined || rows.changed === undefined) return false;
  return since.records < point.records || isSame(since, point);
}

/** A place where a task was, told by its records and its state: two may have the same number of records. */
function isSame(a: DigestPoint, b: DigestPoint): boolean {
  return a.records === b.records && a.state === b.state && a.outputs === b.outputs;
}

function bytesOf(refs: readonly PieceRef[]): number {
  return refs.reduce((sum, { bytes }) => sum + bytes, 0);
}

function sliceLength(stateBytes: number, { sliceBytesMin, sliceBytesMax, slicesWanted }: SnapshotSizes): number {
  return Math.min(sliceBytesMax, Math.max(sliceBytesMin, Math.ceil(stateBytes / slicesWanted)));
}
