/** What a follow of many streams is told, and its completion: nothing below has defaults of its own. */
import type { Zstd } from "../../src/ports/zstd.ts";
import type { LogPlace } from "../../src/record/log-place.ts";
import { checkStreamName } from "../../src/wire/stream-name.ts";
import type { CallOptions } from "../deadline.ts";
import { TidemarkError, type Gap } from "../error.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import type { FollowFrom, MergedStreamConfig } from "./merged-stream.ts";
import type { ReadStatus } from "./record-stream.ts";
import { toPlace, type Place } from "../stream.ts";

export type FollowOptions = CallOptions & {
  /**
   * Where the streams begin: `"start"` (the oldest records that are retained; the default), `"now"` (the tails, all at one
   * moment), or for each stream by its name one of these or a place in it: `places` of an earlier follow. What is not
   * named begins at the start.
   */
  readonly from?: "start" | "now" | Readonly<Record<string, Place>>;
  /** Nothing that the log has before this place: the `mark` of an earlier follow. */
  readonly notBefore?: LogPlace;
  /** Delivers marks, too: up to where everything was delivered, also while the streams are silent and the log goes on. */
  readonly marks?: boolean;
  /** Milliseconds between marks while the streams are silent. Default 20. */
  readonly markEveryMs?: number;
  /** What may be fetched ahead of the loop, in bytes as they come: often compressed. Default 4 MiB. */
  readonly prefetchBytes?: number;
  /** Told of records that are gone, before what follows them. Without it a gap ends the following: `offset-trimmed`. */
  readonly onGap?: (stream: string, gap: Gap) => void;
  /** Told when everything in a stream that was closed has been delivered, or that it was deleted. */
  readonly onStreamEnd?: (stream: string, reason: "closed" | "deleted") => void;
  /** Told when the connection breaks and when it is back. */
  readonly onStatus?: (status: ReadStatus) => void;
};

export function completeFollow(
  names: readonly string[],
  options: FollowOptions,
  zstd: Zstd | undefined,
): MergedStreamConfig {
  const { from = "start", notBefore, markEveryMs = CLIENT_LIMITS.markEveryMs } = options;
  if (names.length === 0) throw new TidemarkError("invalid-argument", "a follow names one stream at least");
  if (new Set(names).size < names.length) throw new TidemarkError("invalid-argument", "a follow names a stream twice");
  for (const name of names) {
    const checked = checkStreamName(name);
    if (!checked.ok) throw new TidemarkError(checked.error.code, checked.error.message);
  }
  if (notBefore !== undefined && !(isCount(notBefore.position) && isCount(notBefore.ordinal)))
    throw new TidemarkError("invalid-argument", "a place of the log is two whole numbers from 0");
  if (!(isCount(markEveryMs) && markEveryMs > 0))
    throw new TidemarkError("invalid-argument", "`markEveryMs` is a whole number from 1");
  const stranger = typeof from === "string" ? undefined : Object.keys(from).find((name) => !names.includes(name));
  if (stranger !== undefined)
    throw new TidemarkError("invalid-argument", `\`from\` names "${stranger}", which is not followed`);
  return {
    streams: names.map((name) => ({ name, from: typeof from === "string" ? from : startOf(from[name]) })),
    notBefore,
    marks: options.marks ?? false,
    markEveryMs,
    prefetchBytes: Math.max(options.prefetchBytes ?? CLIENT_LIMITS.prefetchBytes, CLIENT_LIMITS.prefetchBytesMin),
    timeoutMs: options.timeout ?? Number.POSITIVE_INFINITY,
    signal: options.signal,
    onGap: options.onGap,
    onStreamEnd: options.onStreamEnd,
    onStatus: options.onStatus,
    zstd,
  };
}

function startOf(from: Place | undefined): FollowFrom {
  return from === undefined || from === "start" || from === "now" ? (from ?? "start") : toPlace(from);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
