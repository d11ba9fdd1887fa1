/**
 * Reads an unsealed segment from end to end and says what stands in it: nothing is judged here (`segment-judge.ts`
 * does), and nothing is written.
 */
import { unreachable } from "../../../src/lib/assert.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import { type Closing, readClosing } from "../entries/closing.ts";
import { type EntryHead, readEntryHead } from "../entries/entry-codec.ts";
import {
  aligned,
  FRAME_HEADER_LENGTH,
  type FrameHeader,
  headIsIntact,
  readFrameHeader,
  SECTOR_BYTES,
  seedOfSegment,
} from "../entries/frame.ts";
import { readSegmentHeader, SEGMENT_HEADER_LENGTH, type SegmentHeader } from "./segment-header.ts";
import { isUnreadable } from "../repair/unreadable.ts";

const FRAME_STEP = 8;
const BATCH_HASH_LENGTH = 8;
const WORD_BYTES = 4;
const UNUSED_LOOK_BYTES = 64 * 1_024;
const NOTHING: Uint8Array = new Uint8Array(0);
/** What stands for bytes that the medium does not give back: not zeros, for those say that nothing was written. */
const UNREADABLE = 0xff;
/** Read at a time, so that progress shows. */
const SCAN_READ_BYTES = 4 * 1_024 * 1_024;

/** An entry whose frame and head are intact. */
export type EntryPiece = Extract<Piece, { kind: "entry" }>;

/** A stretch of a segment, in order, without gaps up to the last byte that is not zero. */
export type Piece =
  | {
      readonly kind: "entry";
      readonly place: number;
      readonly end: number;
      readonly frame: FrameHeader;
      /** Without the commands. */
      readonly head: EntryHead;
      /** Which of its batches do not match their hashes. */
      readonly damagedBatches: readonly number[];
    }
  | { readonly kind: "mark" | "footer"; readonly place: number; readonly end: number; readonly closing: Closing }
  /** An entry of which only the frame's header can be read. */
  | { readonly kind: "headless"; readonly place: number; readonly end: number; readonly frame: FrameHeader }
  /** Nothing can be read. */
  | { readonly kind: "damaged"; readonly place: number; readonly end: number };

export type SegmentScan = {
  readonly sequence: number;
  /** Undefined: damaged. */
  readonly header: SegmentHeader | undefined;
  readonly pieces: readonly Piece[];
  /** Behind the last frame, and behind the last byte that is not zero: where the next frame can be written. */
  readonly dirtyEnd: number;
  readonly fileBytes: number;
};

export type ScanFault = { readonly kind: "unsupported-version" | "wrong-log"; readonly message: string };

/**
 * Whether a segment's file was ever written to: its header is synced before anything else, alone in its sector. More than
 * that is looked at, for a damaged header must not make a spare of a segment.
 */
export async function isUnused(file: DiskFile): Promise<boolean> {
  const bytes = new Uint8Array(Math.min(UNUSED_LOOK_BYTES, await file.size()));
  // Asked again sector by sector: a spare that failed to be read once and counts as used would follow the last segment,
  // whose torn end would then be taken for damage. What stays unreadable is not zero.
  await readPart(file, 0, bytes);
  return bytes.every((byte) => byte === 0);
}

export async function scanSegment(
  file: DiskFile,
  sequence: number,
  logId: number,
  onRead: (bytes: number) => void,
): Promise<Result<SegmentScan, ScanFault>> {
  const bytes = await readFile(file, onRead);
  const header = readSegmentHeader(bytes, sequence);
  if ("kind" in header && header.kind === "unsupported-version") {
    return err({ kind: "unsupported-version", message: `${file.path} has version ${header.version}` });
  }
  if (!("kind" in header) && header.logId !== logId) {
    return err({ kind: "wrong-log", message: `${file.path} is of log ${header.logId}` });
  }
  const dataEnd = Math.max(SEGMENT_HEADER_LENGTH, aligned(endOfData(bytes)));
  const scanner = new Scanner(bytes, sequence, logId, dataEnd);
  const pieces = scanner.run();
  if (pieces === "unsupported")
    return err({ kind: "unsupported-version", message: `${file.path} has frames of an unknown version` });
  // A batch may end in zeros.
  const dirtyEnd = Math.max(dataEnd, pieces.at(-1)?.end ?? 0);
  return ok({ sequence, header: "kind" in header ? undefined : header, pieces, dirtyEnd, fileBytes: bytes.length });
}

class Scanner {
  readonly #bytes: Uint8Array;
  readonly #data: DataView;
  readonly #seed: bigint;
  readonly #logId: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, sequence: number, logId: number, end: number) {
    this.#bytes = bytes;
    this.#data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#seed = seedOfSegment(sequence);
    this.#logId = logId;
    this.#end = end;
  }

  run(): Piece[] | "unsupported" {
    const pieces: Piece[] = [];
    let place = SEGMENT_HEADER_LENGTH;
    while (place < this.#end) {
      const frame = readFrameHeader(this.#bytes, this.#data, place, this.#seed, place);
      if (frame === "unsupported") return "unsupported";
      const piece: Piece =
        frame === undefined ? { kind: "damaged", place, end: this.#nextFrame(place) } : this.#piece(place, frame);
      pieces.push(piece);
      place = piece.end;
    }
    return pieces;
  }

  #piece(place: number, frame: FrameHeader): Piece {
    const end = aligned(place + frame.length);
    const intact = headIsIntact(this.#bytes, place, frame);
    switch (frame.kind) {
      case "entry": {
        const headStart = place + FRAME_HEADER_LENGTH;
        const head = intact
          ? readEntryHead(this.#bytes, this.#data, headStart, frame.headLength, this.#logId)
          : undefined;
        if (head === undefined) return { kind: "headless", place, end, frame };
        const damagedBatches = this.#damagedBatches(headStart + frame.headLength, head.batches);
        // Without the commands: a view of them would keep the whole segment in memory.
        return { kind: "entry", place, end, frame, head: { ...head, head: NOTHING }, damagedBatches };
      }
      case "mark":
      case "footer": {
        const closing = intact ? readClosing(this.#data, place, frame) : undefined;
        return closing === undefined ? { kind: "damaged", place, end } : { kind: frame.kind, place, end, closing };
      }
      case "batch":
        // Of a rewritten segment: none of ours.
        return { kind: "damaged", place, end };
      default:
        return unreachable(frame.kind);
    }
  }

  #damagedBatches(firstPlace: number, batches: readonly BatchRef[]): number[] {
    const damaged: number[] = [];
    let place = firstPlace;
    batches.forEach((batch, ordinal) => {
      if (!batchIsIntact(this.#bytes.subarray(place, place + batch.length), batch)) damaged.push(ordinal);
      place += batch.length;
    });
    return damaged;
  }

  /** Where the next intact frame begins, or the data ends. */
  #nextFrame(from: number): number {
    for (let place = from + FRAME_STEP; place < this.#end; place += FRAME_STEP) {
      const frame = readFrameHeader(this.#bytes, this.#data, place, this.#seed, place);
      if (frame !== undefined) return place;
    }
    return this.#end;
  }
}

/** A batch's hash as it is stored. One for all: a view for each batch would cost as much as hashing a small one. */
const STORED_HASH = new Uint8Array(BATCH_HASH_LENGTH);
const STORED_HASH_DATA = new DataView(STORED_HASH.buffer);

/** A batch begins with its hash, which covers the rest of it. */
export function batchIsIntact(bytes: Uint8Array, batch: { readonly hash: bigint; readonly length: number }): boolean {
  if (bytes.length !== batch.length || bytes.length < BATCH_HASH_LENGTH) return false;
  STORED_HASH_DATA.setBigUint64(0, batch.hash, true);
  for (let at = 0; at < BATCH_HASH_LENGTH; at += 1) if (bytes[at] !== STORED_HASH[at]) return false;
  return xxh64(bytes.subarray(BATCH_HASH_LENGTH)) === batch.hash;
}

/** A part that the medium does not give back is damaged like any other, and what is behind it is found. */
async function readFile(file: DiskFile, onRead: (bytes: number) => void): Promise<Uint8Array> {
  const size = await file.size();
  const bytes = Buffer.allocUnsafeSlow(size);
  for (let start = 0; start < size; start += SCAN_READ_BYTES) {
    const part = bytes.subarray(start, Math.min(size, start + SCAN_READ_BYTES));
    await readPart(file, start, part);
    onRead(part.length);
  }
  return bytes;
}

async function readPart(file: DiskFile, start: number, part: Uint8Array): Promise<void> {
  try {
    const count = await file.read(start, part);
    part.fill(0, count);
    return;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
  }
  if (part.length <= SECTOR_BYTES) {
    part.fill(UNREADABLE);
    return;
  }
  const middle = Math.ceil(part.length / 2 / SECTOR_BYTES) * SECTOR_BYTES;
  await readPart(file, start, part.subarray(0, middle));
  await readPart(file, start + middle, part.subarray(middle));
}

/** Behind the last byte that is not zero. */
function endOfData(bytes: Uint8Array): number {
  let end = bytes.length;
  // A word at a time: most of a segment is zeros.
  if (bytes.byteOffset % WORD_BYTES === 0 && bytes.length % WORD_BYTES === 0) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / WORD_BYTES);
    let word = words.length;
    while (word > 0 && words[word - 1] === 0) word -= 1;
    end = word * WORD_BYTES;
  }
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}
