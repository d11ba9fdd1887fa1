/** Commands about streams as a whole: `delete`, `touch`, `settings`, `trim`. */
import type { Offset } from "../../src/record/offset.ts";
import type {
  CommandResult,
  DeleteCommand,
  SettingsCommand,
  TouchCommand,
  TrimCommand,
} from "../../src/wire/command.ts";
import { openFor } from "./append-records.ts";
import { reject, tooMany, whereabouts } from "./rejections.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";
import { endStream, findStream, indexRetention, refreshExpiry } from "./stream-lifecycle.ts";
import { losesRecords, sameRetention, type Stream } from "./stream.ts";
import { appRefusal, writeRefusal } from "./apps/app-streams.ts";
import { snapshotRefusal } from "./apps/task-snapshot.ts";

export function deleteStream(state: State, step: Step, command: DeleteCommand): CommandResult {
  const stream = openFor(state, step, command);
  if ("kind" in stream) return stream;
  const refusal =
    appRefusal(state, step, stream.name, "end") ?? snapshotRefusal(state, stream.name, Number.POSITIVE_INFINITY);
  if (refusal !== undefined) return refusal;
  endStream(state, step, stream);
  return { kind: "done" };
}

/** Streams that are gone meanwhile are passed over. */
export function touchStreams(state: State, step: Step, command: TouchCommand): CommandResult {
  const { touchStreamsMax } = state.limits;
  if (command.streams.length > touchStreamsMax) return tooMany("streams in one touch", touchStreamsMax);
  for (const name of command.streams) {
    const stream = findStream(state, step, name);
    if (stream !== undefined && !stream.deleted) refreshExpiry(state, step, stream);
  }
  return { kind: "done" };
}

export function changeSettings(state: State, step: Step, command: SettingsCommand): CommandResult {
  const stream = openFor(state, step, command);
  if ("kind" in stream) return stream;
  if (sameRetention(stream.retention, command.retention)) return { kind: "done" };
  const refusal = losesRecords(command.retention) ? appRefusal(state, step, stream.name, "records") : undefined;
  if (refusal !== undefined) return refusal;
  stream.retention = command.retention;
  indexRetention(state, stream);
  state.ledger.touch(stream);
  return { kind: "done" };
}

export function trimStream(state: State, step: Step, command: TrimCommand): CommandResult {
  const stream = openFor(state, step, command);
  if ("kind" in stream) return stream;
  return writeRefusal(state, step, stream.name) ?? dropRecords(state, step, stream, command.before);
}

/** Moves the frontier below which the stream's records are gone for its readers; forks keep what they inherited. */
export function dropRecords(state: State, step: Step, stream: Stream, before: Offset): CommandResult {
  if (before > stream.nextOffset) {
    return reject("malformed-offset", "the offset is past the stream's end", whereabouts(stream));
  }
  const refusal = snapshotRefusal(state, stream.name, before);
  if (refusal !== undefined) return refusal;
  if (before > stream.firstOffset) {
    stream.firstOffset = before;
    state.ledger.touch(stream);
    state.groups.trimmed(stream, step);
    step.changed.add(stream.id);
  }
  return { kind: "trimmed", firstOffset: stream.firstOffset };
}
