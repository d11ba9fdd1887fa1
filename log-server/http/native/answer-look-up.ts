/** Answers `list`, `locate` and `cursor-get` frames, and whoever else lists. */
import type { Consistency } from "../../../src/wire/consistency.ts";
import type { CursorRequest, ListRequest, LocateRequest, StreamListResponse } from "../../../src/wire/look-up.ts";
import type { Response } from "../../../src/wire/response.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamView } from "../../streams/views.ts";
import { reach } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { findStreamToRead } from "../stream-routes/find-stream.ts";
import { checkIncarnation, factsOf } from "./answer-read.ts";

export async function answerList(
  context: HttpContext,
  request: ListRequest,
  level: Consistency,
): Promise<StreamListResponse> {
  const { node, limits } = context;
  await reach(context, level);
  const limit = Math.min(Math.max(1, request.limit), limits.listedStreamsMax);
  const { streams, next } = node.machine.list(request.prefix, request.after, limit);
  return {
    kind: "stream-list",
    position: node.position,
    streams: streams.map((stream) => ({
      name: stream.name,
      ...factsOf(stream),
      createdAtMs: stream.createdAtMs,
    })),
    ...(next !== undefined && { next }),
  };
}

export async function answerLocate(
  context: HttpContext,
  request: LocateRequest,
  level: Consistency,
): Promise<Response> {
  const stream = await findStreamToRead(context, request.stream, undefined, level);
  checkIncarnation(stream, request.incarnation);
  const offset = await offsetAtTime(context, stream, request.atMs);
  return { kind: "located", position: context.node.position, incarnation: stream.incarnation, offset };
}

/** The first retained offset appended at the time or later. Throws where that may be behind damage. */
export async function offsetAtTime(context: HttpContext, stream: StreamView, atMs: number): Promise<Offset> {
  const { node } = context;
  const found = await node.offsetAtTime(stream, atMs);
  if (!found.ok) throw new HttpError(found.error.code, found.error.message);
  if (found.value >= stream.nextOffset && !node.tailKnown) throw node.tailUnknown();
  return found.value;
}

export async function answerCursor(
  context: HttpContext,
  request: CursorRequest,
  level: Consistency,
): Promise<Response> {
  const { node } = context;
  await reach(context, level);
  let value = node.machine.cursor(request.name);
  if (value === undefined && level === "session") {
    await node.barrier();
    value = node.machine.cursor(request.name);
  }
  return { kind: "cursor", position: node.position, ...(value !== undefined && { value }) };
}
