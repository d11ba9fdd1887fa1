/**
 * Reads a segment's file, entry by entry, and compares it with what the segment's index says stands there: which heads
 * cannot be read, which batches do not match, and what the chain of identities says around them. In bounded pieces;
 * between two of them everybody else has a turn.
 */
import { assert } from "../../../src/lib/assert.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import type { Damage } from "./damage.ts";
import type { Extent } from "../rewrite/batch-fetch.ts";
import { type EntryFrame, readEntryFrame } from "../entries/entry-frame.ts";
import { FRAME_HEADER_LENGTH, readFrameHeader, seedOfSegment } from "../entries/frame.ts";
import type { LogLimits } from "../limits.ts";
import type { IndexReader, SealedSegment } from "../segments/sealed-segment.ts";
import type { SegmentFiles } from "../segments/segment-files.ts";
import { judgeSegment } from "../segments/segment-judge.ts";
import type { SegmentScan } from "../segments/segment-scan.ts";
import { readSegmentHeader, SEGMENT_HEADER_LENGTH } from "../segments/segment-header.ts";
import type { UnsealedSegment } from "../segments/unsealed-segment.ts";

export type CheckParts = {
  readonly logId: number;
  readonly limits: LogLimits;
  readonly indexReader: IndexReader;
  readonly files: SegmentFiles;
};

/** A batch that does not match its hash, in an entry whose head is intact. */
export type BrokenBatch = { readonly ordinal: number; readonly place: number; readonly batch: BatchRef };

/** `lost`: not even the head can be read. */
export type BrokenEntry =
  | { readonly kind: "lost" }
  | { readonly kind: "batches"; readonly batches: readonly BrokenBatch[] };

/** Entries that follow one another in a segment's file. */
export type CheckedEntries = {
  readonly sequence: number;
  readonly firstIndex: number;
  readonly count: number;
  /** Of each entry; 0 where it is not known. */
  readonly place: Uint32Array;
  readonly length: Uint32Array;
  /** Identities of the entries and of those before them; 0 where they are not known. */
  readonly hash: BigUint64Array;
  readonly previousHash: BigUint64Array;
  /** By slot, in order. */
  readonly broken: ReadonlyMap<number, BrokenEntry>;
};

export type SegmentCheck = CheckedEntries & {
  readonly segment: SealedSegment | UnsealedSegment;
  readonly headerIsIntact: boolean;
};

/** Awaited after so many bytes were read. */
export type Pace = (bytes: number) => Promise<void>;

/** What the check found, as it is reported. */
export function damageIn(check: SegmentCheck): readonly Damage[] {
  const { sequence, firstIndex, place, broken, headerIsIntact } = check;
  const header: Damage = {
    kind: "segment",
    segment: sequence,
    place: 0,
    message: "the header of a segment is damaged",
  };
  const entries = [...broken].map(([slot, { kind }]): Damage => {
    const index = firstIndex + slot;
    const what = kind === "lost" ? `entry ${index}` : `a batch of entry ${index}`;
    return {
      kind: kind === "lost" ? "entry" : "batch",
      segment: sequence,
      place: place[slot] as number,
      firstIndex: index,
      lastIndex: index,
      message: `${what} is damaged`,
    };
  });
  return headerIsIntact ? entries : [header, ...entries];
}

/** What is to be said of a segment of which it cannot be known where its entries are. */
export function damageOfIndex({ sequence, firstIndex, lastIndex }: SealedSegment): Damage {
  const message = `the index of segment ${sequence} cannot be read`;
  return { kind: "index", segment: sequence, firstIndex, lastIndex, message };
}

/** Undefined: the index that says where the entries are is damaged itself. */
export async function checkSegment(
  parts: CheckParts,
  segment: SealedSegment | UnsealedSegment,
  pace: Pace = () => Promise.resolve(),
): Promise<SegmentCheck | undefined> {
  assert(segment.kind === "unsealed" || !segment.isRewritten, "a rewritten segment has no entries");
  const count = segment.lastIndex - segment.firstIndex + 1;
  const place = new Uint32Array(count);
  const length = new Uint32Array(count);
  const hash = new BigUint64Array(count);
  const previousHash = new BigUint64Array(count);
  const broken = new Map<number, BrokenEntry>();
  if (!(await findEntries(parts, segment, { place, length, hash }))) return undefined;
  const [header] = await parts.files.fetch(segment, [{ place: 0, length: SEGMENT_HEADER_LENGTH }]);
  const headerIsIntact = header !== undefined && !("kind" in readSegmentHeader(header, segment.sequence));
  for (let from = 0; from < count;) {
    const slots: number[] = [];
    const extents: Extent[] = [];
    let bytes = 0;
    for (; from < count && bytes < parts.limits.readBytesMax; from += 1) {
      if (place[from] === 0) {
        broken.set(from, { kind: "lost" });
        continue;
      }
      slots.push(from);
      extents.push({ place: place[from] as number, length: length[from] as number });
      bytes += length[from] as number;
    }
    const frames = await parts.files.fetch(segment, extents);
    for (const [at, slot] of slots.entries()) {
      const frame = frames[at];
      const extent = extents[at] as Extent;
      const where = { logId: parts.logId, sequence: segment.sequence, place: extent.place };
      const read = frame && readEntryFrame(frame, { ...where, index: segment.firstIndex + slot });
      if (read === undefined) {
        broken.set(slot, { kind: "lost" });
        // The header stands for itself.
        if (frame !== undefined) hash[slot] = identityIn(frame, where) || (hash[slot] as bigint);
        continue;
      }
      hash[slot] = read.hash;
      previousHash[slot] = read.head.previousHash;
      const batches = brokenBatches(read, extent.place);
      if (batches.length > 0) broken.set(slot, { kind: "batches", batches });
    }
    await pace(bytes);
  }
  const { sequence, firstIndex } = segment;
  return {
    segment,
    sequence,
    firstIndex,
    count,
    headerIsIntact,
    place,
    length,
    hash,
    previousHash,
    broken: inOrder(broken),
  };
}

/** The same from a scan of the whole file, for a segment whose index cannot say where the entries are. */
export function checkOfScan(segment: SealedSegment, scan: SegmentScan): SegmentCheck | undefined {
  const { sequence, firstIndex, lastIndex } = segment;
  const expected = { index: firstIndex - 1, term: 0, hash: 0n, logTime: 0 };
  const { slots, previous } = judgeSegment(scan, { expected, isLast: false, next: segment.facts.end });
  const count = lastIndex - firstIndex + 1;
  if (previous.index !== expected.index || slots.length !== count) return undefined;
  const place = new Uint32Array(count);
  const length = new Uint32Array(count);
  const hash = new BigUint64Array(count);
  const previousHash = new BigUint64Array(count);
  const broken = new Map<number, BrokenEntry>();
  for (const [slot, found] of slots.entries()) {
    if (found.kind === "lost") {
      place[slot] = found.place;
      length[slot] = found.length;
      hash[slot] = found.hash;
      broken.set(slot, { kind: "lost" });
      continue;
    }
    const { frame, head, damagedBatches } = found.piece;
    place[slot] = found.piece.place;
    length[slot] = frame.length;
    hash[slot] = frame.entryHash;
    previousHash[slot] = head.previousHash;
    let at = found.piece.place + FRAME_HEADER_LENGTH + frame.headLength;
    const batches: BrokenBatch[] = [];
    for (const [ordinal, batch] of head.batches.entries()) {
      if (damagedBatches.includes(ordinal)) batches.push({ ordinal, place: at, batch });
      at += batch.length;
    }
    if (batches.length > 0) broken.set(slot, { kind: "batches", batches });
  }
  const headerIsIntact = scan.header !== undefined;
  return { segment, sequence, firstIndex, count, headerIsIntact, place, length, hash, previousHash, broken };
}

/** Where the entries are, and what is known of their identities without reading them. */
async function findEntries(
  { indexReader }: CheckParts,
  segment: SealedSegment | UnsealedSegment,
  found: Pick<SegmentCheck, "place" | "length" | "hash">,
): Promise<boolean> {
  const { place, length, hash } = found;
  for (let slot = 0; slot < place.length; slot += 1) {
    if (segment.kind === "unsealed") {
      const { entries } = segment.index;
      place[slot] = entries.place[slot] as number;
      length[slot] = entries.length[slot] as number;
      hash[slot] = entries.hash[slot] as bigint;
      continue;
    }
    const record = await indexReader.entry(segment, slot);
    if (record === undefined) return false;
    place[slot] = record.place;
    length[slot] = record.length;
  }
  return true;
}

function identityIn(frame: Uint8Array, { sequence, place }: { sequence: number; place: number }): bigint {
  if (frame.length < FRAME_HEADER_LENGTH) return 0n;
  const data = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const header = readFrameHeader(frame, data, 0, seedOfSegment(sequence), place);
  return header === undefined || header === "unsupported" || header.kind !== "entry" ? 0n : header.entryHash;
}

export function brokenBatches(read: EntryFrame, framePlace: number): BrokenBatch[] {
  const broken: BrokenBatch[] = [];
  let place = framePlace + read.batchesAt;
  for (const [ordinal, batch] of read.batches.entries()) {
    if (batch.bytes === undefined) broken.push({ ordinal, place, batch });
    place += batch.length;
  }
  return broken;
}

function inOrder(broken: Map<number, BrokenEntry>): Map<number, BrokenEntry> {
  return new Map([...broken].sort(([a], [b]) => a - b));
}
