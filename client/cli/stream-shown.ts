/** Streams as the command line shows them. In JSON they have the fields that the native HTTP interface gives them. */
import type { Description, StreamInfo } from "../description.ts";
import { formatDuration } from "./durations.ts";
import { formatFields, formatTime, type Column } from "./output.ts";
import { describeRetention } from "./retention-options.ts";

const MS_PER_SECOND = 1_000;

export const STREAM_COLUMNS: readonly Column[] = [
  { title: "NAME" },
  { title: "TYPE" },
  { title: "FIRST", align: "right" },
  { title: "NEXT", align: "right" },
  { title: "STATE" },
  { title: "CREATED" },
];

export function streamCells(stream: StreamInfo): readonly string[] {
  const { name, contentType, firstOffset, nextOffset, createdAt } = stream;
  const times = formatTime(createdAt.getTime());
  return [name, contentType, String(firstOffset), String(nextOffset), stateOf(stream), times];
}

export function listedJson(stream: StreamInfo): object {
  const { name, contentType, firstOffset, nextOffset, nextToken, closed, createdAt } = stream;
  const createdAtMs = createdAt.getTime();
  return { name, contentType, first: firstOffset, next: nextOffset, token: nextToken, closed, createdAtMs };
}

export function describedJson(stream: Description): object {
  const { ttlSeconds, expiresAt, retention, compactedBefore, forkedFrom } = stream;
  return {
    ...listedJson(stream),
    ...(ttlSeconds !== undefined && { ttlSeconds }),
    ...(expiresAt !== undefined && { expiresAtMs: expiresAt.getTime() }),
    retention,
    compactedBefore,
    ...(forkedFrom !== undefined && { forkedFrom }),
  };
}

export function describedText(stream: Description): string {
  const { name, contentType, firstOffset, nextOffset, nextToken, createdAt } = stream;
  const { ttlSeconds, expiresAt, retention, compactedBefore, forkedFrom } = stream;
  return formatFields({
    "name": name,
    "type": contentType,
    "state": stateOf(stream),
    "records":
      nextOffset === firstOffset ? "none" : `${nextOffset - firstOffset} (offsets ${firstOffset} to ${nextOffset - 1})`,
    "next": `${nextOffset} (${nextToken})`,
    "created": formatTime(createdAt.getTime()),
    "expires": expiresAt === undefined ? undefined : formatTime(expiresAt.getTime()),
    "unused for": ttlSeconds === undefined ? undefined : `at most ${formatDuration(ttlSeconds * MS_PER_SECOND)}`,
    "keeps": describeRetention(retention),
    "compacted": compactedBefore === 0 ? undefined : `before offset ${compactedBefore}`,
    "fork of": forkedFrom === undefined ? undefined : `${forkedFrom.stream}, before offset ${forkedFrom.offset}`,
  });
}

function stateOf({ closed }: StreamInfo): string {
  return closed ? "closed" : "open";
}
