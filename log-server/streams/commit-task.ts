/**
 * `task-commit`: a task took in its input up to a place, and this is what it had there. It counts only if the task is where
 * it begins, which is all that exactly-once takes (I12): the outputs are in the same transaction.
 */
import { utf8 } from "../../src/lib/bytes.ts";
import { compareRecordPlaces } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import type { TaskCommitCommand, TaskReplica } from "../../src/wire/app-command.ts";
import type { CommandResult, Rejection } from "../../src/wire/command.ts";
import type { AppTask } from "./app-task.ts";
import { unknownApp, unknownTask } from "./manage-app.ts";
import { reject, tooMany } from "./rejections.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";

export function commitTask(state: State, step: Step, command: TaskCommitCommand): CommandResult {
  const task = taskOf(state, command);
  if ("code" in task) return task;
  const refusal = refusalOf(state, step, task, command);
  if (refusal !== undefined) return refusal;
  const { replica, to, chain, digests, nextDue } = command;
  const { inputs, born, start, digests: before, commits } = task.standing;
  const points = [...before, ...digests.map((point) => ({ replica, point }))];
  const standing = {
    inputs,
    born,
    start,
    place: to,
    chain,
    digests: points.slice(-state.limits.digestsPerTaskMax),
    commits: commits + 1,
    ...(nextDue !== undefined && { nextDue }),
    commit: { replica, atMs: step.logTime },
  };
  state.apps.changeTask(task, standing, step);
  return { kind: "done" };
}

/** The task that a replica speaks of, if it is one of the app as it is deployed now. */
function taskOf(state: State, { app: name, task: taskName, epoch }: TaskReplica): AppTask | Rejection {
  const app = state.apps.get(name);
  if (app === undefined) return unknownApp(name);
  // An epoch that was never given is as wrong as one that is over.
  if (epoch !== app.facts.epoch)
    return reject("task-fenced", `the app "${name}" is in epoch ${app.facts.epoch}, not ${epoch}`, {
      epoch: app.facts.epoch,
    });
  return app.tasks.get(taskName) ?? unknownTask(name, taskName);
}

function refusalOf(state: State, step: Step, task: AppTask, command: TaskCommitCommand): Rejection | undefined {
  const { replicaBytesMax, digestsPerCommitMax } = state.limits;
  const { from, to, replica, digests } = command;
  const { place } = task.standing;
  if (task.app.facts.paused) return reject("app-paused", `the app "${task.app.name}" is paused`);
  if (!isSame(from, place))
    return reject("task-moved", `task "${task.name}" is not where the commit begins`, { place });
  if (compareRecordPlaces(to.cursor, from.cursor) < 0 || to.outputs < from.outputs)
    return reject("invalid-app", "a commit does not end before it begins");
  if (to.cursor.position >= step.index) return reject("invalid-app", "a commit ends where the log is not yet");
  if (replica === "" || utf8(replica).length > replicaBytesMax)
    return reject("invalid-app", `a replica's id has between 1 and ${replicaBytesMax} bytes`);
  return digests.length > digestsPerCommitMax ? tooMany("digest points in one commit", digestsPerCommitMax) : undefined;
}

function isSame(a: TaskPlace, b: TaskPlace): boolean {
  return a.outputs === b.outputs && compareRecordPlaces(a.cursor, b.cursor) === 0;
}
