/**
 * One log on one disk: entries in, durable; entries and batches out, verified.
 *
 * Raft's entries are the data: an entry is written once, into a preallocated segment, and a record's bytes are read
 * from there through an index. `frame.ts`, `entry-codec.ts`, `closing.ts` and `segment-header.ts` are a segment's
 * format, `index-block.ts` that of a sealed one's index, `log-layout.ts` the names of the files.
 *
 * The caller appends, one group at a time, and tells with `applied`, in log order, what the state machine did with
 * each batch; only then can a batch be read. It is not known here what a command or a stream is.
 *
 * After `open` the caller asks for the image with `loadImage`; if that is of no use, for a snapshot with
 * `newestSnapshot`; and applies again what follows (`entries`, `applied`). Beside each snapshot the index of the
 * segments that were not sealed is kept, so that with a snapshot alone every batch can still be found.
 */
import { assert } from "../../src/lib/assert.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import { type Disk, DiskError } from "../../src/ports/disk.ts";
import type { Kv } from "../../src/ports/kv.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { Entry, LogIndex, Term } from "../../src/wire/entry.ts";
import { BatchIndex, type Horizon } from "./index/batch-index.ts";
import { BatchReader, type StoredBatch } from "./index/batch-reader.ts";
import type { LogEnd } from "./entries/closing.ts";
import { type Damage, DamageList } from "./repair/damage.ts";
import { EntryReader } from "./entries/entry-reader.ts";
import { FilePool } from "./segments/file-pool.ts";
import { newerThanDisk } from "./segments/newer-store.ts";
import { Image, type ImageFault, type LoadedImage, staleBehind } from "./image.ts";
import type { LogLimits } from "./limits.ts";
import { finishInstall, type InstallFault } from "./snapshots/install.ts";
import { type Held, Holds } from "./snapshots/holds.ts";
import { type Exclusively, Mender, type MendReport, type MendSource } from "./repair/mender.ts";
import { type LostRanges, lostRanges } from "./repair/lost-ranges.ts";
import type { OfferedEntries } from "./repair/mending.ts";
import { LogImage } from "./log-image.ts";
import { LogLayout } from "./log-layout.ts";
import { type DiscardedTail, LogWriter } from "./log-writer.ts";
import { Poison } from "./poison.ts";
import { createFolders, type NewestMissing, type Progress, type Recovered, recover } from "./recovery.ts";
import { asDigest, type Row, type RowChange, rowHash } from "../../src/record/row.ts";
import { refused, type RewriteReport, Rewriter } from "./rewrite/rewriter.ts";
import { type PlacedEntry, type PlacementSource, Reindexer } from "./repair/reindexer.ts";
import type { KeptBatch, WantedBatch } from "./repair/rewritten-mending.ts";
import type { KeptRange, StreamRange } from "./repair/stream-range.ts";
import { NewestSegment } from "./segments/newest-segment.ts";
import { IndexReader } from "./segments/sealed-segment.ts";
import type { Pace } from "./repair/segment-check.ts";
import {
  type SealedSegmentSummary,
  sealedSegments,
  type StreamSegmentSummary,
  streamSegments,
} from "./segments/segment-summaries.ts";
import { Scrubber } from "./repair/scrubber.ts";
import { Sealer } from "./segments/sealer.ts";
import { SegmentFiles } from "./segments/segment-files.ts";
import type { BatchPlacement } from "./segments/segment-index.ts";
import type { AmbiguousTail } from "./segments/segment-judge.ts";
import { SegmentList } from "./segments/segment-list.ts";
import type { Shipment } from "./snapshots/shipment.ts";
import type { ScanFault } from "./segments/segment-scan.ts";
import { type NewestSnapshot, type SnapshotGap, SnapshotStore } from "./snapshots/snapshot-store.ts";
import { Spares } from "./segments/spares.ts";
import type { Survivors } from "./rewrite/survivors.ts";
import { NOTHING_TAKEN, type TakenRanges } from "./rewrite/taken-ranges.ts";
import { TailCache } from "./index/tail-cache.ts";
import type { TermRun } from "./segments/term-runs.ts";
import { TailRemains } from "./repair/tail-remains.ts";
import { TimeFinder } from "./index/time-finder.ts";
import { type Liveness, Trimmer } from "./trimmer.ts";
import type { UnsealedSegment } from "./segments/unsealed-segment.ts";

export type OpenOptions = {
  readonly disk: Disk;
  readonly kv: Kv;
  /** The log's folder; made if it is not there. */
  readonly directory: string;
  readonly logId: number;
  readonly limits: LogLimits;
  /** No other node has this log: a damaged tail that was perhaps never acknowledged is set aside and cut off. */
  readonly soleVoter: boolean;
  /** Batches that were compressed are compacted only where there is one. */
  readonly zstd?: Zstd | undefined;
  readonly onProgress?: (progress: Progress) => void;
};

/** This version cannot read what is there, it is another log's, what was to take its place is damaged, or its end is gone. */
export type LogOpenError = ScanFault | InstallFault | NewestMissing;

export type RecoveryReport = {
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** The end was proven: by a clean stop, or at the last start if nothing was appended since. */
  readonly clean: boolean;
  readonly scannedBytes: number;
  readonly sealedSegments: number;
  readonly unsealedSegments: number;
  /** Which segment is the newest was said nowhere, as where that file is damaged: what was found is believed. */
  readonly newestUnknown: boolean;
  /** Of a sole voter: what was set aside and cut off. */
  readonly discarded: DiscardedTail | undefined;
  /** Of any other: what has to be settled with the others' help. */
  readonly ambiguous: AmbiguousTail | undefined;
  readonly damage: readonly Damage[];
};

export type OpenedLog = {
  readonly log: SegmentedLog;
  readonly report: RecoveryReport;
  /** What another node had shipped, if it was put in the place of the log now. */
  readonly installed: Shipment | undefined;
  /** Why the image is not of this log's state, and was discarded. */
  readonly staleImage: string | undefined;
};

export type LogStats = {
  readonly sealedSegments: number;
  readonly unsealedSegments: number;
  readonly spares: number;
  /** Why there are no more spares, if that is so. */
  readonly spareFault: DiskError | undefined;
  /** Why segments wait to be sealed, if that is so. */
  readonly sealFault: DiskError | undefined;
  readonly groups: number;
  readonly tailCacheBytes: number;
  readonly indexPages: number;
  readonly damageDropped: number;
};

type Parts = {
  readonly options: OpenOptions;
  readonly layout: LogLayout;
  readonly segments: SegmentList;
  readonly spares: Spares;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly pool: FilePool;
  readonly files: SegmentFiles;
  readonly cache: TailCache;
  readonly damage: DamageList;
  readonly poison: Poison;
  readonly newest: NewestSegment;
  readonly snapshots: SnapshotStore;
  /** The index of the unsealed segments at each snapshot's position. */
  readonly tails: SnapshotStore;
  readonly recovered: Recovered;
};

const NO_CONFIGURATION: Uint8Array = new Uint8Array(0);

export class SegmentedLog {
  readonly #parts: Parts;
  readonly #writer: LogWriter;
  readonly #entries: EntryReader;
  readonly #batches: BatchReader;
  readonly #times: TimeFinder;
  readonly #sealer: Sealer;
  readonly #trimmer: Trimmer;
  readonly #rewriter: Rewriter;
  readonly #mender: Mender;
  readonly #scrubber: Scrubber;
  readonly #reindexer: Reindexer;
  readonly #holds: Holds;
  /** Trims and rewrites follow one another. */
  #lastGivenBack: Promise<unknown> = Promise.resolve();
  /** Segments are mended one at a time. */
  #lastMended: Promise<unknown> = Promise.resolve();
  readonly #image: LogImage;
  #horizon: Horizon;
  /** Where the last applied entry was. */
  #applying: UnsealedSegment | undefined;
  #appliedIndex = 0;
  /** Where what is applied was restored from; undefined before that. */
  #restored: "image" | "snapshot" | undefined;
  #snapshotTail: readonly Row[] = [];
  /** The newest snapshot, or the tail beside it, was found damaged or gone. */
  #snapshotLost = false;
  /** Read once: nothing is written there before it is cut off. */
  #remains: Promise<TailRemains | undefined> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(parts: Parts) {
    const { disk, logId, limits } = parts.options;
    const shared = { ...parts, disk, logId, limits, zstd: parts.options.zstd };
    this.#parts = parts;
    this.#sealer = new Sealer(shared);
    this.#entries = new EntryReader(shared);
    this.#batches = new BatchReader(shared);
    this.#times = new TimeFinder(shared);
    this.#trimmer = new Trimmer(shared);
    this.#rewriter = new Rewriter(shared);
    this.#mender = new Mender(shared);
    this.#scrubber = new Scrubber(shared);
    this.#reindexer = new Reindexer(shared);
    this.#holds = new Holds(shared);
    const last = parts.recovered.segments.at(-1);
    const ambiguous = last !== undefined && "judged" in last ? last.judged.ambiguous : undefined;
    this.#writer = new LogWriter({ ...shared, sealer: this.#sealer }, parts.recovered.end, ambiguous);
    this.#image = new LogImage({ ...shared, image: new Image(parts.options.kv) });
    this.#horizon = parts.batchIndex.horizon() ?? {
      index: 0,
      term: 0,
      hash: 0n,
      logTime: 0,
      configuration: NO_CONFIGURATION,
    };
  }

  static async open(options: OpenOptions): Promise<Result<OpenedLog, LogOpenError>> {
    const { disk, kv, logId, limits } = options;
    const layout = new LogLayout(options.directory);
    const installed = await finishInstall(disk, kv, layout);
    if (!installed.ok) return installed;
    const damage = new DamageList(limits);
    const pool = new FilePool(disk, limits);
    const indexReader = new IndexReader(pool, layout, limits);
    const batchIndex = new BatchIndex(kv, limits);
    const snapshots = new SnapshotStore({ disk, directory: layout.snapshots, logId });
    await createFolders(disk, layout);
    const [snapshotPosition = 0] = await snapshots.positions();
    const image = new Image(kv);
    const staleImage = staleBehind(image, snapshotPosition) ?? (await newerThanDisk(disk, layout, batchIndex));
    if (staleImage !== undefined) await image.discard();
    const newest = await NewestSegment.open(disk, layout, logId);
    const onProgress = options.onProgress ?? ((): void => undefined);
    const recovered = await recover({
      disk,
      layout,
      limits,
      logId,
      batchIndex,
      indexReader,
      damage,
      snapshotPosition,
      newest: newest.sequence,
      soleVoter: options.soleVoter,
      onProgress,
    });
    if (!recovered.ok) {
      await newest.close();
      return recovered;
    }
    const { segments: found, spares: ready, nextSequence } = recovered.value;
    const segments = new SegmentList(found.map((item) => ("judged" in item ? item.segment : item)));
    const poison = new Poison();
    const spares = new Spares({ disk, layout, limits, poison, ready, nextSequence });
    const log = new SegmentedLog({
      options,
      layout,
      segments,
      spares,
      batchIndex,
      indexReader,
      pool,
      files: new SegmentFiles(layout, limits, pool),
      cache: new TailCache(limits),
      damage,
      poison,
      newest,
      snapshots,
      tails: new SnapshotStore({ disk, directory: layout.tails, logId }),
      recovered: recovered.value,
    });
    return ok({ log, report: await log.#finishOpening(), installed: installed.value, staleImage });
  }

  /** The first entry from which on none is missing. Below it the log exists only in a snapshot. */
  get firstIndex(): LogIndex {
    return this.#parts.segments.firstIndex;
  }

  /** The proven end. */
  get lastIndex(): LogIndex {
    return this.#writer.end.index;
  }

  get lastTerm(): Term {
    return this.#writer.end.term;
  }

  get end(): LogEnd {
    return this.#writer.end;
  }

  /** What is behind the proven end and damaged: perhaps torn, perhaps acknowledged and rotten. */
  get ambiguous(): AmbiguousTail | undefined {
    return this.#writer.ambiguous;
  }

  /** The image, if there is one, is of this position: all of the log up to there was durable once. */
  imagePosition(): LogIndex | undefined {
    return this.#image.savedPosition();
  }

  /** The entry that the newest snapshot is of; index 0 without one. */
  get horizon(): Horizon {
    return this.#horizon;
  }

  /** Every entry behind `after`, up to `to`, is in a sealed segment, or was. What damage left unsealed before that may stay so. */
  isSealed(after: LogIndex, to: LogIndex): boolean {
    const { unsealed } = this.#parts.segments;
    return !unsealed.some(({ firstIndex, lastIndex }) => firstIndex <= to && lastIndex > after);
  }

  /** Calls back when what could be sealed has been, or when that failed. One listener. */
  onSealed(listener: () => void): void {
    this.#sealer.onRested = listener;
  }

  /** Set once a write or sync has failed: from then on nothing is written. */
  get poisoned(): DiskError | undefined {
    return this.#parts.poison.error;
  }

  get damage(): readonly Damage[] {
    return this.#parts.damage.all;
  }

  stats(): LogStats {
    const { segments, spares, cache, indexReader, damage } = this.#parts;
    const unsealedSegments = segments.unsealed.length;
    return {
      sealedSegments: segments.all.length - unsealedSegments,
      unsealedSegments,
      spares: spares.ready,
      spareFault: spares.fault,
      sealFault: this.#sealer.fault,
      groups: this.#writer.groups,
      tailCacheBytes: cache.bytes,
      indexPages: indexReader.cachedPages,
      damageDropped: damage.dropped,
    };
  }

  /** The term of an entry; undefined where there is none, or damage hides it. */
  term(index: LogIndex): Term | undefined {
    if (index === this.#writer.end.index) return this.#writer.end.term;
    if (index === this.#horizon.index) return this.#horizon.term;
    return this.#parts.segments.find(index) === undefined ? undefined : this.#parts.segments.terms.term(index);
  }

  /** Where the terms of the entries change, in log order; term 0 where damage hides it. */
  get terms(): readonly TermRun[] {
    return this.#parts.segments.terms.runs;
  }

  /**
   * Durable when it resolves: one gathered write and one sync, unless a segment ends in between. One call at a time.
   * The first entry follows the last one, or has the index of one with another term: that one and all behind it are
   * cut off first. Rejects with `DiskError`; `no-space` leaves the log as it was, anything else poisons it.
   */
  append(entries: readonly Entry[]): Promise<void> {
    return this.#writer.append(entries);
  }

  /** Closes the segment that is being written, so that it can be sealed once its entries are applied. */
  roll(): Promise<void> {
    return this.#writer.roll();
  }

  /** Nobody has what the ambiguous tail held: it is set aside and cut off. Appending does the same. */
  discardAmbiguous(): Promise<DiscardedTail | undefined> {
    return this.#writer.discardAmbiguous();
  }

  /**
   * Entries by index: as many as fit `maxBytes`, one at least; fewer where the next one is damaged. A damaged batch
   * comes without its bytes; its entry can be applied all the same.
   */
  entries(from: LogIndex, to: LogIndex, maxBytes: number): Promise<Result<Entry[], Damage>> {
    return this.#entries.entries(from, Math.min(to, this.lastIndex), maxBytes);
  }

  /** Entries for another node that has lost them, from the first on that can be read; undefined if none can. */
  async offered(from: LogIndex, to: LogIndex, maxBytes: number): Promise<OfferedEntries | undefined> {
    const proven = await this.#entries.offered(from, Math.min(to, this.lastIndex), maxBytes);
    if (proven !== undefined || to <= this.lastIndex) return proven;
    return (await this.tailRemains())?.offered(from, to);
  }

  /** A batch just as it is kept, for another node that has lost it; undefined where it is not here, or another one by now. */
  kept(wanted: WantedBatch): Promise<KeptBatch | undefined> {
    return this.#batches.kept(wanted);
  }

  /**
   * All that is kept of a stretch of a stream, for another node that has lost it: from `from` on, of one segment and as much as
   * fits `maxBytes`, one batch at least; undefined where damage hides what is there. Only what the state machine says is still
   * needed may be asked for: what was dropped cannot be told from what is lost.
   */
  keptRange(range: StreamRange, maxBytes: number): Promise<KeptRange | undefined> {
    return this.#batches.keptRange(range, maxBytes);
  }

  /** Grows with each rewrite: what is kept of streams is the same while this is. Undefined while one takes its place. */
  get rewrittenTo(): number | undefined {
    return this.#rewriter.rewrittenTo;
  }

  /** What can be read behind the proven end, while that is ambiguous. */
  tailRemains(): Promise<TailRemains | undefined> {
    const { ambiguous, end } = this.#writer;
    const { last } = this.#parts.segments;
    if (ambiguous === undefined || last?.kind !== "unsealed") return Promise.resolve(undefined);
    const { disk, logId } = this.#parts.options;
    const { path, sequence } = last;
    this.#remains ??= TailRemains.read({ disk, path, sequence, logId }, ambiguous, end);
    return this.#remains;
  }

  /** The state machine has applied an entry, the next one: what it did with each of its batches. */
  applied(index: LogIndex, placements: readonly BatchPlacement[]): void {
    const follows = index === this.#appliedIndex + 1 || this.#appliedIndex === 0;
    assert(follows && index <= this.lastIndex, "I4: entries are applied in order, from the log");
    this.#appliedIndex = index;
    if (this.#applying === undefined || index > this.#applying.lastIndex || index < this.#applying.firstIndex) {
      const segment = this.#parts.segments.find(index);
      // A sealed one knows already.
      this.#applying = segment?.kind === "unsealed" ? segment : undefined;
    }
    const segment = this.#applying;
    if (segment === undefined || segment.index.isPlaced(index)) return;
    segment.index.place(index, placements);
    this.#image.applied(segment, index);
    if (segment.closed && index === segment.lastIndex) this.#sealer.kick();
  }

  /**
   * A stream's batches from the one that holds `from` on, up to `to` (which is not beyond the stream's applied end)
   * and `maxBytes`; one at least. What damage hides is an error only if nothing precedes it. Where compaction took all
   * of a batch, the next one follows; without any batch, nothing is left up to `to`.
   */
  read(streamId: number, from: number, to: number, maxBytes: number): Promise<Result<StoredBatch[], Damage>> {
    return this.#batches.read(streamId, from, to, maxBytes);
  }

  /**
   * The first offset from `from` to before `to` whose batch has this log time or a later one, else `to`. Where
   * compaction left nothing it may be an offset without a record: what follows it is what was asked for.
   */
  offsetAtTime(streamId: number, atMs: number, from: number, to: number): Promise<Result<number, Damage>> {
    return this.#times.find(streamId, atMs, from, to);
  }

  /** Where a stream's batches are, by segment, oldest first. */
  streamSegments(streamId: number): StreamSegmentSummary[] {
    return streamSegments(this.#parts, streamId);
  }

  /** The sealed segments that may be rewritten, in order: all but the one that the log ends with. */
  sealedSegments(): readonly SealedSegmentSummary[] {
    return sealedSegments(this.#parts);
  }

  /** The sealed segment that the log ends with, if it does: nothing is done to it before an entry follows. */
  get sealedEnd(): number | undefined {
    const { last } = this.#parts.segments;
    return last?.kind === "sealed" ? last.sequence : undefined;
  }

  /** Saves the state machine's changed rows, the tail's index and the position, the last applied one, in one transaction. */
  async saveImage(stateRows: readonly RowChange[], position: LogIndex, digest: bigint): Promise<void> {
    assert(position === this.#appliedIndex || this.#appliedIndex === 0, "P25: the image is of what is applied");
    return this.#orPoisoned(this.#image.save(stateRows, position, digest));
  }

  /** The image, verified; one that is of no use is discarded, and the fault says why. Before anything is applied. */
  async loadImage(): Promise<Result<LoadedImage, ImageFault>> {
    assert(this.#appliedIndex === 0, "the image is loaded before anything is applied");
    const loaded = await this.#image.load(this.lastIndex);
    if (loaded.ok) {
      this.#restored = "image";
      this.#snapshotTail = [];
      this.#appliedIndex = loaded.value.position;
    } else if (loaded.error.kind === "missing") this.#restoreFromSnapshot();
    else await this.discardImage();
    this.#sealer.kick();
    return loaded;
  }

  /** Forgets the image, and builds the sparse index anew: the state machine will apply again from a snapshot, or all. */
  async discardImage(): Promise<void> {
    await this.#image.discard();
    if (this.#horizon.index > 0) await this.#parts.batchIndex.saveHorizon(this.#horizon);
    this.#appliedIndex = 0;
    this.#restoreFromSnapshot();
  }

  /** The newest intact snapshot that the log follows on. */
  async newestSnapshot(): Promise<Result<NewestSnapshot, SnapshotGap>> {
    const { snapshots, tails, batchIndex } = this.#parts;
    const newest = await snapshots.newest({ firstAvailableIndex: this.firstIndex });
    const snapshot = newest.ok ? newest.value.snapshot : undefined;
    this.#snapshotLost = snapshot === undefined && this.#horizon.index > 0;
    if (snapshot === undefined) return newest;
    const { position, meta } = snapshot;
    this.#horizon = {
      index: position,
      term: meta.term,
      hash: meta.hash,
      logTime: meta.logTime,
      configuration: meta.configuration,
    };
    // The store may have been lost, or be older.
    if (batchIndex.horizon()?.index !== position) await batchIndex.saveHorizon(this.#horizon);
    // A tail that is newer does as well: what was sealed since has an index block.
    const tail = await tails.newest({ firstAvailableIndex: 1 });
    this.#snapshotTail = tail.ok && tail.value.snapshot !== undefined ? [...tail.value.snapshot.rows] : [];
    if (this.#restored === "snapshot") this.#restoreFromSnapshot();
    return newest;
  }

  /** Writes a snapshot of what the image holds; no image may be saved meanwhile. */
  snapshotImage(configuration: Uint8Array = NO_CONFIGURATION): Promise<void> {
    return this.#orPoisoned(this.#snapshotImage(configuration));
  }

  /**
   * What a failed sync should have made durable may be lost although the next one "succeeds" (P30); and below a snapshot
   * the log is trimmed. So for what is beside the log, too, only a lack of space is not final.
   */
  async #orPoisoned<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof DiskError && error.code !== "no-space") this.#parts.poison.with(error);
      throw error;
    }
  }

  async #snapshotImage(configuration: Uint8Array): Promise<void> {
    const { position, digest } = this.#image;
    if (position === undefined || digest === undefined || position === 0) return;
    if (position === this.#horizon.index && !this.#snapshotLost) return;
    const { snapshots, tails, batchIndex } = this.#parts;
    const end = await this.#endAt(position);
    // It may be mended: that a snapshot has to wait for it is no reason to give up the log.
    if (end === undefined) throw new Error(`entry ${position}, of which there is to be a snapshot, is damaged`);
    const { term, hash, logTime } = end;
    const rows = this.#image.tailRows;
    const tailDigest = asDigest(rows.reduce((sum, [key, value]) => sum + rowHash(key, value), 0n));
    // Before the snapshot: one that is there has its tail.
    await tails.write(position, { term, hash, logTime, configuration: NO_CONFIGURATION, digest: tailDigest }, rows);
    await snapshots.write(position, { term, hash, logTime, configuration, digest }, this.#image.stateRows());
    this.#horizon = { index: position, term, hash, logTime, configuration };
    this.#snapshotLost = false;
    this.#parts.damage.resolveSnapshots();
    await batchIndex.saveHorizon(this.#horizon);
  }

  /** Drops sealed segments up to `position` (a verified snapshot's) that hold nothing live; how many. */
  async trim(position: LogIndex, isLive: Liveness): Promise<number> {
    const dropped = await this.#givingBack(async () => {
      if (this.poisoned !== undefined || this.#holds.any) return 0;
      await this.#rewriter.finish();
      return this.#trimmer.trim(position, isLive);
    });
    // There may be space again.
    this.#parts.spares.prepare();
    this.#sealer.kick();
    return dropped;
  }

  /**
   * Replaces sealed segments that follow one another, all up to `position` (a verified snapshot's), by one with what
   * survives of them. A stream's record says which offsets that covers; a read there goes on with the next batch that is
   * left. The entries are no longer available. Segments that a trim has dropped meanwhile are left out. What others gave of
   * what is lost here takes its place. Nothing happens where damage would have to be taken for compacted, or
   * without room for the copy: the report says so. Rejects with `DiskError`, which poisons the log.
   */
  rewrite(
    position: LogIndex,
    sequences: readonly number[],
    survivors: Survivors,
    taken: TakenRanges = NOTHING_TAKEN,
  ): Promise<RewriteReport> {
    assert(position <= this.#horizon.index, "I13: only what a verified snapshot covers is rewritten");
    return this.#givingBack(async () => {
      const { error } = this.#parts.poison;
      if (error !== undefined) throw error;
      if (this.#holds.any) return refused("what is shipped to another node stands still");
      const report = await this.#orPoisoned(this.#rewriter.rewrite(position, sequences, survivors, taken));
      this.#parts.spares.prepare();
      this.#sealer.kick();
      return report;
    });
  }

  /**
   * Holds what a node needs that is behind the horizon: the newest snapshot, and all that is sealed. Undefined while there
   * is no snapshot, or what it stands on is not sealed yet; `roll` helps. Until it is released nothing is trimmed or rewritten.
   */
  hold(diskId: string): Promise<Held | undefined> {
    return this.#givingBack(() => this.#holds.hold(this.#horizon, diskId));
  }

  /**
   * Brings back what damage took from a segment: from others who have the log, asked in this order, proven before it is
   * taken. Reads that were refused find it again. The segment that is being written is closed first. Rejects with
   * `DiskError`, which poisons the log.
   */
  mend(sequence: number, sources: readonly MendSource[]): Promise<MendReport> {
    const mended = this.#lastMended.then(async () => {
      const { error } = this.#parts.poison;
      if (error !== undefined) throw error;
      const { last } = this.#parts.segments;
      if (last?.kind === "unsealed" && !last.closed && last.sequence === sequence) await this.#writer.roll();
      const report = await this.#orPoisoned(this.#mender.mend(sequence, sources, this.#horizon, this.#exclusively));
      this.#sealer.kick();
      return report;
    });
    this.#lastMended = mended.catch(() => undefined);
    return mended;
  }

  /**
   * Brings back where the batches of a segment are, whose index block is lost: from others, checked against its entries. Why
   * it could not be done, or nothing; the block is written anew then. Rejects with `DiskError`, which poisons the log.
   */
  reindex(sequence: number, sources: readonly PlacementSource[]): Promise<Result<undefined, string>> {
    const done = this.#lastMended.then(() =>
      this.#orPoisoned(this.#reindexer.reindex(sequence, () => this.#appliedIndex, sources, this.#exclusively)),
    );
    this.#lastMended = done.then(
      () => this.#sealer.kick(),
      () => undefined,
    );
    return done;
  }

  /** Where the batches of these entries are, for another node that does not know; undefined where that is not known here. */
  placements(from: LogIndex, to: LogIndex): Promise<readonly PlacedEntry[] | undefined> {
    return this.#reindexer.placements(from, Math.min(to, this.lastIndex));
  }

  /** What a sealed segment has lost, all of it read for that; undefined where that cannot be known, or there is no such segment. */
  async lostRanges(sequence: number): Promise<LostRanges | undefined> {
    const { segments, options } = this.#parts;
    const segment = segments.bySequence(sequence);
    if (segment?.kind !== "sealed") return undefined;
    return lostRanges({ ...this.#parts, logId: options.logId, limits: options.limits }, segment);
  }

  /** The segments that are written no more, in order. */
  sequences(): readonly number[] {
    const { all } = this.#parts.segments;
    return all.filter((segment) => segment.kind === "sealed" || segment.closed).map(({ sequence }) => sequence);
  }

  /**
   * Reads such a segment from end to end: what is damaged is found in `damage` then. `pace` is awaited after each piece.
   * Rejects with `DiskError`, which poisons the log.
   */
  scrub(sequence: number, pace: Pace): Promise<void> {
    return this.#orPoisoned(this.#scrubber.check(sequence, pace, this.#exclusively));
  }

  /**
   * Reads the snapshots and what is beside them: what is damaged is found in `damage` then. False if the newest is, or is gone: it
   * is to be written anew (`snapshotImage`).
   */
  async scrubSnapshots(pace: Pace): Promise<boolean> {
    const { snapshots, tails, damage } = this.#parts;
    const before = this.#horizon.index;
    const damaged = [...(await snapshots.damaged(pace)), ...(await tails.damaged(pace))];
    damage.resolveSnapshots();
    for (const { position, path, reason } of damaged) {
      const message = `${path} is damaged (${reason})`;
      damage.add({ kind: "snapshot", firstIndex: position, lastIndex: position, message });
    }
    const there = await snapshots.positions();
    // None has taken its place meanwhile.
    if (before === this.#horizon.index) {
      const isGone = before > 0 && !there.includes(before);
      const message = `the snapshot of entry ${before} is gone`;
      if (isGone) damage.add({ kind: "snapshot", firstIndex: before, lastIndex: before, message });
      this.#snapshotLost = isGone || damaged.some(({ position }) => position === before);
    }
    return !this.#snapshotLost;
  }

  readonly #exclusively: Exclusively = (work) =>
    this.#givingBack(() => this.#writer.whilePaused(() => this.#sealer.whilePaused(work)));

  /** Segments are dropped and rewritten one at a time. */
  #givingBack<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#lastGivenBack.then(work);
    this.#lastGivenBack = done.catch(() => undefined);
    return done;
  }

  /** Roughly the bytes of the log behind a position, counted by whole segments. */
  bytesAfter(position: LogIndex): number {
    const { segments, options } = this.#parts;
    return segments.all.filter((segment) => segment.lastIndex > position).length * options.limits.segmentBytes;
  }

  freeBytes(): Promise<number> {
    return this.#parts.options.disk.freeBytes();
  }

  /** Resolves once nothing goes on in the background. */
  async settled(): Promise<void> {
    await this.#parts.spares.idle();
    await this.#sealer.idle();
    await this.#lastGivenBack;
  }

  /** Finishes what goes on, proves the end of the log, and closes its files. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#rewriter.stop();
    this.#mender.stop();
    await this.#lastMended;
    await this.#lastGivenBack;
    await this.#sealer.close();
    try {
      if (this.poisoned === undefined) await this.#writer.close();
    } finally {
      await this.#parts.spares.close();
      await this.#parts.newest.close();
      await Promise.all(this.#parts.segments.unsealed.map((segment) => segment.file.retire()));
      await this.#parts.pool.close();
    }
  }

  /** What is offered from here on is durable; what is ambiguous and nobody else's is cut off. */
  async #finishOpening(): Promise<RecoveryReport> {
    const { options, recovered, segments, damage, spares } = this.#parts;
    const last = recovered.segments.at(-1);
    const clean = last === undefined || !("judged" in last) || last.judged.marked || last.judged.footer !== undefined;
    await this.#writer.proveTail();
    const newestUnknown = this.#parts.newest.sequence === 0 && segments.last !== undefined;
    await this.#parts.newest.set(segments.last?.sequence ?? 0);
    const discarded =
      options.soleVoter && this.ambiguous !== undefined ? await this.#writer.discardAmbiguous() : undefined;
    spares.prepare();
    return {
      firstIndex: this.firstIndex,
      lastIndex: this.lastIndex,
      clean,
      scannedBytes: recovered.scannedBytes,
      sealedSegments: segments.sealed.length,
      unsealedSegments: segments.unsealed.length,
      newestUnknown,
      discarded,
      ambiguous: this.ambiguous,
      damage: damage.all,
    };
  }

  /** The state machine begins where a snapshot ends: the tail's index up to there comes from beside it. */
  #restoreFromSnapshot(): void {
    this.#restored = "snapshot";
    this.#image.restoreFromSnapshot(this.#snapshotTail, this.#horizon.index);
    this.#snapshotTail = [];
    this.#sealer.kick();
  }

  /** What the chain has at an entry, in memory or read back; undefined where damage hides it. */
  async #endAt(index: LogIndex): Promise<LogEnd | undefined> {
    if (index === this.#writer.end.index) return this.#writer.end;
    // Of a snapshot that is lost: the segment that had its entry may have been dropped on it.
    if (index === this.#horizon.index) return this.#horizon;
    return this.#entries.endAt(index);
  }
}
