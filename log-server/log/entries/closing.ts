/**
 * Marks and footers: frames that say where a segment's data ends, and thereby prove that all before was synced.
 *
 * A mark is written at a clean stop and after each recovery; entries may follow it. A footer closes its segment: the
 * log goes on in another one. The newest footer of a segment counts, for a conflicting suffix may be cut off more
 * than once. Entries behind the end that a footer names, and segments between this one and the one it names, are
 * never read again.
 *
 * Either begins at a sector of its own, so that no single damaged sector takes both the last data and the proof that
 * there was some. The gap before it is zeros.
 *
 *     0  u64  last index · u64 last term · u64 last hash · u64 last log time   of the entry before the end; 0: none
 *    32  u64  next sequence   where the log goes on at the earliest; 0 in a mark
 *    40  u32  end place       entries that begin here or later do not count
 *    44  u32  data end        where the frames before this one ended
 */
import { FRAME_HEADER_LENGTH, type FrameHeader, sectorAfter, seedOfSegment, writeFrameHeader } from "./frame.ts";
import { getInt, setInt } from "./entry-codec.ts";

const BODY_LENGTH = 48;
export const CLOSING_LENGTH: number = FRAME_HEADER_LENGTH + BODY_LENGTH;

/** The newest entry of a log, or of a part of it; index 0: there is none. */
export type LogEnd = {
  readonly index: number;
  readonly term: number;
  readonly hash: bigint;
  readonly logTime: number;
};

export const EMPTY_LOG: LogEnd = { index: 0, term: 0, hash: 0n, logTime: 0 };

export type Closing = {
  readonly last: LogEnd;
  readonly nextSequence: number;
  readonly endPlace: number;
  readonly dataEnd: number;
};

/** Where a mark or footer goes, behind data that ends here. */
export function closingPlace(dataEnd: number): number {
  return sectorAfter(dataEnd);
}

export function encodeClosing(kind: "mark" | "footer", sequence: number, closing: Closing): Uint8Array {
  const bytes = new Uint8Array(CLOSING_LENGTH);
  const data = new DataView(bytes.buffer);
  const body = FRAME_HEADER_LENGTH;
  setInt(data, body, closing.last.index);
  setInt(data, body + 8, closing.last.term);
  data.setBigUint64(body + 16, closing.last.hash, true);
  setInt(data, body + 24, closing.last.logTime);
  setInt(data, body + 32, closing.nextSequence);
  data.setUint32(body + 40, closing.endPlace, true);
  data.setUint32(body + 44, closing.dataEnd, true);
  writeFrameHeader(bytes, data, 0, {
    kind,
    segmentSeed: seedOfSegment(sequence),
    place: closingPlace(closing.dataEnd),
    length: CLOSING_LENGTH,
    syncedUpTo: closing.endPlace,
    headLength: BODY_LENGTH,
  });
  return bytes;
}

/** Reads the body behind an intact header and head. */
export function readClosing(data: DataView, at: number, header: FrameHeader): Closing | undefined {
  if (header.headLength !== BODY_LENGTH) return undefined;
  const body = at + FRAME_HEADER_LENGTH;
  return {
    last: {
      index: getInt(data, body),
      term: getInt(data, body + 8),
      hash: data.getBigUint64(body + 16, true),
      logTime: getInt(data, body + 24),
    },
    nextSequence: getInt(data, body + 32),
    endPlace: data.getUint32(body + 40, true),
    dataEnd: data.getUint32(body + 44, true),
  };
}
