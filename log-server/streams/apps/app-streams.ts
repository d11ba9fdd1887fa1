/**
 * Which streams a deployed app cannot go on without: those of its tasks' commits, those between its stages, and that of its dead letters.
 * Without one nothing could be committed any more, and nobody would be told; so nobody takes them away while it is deployed, nor puts
 * some in their place that would go by themselves. Replicas believe what they read in the first two, so only they write there, and trim. A reset, or the app's deletion, takes them away in the same transaction; or in
 * several, while the app is paused.
 */
import type { AppConfig } from "../../../src/wire/app-command.ts";
import { commitsStream, deadLetterStream, ownerOfInternal } from "../../../src/wire/app-streams.ts";
import type { Rejection, StreamName } from "../../../src/wire/command.ts";
import { LEVEL_OF_APP_STREAMS, LEVEL_OF_LASTING_APP_STREAMS, LEVEL_OF_TASK_WRITES } from "../feature-level.ts";
import { reject } from "../rejections.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import { losesRecords, type Stream } from "../stream.ts";
import { findStream } from "../stream-lifecycle.ts";
import type { App } from "./app.ts";
import type { AppTask } from "./app-task.ts";

/** `end`: nobody could append to it any more. `records`: it would lose some by itself, as dead letters may. */
type Loss = "end" | "records";

/** Why this stream can have no such loss. */
export function appRefusal(state: State, step: Step, stream: StreamName, loss: Loss): Rejection | undefined {
  if (state.featureLevel.level < LEVEL_OF_APP_STREAMS) return undefined;
  const app = appOf(state, stream);
  if (app === undefined || step.journal?.resetApps.has(app.name) === true) return undefined;
  const next = "reset or delete the app";
  if (isLetters(state, app, stream) && loss === "end")
    return [...app.tasks.values()].every((task) => isFresh(app, task)) ? undefined : lettersNeeded(app.name, next);
  const task = taskOfStream(app, stream);
  // Nothing is committed while it is paused: what has no past begins with new streams.
  return task === undefined || isFresh(app, task) ? undefined : taskNeeds(app.name, task.name, stream, next);
}

/** Why nobody but its app's tasks appends to this stream, or trims it. In a transaction they say that it is theirs. */
export function writeRefusal(state: State, step: Step, stream: StreamName): Rejection | undefined {
  if (state.featureLevel.level < LEVEL_OF_TASK_WRITES) return undefined;
  const app = appOf(state, stream);
  if (app === undefined || taskOfStream(app, stream) === undefined) return undefined;
  const commitsOf = ownerOfInternal(stream)?.commitsOf;
  const isOwn = step.journal?.operations.some(
    (operation) =>
      (operation.kind === "task-commit" || operation.kind === "task-statement") &&
      operation.app === app.name &&
      (commitsOf === undefined || operation.task === commitsOf),
  );
  if (isOwn === true) return undefined;
  return reject(
    "app-needs",
    `only tasks of the app "${app.name}" append to "${stream}", and trim it, while it is deployed`,
  );
}

/** Why no stream of this name can be made so. */
export function makingRefusal(state: State, stream: StreamName, made: Made, filled: boolean): Rejection | undefined {
  if (state.featureLevel.level < LEVEL_OF_LASTING_APP_STREAMS) return undefined;
  const app = appOf(state, stream);
  if (app === undefined) return undefined;
  const end = endOf(made);
  const fault = lossOf(made) ?? (filled ? "begins with records" : undefined);
  const task = taskOfStream(app, stream);
  if (task !== undefined)
    return fault === undefined ? undefined : taskNeeds(app.name, task.name, stream, `this one ${fault}`);
  return isLetters(state, app, stream) && end !== undefined ? lettersNeeded(app.name, `this one ${end}`) : undefined;
}

/** Why the app cannot be deployed on the streams that are there. */
export function deployRefusal(state: State, step: Step, { app, tasks }: AppConfig): Rejection | undefined {
  if (state.featureLevel.level < LEVEL_OF_LASTING_APP_STREAMS) return undefined;
  const next = "delete it first";
  for (const { task, inputs } of tasks) {
    const between = inputs.filter((input) => ownerOfInternal(input)?.app === app);
    for (const name of [commitsStream(app, task), ...between]) {
      const stream = standingStream(state, step, name);
      const loss = stream && lossOf(stream);
      if (loss !== undefined) return taskNeeds(app, task, name, `the one that is there ${loss}: ${next}`);
    }
  }
  const letters = standingStream(state, step, deadLetterStream(app));
  const end = letters && endOf(letters);
  return end === undefined ? undefined : lettersNeeded(app, `the one that is there ${end}: ${next}`);
}

type Made = Pick<Stream, "expiry" | "retention" | "closed">;

function endOf({ expiry, closed }: Made): string | undefined {
  if (closed) return "is closed";
  return expiry.kind === "never" ? undefined : "ends by itself (expiry)";
}

function lossOf(made: Made): string | undefined {
  return endOf(made) ?? (losesRecords(made.retention) ? "loses records by itself (retention, compaction)" : undefined);
}

function standingStream(state: State, step: Step, name: StreamName): Stream | undefined {
  const stream = findStream(state, step, name);
  return stream?.deleted === true ? undefined : stream;
}

function appOf({ apps }: State, stream: StreamName): App | undefined {
  const owner = ownerOfInternal(stream);
  return owner && apps.get(owner.app);
}

/** Whose commits are there, or who reads it. */
function taskOfStream(app: App, stream: StreamName): AppTask | undefined {
  const commitsOf = ownerOfInternal(stream)?.commitsOf;
  if (commitsOf !== undefined) return app.tasks.get(commitsOf);
  return [...app.tasks.values()].find(({ standing }) => standing.inputs.includes(stream));
}

function isLetters({ featureLevel }: State, { name }: App, stream: StreamName): boolean {
  return featureLevel.level >= LEVEL_OF_LASTING_APP_STREAMS && stream === deadLetterStream(name);
}

function isFresh({ facts }: App, { standing }: AppTask): boolean {
  return facts.paused && standing.commits === 0;
}

function taskNeeds(app: string, task: string, stream: StreamName, next: string): Rejection {
  return reject("app-needs", `task "${task}" of the app "${app}" cannot go on without "${stream}"; ${next}`);
}

function lettersNeeded(app: string, next: string): Rejection {
  const stream = deadLetterStream(app);
  return reject("app-needs", `the app "${app}" cannot go on without "${stream}", for what it fails at; ${next}`);
}
