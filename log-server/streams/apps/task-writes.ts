/**
 * `task-statement` and `task-trim`: what a task's replicas do besides commits to streams that are kept from others
 * (`app-streams.ts`).
 */
import type { TaskStatementCommand, TaskTrimCommand } from "../../../src/wire/app-command.ts";
import { commitsStream } from "../../../src/wire/app-streams.ts";
import type { CommandResult } from "../../../src/wire/command.ts";
import { openFor } from "../append-records.ts";
import { reject } from "../rejections.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import { dropRecords } from "../stream-upkeep.ts";
import { taskOf } from "./task-of.ts";

/** The statement itself is in the append that is behind it. */
export function admitStatement(state: State, command: TaskStatementCommand): CommandResult {
  const task = taskOf(state, command);
  return "code" in task ? task : { kind: "done" };
}

export function trimForTask(state: State, step: Step, command: TaskTrimCommand): CommandResult {
  const task = taskOf(state, command);
  if ("code" in task) return task;
  const { app, task: name, stream: trimmed, before } = command;
  if (trimmed !== commitsStream(app, name) && !task.standing.inputs.includes(trimmed))
    return reject("invalid-app", `task "${name}" of the app "${app}" does not read "${trimmed}"`);
  const stream = openFor(state, step, command);
  return "kind" in stream ? stream : dropRecords(state, step, stream, before);
}
