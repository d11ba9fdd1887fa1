/** Where a read of records begins: an offset, a token, the start, the tail, or a time. */
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamView } from "../../streams/views.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { offsetAtTime } from "../native/answer-look-up.ts";
import { checkIncarnation } from "../native/answer-read.ts";
import { parsePlace, parseTime } from "../places.ts";
import { trimmed } from "../stream-routes/find-stream.ts";

export type AskedStart = { readonly offset?: string; readonly time?: string };

export async function startOf(context: HttpContext, stream: StreamView, asked: AskedStart): Promise<Offset> {
  const { offset, time } = asked;
  const { node } = context;
  if (offset !== undefined && time !== undefined)
    throw new HttpError("malformed-url", "a read begins at an offset or at a time, not both");
  if (time !== undefined) return offsetAtTime(context, stream, parseTime(time));
  if (offset === undefined || offset === "start") return stream.firstOffset;
  if (offset === "now") {
    if (!node.tailKnown) throw node.tailUnknown();
    return stream.nextOffset;
  }
  // What the start is called over there.
  if (offset === "-1")
    throw new HttpError(
      "malformed-offset",
      "the start is `offset=start` here, or no offset; -1 is for /v1/stream only",
    );
  const place = parsePlace(offset);
  checkIncarnation(stream, place.incarnation);
  if (place.offset > stream.nextOffset) {
    if (!node.tailKnown) throw node.tailUnknown();
    throw new HttpError("malformed-offset", "the offset is after the stream's end");
  }
  // The token of all zeros is the start of any stream.
  const isStart = place.offset === 0 && place.incarnation === undefined && offset.includes("_");
  if (place.offset < stream.firstOffset && !isStart) throw trimmed(stream, stream.firstOffset);
  return Math.max(place.offset, stream.firstOffset);
}
