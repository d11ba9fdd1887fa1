/**
 * Which streams a deployed app cannot go on without: those of its tasks' commits, and those between its stages. Without one
 * nothing could be committed any more, and nobody would be told; so nobody takes them away while it is deployed. A reset, or the app's
 * deletion, does so in the same transaction; or in several, while the app is paused.
 */
import { ownerOfInternal } from "../../../src/wire/app-streams.ts";
import type { Rejection, StreamName } from "../../../src/wire/command.ts";
import { LEVEL_OF_APP_STREAMS } from "../feature-level.ts";
import { reject } from "../rejections.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import type { App } from "./app.ts";
import type { AppTask } from "./app-task.ts";

/** Why this stream can neither go, nor be closed, nor lose records by itself. */
export function appRefusal({ apps, featureLevel }: State, step: Step, stream: StreamName): Rejection | undefined {
  if (featureLevel.level < LEVEL_OF_APP_STREAMS) return undefined;
  const owner = ownerOfInternal(stream);
  const app = owner && apps.get(owner.app);
  if (app === undefined || step.journal?.resetApps.has(app.name) === true) return undefined;
  const task = owner?.commitsOf === undefined ? readerOf(app, stream) : app.tasks.get(owner.commitsOf);
  // Nothing is committed while it is paused: what has no past begins with new streams.
  if (task === undefined || (app.facts.paused && task.standing.commits === 0)) return undefined;
  return reject(
    "app-needs",
    `task "${task.name}" of the app "${app.name}" cannot go on without "${stream}"; reset or delete the app`,
  );
}

function readerOf(app: App, stream: StreamName): AppTask | undefined {
  return [...app.tasks.values()].find(({ standing }) => standing.inputs.includes(stream));
}
