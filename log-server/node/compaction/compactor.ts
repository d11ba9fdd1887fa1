/**
 * Keeps the disk close to what is live. For streams that ask for key compaction it proposes how far they are compacted
 * (the frontiers move only when that entry is applied, I14); and it rewrites sealed segments without what compaction,
 * trims, expiry and deletion have taken from everyone. What goes is decided by applied entries; when, by each node.
 *
 * One pass at a time, in the background:
 *
 *     frontiers proposed → applied → in a snapshot → sections read → segments rewritten, oldest first
 *
 * Oldest first, so that a tombstone never goes before what it deletes. A pass that is interrupted, by a crash or by
 * damage, leaves a prefix rewritten; the next one reads the stream again and comes to the same. Damage that nobody can make
 * good is a reason for a snapshot and a rewrite, too (`damaged-segments.ts`), which takes what others keep in the place of what
 * is lost here, where it may (`usable-ranges.ts`).
 */
import type { Damage } from "../../log/repair/damage.ts";
import { TakenRanges } from "../../log/rewrite/taken-ranges.ts";
import type { SealedSegmentSummary } from "../../log/segments/segment-summaries.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { StreamView } from "../../streams/views.ts";
import type { CompactableLog } from "./compactable-log.ts";
import { damagedSegments } from "./damaged-segments.ts";
import { bytesFrom } from "./frontier.ts";
import { compactedStreams, type FrontierMover, ownFrom } from "./frontier-mover.ts";
import type { NodeParts } from "../node-parts.ts";
import type { GivenRange, GivenRanges } from "../repair/range-exchange.ts";
import { type Section, SectionSurvivors } from "./section.ts";
import { type Scan, scanSection } from "./section-scan.ts";
import { chooseRuns } from "./segment-runs.ts";
import { SegmentSurvey } from "./segment-survey.ts";
import { usableRanges } from "./usable-ranges.ts";

export type CompactorParts = Pick<NodeParts, "machine" | "clock" | "limits" | "zstd" | "observer"> & {
  readonly log: CompactableLog;
  readonly frontiers: Pick<FrontierMover, "run" | "dirtyBytes">;
  readonly snapshots: {
    /** Everything to here is in a verified snapshot. */
    readonly snapshotPosition: LogIndex;
    snapshot(): Promise<void>;
  };
  readonly repairs: () => CompactorRepairs;
  /** Puts an entry into the log that changes nothing, if that can be done now. */
  readonly lengthen: () => Promise<void>;
};

export interface CompactorRepairs {
  /** Damage that nobody can make good. */
  readonly lost: readonly Damage[];
  /** What others keep in the place of what is lost in these segments. */
  askRanges(sequences: readonly number[]): Promise<GivenRanges>;
  /** These were rewritten with so many batches of others. */
  tookRanges(sequences: readonly number[], batches: number): void;
}

/** What was done in this run of the node, and what is to be done. */
export type CompactionStatus = {
  readonly segmentsRewritten: number;
  readonly bytesGivenBack: number;
  /** Behind the frontiers of all compacted streams, when last looked at. */
  readonly dirtyBytes: number;
};

/** A stream's frontiers: as they are decided, or as far as this disk is compacted. */
type Frontiers = { readonly before: Offset; readonly tombstonesBefore: Offset };

/** What is known of a stream; forgotten with it, and with the process. */
type Known = {
  readonly decided: Frontiers;
  /** How far the log was when these frontiers were first seen: a snapshot from there on has them. */
  readonly seenAt: LogIndex;
  /** Undefined: not known. */
  readonly done: Frontiers | undefined;
  /** A pass was not worth it, or could not be done: it is not tried again before the frontiers move. */
  readonly declined: boolean;
};

/** `before`: how far this disk can be compacted now. */
type Due = { readonly stream: StreamView; readonly known: Known; readonly before: Offset };

export class Compactor {
  readonly #parts: CompactorParts;
  readonly #survey: SegmentSurvey;
  readonly #known = new Map<number, Known>();
  #running: Promise<void> | undefined;
  #stopped = false;
  #segmentsRewritten = 0;
  #bytesGivenBack = 0;

  constructor(parts: CompactorParts) {
    this.#parts = parts;
    this.#survey = new SegmentSurvey(parts.machine, parts.limits);
  }

  get status(): CompactionStatus {
    return {
      segmentsRewritten: this.#segmentsRewritten,
      bytesGivenBack: this.#bytesGivenBack,
      dirtyBytes: this.#parts.frontiers.dirtyBytes,
    };
  }

  /** One pass; while one runs, that one. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Ends at the next step; a run of segments that is being rewritten is finished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running?.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { log, machine, frontiers, snapshots, repairs, lengthen } = this.#parts;
    if (this.#stopped) return;
    await frontiers.run(() => this.#stopped);
    // What the log ends with is not rewritten, and where nothing is appended it would stay damaged.
    if (repairs().lost.some(({ segment }) => segment !== undefined && segment === log.sealedEnd)) await lengthen();
    const given = await this.#ask();
    if (this.#stopped) return;
    const due = this.#due(() => true);
    const damaged = damagedSegments(repairs().lost, log.sealedSegments(), machine);
    const isAhead = (index: LogIndex): boolean => index > snapshots.snapshotPosition;
    const awaits =
      due.some(({ known }) => isAhead(known.seenAt)) ||
      damaged.some(({ lastIndex }) => isAhead(lastIndex)) ||
      given.ranges.some((range) => isAhead(range.position));
    if (awaits && !this.#stopped) await snapshots.snapshot();
    const position = snapshots.snapshotPosition;
    const segments = log.sealedSegments().filter((segment) => segment.lastIndex <= position);
    const sequences = new Set(segments.map(({ sequence }) => sequence));
    const reachable = this.#due((sequence) => sequences.has(sequence));
    const scans = await this.#scan(reachable.filter(({ known }) => known.seenAt <= position));
    const usable = { ...given, ranges: usableRanges(given.ranges, position, machine, log) };
    await this.#rewrite(position, segments, this.#worthwhile(segments, scans), usable);
  }

  /** Of segments that may be rewritten: what others keep in the place of what is lost in them. */
  async #ask(): Promise<GivenRanges> {
    const { log, repairs } = this.#parts;
    const lost = new Set(repairs().lost.map(({ segment }) => segment));
    const sequences = log.sealedSegments().flatMap(({ sequence }) => (lost.has(sequence) ? [sequence] : []));
    return repairs().askRanges(sequences);
  }

  /** The streams whose frontiers this disk has not been compacted to. */
  #due(isRewritable: (sequence: number) => boolean): Due[] {
    const { machine } = this.#parts;
    const due: Due[] = [];
    const present = new Set<number>();
    for (const stream of compactedStreams(this.#parts)) {
      present.add(stream.id);
      const decided = { before: stream.compactedBefore, tombstonesBefore: stream.tombstonesBefore };
      let known = this.#known.get(stream.id);
      if (known === undefined || !reaches(known.decided, decided)) {
        const declined = known === undefined && !this.#mayHaveMore(stream);
        known = { decided, seenAt: machine.position, done: known?.done, declined };
        this.#known.set(stream.id, known);
      }
      if (known.declined || decided.before === 0 || isDone(known, decided)) continue;
      const before = Math.min(decided.before, this.#rewritableBefore(stream, isRewritable));
      if (before > 0 && !isDone(known, { ...decided, before })) due.push({ stream, known, before });
    }
    for (const id of this.#known.keys()) if (!present.has(id)) this.#known.delete(id);
    return due;
  }

  /**
   * Another node's segments may end elsewhere: the frontier may lie where this one is still writing, or in a segment that
   * ends behind its snapshot. What is in there cannot be rewritten yet, and must not pass for compacted, or a tombstone
   * would go before what it deletes.
   */
  #rewritableBefore(stream: StreamView, isRewritable: (sequence: number) => boolean): Offset {
    const from = ownFrom(stream);
    const barrier = this.#parts.log
      .streamSegments(stream.id)
      .find(({ sequence, endOffset }) => endOffset > from && (sequence === undefined || !isRewritable(sequence)));
    return barrier?.firstOffset ?? Number.POSITIVE_INFINITY;
  }

  /**
   * How far the disk was compacted is not known after a start. A stream is read to find out where that is little, or
   * where much of it lies in segments that were never rewritten; else once its frontier moves next.
   */
  #mayHaveMore(stream: StreamView): boolean {
    const { log, limits } = this.#parts;
    const rewritten = new Set<number | undefined>();
    for (const segment of log.sealedSegments()) if (segment.rewritten) rewritten.add(segment.sequence);
    let bytes = 0;
    let untouched = 0;
    for (const part of log.streamSegments(stream.id)) {
      const compacted = part.bytes - bytesFrom(part, stream.compactedBefore);
      bytes += compacted;
      if (!rewritten.has(part.sequence)) untouched += compacted;
    }
    if (bytes <= limits.compactionRescanBytesMax) return true;
    return untouched >= bytes * limits.compactionDirtyShareMin;
  }

  /** As many as there is memory for; the others are for the next pass. */
  async #scan(due: readonly Due[]): Promise<Scan[]> {
    const { log, clock, limits, zstd } = this.#parts;
    const scans: Scan[] = [];
    let room = limits.compactionMapBytesMax;
    for (const { stream, known, before } of due) {
      if (room <= 0 || this.#stopped) break;
      const from = ownFrom(stream);
      const scan = await scanSection(
        {
          log,
          zstd,
          rawBatchBytesMax: limits.batchBytesMax * 4,
          readBytes: limits.compactionReadBytes,
          turn: () => new Promise((resolve) => clock.defer(resolve)),
          stopped: () => this.#stopped,
        },
        {
          streamId: stream.id,
          from,
          cleanBefore: known.done?.before ?? from,
          before,
          tombstonesBefore: known.decided.tombstonesBefore,
          segments: log.streamSegments(stream.id),
          mapBytesMax: room,
        },
      );
      if (scan === undefined) break;
      // What a tombstone deletes may be behind it.
      if (scan.cut === "damaged") this.#decline(scan, "damage is in the way");
      else scans.push(scan);
      room -= scan.section.newest.bytes;
    }
    return scans;
  }

  /** Those worth it all together, or else each by itself: a stream scattered thinly among others is not. */
  #worthwhile(segments: readonly SealedSegmentSummary[], scans: readonly Scan[]): Scan[] {
    const bytes = new Map(segments.map(({ sequence, dataBytes }) => [sequence, dataBytes]));
    const isWorth = (some: readonly Scan[]): boolean => {
      // Memory is full: nothing later can be compacted before this is.
      if (some.some(({ cut }) => cut === "memory")) return true;
      const touched = new Set(some.flatMap(({ deadBytes }) => [...deadBytes.keys()]));
      let cost = 0;
      for (const sequence of touched) cost += bytes.get(sequence) ?? 0;
      let gain = 0;
      for (const { deadBytes } of some) for (const dead of deadBytes.values()) gain += dead;
      return gain >= cost * this.#parts.limits.compactionGainShareMin;
    };
    if (isWorth(scans)) return [...scans];
    const worth = scans.filter((scan) => isWorth([scan]));
    for (const scan of scans) if (!worth.includes(scan)) this.#decline(scan, undefined);
    return worth;
  }

  async #rewrite(
    position: LogIndex,
    segments: readonly SealedSegmentSummary[],
    scans: readonly Scan[],
    given: GivenRanges,
  ): Promise<void> {
    const { log, machine, limits, observer, repairs } = this.#parts;
    const sections = new Map<number, Section>(scans.map(({ section }) => [section.streamId, section]));
    for (const { streamId } of given.ranges) {
      sections.delete(streamId);
      this.#doubt(streamId);
    }
    let mending = given.ranges.map((range) => ({ range, sequences: this.#segmentsWith(range) }));
    const mended = new Set([...given.unreadable, ...mending.flatMap(({ sequences }) => sequences)]);
    const survivors = new SectionSurvivors(sections, (streamId) => machine.neededFrom(streamId));
    const damaged = [
      ...damagedSegments(repairs().lost, segments, machine),
      ...segments.filter(({ sequence }) => mended.has(sequence)),
    ];
    for (const chosen of chooseRuns(await this.#survey.look(segments, scans, damaged), limits)) {
      if (this.#stopped) return;
      // Segments in which nothing lives are dropped meanwhile.
      const present = new Set(log.sealedSegments().map(({ sequence }) => sequence));
      const run = chosen.filter((sequence) => present.has(sequence));
      if (run.length === 0) continue;
      const taken = new TakenRanges(
        mending.map(({ range }) => range),
        given.unreadable,
      );
      const { refused, bytesBefore, bytesAfter, batches } = await log.rewrite(position, run, survivors, taken);
      if (refused === undefined) {
        const whole = run.filter((sequence) => mended.has(sequence));
        if (whole.length > 0) repairs().tookRanges(whole, batches.taken);
        this.#segmentsRewritten += run.length;
        this.#bytesGivenBack += bytesBefore - bytesAfter;
        observer.event("segments-rewritten", { segments: run.length, bytesBefore, bytesAfter, ...batches });
        if (batches.damaged === 0) continue;
      } else {
        observer.event("rewrite-refused", { segments: run, reason: refused });
        mending = mending.filter(({ sequences }) => !run.some((sequence) => sequences.includes(sequence)));
      }
      // What a tombstone deletes may still be in there: of these streams nothing newer goes either.
      for (const scan of scans) {
        if (!run.some((sequence) => scan.deadBytes.has(sequence))) continue;
        sections.delete(scan.section.streamId);
        this.#decline(scan, undefined);
      }
    }
    for (const section of sections.values()) this.#finish(section);
  }

  #segmentsWith({ streamId, from, to }: GivenRange): readonly number[] {
    return this.#parts.log
      .streamSegments(streamId)
      .flatMap(({ sequence, firstOffset, endOffset }) =>
        sequence !== undefined && firstOffset < to && from < endOffset ? [sequence] : [],
      );
  }

  /** What is taken may be compacted less than what was here: how far this disk is has to be found out again. */
  #doubt(streamId: number): void {
    const known = this.#known.get(streamId);
    if (known !== undefined) this.#known.set(streamId, { ...known, done: undefined, declined: false });
  }

  #finish({ streamId, before, tombstonesBefore }: Section): void {
    const known = this.#known.get(streamId);
    if (known === undefined) return;
    const earlier = known.done?.tombstonesBefore ?? 0;
    this.#known.set(streamId, {
      ...known,
      done: { before, tombstonesBefore: Math.max(earlier, tombstonesBefore) },
    });
  }

  #decline({ section }: Scan, reason: string | undefined): void {
    const known = this.#known.get(section.streamId);
    if (known === undefined) return;
    this.#known.set(section.streamId, { ...known, declined: true });
    if (reason !== undefined) this.#parts.observer.event("compaction-stopped", { streamId: section.streamId, reason });
  }
}

function isDone({ done }: Known, goal: Frontiers): boolean {
  return done !== undefined && reaches(done, goal);
}

function reaches(frontiers: Frontiers, goal: Frontiers): boolean {
  return frontiers.before >= goal.before && frontiers.tombstonesBefore >= goal.tombstonesBefore;
}
