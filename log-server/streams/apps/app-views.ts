/** What others see of an app: copies, true at the position they were taken at. */
import type { AppName, TaskName } from "../../../src/wire/app-command.ts";
import type { AppFacts } from "../../../src/wire/app-facts.ts";
import type { AppTaskInfo } from "../../../src/wire/app-look-up.ts";
import type { App } from "./app.ts";
import type { AppTask } from "./app-task.ts";
import { compareTexts } from "../groups/group-member.ts";

export type AppView = AppFacts & {
  readonly app: AppName;
  readonly taskCount: number;
  /** By name. Taken when called. */
  readonly tasks: () => readonly AppTaskInfo[];
  readonly task: (name: TaskName) => AppTaskInfo | undefined;
};

export function viewOfApp(app: App): AppView {
  return {
    app: app.name,
    ...app.facts,
    taskCount: app.tasks.size,
    tasks: () => [...app.tasks.values()].sort((a, b) => compareTexts(a.name, b.name)).map(viewOfTask),
    task: (name) => {
      const task = app.tasks.get(name);
      return task && viewOfTask(task);
    },
  };
}

/** Over all apps. */
export type AppTotals = {
  readonly count: number;
  readonly paused: number;
  readonly tasks: number;
  readonly commits: number;
  /**
   * Log time since which a task of an app that is not paused should have gone on and has not; undefined: none is late. What falls due by
   * itself may change nothing that is committed before the next digest point. Of an app that nobody runs it may be as little as a mark
   * that says that nothing came: nobody knows here, and who means it to stand still pauses it.
   */
  readonly dueSince: number | undefined;
};

export function totalsOfApps(apps: readonly App[], logTime: number): AppTotals {
  const totals = { count: apps.length, paused: 0, tasks: 0, commits: 0 };
  let dueSince: number | undefined;
  for (const { facts, tasks } of apps) {
    if (facts.paused) totals.paused += 1;
    totals.tasks += tasks.size;
    for (const { standing } of tasks.values()) {
      totals.commits += standing.commits;
      if (facts.paused || standing.nextDue === undefined || standing.nextDue >= logTime) continue;
      dueSince = Math.min(dueSince ?? standing.nextDue, standing.nextDue);
    }
  }
  return { ...totals, dueSince };
}

function viewOfTask({ name, standing }: AppTask): AppTaskInfo {
  return { task: name, ...standing };
}
