/**
 * One answer to a read, checked and decoded: runs of records, and the gaps between them. Nothing in it is trusted: every
 * batch's checksum is verified here, and so is the order of offsets (I7).
 */
import type { Zstd } from "../../src/ports/zstd.ts";
import { decodeBatch } from "../../src/record/batch-codec.ts";
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import { TidemarkError, type Gap } from "../error.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { PLATFORM_ZSTD } from "./platform-zstd.ts";
import { ReceivedRecord } from "./received-record.ts";

/** What a read asks for. */
export type ReadQuery = {
  readonly stream: string;
  readonly incarnation: Incarnation | undefined;
  readonly from: "offset" | "start" | "now";
  /** Only for `from: "offset"`. */
  readonly offset: Offset;
  readonly maxBytes: number;
  /** How long the server may wait at the tail for something to arrive. */
  readonly waitMs: number;
};

export type ReadAnswer = {
  readonly incarnation: Incarnation;
  readonly contentType: string;
  /** The first that is retained. */
  readonly firstOffset: Offset;
  /** After the batches. */
  readonly nextOffset: Offset;
  readonly tail: Offset;
  readonly closed: boolean;
  readonly upToDate: boolean;
  /** The first may begin before the offset that was asked for. */
  readonly batches: readonly { readonly firstOffset: Offset; readonly logTime: number; readonly bytes: Uint8Array }[];
};

/** Records next to each other, after a gap if there is one. */
export type Run = { readonly gap: Gap | undefined; readonly records: readonly ReceivedRecord[] };

/** The records from `from` on, in runs. */
export function decodeAnswer(answer: ReadAnswer, from: Offset, zstd: Zstd | undefined): readonly Run[] {
  const runs: Run[] = [];
  let records: ReceivedRecord[] = [];
  let gap: Gap | undefined;
  let next = from;
  let ended = 0;
  const breakAt = (offset: Offset): void => {
    if (records.length > 0) runs.push({ gap, records });
    gap = { from: records.length > 0 ? next : (gap?.from ?? next), to: offset };
    records = [];
    next = offset;
  };
  for (const batch of answer.batches) {
    // Between two batches there may be nothing: compaction.
    if (batch.firstOffset < ended) throw misordered(ended, batch.firstOffset);
    const decompressing = zstd ?? PLATFORM_ZSTD;
    const decoded = decodeBatch(batch.bytes, {
      rawBytesMax: CLIENT_LIMITS.decodedBatchBytesMax,
      ...(decompressing !== undefined && { zstd: decompressing }),
    });
    if (!decoded.ok)
      throw new TidemarkError(decoded.error.code, `the batch at offset ${batch.firstOffset}: ${decoded.error.message}`);
    for (const { offsetDelta, record } of decoded.value.records) {
      const offset = batch.firstOffset + offsetDelta;
      if (offset < next) continue;
      if (offset > next) breakAt(offset);
      records.push(new ReceivedRecord(record, offset, batch.logTime, answer.incarnation));
      next = offset + 1;
    }
    ended = batch.firstOffset + decoded.value.span;
    if (ended > next) breakAt(ended);
  }
  if (answer.nextOffset < next) throw misordered(next, answer.nextOffset);
  if (answer.nextOffset > next) breakAt(answer.nextOffset);
  if (records.length > 0 || gap !== undefined) runs.push({ gap, records });
  return runs;
}

function misordered(expected: Offset, found: Offset): TidemarkError {
  return new TidemarkError(
    "protocol-error",
    `I7: offset ${expected} should follow, but the server went on at ${found}`,
  );
}
