/** Which of the commands of apps does what; see `src/wire/app-command.ts`. */
import { unreachable } from "../../../src/lib/assert.ts";
import type { AppCommand } from "../../../src/wire/app-command.ts";
import type { CommandResult } from "../../../src/wire/command.ts";
import { commitTask } from "./commit-task.ts";
import { deleteApp, putApp, resetApp, setAppState } from "./manage-app.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import { noteSnapshot, noteTrimmed } from "./task-snapshot.ts";
import { admitStatement, trimForTask } from "./task-writes.ts";

export function runAppCommand(state: State, step: Step, command: AppCommand): CommandResult {
  switch (command.kind) {
    case "app-put":
      return putApp(state, step, command);
    case "app-state":
      return setAppState(state, step, command);
    case "app-reset":
      return resetApp(state, step, command);
    case "app-delete":
      return deleteApp(state, step, command);
    case "task-commit":
      return commitTask(state, step, command);
    case "task-snapshot":
      return noteSnapshot(state, step, command);
    case "task-trimmed":
      return noteTrimmed(state, step, command);
    case "task-statement":
      return admitStatement(state, command);
    case "task-trim":
      return trimForTask(state, step, command);
    default:
      return unreachable(command);
  }
}
