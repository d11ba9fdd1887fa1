/** What a stream may forget by itself, as options: each bound is set, taken away by `none`, or left as it is. */
import { type Command, InvalidArgumentError } from "commander";
import { parseSize } from "../../log-server/config/values.ts";
import type { Retention } from "../../src/wire/command.ts";
import { formatDuration, parseDuration } from "./durations.ts";
import { formatBytes } from "./output.ts";

const NONE = "none";
/** `none`: taken away. */
type Bound = number | typeof NONE;

export type RetentionOptions = {
  readonly maxAge?: Bound;
  readonly maxBytes?: Bound;
  readonly compact?: Bound;
};

export function withRetentionOptions(command: Command): Command {
  return command
    .option("--max-age <duration>", "forget records older than this, such as 7d; none: never", durationOrNone)
    .option("--max-bytes <size>", "forget the oldest beyond this, such as 10GiB; none: never", sizeOrNone)
    .option(
      "--compact <duration>",
      "keep the newest record of each key, and what deletes a key for this long; none: keep all",
      durationOrNone,
    );
}

/** The bounds as they were, with what the options change. */
export function changedRetention(before: Retention, options: RetentionOptions): Retention {
  const maxAgeMs = options.maxAge === undefined ? before.maxAgeMs : options.maxAge;
  const maxBytes = options.maxBytes === undefined ? before.maxBytes : options.maxBytes;
  const tombstoneMs = options.compact === undefined ? before.compaction?.tombstoneMs : options.compact;
  return {
    ...(isSet(maxAgeMs) && { maxAgeMs }),
    ...(isSet(maxBytes) && { maxBytes }),
    ...(isSet(tombstoneMs) && { compaction: { tombstoneMs } }),
  };
}

export function changesRetention({ maxAge, maxBytes, compact }: RetentionOptions): boolean {
  return maxAge !== undefined || maxBytes !== undefined || compact !== undefined;
}

export function describeRetention({ maxAgeMs, maxBytes, compaction }: Retention): string {
  const parts = [
    ...(maxAgeMs === undefined ? [] : [`at most ${formatDuration(maxAgeMs)} old`]),
    ...(maxBytes === undefined ? [] : [`at most ${formatBytes(maxBytes)}`]),
    ...(compaction === undefined
      ? []
      : [`the newest of each key (deleted ones for ${formatDuration(compaction.tombstoneMs)})`]),
  ];
  return parts.length === 0 ? "everything" : parts.join(", ");
}

function isSet(bound: Bound | undefined): bound is number {
  return bound !== undefined && bound !== NONE;
}

function durationOrNone(text: string): Bound {
  if (text === NONE) return NONE;
  const duration = parseDuration(text);
  if (duration === undefined) throw new InvalidArgumentError("It must be a duration such as 36h or 7d, or none.");
  return duration;
}

function sizeOrNone(text: string): Bound {
  if (text === NONE) return NONE;
  const size = parseSize(text);
  if (!size.ok) throw new InvalidArgumentError("It must be a number of bytes, one with KiB, MiB, GiB or TiB, or none.");
  return size.value;
}
