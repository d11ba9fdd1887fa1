/**
 * An entry with its frame, whole: read back and verified, or made anew at a known place. What a frame is stands in
 * `frame.ts`, what an entry's head is in `entry-codec.ts`.
 */
import type { BatchRef } from "../../../src/record/batch.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import { type EntryHead, headLengthOf, readEntryHead, writeEntryHead } from "./entry-codec.ts";
import {
  aligned,
  FRAME_HEADER_LENGTH,
  headIsIntact,
  readFrameHeader,
  seedOfSegment,
  writeFrameHeader,
} from "./frame.ts";
import { batchIsIntact } from "../segments/segment-scan.ts";

export type EntryFrame = {
  readonly head: EntryHead;
  /** The entry's identity. */
  readonly hash: bigint;
  /** With their bytes where these are intact. */
  readonly batches: readonly BatchRef[];
  /** Where the first batch's bytes begin, from the frame's beginning. */
  readonly batchesAt: number;
};

/** What stands in a frame of just this length; undefined if its header or head is damaged, or another entry's. */
export function readEntryFrame(
  frame: Uint8Array,
  at: { readonly logId: number; readonly sequence: number; readonly place: number; readonly index: number },
): EntryFrame | undefined {
  const data = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const header = readFrameHeader(frame, data, 0, seedOfSegment(at.sequence), at.place);
  if (header === undefined || header === "unsupported" || header.kind !== "entry") return undefined;
  if (header.length !== frame.length || !headIsIntact(frame, 0, header)) return undefined;
  const head = readEntryHead(frame, data, FRAME_HEADER_LENGTH, header.headLength, at.logId);
  if (head === undefined || head.index !== at.index) return undefined;
  const batchesAt = FRAME_HEADER_LENGTH + header.headLength;
  let place = batchesAt;
  const batches = head.batches.map((batch): BatchRef => {
    const bytes = frame.subarray(place, place + batch.length);
    place += batch.length;
    return batchIsIntact(bytes, batch) ? { ...batch, bytes } : batch;
  });
  return { head, hash: header.entryHash, batches, batchesAt };
}

/** The identity of an entry that follows one with the identity `previousHash`. */
export function hashOfEntry(logId: number, entry: Entry, previousHash: bigint): bigint {
  const head = new Uint8Array(headLengthOf(entry));
  writeEntryHead(head, new DataView(head.buffer), 0, logId, entry, previousHash);
  return xxh64(head);
}

/** Bytes of an entry's frame, without padding. */
export function frameLengthOf(entry: Entry): number {
  let length = FRAME_HEADER_LENGTH + headLengthOf(entry);
  for (const batch of entry.batches) length += batch.length;
  return length;
}

/**
 * The frame of an entry that was durable at `place` before, padded. A batch without bytes is left as zeros, and does not
 * match its hash.
 */
export function encodeEntryFrame(
  entry: Entry,
  at: { readonly logId: number; readonly sequence: number; readonly place: number; readonly previousHash: bigint },
): Uint8Array {
  const length = frameLengthOf(entry);
  const frame = new Uint8Array(aligned(length));
  const data = new DataView(frame.buffer);
  const headLength = headLengthOf(entry);
  writeEntryHead(frame, data, FRAME_HEADER_LENGTH, at.logId, entry, at.previousHash);
  writeFrameHeader(frame, data, 0, {
    kind: "entry",
    segmentSeed: seedOfSegment(at.sequence),
    place: at.place,
    length,
    // All of the segment is synced before anybody reads this.
    syncedUpTo: at.place,
    headLength,
  });
  let place = FRAME_HEADER_LENGTH + headLength;
  for (const { bytes, length: batchLength } of entry.batches) {
    if (bytes !== undefined) frame.set(bytes, place);
    place += batchLength;
  }
  return frame;
}
