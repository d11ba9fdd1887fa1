/** Answers `read` and `describe` frames: batches as stored, with what is known of the stream. */
import { utf8 } from "../../../src/lib/bytes.ts";
import { shapeBytes } from "../../../src/wire/app-shape.ts";
import type { AppResponse } from "../../../src/wire/app-look-up.ts";
import type { Incarnation, Offset } from "../../../src/record/offset.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import type { DescribeRequest, ReadRequest } from "../../../src/wire/request.ts";
import type { Response } from "../../../src/wire/response.ts";
import type { StreamDetails, StreamFacts } from "../../../src/wire/stream-facts.ts";
import type { StreamView } from "../../streams/views.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import type { LiveResponse } from "../live-responses.ts";
import { findStream, findStreamToRead, refreshStream } from "../stream-routes/find-stream.ts";
import { waitForChange } from "../stream-routes/live-wait.ts";

export async function answerDescribe(
  context: HttpContext,
  request: DescribeRequest,
  level: Consistency,
): Promise<Response> {
  const stream = await findStream(context, request.stream, undefined, level);
  const { node } = context;
  const behind = level === "eventual" ? { behind: node.behind() } : {};
  return { kind: "description", position: node.position, ...factsOf(stream), ...detailsOf(context, stream), ...behind };
}

export function detailsOf({ node }: HttpContext, stream: StreamView): StreamDetails {
  const { createdAtMs, expiry, expiresAtMs, retention, compactedBefore, forkedFrom } = stream;
  const source = forkedFrom === undefined ? undefined : node.machine.streamById(forkedFrom.streamId);
  return {
    createdAtMs,
    expiry,
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    retention,
    compactedBefore,
    ...(forkedFrom !== undefined &&
      source !== undefined && {
        forkedFrom: { stream: source.name, offset: forkedFrom.offset, partialBytes: forkedFrom.partialBytes },
      }),
  };
}

/** `wait` opens the wait, and is called only where there is something to wait for. */
export async function answerRead(
  context: HttpContext,
  request: ReadRequest,
  wait: (milliseconds: number) => Pick<LiveResponse, "signal" | "finish">,
  level: Consistency,
): Promise<Response> {
  const { node, limits } = context;
  let stream = await findStreamToRead(context, request.stream, undefined, level, request.from === "now");
  node.touch(request.stream);
  checkIncarnation(stream, request.incarnation);
  const from = startOf(request, stream, context);
  const waitMs = Math.min(request.waitMs, limits.frameWaitMsMax);
  if (waitMs > 0 && from >= stream.nextOffset && !stream.closed && node.tailKnown) {
    const live = wait(waitMs);
    try {
      for (;;) {
        stream = refreshStream(context, stream);
        if (from < stream.nextOffset || stream.closed || live.signal.aborted) break;
        await waitForChange(context, stream, live.signal);
      }
    } finally {
      live.finish();
    }
  }
  const maxBytes = Math.min(Math.max(1, request.maxBytes), limits.frameReadBytesMax);
  const read = await node.read(stream, from, { maxBytes });
  if (!read.ok) {
    if (read.error.code === "offset-trimmed") throw trimmed(read.error.firstOffset);
    throw new HttpError(read.error.code, read.error.message);
  }
  const { batches, nextOffset } = read.value;
  const now = refreshStream(context, stream);
  const atEnd = nextOffset >= now.nextOffset;
  if (atEnd && !node.tailKnown && batches.length === 0) throw node.tailUnknown();
  let records = 0;
  let bytes = 0;
  for (const batch of batches) {
    records += batch.span;
    bytes += batch.bytes.length;
  }
  context.observer.read(records, bytes);
  return {
    kind: "records",
    position: node.position,
    ...factsOf(now),
    nextOffset,
    upToDate: atEnd && node.tailKnown,
    batches,
  };
}

/** A token of a deleted stream never reads its successor. */
export function checkIncarnation(stream: StreamView, incarnation: Incarnation | undefined): void {
  if (incarnation !== undefined && incarnation !== stream.incarnation)
    throw new HttpError("stream-gone", "the stream that was read is deleted; another has its name now");
}

function startOf(request: ReadRequest, stream: StreamView, { node }: HttpContext): Offset {
  switch (request.from) {
    case "start":
      return stream.firstOffset;
    case "now":
      if (!node.tailKnown) throw node.tailUnknown();
      return stream.nextOffset;
    case "offset":
      if (request.offset > stream.nextOffset) {
        if (!node.tailKnown) throw node.tailUnknown();
        throw new HttpError("malformed-offset", "the offset is after the stream's end");
      }
      if (request.offset < stream.firstOffset) throw trimmed(stream.firstOffset);
      return request.offset;
  }
}

function trimmed(firstOffset: Offset): HttpError {
  return new HttpError("offset-trimmed", `the first record still kept is at offset ${firstOffset}`, [], {
    firstOffset,
  });
}

export function factsOf(stream: StreamView): StreamFacts {
  const { incarnation, contentType, firstOffset, nextOffset, closed } = stream;
  return { incarnation, contentType, firstOffset, tail: nextOffset, closed };
}

/** A name is long only by intent. */
const LISTED_STREAM_BYTES = 128;

/** Roughly, for the bound on a whole answer. */
export function responseBytes(response: Response): number {
  if (response.kind === "stream-list") return 256 + response.streams.length * LISTED_STREAM_BYTES;
  if (response.kind === "groups") return 256 + response.groups.length * LISTED_STREAM_BYTES;
  if (response.kind === "apps") return 256 + response.apps.length * LISTED_STREAM_BYTES;
  if (response.kind === "app") return appBytes(response);
  if (response.kind === "group") return 256 + (response.streams.length + response.members.length) * LISTED_STREAM_BYTES;
  if (response.kind === "result" && response.result.kind === "group-assigned")
    return 256 + response.result.assignments.length * LISTED_STREAM_BYTES;
  if (response.kind === "cursor") return 256 + (response.value?.length ?? 0);
  if (response.kind !== "records") return 256;
  let bytes = 256 + utf8(response.contentType).length;
  for (const batch of response.batches) bytes += batch.bytes.length + 24;
  return bytes;
}

/** A digest point with who committed it. */
const DIGEST_BYTES = 64;

/** A part of a shape, besides its texts. */
const PART_BYTES = 16;

function appBytes({ description, options, shape, tasks }: AppResponse): number {
  let bytes = 256 + utf8(description).length + utf8(options).length + shapeBytes(shape) + shape.length * PART_BYTES;
  for (const { inputs, digests } of tasks)
    bytes += (1 + inputs.length) * LISTED_STREAM_BYTES + digests.length * DIGEST_BYTES;
  return bytes;
}
