/** Commands about apps as a whole: `app-put`, `app-state`, `app-reset`, `app-delete`. */
import { equalBytes, utf8 } from "../../../src/lib/bytes.ts";
import type { Offset } from "../../../src/record/offset.ts";
import { BEFORE_RECORDS, compareRecordPlaces } from "../../../src/record/record-place.ts";
import type {
  AppConfig,
  AppDeleteCommand,
  AppPutCommand,
  AppResetCommand,
  AppStateCommand,
  TaskName,
  TaskSpec,
} from "../../../src/wire/app-command.ts";
import { writeAppConfig } from "../../../src/wire/app-command-codec.ts";
import { shapeBytes, shapeDifference } from "../../../src/wire/app-shape.ts";
import { checkAppName, isTaskName, stageOf } from "../../../src/wire/app-streams.ts";
import type { CommandResult, Rejection, StreamName } from "../../../src/wire/command.ts";
import { checkStreamName } from "../../../src/wire/stream-name.ts";
import type { AppFacts, TaskStanding } from "../../../src/wire/app-facts.ts";
import { App } from "./app.ts";
import { deployRefusal } from "./app-streams.ts";
import { AppTask, freshTask } from "./app-task.ts";
import { compareTexts } from "../groups/group-member.ts";
import { LEVEL_OF_FREE_DESCRIPTIONS } from "../feature-level.ts";
import type { StreamsLimits } from "../limits.ts";
import { reject, tooMany } from "../rejections.ts";
import { encodeRow } from "../rows.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import { findStream } from "../stream-lifecycle.ts";

/** Of what is quoted in an error. */
const SHOWN_LENGTH_MAX = 200;

export function putApp(state: State, step: Step, command: AppPutCommand): CommandResult {
  const config = inOneForm(command);
  const wrong = configRefusal(state.limits, config);
  if (wrong !== undefined) return wrong;
  const existing = state.apps.get(config.app);
  if (existing !== undefined && existing.facts.version >= config.version) return standing(state, existing, config);
  const refusal =
    (existing && changeRefusal(existing, config)) ??
    roomRefusal(state, existing, config) ??
    deployRefusal(state, step, config);
  if (refusal !== undefined) return refusal;
  const epoch = drawEpoch(state, step);
  if (existing === undefined) create(state, step, config, epoch);
  else replace(state, step, existing, config, epoch);
  return { kind: "app-epoch", epoch, changed: true };
}

export function setAppState(state: State, step: Step, command: AppStateCommand): CommandResult {
  const app = state.apps.get(command.app);
  if (app === undefined) return unknownApp(command.app);
  if (app.facts.paused !== command.paused) state.apps.change(app, { ...app.facts, paused: command.paused }, step);
  return { kind: "done" };
}

export function resetApp(state: State, step: Step, command: AppResetCommand): CommandResult {
  const app = state.apps.get(command.app);
  if (app === undefined) return unknownApp(command.app);
  const named = new Map(command.tasks.map(({ task, start }) => [task, start]));
  for (const [name, { position }] of named) {
    if (!app.tasks.has(name)) return unknownTask(command.app, name);
    if (position >= step.index) return reject("invalid-app", `task "${name}" cannot begin where the log is not yet`);
  }
  if (named.size < command.tasks.length) return reject("invalid-app", "a task is named twice");
  const epoch = drawEpoch(state, step);
  for (const task of sortedTasks(app)) {
    if (named.size > 0 && !named.has(task.name)) continue;
    const { inputs } = task.standing;
    const start = named.get(task.name);
    const isFirst = start === undefined || compareRecordPlaces(start, BEFORE_RECORDS) === 0;
    const begins = isFirst ? oldestOf(state, step, inputs) : endsOf(state, step, inputs);
    state.apps.changeTask(task, freshTask(epoch, inputs, begins, start), step);
  }
  state.apps.change(app, { ...app.facts, epoch }, step);
  step.journal?.resetApps.add(app.name);
  return { kind: "app-epoch", epoch, changed: true };
}

export function deleteApp(state: State, step: Step, command: AppDeleteCommand): CommandResult {
  const app = state.apps.get(command.app);
  if (app === undefined) return unknownApp(command.app);
  state.apps.remove(app, step);
  return { kind: "done" };
}

export function unknownApp(app: string): Rejection {
  return reject("app-not-found", `there is no app "${app}"`);
}

export function unknownTask(app: string, task: string): Rejection {
  return reject("app-not-found", `the app "${app}" has no task "${task}"`);
}

function standing({ featureLevel }: State, app: App, config: AppConfig): CommandResult {
  const { version, epoch } = app.facts;
  if (version > config.version)
    return reject("task-fenced", `version ${version} of the app "${app.name}" is deployed`, { epoch });
  // It is for people, and later versions may describe the same in other words.
  const { description } = featureLevel.level < LEVEL_OF_FREE_DESCRIPTIONS ? config : app.facts;
  if (equalBytes(configBytes(configOf(app)), configBytes({ ...config, description })))
    return { kind: "app-epoch", epoch, changed: false };
  const what = configDifference(configOf(app), config);
  const next = `deploy this as a higher one${changeRefusal(app, config) === undefined ? "" : ", once the app is reset"}`;
  return reject("app-exists", `version ${version} of the app "${app.name}" is another (${what}): ${next}`);
}

/** The first thing in which two that are not the same differ, in words. */
function configDifference(was: AppConfig, is: AppConfig): string {
  const change = shapeDifference(was.shape, is.shape);
  if (change !== undefined) return change;
  if (was.options !== is.options) return `its options were ${shortened(was.options)} and are ${shortened(is.options)}`;
  const tasks = tasksText(was);
  const others = tasksText(is);
  if (tasks !== others) return `its tasks were ${shortened(tasks)} and are ${shortened(others)}`;
  return "its description";
}

function tasksText({ tasks }: AppConfig): string {
  return tasks.map(({ task, inputs }) => `${task} (${inputs.join(" ")})`).join(", ");
}

/** An error is no place for all of it. */
function shortened(text: string): string {
  return text.length <= SHOWN_LENGTH_MAX ? text : `${text.slice(0, SHOWN_LENGTH_MAX).toWellFormed()}…`;
}

/** What a task's state was made with makes the same of it again, wherever a replica begins: nothing else can go on with it. */
function changeRefusal(app: App, config: AppConfig): Rejection | undefined {
  for (const task of sortedTasks(app)) {
    if (task.standing.commits === 0) continue;
    const change = shapeDifference(app.facts.shape, config.shape, stageOf(task.name));
    if (change === undefined) continue;
    const message = `task "${task.name}" of the app "${app.name}" has state of version ${app.facts.version}, which is another: ${change}`;
    return reject("app-changed", `${message}; reset the app first, or deploy this under another name`);
  }
  return undefined;
}

/** Tasks by name, their inputs too, each once. */
function inOneForm({ tasks, ...config }: AppConfig): AppConfig {
  const sorted = tasks.map(({ task, inputs }) => ({ task, inputs: [...new Set(inputs)].sort(compareTexts) }));
  return { ...config, tasks: sorted.sort((a, b) => compareTexts(a.task, b.task)) };
}

function configOf(app: App): AppConfig {
  const { version, description, options, shape } = app.facts;
  const tasks = sortedTasks(app).map(({ name: task, standing: { inputs } }): TaskSpec => ({ task, inputs }));
  return { app: app.name, version, tasks, description, options, shape };
}

function configBytes(config: AppConfig): Uint8Array {
  return encodeRow((writer) => writeAppConfig(writer, config));
}

function sortedTasks(app: App): readonly AppTask[] {
  return [...app.tasks.values()].sort((a, b) => compareTexts(a.name, b.name));
}

function configRefusal(limits: StreamsLimits, config: AppConfig): Rejection | undefined {
  const { app, version, tasks, description, options, shape } = config;
  const name = checkAppName(app);
  if (!name.ok) return reject("invalid-app", name.error.message);
  const { tasksPerAppMax, taskInputsMax, appTextBytesMax, appShapeBytesMax } = limits;
  if (version < 1) return reject("invalid-app", "an app's version is a whole number from 1");
  if (tasks.length === 0) return reject("invalid-app", "an app has one task at least");
  if (tasks.length > tasksPerAppMax) return tooMany("tasks of one app", tasksPerAppMax);
  for (const text of [description, options])
    if (utf8(text).length > appTextBytesMax)
      return reject("invalid-app", `an app's description and options have at most ${appTextBytesMax} bytes each`);
  if (shapeBytes(shape) > appShapeBytesMax)
    return reject("invalid-app", `an app's shape has at most ${appShapeBytesMax} bytes`);
  for (const [place, { task, inputs }] of tasks.entries()) {
    if (!isTaskName(task)) return reject("invalid-app", `"${task}" is not a task's name: a stage, a dot, a partition`);
    if (tasks[place - 1]?.task === task) return reject("invalid-app", `task "${task}" is there twice`);
    if (inputs.length > taskInputsMax) return tooMany("inputs of one task", taskInputsMax);
    const wrong = inputs.find((input) => !checkStreamName(input).ok);
    if (wrong !== undefined) return reject("invalid-app", `task "${task}" reads "${wrong}", which no stream is called`);
  }
  return undefined;
}

function roomRefusal({ apps, limits }: State, existing: App | undefined, { tasks }: AppConfig): Rejection | undefined {
  if (existing === undefined && apps.count >= limits.appsMax) return tooMany("apps", limits.appsMax);
  const others = apps.taskCount - (existing?.tasks.size ?? 0);
  return others + tasks.length > limits.tasksMax ? tooMany("tasks of all apps", limits.tasksMax) : undefined;
}

function create(state: State, step: Step, config: AppConfig, epoch: number): void {
  const { app: name, version, tasks, description, options, shape } = config;
  const { logTime } = step;
  const facts: AppFacts = {
    version,
    epoch,
    paused: false,
    description,
    options,
    shape,
    createdAtMs: logTime,
    deployedAtMs: logTime,
  };
  const app = new App(name, facts);
  state.apps.add(app, step);
  for (const { task, inputs } of tasks) addTask(state, step, app, task, inputs);
}

function replace(state: State, step: Step, app: App, config: AppConfig, epoch: number): void {
  const { version, tasks, description, options, shape } = config;
  const facts = { ...app.facts, version, epoch, description, options, shape, deployedAtMs: step.logTime };
  state.apps.change(app, facts, step);
  const kept = new Set(tasks.map(({ task }) => task));
  for (const task of sortedTasks(app)) if (!kept.has(task.name)) state.apps.removeTask(task, step);
  for (const { task: name, inputs } of tasks) {
    const task = app.tasks.get(name);
    if (task === undefined) addTask(state, step, app, name, inputs);
    else state.apps.changeTask(task, { ...task.standing, ...withInputs(state, step, task.standing, inputs) }, step);
  }
}

function addTask(state: State, step: Step, app: App, name: TaskName, inputs: readonly StreamName[]): void {
  const standing = freshTask(app.facts.epoch, inputs, oldestOf(state, step, inputs));
  state.apps.addTask(new AppTask(app, name, standing), step);
}

/** Those that it had begin where they did. */
function withInputs(
  state: State,
  step: Step,
  before: TaskStanding,
  inputs: readonly StreamName[],
): Pick<TaskStanding, "inputs" | "begins"> {
  const ends = endsOf(state, step, inputs);
  const known = new Map(before.inputs.map((input, place) => [input, before.begins[place]]));
  return { inputs, begins: inputs.map((input, place) => known.get(input) ?? (ends[place] as Offset)) };
}

/** For a task that reads them from the beginning: what is gone by now it does not miss. */
function oldestOf(state: State, step: Step, inputs: readonly StreamName[]): readonly Offset[] {
  return inputs.map((input) => findStream(state, step, input)?.firstOffset ?? 0);
}

/** For one that reads them from a place on: which of the records that are there are behind it is not known here. */
function endsOf(state: State, step: Step, inputs: readonly StreamName[]): readonly Offset[] {
  return inputs.map((input) => findStream(state, step, input)?.nextOffset ?? 0);
}

function drawEpoch({ position }: State, step: Step): number {
  const epoch = position.drawGeneration();
  step.journal?.record(() => (position.nextGeneration = epoch));
  return epoch;
}
