/**
 * The stream that a request is about, at a linearizable point unless less was asked for: whatever an answer shows of tail,
 * closure or absence was true at some moment during the request.
 */
import { formatOffset, type Offset } from "../../../src/record/offset.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import type { StreamView } from "../../streams/views.ts";
import { reach } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { awaitSession } from "../session-token.ts";
import type { ReadFrom } from "../stream-url.ts";

/** `session` is the token that the client has shown. `edge`: see `reach`. */
export async function findStream(
  context: HttpContext,
  name: StreamName,
  session: string | undefined,
  level: Consistency = "linearizable",
  edge = true,
): Promise<StreamView> {
  if (session !== undefined) await awaitSession(context.node, session, context.limits.sessionWaitMs);
  await reach(context, level, edge);
  const stream = context.node.machine.stream(name);
  if (stream === undefined) throw new HttpError("stream-not-found", `there is no stream "${name}"`);
  if (stream.deleted) throw gone(name);
  return stream;
}

/**
 * The same for reading records: those that are known are served even where damage hides what the log says after them.
 * Whoever answers must then not say that the stream ends there: see `readChunk`.
 */
export async function findStreamToRead(
  context: HttpContext,
  name: StreamName,
  session: string | undefined,
  level: Consistency = "linearizable",
  edge = true,
): Promise<StreamView> {
  const known = context.node.machine.stream(name);
  if (context.node.tailKnown || known === undefined || known.deleted)
    return findStream(context, name, session, level, edge);
  return known;
}

/** The stream as it is now, while a request goes on reading it. */
export function refreshStream(context: HttpContext, known: StreamView): StreamView {
  const stream = context.node.machine.streamById(known.id);
  if (stream === undefined) throw new HttpError("stream-not-found", `the stream "${known.name}" was deleted meanwhile`);
  if (stream.deleted) throw gone(known.name);
  return stream;
}

/** Where a read begins. */
export function resolveFrom(context: HttpContext, stream: StreamView, from: ReadFrom): Offset {
  const { node } = context;
  switch (from.kind) {
    case "start":
      return stream.firstOffset;
    case "now":
      if (!node.tailKnown) throw node.tailUnknown();
      return stream.nextOffset;
    case "token":
      break;
  }
  const { incarnation, offset } = from.token;
  if (incarnation === 0 && offset === 0) return stream.firstOffset;
  const isLater =
    incarnation > stream.incarnation || (incarnation === stream.incarnation && offset > stream.nextOffset);
  if (isLater && !node.tailKnown) throw node.tailUnknown();
  if (incarnation !== stream.incarnation) {
    if (incarnation === 0 || incarnation > stream.incarnation)
      throw new HttpError("malformed-offset", "this service did not give this offset");
    throw new HttpError("stream-gone", "the offset is of an earlier stream of this name, which is deleted");
  }
  if (offset > stream.nextOffset) throw new HttpError("malformed-offset", "the offset is after the stream's end");
  if (offset < stream.firstOffset) throw trimmed(stream, stream.firstOffset);
  return offset;
}

export function trimmed(stream: StreamView, firstOffset: Offset): HttpError {
  const first = formatOffset(stream.incarnation, firstOffset);
  return new HttpError("offset-trimmed", `the first record still kept is at ${first}`, ["Stream-First-Offset", first], {
    firstOffset: first,
  });
}

function gone(name: StreamName): HttpError {
  return new HttpError("stream-gone", `the stream "${name}" is deleted, though forks of it still exist`);
}
