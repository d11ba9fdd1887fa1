/** Finds the task that a replica says something of, and says why it is not to be heard. */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { TaskReplica } from "../../../src/wire/app-command.ts";
import type { Rejection } from "../../../src/wire/command.ts";
import type { AppTask } from "./app-task.ts";
import { unknownApp, unknownTask } from "./manage-app.ts";
import { reject } from "../rejections.ts";
import type { State } from "../state.ts";

/** Of the app as it is deployed now. */
export function taskOf(state: State, { app: name, task: taskName, epoch, replica }: TaskReplica): AppTask | Rejection {
  const app = state.apps.get(name);
  if (app === undefined) return unknownApp(name);
  // An epoch that was never given is as wrong as one that is over.
  if (epoch !== app.facts.epoch)
    return reject("task-fenced", `the app "${name}" is in epoch ${app.facts.epoch}, not ${epoch}`, {
      epoch: app.facts.epoch,
    });
  const { replicaBytesMax } = state.limits;
  if (replica === "" || utf8(replica).length > replicaBytesMax)
    return reject("invalid-app", `a replica's id has between 1 and ${replicaBytesMax} bytes`);
  return app.tasks.get(taskName) ?? unknownTask(name, taskName);
}
