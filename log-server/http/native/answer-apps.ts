/** Answers `apps` and `app` frames, and whoever else looks at apps. */
import type { AppRequest, AppResponse, AppsRequest, AppsResponse, ListedApp } from "../../../src/wire/app-look-up.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import type { AppView } from "../../streams/apps/app-views.ts";
import { reach } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { namePage } from "../name-page.ts";

export async function answerApps(
  context: HttpContext,
  { prefix, after, limit }: AppsRequest,
  level: Consistency,
): Promise<AppsResponse> {
  const { node, limits } = context;
  await reach(context, level);
  const { position, machine } = node;
  const { views, next } = namePage<AppView>(
    { at: (app) => machine.app(app), behind: (app) => machine.apps(app), nameOf: ({ app }) => app },
    { prefix, after },
    Math.min(limit, limits.listedAppsMax),
  );
  return { kind: "apps", position, apps: views.map(listed), ...(next !== undefined && { next }) };
}

/** Where its tasks are is where something ends: nobody is to go on from what a slow node has. */
export async function answerApp(
  context: HttpContext,
  { app, task: name }: AppRequest,
  level: Consistency,
): Promise<AppResponse> {
  const { node } = context;
  await reach(context, level, true);
  const { tasks: tasksOf, task: taskOf, taskCount: _count, ...facts } = findApp(context, app);
  const task = name === undefined ? undefined : taskOf(name);
  const tasks = name === undefined ? tasksOf() : task === undefined ? [] : [task];
  return { kind: "app", position: node.position, logTime: node.machine.logTime, ...facts, tasks };
}

/** Throws where there is none. */
export function findApp({ node }: HttpContext, app: string): AppView {
  const view = node.machine.app(app);
  if (view === undefined) throw new HttpError("app-not-found", `there is no app "${app.toWellFormed()}"`);
  return view;
}

function listed({ app, version, epoch, paused, createdAtMs, deployedAtMs, taskCount }: AppView): ListedApp {
  return { app, version, epoch, paused, tasks: taskCount, createdAtMs, deployedAtMs };
}
