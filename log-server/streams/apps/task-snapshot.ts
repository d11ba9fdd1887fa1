/**
 * `task-snapshot` and `task-trimmed`: which snapshots of a task there are, and which of them is more than a cache. As long as no
 * input is trimmed on them, they may all go: that costs time and nothing else. Once some is, the newest verified one is data.
 */
import { compareDigestPoints, type DigestPoint } from "../../../src/record/digest-point.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { TaskSnapshotCommand, TaskTrimmedCommand } from "../../../src/wire/app-command.ts";
import type { CommittedPoint, TaskStanding, WrittenSnapshot } from "../../../src/wire/app-facts.ts";
import { ownerOfSnapshots, snapshotsStream } from "../../../src/wire/app-streams.ts";
import type { CommandResult, Rejection, StreamName } from "../../../src/wire/command.ts";
import type { AppTask } from "./app-task.ts";
import { reject } from "../rejections.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import { findStream } from "../stream-lifecycle.ts";
import { taskOf } from "./task-of.ts";

export function noteSnapshot(state: State, step: Step, command: TaskSnapshotCommand): CommandResult {
  const task = taskOf(state, command);
  if ("code" in task) return task;
  const { app, task: name, replica, manifest, neededFrom, point } = command;
  const stream = findStream(state, step, snapshotsStream(app, name));
  if (stream === undefined || stream.deleted || manifest >= stream.nextOffset || neededFrom > manifest)
    return reject("invalid-app", "there is no such snapshot");
  if (neededFrom < stream.firstOffset) return reject("invalid-app", "what the snapshot needs is no longer kept");
  const waiting = keptWaiting(state, step, task);
  const { verified, snapshot: _snapshot, ...rest } = task.standing;
  const { digests } = rest;
  const contrary = digests.find(({ point: other }) => isAt(other, point) && !isSame(other, point));
  if (contrary !== undefined)
    return reject("condition-failed", `what ${contrary.replica} committed there has another digest`);
  const written: WrittenSnapshot = { replica, manifest, neededFrom, point };
  const newest = command.verified
    ? snapshotsWith([], written, waiting)
    : snapshotsWith(digests, verified, isNewer(written, waiting) ? written : waiting);
  // An older one than is verified is of no use to anyone.
  if (command.verified && !isNewer(written, verified)) return { kind: "done" };
  state.apps.changeTask(task, inOrder({ ...rest, ...newest }), step);
  return { kind: "done" };
}

export function noteTrimmed(state: State, step: Step, command: TaskTrimmedCommand): CommandResult {
  const task = taskOf(state, command);
  if ("code" in task) return task;
  const { app, task: name, manifest } = command;
  const { standing } = task;
  if (standing.verified?.manifest !== manifest)
    return reject("condition-failed", "the newest verified snapshot is another");
  const stream = findStream(state, step, snapshotsStream(app, name));
  if (stream === undefined || stream.deleted || stream.firstOffset > standing.verified.neededFrom)
    return reject("condition-failed", "the snapshot is no longer kept");
  if (stream.expiry.kind !== "never") return reject("condition-failed", "the stream of snapshots ends by itself");
  state.apps.changeTask(task, { ...standing, trimmed: true }, step);
  return { kind: "done" };
}

/** Records of the stream from this offset on must stay; undefined: none. */
export function neededIn({ apps }: State, stream: StreamName): Offset | undefined {
  const owner = ownerOfSnapshots(stream);
  const standing = owner && apps.get(owner.app)?.tasks.get(owner.task)?.standing;
  return standing?.trimmed === true ? standing.verified?.neededFrom : undefined;
}

/** Why records before this offset, or all of them, cannot go. */
export function snapshotRefusal(state: State, stream: StreamName, before: Offset): Rejection | undefined {
  const needed = neededIn(state, stream);
  if (needed === undefined || before <= needed) return undefined;
  return reject("snapshot-needed", `input was trimmed on a snapshot that needs "${stream}" from offset ${needed} on`);
}

/** The snapshot that waits to be verified; undefined, too, once a record that it needs is gone: it must not take a kept one's place. */
export function keptWaiting(state: State, step: Step, task: AppTask): WrittenSnapshot | undefined {
  if (task.standing.snapshot === undefined) return undefined;
  const stream = findStream(state, step, snapshotsStream(task.app.name, task.name));
  // With the stream they end (`AppTable.endSnapshots`), so what still stands is in the one that is there.
  const { snapshot } = task.standing;
  return stream !== undefined && snapshot !== undefined && stream.firstOffset <= snapshot.neededFrom
    ? snapshot
    : undefined;
}

/** What is known of snapshots when these points are committed: one that waits is verified by another replica's. */
export function snapshotsWith(
  points: readonly CommittedPoint[],
  verified: WrittenSnapshot | undefined,
  waiting: WrittenSnapshot | undefined,
): Pick<TaskStanding, "verified" | "snapshot"> {
  const isVerified =
    waiting !== undefined &&
    isNewer(waiting, verified) &&
    points.some(({ replica, point }) => replica !== waiting.replica && isSame(point, waiting.point));
  if (isVerified) return { verified: waiting };
  return {
    ...(verified !== undefined && { verified }),
    ...(waiting !== undefined && isNewer(waiting, verified) && { snapshot: waiting }),
  };
}

/** The order of its fields must not tell how it came about. */
function inOrder({ nextDue, verified, snapshot, trimmed, commit, ...rest }: TaskStanding): TaskStanding {
  return {
    ...rest,
    ...(nextDue !== undefined && { nextDue }),
    ...(verified !== undefined && { verified }),
    ...(snapshot !== undefined && { snapshot }),
    trimmed,
    ...(commit !== undefined && { commit }),
  };
}

function isNewer({ point }: WrittenSnapshot, other: WrittenSnapshot | undefined): boolean {
  return other === undefined || compareDigestPoints(point, other.point) > 0;
}

function isAt(a: DigestPoint, b: DigestPoint): boolean {
  return compareDigestPoints(a, b) === 0;
}

function isSame(a: DigestPoint, b: DigestPoint): boolean {
  return isAt(a, b) && a.state === b.state && a.outputs === b.outputs;
}
