/** All apps and their tasks, and when which of these is due. Every change of them goes through here, and can be undone. */
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import type { AppName } from "../../../src/wire/app-command.ts";
import type { AppFacts, TaskStanding } from "../../../src/wire/app-facts.ts";
import { ownerOfSnapshots } from "../../../src/wire/app-streams.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import type { App } from "./app.ts";
import { type AppTask, compareTasks } from "./app-task.ts";
import { Deadlines } from "../deadlines.ts";
import { compareTexts } from "../groups/group-member.ts";
import type { RowLedger } from "../row-ledger.ts";
import type { Step } from "../step.ts";

export class AppTable {
  readonly #ledger: RowLedger;
  readonly #byName = new Map<AppName, App>();
  /** By name. */
  readonly #sorted: App[] = [];
  #taskCount = 0;
  /** Tasks whose log time has not come. */
  readonly deadlines = new Deadlines<AppTask>(compareTasks);

  constructor(ledger: RowLedger) {
    this.#ledger = ledger;
  }

  get count(): number {
    return this.#sorted.length;
  }

  /** Over all apps. */
  get taskCount(): number {
    return this.#taskCount;
  }

  get(name: AppName): App | undefined {
    return this.#byName.get(name);
  }

  all(): readonly App[] {
    return this.#sorted;
  }

  /** In order of names, those after this one. */
  *after(name: AppName): Iterable<App> {
    for (let place = this.#placeOf(name); place < this.#sorted.length; place += 1) {
      const app = this.#sorted[place] as App;
      if (app.name !== name) yield app;
    }
  }

  add(app: App, step: Step): void {
    this.insert(app);
    this.#ledger.put(app);
    step.journal?.record(() => {
      this.#take(app);
      this.#ledger.remove(app);
    });
  }

  /** With its tasks. */
  remove(app: App, step: Step): void {
    for (const task of [...app.tasks.values()]) this.removeTask(task, step);
    this.#take(app);
    this.#ledger.remove(app);
    step.journal?.record(() => {
      this.insert(app);
      this.#ledger.put(app);
    });
  }

  change(app: App, facts: AppFacts, step: Step): void {
    const before = app.facts;
    app.facts = facts;
    this.#ledger.touch(app);
    step.journal?.record(() => {
      app.facts = before;
      this.#ledger.touch(app);
    });
  }

  addTask(task: AppTask, step: Step): void {
    this.insertTask(task, step.logTime);
    this.#ledger.put(task);
    step.journal?.record(() => {
      this.#takeTask(task);
      this.#ledger.remove(task);
    });
  }

  removeTask(task: AppTask, step: Step): void {
    this.#takeTask(task);
    this.#ledger.remove(task);
    step.journal?.record(() => {
      this.insertTask(task, step.logTime);
      this.#ledger.put(task);
    });
  }

  changeTask(task: AppTask, standing: TaskStanding, step: Step): void {
    const before = task.standing;
    this.#setStanding(task, standing, step.logTime);
    step.journal?.record(() => this.#setStanding(task, before, step.logTime));
  }

  /** A stream ended: snapshots that it had are none. One that is made anew has others at their offsets. */
  endSnapshots(stream: StreamName, step: Step): void {
    const owner = ownerOfSnapshots(stream);
    const task = owner && this.get(owner.app)?.tasks.get(owner.task);
    if (task === undefined) return;
    const { verified, snapshot, ...standing } = task.standing;
    if (verified !== undefined || snapshot !== undefined) this.changeTask(task, standing, step);
  }

  /** An app whose row is known. */
  insert(app: App): void {
    this.#byName.set(app.name, app);
    this.#sorted.splice(this.#placeOf(app.name), 0, app);
  }

  /** A task whose row is known, as of a log time. */
  insertTask(task: AppTask, logTime: number): void {
    task.app.tasks.set(task.name, task);
    this.#taskCount += 1;
    this.#schedule(task, logTime);
  }

  #setStanding(task: AppTask, standing: TaskStanding, logTime: number): void {
    task.standing = standing;
    this.#schedule(task, logTime);
    this.#ledger.touch(task);
  }

  /** What is due at a time is done before the first record that is later: somebody has to hear that the time is over. */
  #schedule(task: AppTask, logTime: number): void {
    const { nextDue } = task.standing;
    if (nextDue === undefined || nextDue < logTime) this.deadlines.cancel(task.deadline);
    else this.deadlines.set(task.deadline, nextDue + 1);
  }

  #take(app: App): void {
    this.#byName.delete(app.name);
    this.#sorted.splice(this.#placeOf(app.name), 1);
  }

  #takeTask(task: AppTask): void {
    task.app.tasks.delete(task.name);
    this.#taskCount -= 1;
    this.deadlines.cancel(task.deadline);
  }

  #placeOf(name: AppName): number {
    return firstNotBefore(this.#sorted, (other) => compareTexts(other.name, name) < 0);
  }
}
