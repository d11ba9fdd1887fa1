/**
 * `task-commit`: a task took in its input up to a place, and this is what it had there. It counts only if the task is where
 * it begins, which is all that exactly-once takes (I12): the outputs are in the same transaction.
 */
import { compareRecordPlaces } from "../../../src/record/record-place.ts";
import { compareTaskPlaces } from "../../../src/record/task-place.ts";
import type { TaskCommitCommand } from "../../../src/wire/app-command.ts";
import type { CommandResult, Rejection } from "../../../src/wire/command.ts";
import type { AppTask } from "./app-task.ts";
import { keptWaiting, snapshotsWith } from "./task-snapshot.ts";
import { taskOf } from "./task-of.ts";
import { reject, tooMany } from "../rejections.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";

export function commitTask(state: State, step: Step, command: TaskCommitCommand): CommandResult {
  const task = taskOf(state, command);
  if ("code" in task) return task;
  const refusal = refusalOf(state, step, task, command);
  if (refusal !== undefined) return refusal;
  const { replica, to, chain, digests, nextDue } = command;
  const waiting = keptWaiting(state, step, task);
  const { inputs, begins, born, start, digests: before, commits, verified, trimmed } = task.standing;
  const points = [...before, ...digests.map((point) => ({ replica, point }))];
  const standing = {
    inputs,
    begins,
    born,
    start,
    place: to,
    chain,
    digests: points.slice(-state.limits.digestsPerTaskMax),
    commits: commits + 1,
    ...(nextDue !== undefined && { nextDue }),
    ...snapshotsWith(points, verified, waiting),
    trimmed,
    commit: { replica, atMs: step.logTime },
  };
  state.apps.changeTask(task, standing, step);
  return { kind: "done" };
}

function refusalOf(state: State, step: Step, task: AppTask, command: TaskCommitCommand): Rejection | undefined {
  const { digestsPerCommitMax } = state.limits;
  const { from, to, digests } = command;
  const { place } = task.standing;
  if (task.app.facts.paused) return reject("app-paused", `the app "${task.app.name}" is paused`);
  if (compareTaskPlaces(from, place) !== 0)
    return reject("task-moved", `task "${task.name}" is not where the commit begins`, { place });
  if (compareRecordPlaces(to.cursor, from.cursor) < 0 || to.outputs < from.outputs)
    return reject("invalid-app", "a commit does not end before it begins");
  if (to.cursor.position >= step.index) return reject("invalid-app", "a commit ends where the log is not yet");
  return digests.length > digestsPerCommitMax ? tooMany("digest points in one commit", digestsPerCommitMax) : undefined;
}
