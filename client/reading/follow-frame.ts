/**
 * Records of one answer to a follow, checked and decoded, with what is missing between them. Nothing in it is trusted: every
 * batch's checksum is verified here, and so are the order of offsets and of places in the log (I7).
 */
import type { Zstd } from "../../src/ports/zstd.ts";
import { decodeBatch } from "../../src/record/batch-codec.ts";
import { comparePlaces, type LogPlace } from "../../src/record/log-place.ts";
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import type { FollowBatch, FollowRecordsResponse } from "../../src/wire/follow-frames.ts";
import { TidemarkError, type Gap } from "../error.ts";
import { FollowedRecord } from "./followed-record.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { PLATFORM_ZSTD } from "./platform-zstd.ts";

/** One of the streams, as far as it was taken in. */
export type FollowedStream = {
  readonly name: string;
  /** Known once it has begun. */
  incarnation: Incarnation | undefined;
  next: Offset | undefined;
  over: boolean;
};

/** Records next to each other in the log, behind a gap of one stream if there is one. */
export type FollowRun = {
  readonly gap: { readonly stream: FollowedStream; readonly gap: Gap } | undefined;
  readonly records: FollowedRecord[];
};

/**
 * Run by run, as they are asked for: decoded, records take many times the bytes that bound what is fetched, most of all where
 * those are compressed. Moves the streams on as far as it has come. `streams`: as the request named them; `from`: the mark before.
 */
export function* decodeFollowRecords(
  { batches, next }: FollowRecordsResponse,
  streams: readonly FollowedStream[],
  from: LogPlace,
  zstd: Zstd | undefined,
): Generator<FollowRun, void, undefined> {
  let run: FollowRun = { gap: undefined, records: [] };
  let runs: FollowRun[] = [run];
  let place = from;
  const skip = (stream: FollowedStream, gap: Gap): void => {
    run = { gap: { stream, gap }, records: [] };
    runs.push(run);
    stream.next = gap.to;
  };
  for (const batch of batches) {
    if (runs.length > 1 || run.records.length >= CLIENT_LIMITS.decodedRecordsMax) {
      yield* runs;
      run = { gap: undefined, records: [] };
      runs = [run];
    }
    const stream = streams[batch.stream];
    if (stream?.next === undefined || stream.over)
      throw new TidemarkError("protocol-error", "records came of a stream that is not followed");
    if (comparePlaces(batch, place) < 0) throw misordered(batch);
    place = batch;
    if (batch.firstOffset > stream.next) skip(stream, { from: stream.next, to: batch.firstOffset });
    const end = decodeInto(batch, stream, () => run, skip, zstd);
    if (end > stream.next) skip(stream, { from: stream.next, to: end });
  }
  if (comparePlaces(next, place) < 0) throw misordered(next);
  yield* runs;
}

/** Returns where the batch ends. */
function decodeInto(
  batch: FollowBatch,
  stream: FollowedStream,
  run: () => FollowRun,
  skip: (stream: FollowedStream, gap: Gap) => void,
  zstd: Zstd | undefined,
): Offset {
  const { position, ordinal, firstOffset, logTime, bytes } = batch;
  const decompressing = zstd ?? PLATFORM_ZSTD;
  const decoded = decodeBatch(bytes, {
    rawBytesMax: CLIENT_LIMITS.decodedBatchBytesMax,
    ...(decompressing !== undefined && { zstd: decompressing }),
  });
  if (!decoded.ok) {
    const message = `the batch of "${stream.name}" at offset ${firstOffset}: ${decoded.error.message}`;
    throw new TidemarkError(decoded.error.code, message);
  }
  const { name, incarnation = 0 } = stream;
  let next = stream.next as Offset;
  let { records } = run();
  for (const { offsetDelta, record } of decoded.value.records) {
    const offset = firstOffset + offsetDelta;
    if (offset < next) continue;
    if (offset > next) {
      skip(stream, { from: next, to: offset });
      ({ records } = run());
    }
    records.push(new FollowedRecord(record, offset, logTime, incarnation, name, position, ordinal, offsetDelta));
    next = offset + 1;
  }
  stream.next = next;
  return firstOffset + decoded.value.span;
}

function misordered({ position, ordinal }: LogPlace): TidemarkError {
  return new TidemarkError("protocol-error", `I7: place ${position}.${ordinal} of the log came after a later one`);
}
