/** Where a follow of many streams begins: which of them are there, and from which offset each is sent. */
import type { LogPlace } from "../../src/record/log-place.ts";
import type { Offset } from "../../src/record/offset.ts";
import type { FollowRequest, FollowResponse, FollowStart } from "../../src/wire/follow-frames.ts";
import { NodeError } from "../node/node-error.ts";
import type { StreamView } from "../streams/views.ts";
import type { WsContext } from "./ports.ts";
import { factsOf } from "./subscription.ts";

/** A stream that is there, and its place in the request. */
export type BegunStream = { readonly place: number; readonly view: StreamView; readonly offset: Offset };

/** Throws what refuses the whole. Without meaning once the signal has fired. */
export async function beginFollow(
  context: WsContext,
  request: FollowRequest,
  signal: AbortSignal,
): Promise<readonly BegunStream[]> {
  const { streams: starts, notBefore } = request;
  const { followStreamsMax } = context.limits;
  if (starts.length > followStreamsMax)
    throw new NodeError("too-many", `a follow has at most ${followStreamsMax} streams`);
  const found: { readonly place: number; readonly start: FollowStart; readonly view: StreamView }[] = [];
  for (const [place, start] of starts.entries()) {
    const view = await find(context, start);
    if (signal.aborted) return [];
    if (view !== undefined) found.push({ place, start, view });
  }
  // All of one moment, so that "now" is the same for all.
  const begun: BegunStream[] = [];
  for (const { place, start, view: known } of found) {
    const view = refresh(context, known, start);
    if (view !== undefined) begun.push({ place, view, offset: startIn(context, view, start) });
  }
  return notBefore === undefined ? begun : boundBelow(context, begun, notBefore, signal);
}

/** What is said first: where each stream begins, and which are not there any more. */
export function tellBeginning(
  position: number,
  request: FollowRequest,
  begun: readonly BegunStream[],
): readonly FollowResponse[] {
  const byPlace = new Map(begun.map((stream) => [stream.place, stream]));
  const gone: FollowResponse[] = [];
  const streams = request.streams.map(({ incarnation = 0, offset }, place) => {
    const stream = byPlace.get(place);
    if (stream !== undefined) return { ...factsOf(stream.view), offset: stream.offset };
    gone.push({ kind: "stream-event", position, stream: place, event: { kind: "deleted", nextOffset: offset } });
    return { incarnation, contentType: "", firstOffset: offset, tail: offset, closed: false, offset };
  });
  return [{ kind: "following", position, streams }, ...gone];
}

/** Undefined where a reader comes back to a stream that is deleted by now: to it, that happened while it followed. */
async function find(context: WsContext, start: FollowStart): Promise<StreamView | undefined> {
  const { stream: name, incarnation } = start;
  try {
    const stream = await context.requests.find(name);
    return incarnation === undefined || incarnation === stream.incarnation ? stream : undefined;
  } catch (error) {
    if (isGone(context, error, start)) return undefined;
    throw error;
  }
}

/** The same, for one that was deleted while others were looked for. */
function refresh(context: WsContext, known: StreamView, start: FollowStart): StreamView | undefined {
  try {
    return context.requests.refresh(known);
  } catch (error) {
    if (isGone(context, error, start)) return undefined;
    throw error;
  }
}

function isGone(context: WsContext, error: unknown, { incarnation }: FollowStart): boolean {
  const { code } = context.requests.failure(error);
  return incarnation !== undefined && (code === "stream-not-found" || code === "stream-gone");
}

function startIn({ node }: WsContext, stream: StreamView, { from, offset }: FollowStart): Offset {
  switch (from) {
    case "start":
      return stream.firstOffset;
    case "now":
      if (!node.tailKnown) throw node.tailUnknown();
      return stream.nextOffset;
    case "offset":
      if (offset <= stream.nextOffset) return offset;
      if (!node.tailKnown) throw node.tailUnknown();
      throw new NodeError("malformed-offset", `offset ${offset} is after the end of the stream "${stream.name}"`);
  }
}

/** Nothing before `place`, and nothing before where a stream begins. */
async function boundBelow(
  { node }: WsContext,
  streams: readonly BegunStream[],
  place: LogPlace,
  signal: AbortSignal,
): Promise<readonly BegunStream[]> {
  if (place.position > node.position + 1) {
    if (!node.tailKnown) throw node.tailUnknown();
    throw new NodeError("malformed-offset", `position ${place.position} is after the log's end`);
  }
  const bounded: BegunStream[] = [];
  for (const stream of streams) {
    const offset = await node.offsetAtPlace(stream.view, place);
    if (signal.aborted) break;
    if (!offset.ok) throw new NodeError(offset.error.code, offset.error.message);
    bounded.push({ ...stream, offset: Math.max(offset.value, stream.offset) });
  }
  return bounded;
}
