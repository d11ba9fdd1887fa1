/**
 * `compact`: moves the frontiers below which a stream holds only the newest record of each key. What that means for its
 * records follows from the frontiers alone, the same on every node; when the disk gives the rest back is each node's
 * own business.
 */
import type { CommandResult, CompactCommand } from "../../src/wire/command.ts";
import { openFor } from "./append-records.ts";
import { reject, whereabouts } from "./rejections.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";
import { neededIn } from "./apps/task-snapshot.ts";

export function compactStream(state: State, step: Step, command: CompactCommand): CommandResult {
  const stream = openFor(state, step, command);
  if ("kind" in stream) return stream;
  const { before, tombstonesBefore } = command;
  if (before > stream.nextOffset) {
    return reject("malformed-offset", "the offset is past the stream's end", whereabouts(stream));
  }
  if (tombstonesBefore > stream.compactedBefore) {
    return reject("malformed-offset", "tombstones are kept up to the frontier as it was", whereabouts(stream));
  }
  // Forks pin what they inherit; and what the user asks for now is what counts.
  if (stream.hasForks || stream.retention.compaction === undefined) return { kind: "done" };
  if (neededIn(state, stream.name) !== undefined) return { kind: "done" };
  // Only its own records are compacted: a frontier among those it inherits would mean nothing.
  if (before > Math.max(stream.compactedBefore, stream.ownFrom)) {
    stream.compactedBefore = before;
    state.ledger.touch(stream);
  }
  // A fork's tombstones may delete what it inherits, and that stays: so do they.
  const inherits = stream.firstOffset < stream.ownFrom;
  if (tombstonesBefore > stream.tombstonesBefore && !inherits) {
    stream.tombstonesBefore = tombstonesBefore;
    state.ledger.touch(stream);
  }
  return { kind: "done" };
}
