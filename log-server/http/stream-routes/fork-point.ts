/**
 * Where a fork leaves its source (section 4.2). Sub-offsets need the sizes of the source's records, so they are
 * resolved here, by reading, before the command is proposed; applying it checks that the source is still the same.
 */
import type { IncomingHttpHeaders } from "node:http";
import { decodeBatch } from "../../../src/record/batch-codec.ts";
import { type Offset, type OffsetToken, parseOffset } from "../../../src/record/offset.ts";
import type { ForkPoint, StreamName } from "../../../src/wire/command.ts";
import type { StreamView } from "../../streams/views.ts";
import { isJson } from "../content-type.ts";
import type { HttpContext } from "../context.ts";
import { header, parseInteger } from "../header-values.ts";
import { HttpError } from "../http-error.ts";
import { streamOfPath } from "../stream-url.ts";

export type AskedFork = {
  readonly source: StreamName;
  readonly offset: OffsetToken | undefined;
  readonly subOffset: number;
};

export type ResolvedFork = { readonly point: ForkPoint; readonly contentType: string };

export function forkHeaders(headers: IncomingHttpHeaders): AskedFork | undefined {
  const from = header(headers, "stream-forked-from");
  const offsetText = header(headers, "stream-fork-offset");
  const subOffsetText = header(headers, "stream-fork-sub-offset");
  if (from === undefined) {
    if (offsetText === undefined && subOffsetText === undefined) return undefined;
    throw new HttpError("invalid-fork", "Stream-Fork-Offset and Stream-Fork-Sub-Offset need Stream-Forked-From");
  }
  const offset = offsetText === undefined ? undefined : parseOffset(offsetText);
  if (offset !== undefined && !offset.ok) throw new HttpError("invalid-fork", "Stream-Fork-Offset is not an offset");
  const subOffset = subOffsetText === undefined ? 0 : parseInteger(subOffsetText);
  if (subOffset === undefined)
    throw new HttpError("invalid-fork", "Stream-Fork-Sub-Offset must be a non-negative integer");
  return { source: streamOfPath(from), offset: offset?.value, subOffset };
}

export async function resolveFork(context: HttpContext, asked: AskedFork): Promise<ResolvedFork> {
  await context.node.barrier();
  const source = context.node.machine.stream(asked.source);
  if (source === undefined)
    throw new HttpError("stream-not-found", `there is no stream "${asked.source}" to fork from`);
  const { contentType, incarnation } = source;
  if (asked.offset === undefined) {
    if (asked.subOffset > 0) throw new HttpError("invalid-fork", "nothing lies past the source's end");
    return { point: { source: asked.source, incarnation, partialBytes: 0 }, contentType };
  }
  const anchor = anchorOffset(source, asked.offset);
  const place =
    asked.subOffset === 0
      ? { offset: anchor, partialBytes: 0 }
      : await pastAnchor(context, source, anchor, asked.subOffset);
  return { point: { source: asked.source, incarnation, ...place }, contentType };
}

function anchorOffset(source: StreamView, { incarnation, offset }: OffsetToken): Offset {
  if (incarnation === 0 && offset === 0) return 0;
  if (incarnation !== source.incarnation || offset > source.nextOffset) {
    throw new HttpError("invalid-fork", "Stream-Fork-Offset is not an offset of the source, or is past its end");
  }
  return offset;
}

/** The place `subOffset` messages (JSON) or bytes (all else) past the anchor, but not past what was appended there. */
async function pastAnchor(
  context: HttpContext,
  source: StreamView,
  anchor: Offset,
  subOffset: number,
): Promise<{ readonly offset: Offset; readonly partialBytes: number }> {
  const overshoot = new HttpError(
    "invalid-fork",
    "Stream-Fork-Sub-Offset is past the end of what was appended at the offset",
  );
  if (anchor >= source.nextOffset) throw overshoot;
  const read = await context.node.read(source, anchor, { maxBytes: 1 });
  if (!read.ok) throw new HttpError(read.error.code, read.error.message);
  const [batch] = read.value.batches;
  if (batch === undefined) throw overshoot;
  if (isJson(source.contentType)) {
    const offset = anchor + subOffset;
    if (offset > batch.firstOffset + batch.span) throw overshoot;
    return { offset, partialBytes: 0 };
  }
  const decoded = decodeBatch(batch.bytes, {
    ...(context.zstd !== undefined && { zstd: context.zstd }),
    rawBytesMax: context.limits.rawBatchBytesMax,
  });
  if (!decoded.ok) throw new HttpError("damaged", decoded.error.message);
  const record = decoded.value.records.find(({ offsetDelta }) => batch.firstOffset + offsetDelta === anchor)?.record;
  const length = record?.value?.length ?? 0;
  if (subOffset > length) throw overshoot;
  return subOffset === length ? { offset: anchor + 1, partialBytes: 0 } : { offset: anchor, partialBytes: subOffset };
}
