/** A record as a feed gives it, as a task takes it in. */
import type { TaskInput } from "../operators/engine/task-input.ts";
import type { FeedRecord } from "./task-log.ts";

/** `source`: under which name the topology knows the record's stream. */
export function inputOf(record: FeedRecord, source: string): TaskInput {
  const { offset, place, key, value, headers, timestamp, logTime } = record;
  return {
    source,
    offset,
    place,
    value,
    logTime,
    ...(key !== undefined && { key }),
    ...(headers !== undefined && { headers }),
    ...(timestamp !== undefined && { timestamp }),
  };
}
