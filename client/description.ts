/** What the SDK tells of a stream: in a listing, and in full. */
import { formatOffset, type Incarnation, type Offset } from "../src/record/offset.ts";
import type { Retention } from "../src/wire/command.ts";
import type { ListedStream } from "../src/wire/look-up.ts";
import type { DescriptionResponse } from "../src/wire/response.ts";
import type { Behind, StreamOrigin } from "../src/wire/stream-facts.ts";

/** A stream as `client.streams()` lists it. */
export type StreamInfo = {
  readonly name: string;
  readonly contentType: string;
  /** Tells this stream from others that had its name before, or will have it. */
  readonly incarnation: Incarnation;
  /** Of the oldest record that is retained. */
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
  readonly nextToken: string;
  /** It takes no more records. */
  readonly closed: boolean;
  /** By the log's time. */
  readonly createdAt: Date;
};

/** All there is to know of a stream. */
export type Description = StreamInfo & {
  /** The stream ends this long after its last read or write, if it has such an end. */
  readonly ttlSeconds?: number;
  /** When it ends, unless it is used before where it has `ttlSeconds`; by the log's time. */
  readonly expiresAt?: Date;
  /** What it may forget by itself. */
  readonly retention: Retention;
  /** Before this only the newest record of each key is sure to be there; 0: nothing was compacted. */
  readonly compactedBefore: Offset;
  /** The stream it was forked from: the records before this offset are that one's. */
  readonly forkedFrom?: StreamOrigin;
  /** How old this may be, where the client's consistency is `eventual`. */
  readonly behind?: Behind;
};

export function toInfo(stream: ListedStream): StreamInfo {
  const { name, contentType, incarnation, firstOffset, tail, closed, createdAtMs } = stream;
  return {
    name,
    contentType,
    incarnation,
    firstOffset,
    nextOffset: tail,
    nextToken: formatOffset(incarnation, tail),
    closed,
    createdAt: new Date(createdAtMs),
  };
}

export function toDescription(name: string, response: DescriptionResponse): Description {
  const { expiry, expiresAtMs, retention, compactedBefore, forkedFrom, behind } = response;
  return {
    ...toInfo({ ...response, name }),
    ...(expiry.kind === "sliding" && { ttlSeconds: expiry.ttlSeconds }),
    ...(expiresAtMs !== undefined && { expiresAt: new Date(expiresAtMs) }),
    retention,
    compactedBefore,
    ...(forkedFrom !== undefined && { forkedFrom }),
    ...(behind !== undefined && { behind }),
  };
}
