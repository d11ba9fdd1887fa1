/** What apps and tasks may be called, and the streams that are theirs by name. */
import { utf8 } from "../lib/bytes.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { AppName, TaskName } from "./app-command.ts";
import type { StreamName } from "./command.ts";
import { WIRE_LIMITS } from "./limits.ts";
import { checkStreamName, type StreamNameError } from "./stream-name.ts";

const FOLDER = "apps";
const SNAPSHOTS = "snapshots";
const COMMITS = "commits";
const TASK_NAME = /^(?:0|[1-9]\d{0,5})\.(?:0|[1-9]\d{0,5})$/;

/** Whether an app may have this name: short enough that its streams' names are some, too. */
export function checkAppName(app: string): Result<AppName, StreamNameError> {
  const { appNameBytesMax } = WIRE_LIMITS;
  const name = checkStreamName(app);
  if (!name.ok) return err({ code: "malformed-name", message: name.error.message });
  if (app.includes("/")) return err({ code: "malformed-name", message: "an app's name has no slash" });
  if (utf8(app).length > appNameBytesMax)
    return err({ code: "malformed-name", message: `an app's name has at most ${appNameBytesMax} bytes` });
  return ok(app);
}

export function isTaskName(task: string): boolean {
  return TASK_NAME.test(task);
}

/** Of a task's name. */
export function stageOf(task: TaskName): number {
  return Number.parseInt(task, 10);
}

export function snapshotsStream(app: AppName, task: TaskName): StreamName {
  return `${FOLDER}/${app}/${SNAPSHOTS}/${task}`;
}

/** Whose snapshots are in a stream of this name. */
export function ownerOfSnapshots(stream: StreamName): { readonly app: AppName; readonly task: TaskName } | undefined {
  if (!stream.startsWith(`${FOLDER}/`)) return undefined;
  const [, app, kind, task, ...rest] = stream.split("/");
  if (app === undefined || kind !== SNAPSHOTS || task === undefined || rest.length > 0) return undefined;
  return { app, task };
}

/** Each commit is there, in the order in which they took effect. */
export function commitsStream(app: AppName, task: TaskName): StreamName {
  return `${FOLDER}/${app}/${COMMITS}/${task}`;
}

/** Whose own a stream of this name is; and if it has a task's commits, whose they are. */
export function ownerOfInternal(
  stream: StreamName,
): { readonly app: AppName; readonly commitsOf: TaskName | undefined } | undefined {
  if (!stream.startsWith(`${FOLDER}/`)) return undefined;
  const [, app, kind, task, ...rest] = stream.split("/");
  if (app === undefined || kind === undefined) return undefined;
  return { app, commitsOf: kind === COMMITS && rest.length === 0 ? task : undefined };
}

/** Where what was poison goes. */
export function deadLetterStream(app: AppName): StreamName {
  return `${FOLDER}/${app}/dead`;
}

/** Where those that run the app tell of its replicas, now and then. */
export function statusStream(app: AppName): StreamName {
  return `${FOLDER}/${app}/status`;
}
