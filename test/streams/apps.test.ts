/** Apps and their tasks: a task moves only from where it is (I12), by who may say so; what is refused leaves all as it was (I11). */
import { beforeEach, describe, expect, it } from "vitest";
import type { RecordPlace } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import type { AppPutCommand, TaskCommitCommand, TaskSnapshotCommand } from "../../src/wire/app-command.ts";
import { commitsStream, snapshotsStream } from "../../src/wire/app-streams.ts";
import type { Command, CommandResult, TransactionOperation } from "../../src/wire/command.ts";
import { append, create, Driver, restored, rowTexts } from "./driver.ts";
import {
  LEVEL_OF_APP_STREAMS,
  LEVEL_OF_FREE_DESCRIPTIONS,
  LEVEL_OF_LASTING_APP_STREAMS,
  LEVEL_OF_TASK_WRITES,
} from "../../log-server/streams/feature-level.ts";

const at = (position: number, index = 0): RecordPlace => ({ position, ordinal: 0, index });
const place = (position: number, outputs: number, index = 0): TaskPlace => ({ cursor: at(position, index), outputs });
const START = place(0, 0);
const BATCH = { hash: 1n, length: 9, span: 1 };

function put(version = 1, more: Partial<AppPutCommand> = {}): AppPutCommand {
  const tasks = ["0.0", "0.1"].map((task) => ({ task, inputs: ["in"] }));
  return { kind: "app-put", app: "x", version, tasks, description: "a topology", options: "{}", shape: [], ...more };
}

function commit(epoch: number, from: TaskPlace, to: TaskPlace, more: Partial<TaskCommitCommand> = {}) {
  const who = { app: "x", task: "0.0", epoch, replica: "r" };
  return { kind: "task-commit", ...who, from, to, chain: 7n, digests: [], ...more } satisfies TaskCommitCommand;
}

function transaction(...operations: readonly TransactionOperation[]): Command {
  return { kind: "transaction", conditions: [], operations };
}

/** All rows but that of the position, which every entry moves. */
function stateOf(driver: Driver): string[] {
  return rowTexts(driver.machine.rows()).filter((row) => !row.startsWith("00="));
}

function never(): never {
  throw new Error("it is there");
}

function refusalOf(result: CommandResult): string | undefined {
  if (result.kind === "appended-run") return result.parts[0] && refusalOf(result.parts[0].result);
  return result.kind === "rejected" ? result.code : undefined;
}

let driver: Driver;
beforeEach(() => {
  driver = new Driver();
  driver.create("in");
  driver.append("in", 9);
});

function deploy(command: AppPutCommand = put()): number {
  const result = driver.run(command);
  if (result.kind !== "app-epoch") throw new Error(`not deployed: ${JSON.stringify(result)}`);
  return result.epoch;
}

const taskNow = (task = "0.0") => driver.machine.app("x")?.task(task);

describe("an app", () => {
  it("is deployed once, however many say so, and in whatever order its tasks are named", () => {
    const epoch = deploy();
    const before = stateOf(driver);
    const { tasks } = put();
    expect(driver.run(put(1, { tasks: tasks.toReversed() }))).toEqual({ kind: "app-epoch", epoch, changed: false });
    expect(stateOf(driver)).toEqual(before);
    expect(driver.machine.app("x")).toMatchObject({ version: 1, epoch, paused: false, taskCount: 2 });
    expect(taskNow()).toMatchObject({ inputs: ["in"], start: at(0), place: START, chain: 0n, commits: 0 });
  });

  it("knows where its tasks begin to read, so that what is trimmed later is missed", () => {
    const begins = () =>
      driver.machine
        .app("x")
        ?.tasks()
        .map((task) => task.begins);
    for (const stream of ["in", "other"]) {
      driver.create(stream);
      driver.append(stream, 10);
      driver.run({ kind: "trim", stream, before: 4 });
    }
    deploy();
    expect(begins()).toEqual([[4], [4]]);
    driver.run({ kind: "trim", stream: "in", before: 6 });
    // Of an input that is new to a task that goes on, only what comes is known to be its own.
    deploy(put(2, { tasks: ["0.0", "1.0"].map((task) => ({ task, inputs: ["in", "none", "other"] })) }));
    expect(begins()).toEqual([
      [4, 0, 10],
      [6, 0, 4],
    ]);
    driver.run({ kind: "app-reset", app: "x", tasks: [{ task: "0.0", start: at(1) }] });
    expect(begins()?.[0]).toEqual([19, 0, 10]);
    driver.run({ kind: "app-reset", app: "x", tasks: [{ task: "0.0", start: at(0) }] });
    expect(begins()?.[0]).toEqual([6, 0, 4]);
    driver.run({ kind: "app-reset", app: "x", tasks: [] });
    expect(begins()).toEqual([
      [6, 0, 4],
      [6, 0, 4],
    ]);
  });

  it("of a higher version fences the one before, and leaves tasks of the same name where they are", () => {
    const first = deploy();
    driver.run(commit(first, START, place(2, 1)));
    const tasks = ["0.0", "1.0"].map((task) => ({ task, inputs: ["in", "other"] }));
    const second = deploy(put(2, { tasks }));
    expect(second).toBeGreaterThan(first);
    expect(
      driver.machine
        .app("x")
        ?.tasks()
        .map(({ task, place: { outputs } }) => [task, outputs]),
    ).toEqual([
      ["0.0", 1],
      ["1.0", 0],
    ]);
    expect(taskNow()?.inputs).toEqual(["in", "other"]);
    expect(driver.refused(commit(first, place(2, 1), place(2, 2)))).toMatchObject({
      code: "task-fenced",
      epoch: second,
    });
    expect(driver.run(commit(second, place(2, 1), place(2, 2))).kind).toBe("done");
    expect(driver.refused(put(1))).toMatchObject({ code: "task-fenced", epoch: second });
    expect(driver.refused(put(2))).toMatchObject({ code: "app-exists" });
  });

  it("of another description is the same, from the feature level on that has this (P26)", () => {
    const described = put(1, { description: "the same in other words" });
    const epoch = deploy();
    expect(driver.refused(described)).toMatchObject({ code: "app-exists" });
    driver.run({ kind: "feature-level", level: LEVEL_OF_FREE_DESCRIPTIONS });
    expect(driver.run(described)).toEqual({ kind: "app-epoch", epoch, changed: false });
    expect(driver.machine.app("x")).toMatchObject({ description: "a topology" });
    expect(driver.refused(put(1, { options: "{1}" }))).toMatchObject({ code: "app-exists" });
  });

  it("of other options, tasks or words says in which it differs", () => {
    const options = (poison: string): string => JSON.stringify({ poison });
    deploy(put(1, { options: options("stop") }));
    const differs = (what: string): object => {
      return {
        code: "app-exists",
        message: `version 1 of the app "x" is another (${what}): deploy this as a higher one`,
      };
    };
    expect(driver.refused(put(1, { options: options("dead-letter") }))).toMatchObject(
      differs('its options were {"poison":"stop"} and are {"poison":"dead-letter"}'),
    );
    const tasks = [{ task: "0.0", inputs: ["in", "more"] }];
    expect(driver.refused(put(1, { options: options("stop"), tasks }))).toMatchObject(
      differs("its tasks were 0.0 (in), 0.1 (in) and are 0.0 (in more)"),
    );
    expect(driver.refused(put(1, { options: options("stop"), description: "other" }))).toMatchObject(
      differs("its description"),
    );
    const long = "x".repeat(201);
    expect(driver.refused(put(1, { options: long }))).toMatchObject(
      differs(`its options were {"poison":"stop"} and are ${"x".repeat(200)}…`),
    );
  });

  it("of another shape does not go on with the state of a task, unless that is reset (I10)", () => {
    const shape = (...texts: string[]) => texts.map((text, stage) => ({ stage, name: "sums", text }));
    const tasks = ["0.0", "1.0"].map((task) => ({ task, inputs: ["in"] }));
    const put2 = (version: number, ...texts: string[]) => put(version, { tasks, shape: shape(...texts) });
    const first = deploy(put2(1, "sum", "count"));
    // Nothing was done: nothing can be wrong.
    const second = deploy(put2(2, "sum", "avg"));
    expect(second).toBeGreaterThan(first);
    driver.run(commit(second, START, place(2, 1)));
    const before = stateOf(driver);
    expect(driver.refused(put2(3, "max", "avg"))).toMatchObject({
      code: "app-changed",
      message: expect.stringContaining('"sums" in stage 0 was "sum" and is "max"; reset'),
    });
    expect(
      driver.refused(put(3, { tasks: tasks.slice(1), shape: [{ stage: 1, name: "sums", text: "avg" }] })),
    ).toMatchObject({
      code: "app-changed",
      message: expect.stringContaining('"sums" in stage 0 (sum) is gone'),
    });
    expect(driver.refused(put2(2, "max", "avg"))).toMatchObject({
      code: "app-exists",
      message: expect.stringContaining('"sums" in stage 0 was "sum" and is "max"): deploy this as a higher one, once'),
    });
    expect(stateOf(driver)).toEqual(before);
    // What another stage is made of is nothing to this one.
    deploy(put2(3, "sum", "last"));
    expect(taskNow()).toMatchObject({ place: place(2, 1), commits: 1 });
    driver.run({ kind: "app-reset", app: "x", tasks: [] });
    deploy(put2(4, "max", "last"));
    expect(driver.machine.app("x")?.shape).toEqual(shape("max", "last"));
  });

  it("that is deleted and deployed anew has an epoch that was never given (P39)", () => {
    const first = deploy();
    expect(driver.run({ kind: "app-delete", app: "x" }).kind).toBe("done");
    expect(driver.machine.app("x")).toBeUndefined();
    expect(driver.refused(commit(first, START, place(2, 1)))).toMatchObject({ code: "app-not-found" });
    expect(deploy()).toBeGreaterThan(first);
    expect(driver.refused(commit(first, START, place(2, 1)))).toMatchObject({ code: "task-fenced" });
  });

  it("takes no commits while it is paused", () => {
    const epoch = deploy();
    driver.run({ kind: "app-state", app: "x", paused: true });
    expect(driver.refused(commit(epoch, START, place(2, 1)))).toMatchObject({ code: "app-paused" });
    driver.run({ kind: "app-state", app: "x", paused: false });
    expect(driver.run(commit(epoch, START, place(2, 1))).kind).toBe("done");
  });

  it("begins anew, whole or in part, with its streams going in the same transaction", () => {
    const first = deploy();
    driver.create("out");
    for (const task of ["0.0", "0.1"]) driver.run(commit(first, START, place(2, 3), { task, nextDue: driver.now + 5 }));
    expect(driver.machine.nextDeadline()).toBe(driver.now + 6);
    const reset = { kind: "app-reset", app: "x", tasks: [{ task: "0.0", start: at(1, 4) }] } as const;
    const result = driver.run(transaction(reset, { kind: "delete", stream: "out" }));
    expect(result).toMatchObject({ kind: "transaction", results: [{ kind: "app-epoch" }, { kind: "done" }] });
    expect(driver.machine.stream("out")).toBeUndefined();
    expect(taskNow()).toMatchObject({ start: at(1, 4), place: place(1, 0, 4), chain: 0n, commits: 0 });
    expect([taskNow()?.born, taskNow("0.1")?.born]).toEqual([driver.machine.app("x")?.epoch, first]);
    expect(taskNow("0.1")).toMatchObject({ place: place(2, 3) });
    expect(driver.refused(commit(first, place(1, 0, 4), place(2, 1)))).toMatchObject({ code: "task-fenced" });
    driver.run({ kind: "app-reset", app: "x", tasks: [] });
    expect(
      driver.machine
        .app("x")
        ?.tasks()
        .map((task) => task.place),
    ).toEqual([START, START]);
    expect(driver.machine.nextDeadline()).toBeUndefined();
  });

  it.each<[string, Command, string]>([
    ["a name with a slash", put(1, { app: "x/y" }), "invalid-app"],
    ["a name that is too long", put(1, { app: "x".repeat(257) }), "invalid-app"],
    ["no version", put(0), "invalid-app"],
    ["no task", put(1, { tasks: [] }), "invalid-app"],
    ["a task that is called otherwise", put(1, { tasks: [{ task: "0.01", inputs: [] }] }), "invalid-app"],
    ["a task twice", put(1, { tasks: ["0.0", "0.0"].map((task) => ({ task, inputs: [] })) }), "invalid-app"],
    ["an input that no stream is called", put(1, { tasks: [{ task: "0.0", inputs: [""] }] }), "invalid-app"],
    [
      "too large a shape",
      put(1, { shape: Array.from({ length: 65 }, () => ({ stage: 0, name: "n", text: "t".repeat(16_384) })) }),
      "invalid-app",
    ],
    ["too long a description", put(1, { description: "d".repeat(16_385) }), "invalid-app"],
    ["a state of an app that is not there", { kind: "app-state", app: "y", paused: true }, "app-not-found"],
    ["a reset of an app that is not there", { kind: "app-reset", app: "y", tasks: [] }, "app-not-found"],
    [
      "a reset of a task that is not there",
      { kind: "app-reset", app: "x", tasks: [{ task: "9.9", start: at(1) }] },
      "app-not-found",
    ],
    [
      "a reset to what is to come",
      { kind: "app-reset", app: "x", tasks: [{ task: "0.0", start: at(99) }] },
      "invalid-app",
    ],
    [
      "a reset of a task twice",
      { kind: "app-reset", app: "x", tasks: [at(1), at(0)].map((start) => ({ task: "0.0", start })) },
      "invalid-app",
    ],
    ["an end of an app that is not there", { kind: "app-delete", app: "y" }, "app-not-found"],
  ])("is refused with %s, and nothing is left of it", (_what, command, code) => {
    deploy();
    const before = stateOf(driver);
    expect(driver.refused(command)).toMatchObject({ code });
    expect(stateOf(driver)).toEqual(before);
  });

  it("is not one too many, and has not too many tasks", () => {
    driver = Driver.limited({ appsMax: 2, tasksPerAppMax: 2, tasksMax: 3, taskInputsMax: 1 });
    deploy();
    const one = (app: string, task = "0.0") => put(1, { app, tasks: [{ task, inputs: [] }] });
    expect(driver.refused(put(1, { app: "y" }))).toMatchObject({
      code: "too-many",
      message: expect.stringContaining("all apps"),
    });
    deploy(one("y"));
    expect(driver.refused(one("z"))).toMatchObject({ code: "too-many" });
    const three = ["0.0", "0.1", "0.2"].map((task) => ({ task, inputs: [] }));
    expect(driver.refused(put(2, { tasks: three }))).toMatchObject({ code: "too-many" });
    expect(driver.refused(put(2, { tasks: [{ task: "0.0", inputs: ["a", "b"] }] }))).toMatchObject({
      code: "too-many",
    });
    // Those that it replaces make room.
    expect(driver.run(put(2)).kind).toBe("app-epoch");
  });
});

describe("a commit", () => {
  it("moves the task, and all that is in its transaction is there with it (I11, I12)", () => {
    const epoch = deploy();
    driver.create("out");
    const digests = [{ records: 1, logTime: 5, state: 2n, outputs: 3n }];
    const done = commit(epoch, START, place(2, 4, 8), { digests, nextDue: driver.now + 50 });
    driver.create(commitsStream("x", "0.0"));
    const applied = driver.run(transaction(append("out", 4), append("apps/x/commits/0.0", 1), done));
    expect(applied.kind).toBe("transaction");
    expect(taskNow()).toMatchObject({
      place: place(2, 4, 8),
      chain: 7n,
      digests: [{ replica: "r", point: digests[0] }],
      nextDue: driver.now + 50,
      commits: 1,
      commit: { replica: "r", atMs: driver.now },
    });
    expect(driver.machine.stream("out")?.nextOffset).toBe(4);
  });

  it("counts once: the same again, or that of another replica, is told where the task is, and appends nothing (I12)", () => {
    const epoch = deploy();
    driver.create("out");
    const once = transaction(append("out", 1), commit(epoch, START, place(2, 1)));
    expect(driver.run(once).kind).toBe("transaction");
    const before = stateOf(driver);
    const late = transaction(append("out", 2), commit(epoch, START, place(2, 2, 3), { replica: "q" }));
    for (const command of [once, late])
      expect(driver.refused(command)).toMatchObject({ code: "task-moved", place: place(2, 1) });
    expect(stateOf(driver)).toEqual(before);
  });

  it("is exact within a batch, and where timers made outputs without a record", () => {
    const epoch = deploy();
    expect(driver.run(commit(epoch, START, place(2, 0, 3))).kind).toBe("done");
    expect(driver.refused(commit(epoch, place(2, 0, 2), place(2, 1, 3)))).toMatchObject({ code: "task-moved" });
    expect(driver.run(commit(epoch, place(2, 0, 3), place(2, 2, 3))).kind).toBe("done");
    expect(driver.refused(commit(epoch, place(2, 1, 3), place(2, 3, 3)))).toMatchObject({ code: "task-moved" });
    expect(taskNow()?.place).toEqual(place(2, 2, 3));
  });

  it.each<[string, Partial<TaskCommitCommand>, string]>([
    ["of no task", { task: "9.9" }, "app-not-found"],
    ["of no app", { app: "y" }, "app-not-found"],
    ["of an epoch to come", { epoch: 99 }, "task-fenced"],
    ["that goes back in its input", { to: place(1, 3) }, "invalid-app"],
    ["that goes back in a batch", { to: place(2, 3, 0) }, "invalid-app"],
    ["that takes outputs back", { to: place(2, 0, 1) }, "invalid-app"],
    ["of what the log has not yet", { to: place(99, 3) }, "invalid-app"],
    ["of nobody", { replica: "" }, "invalid-app"],
    ["of somebody with a long name", { replica: "r".repeat(65) }, "invalid-app"],
    [
      "with too many digest points",
      { digests: Array(17).fill({ records: 1, logTime: 1, state: 1n, outputs: 1n }) },
      "too-many",
    ],
  ])("%s is refused", (_what, wrong, code) => {
    const epoch = deploy();
    driver.run(commit(epoch, START, place(2, 1, 1)));
    const before = stateOf(driver);
    expect(driver.refused(commit(epoch, place(2, 1, 1), place(2, 1, 1), wrong))).toMatchObject({ code });
    expect(stateOf(driver)).toEqual(before);
  });

  it("that is taken back with its transaction leaves the task, and what it waits for, as they were", () => {
    const epoch = deploy();
    driver.run(commit(epoch, START, place(2, 1), { nextDue: driver.now + 30 }));
    const before = stateOf(driver);
    const operations = [
      commit(epoch, place(2, 1), place(3, 1), { nextDue: driver.now + 10 }),
      { kind: "app-state", app: "x", paused: true },
      { kind: "app-reset", app: "x", tasks: [] },
      put(2, { tasks: [{ task: "7.0", inputs: [] }] }),
      put(1, { app: "new" }),
      { kind: "app-delete", app: "x" },
      append("missing", 1),
    ] as const;
    for (let count = 1; count < operations.length; count += 1) {
      const taken = transaction(...operations.slice(0, count), append("missing", 1));
      expect(driver.refused(taken)).toMatchObject({ code: "stream-not-found" });
      expect(stateOf(driver)).toEqual(before);
      expect(driver.machine.nextDeadline()).toBe(driver.now + 31);
      expect(driver.machine.digest()).toBe(restored(driver.machine).digest());
    }
    expect([...driver.machine.apps()].map(({ app }) => app)).toEqual(["x"]);
  });
});

describe("what a task waits for", () => {
  it("is a deadline until log time has gone past it (I14), also after a restore", () => {
    const epoch = deploy();
    const due = driver.now + 100;
    driver.run(commit(epoch, START, place(2, 1), { nextDue: due }));
    expect(driver.machine.nextDeadline()).toBe(due + 1);
    driver.pass(100);
    expect(driver.machine.nextDeadline()).toBe(due + 1);
    expect(restored(driver.machine).nextDeadline()).toBe(due + 1);
    driver.pass(1);
    expect(driver.machine.nextDeadline()).toBeUndefined();
    expect(restored(driver.machine).nextDeadline()).toBeUndefined();
    expect(taskNow()?.nextDue).toBe(due);
    // Nobody has gone on: that is to be seen, unless it is meant to be so.
    expect(driver.machine.appTotals()).toEqual({ count: 1, paused: 0, tasks: 2, commits: 1, dueSince: due });
    driver.run({ kind: "app-state", app: "x", paused: true });
    expect(driver.machine.appTotals()).toMatchObject({ paused: 1, dueSince: undefined });
    driver.run({ kind: "app-state", app: "x", paused: false });
    driver.run(commit(epoch, place(2, 1), place(2, 2), { nextDue: due }));
    expect(driver.machine.nextDeadline()).toBeUndefined();
    driver.run(commit(epoch, place(2, 2), place(2, 3)));
    expect(taskNow()?.nextDue).toBeUndefined();
    expect(driver.machine.appTotals()).toMatchObject({ commits: 3, dueSince: undefined });
  });
});

describe("snapshots of a task", () => {
  const STREAM = snapshotsStream("x", "0.0");
  const point = (records: number, state = 1n) => ({ records, logTime: 5, state, outputs: 2n });
  let epoch = 0;

  beforeEach(() => {
    epoch = deploy();
    driver.create(STREAM, { retention: { maxBytes: 1 } });
    driver.append(STREAM, 10);
  });

  function told(records: number, more: Partial<TaskSnapshotCommand> = {}): TaskSnapshotCommand {
    const who = { app: "x", task: "0.0", epoch, replica: "s" };
    const range = { manifest: records, neededFrom: records - 2 };
    return { kind: "task-snapshot", ...who, ...range, point: point(records), verified: false, ...more };
  }

  function committed(records: number, replica = "r", state = 1n): void {
    const from = taskNow()?.place ?? START;
    const digests = [point(records, state)];
    expect(driver.run(commit(epoch, from, place(2, from.outputs + 1), { replica, digests })).kind).toBe("done");
  }

  const trimmedOn = (manifest: number) =>
    ({ kind: "task-trimmed", app: "x", task: "0.0", epoch, replica: "s", manifest }) as const;

  it("are verified by what another replica committed there, before or after, or by the word of who wrote them", () => {
    driver.run(told(3));
    expect(taskNow()).toMatchObject({ snapshot: { manifest: 3, replica: "s" } });
    expect(taskNow()).not.toHaveProperty("verified");
    // Its own word is none of another.
    committed(3, "s");
    expect(taskNow()).not.toHaveProperty("verified");
    committed(3, "r");
    expect(taskNow()).toMatchObject({ verified: { manifest: 3 } });
    expect(taskNow()).not.toHaveProperty("snapshot");
    committed(5, "r");
    driver.run(told(5));
    expect(taskNow()).toMatchObject({ verified: { manifest: 5, neededFrom: 3, replica: "s" } });
    driver.run(told(7, { verified: true }));
    expect(taskNow()).toMatchObject({ verified: { manifest: 7 } });
    const before = stateOf(driver);
    driver.run(told(6, { verified: true }));
    expect(stateOf(driver)).toEqual(before);
  });

  it("that differ from what was committed there, or are not there, are refused", () => {
    committed(3, "r", 9n);
    expect(driver.refused(told(3))).toMatchObject({ code: "condition-failed" });
    expect(driver.refused(told(3, { verified: true }))).toMatchObject({ code: "condition-failed" });
    expect(driver.refused(told(10))).toMatchObject({ code: "invalid-app" });
    expect(driver.refused(told(4, { neededFrom: 5 }))).toMatchObject({ code: "invalid-app" });
    expect(driver.refused(told(4, { epoch: epoch + 1 }))).toMatchObject({ code: "task-fenced" });
    driver.run({ kind: "trim", stream: STREAM, before: 4 });
    expect(driver.refused(told(5))).toMatchObject({ code: "invalid-app" });
    driver.run({ kind: "delete", stream: STREAM });
    expect(driver.refused(told(8))).toMatchObject({ code: "invalid-app" });
  });

  it("may all go as long as no input was trimmed on them", () => {
    driver.run(told(3, { verified: true }));
    expect(driver.run({ kind: "trim", stream: STREAM, before: 10 })).toEqual({ kind: "trimmed", firstOffset: 10 });
    expect(driver.refused(trimmedOn(3))).toMatchObject({ code: "condition-failed" });
    expect(driver.run({ kind: "delete", stream: STREAM }).kind).toBe("done");
  });

  it("are forgotten with their stream: one that is made anew has others at their offsets", () => {
    driver.run(told(4, { verified: true }));
    driver.run(told(6));
    driver.run({ kind: "delete", stream: STREAM });
    expect(taskNow()).not.toHaveProperty("verified");
    expect(taskNow()).not.toHaveProperty("snapshot");
    driver.create(STREAM);
    driver.append(STREAM, 10);
    expect(driver.refused(trimmedOn(4))).toMatchObject({ code: "condition-failed" });
  });

  it("stay once input was trimmed on them, until a newer one is verified", () => {
    driver.run(told(4));
    expect(driver.refused(trimmedOn(4))).toMatchObject({ code: "condition-failed" });
    driver.run(told(4, { verified: true }));
    expect(driver.run(trimmedOn(4)).kind).toBe("done");
    expect(driver.machine.retainedFrom(STREAM)).toBe(2);
    expect(driver.run({ kind: "trim", stream: STREAM, before: 2 }).kind).toBe("trimmed");
    expect(driver.refused({ kind: "trim", stream: STREAM, before: 3 })).toMatchObject({ code: "snapshot-needed" });
    expect(driver.refused({ kind: "delete", stream: STREAM })).toMatchObject({ code: "snapshot-needed" });
    expect(driver.refused(transaction({ kind: "delete", stream: STREAM }))).toMatchObject({ code: "snapshot-needed" });
    // One that waits takes nobody's place.
    driver.run(told(8));
    expect(driver.refused({ kind: "trim", stream: STREAM, before: 6 })).toMatchObject({ code: "snapshot-needed" });
    committed(8);
    expect(driver.machine.retainedFrom(STREAM)).toBe(6);
    expect(driver.run({ kind: "trim", stream: STREAM, before: 6 }).kind).toBe("trimmed");
    expect(driver.refused({ kind: "trim", stream: STREAM, before: 7 })).toMatchObject({ code: "snapshot-needed" });
    expect(restored(driver.machine).retainedFrom(STREAM)).toBe(6);
  });

  it("of which records are gone take no other's place when they would be verified", () => {
    driver.run(told(6, { verified: true }));
    driver.run(trimmedOn(6));
    driver.run(told(8, { neededFrom: 1 }));
    expect(driver.run({ kind: "trim", stream: STREAM, before: 4 }).kind).toBe("trimmed");
    // One that is older than what is gone, but whole.
    driver.run(told(7));
    expect(taskNow()).toMatchObject({ verified: { manifest: 6 }, snapshot: { manifest: 7 } });
    driver.run(told(9, { neededFrom: 4 }));
    expect(driver.refused({ kind: "trim", stream: STREAM, before: 5 })).toMatchObject({ code: "snapshot-needed" });
    committed(9);
    expect(taskNow()).toMatchObject({ verified: { manifest: 9 } });
  });

  it("that wait, and of which records are gone, are not verified by a commit", () => {
    driver.run(told(6, { verified: true }));
    driver.run(trimmedOn(6));
    driver.run(told(8, { neededFrom: 1 }));
    driver.run({ kind: "trim", stream: STREAM, before: 4 });
    committed(8);
    expect(taskNow()).toMatchObject({ verified: { manifest: 6 } });
    expect(taskNow()).not.toHaveProperty("snapshot");
    expect(driver.refused({ kind: "trim", stream: STREAM, before: 5 })).toMatchObject({ code: "snapshot-needed" });
  });

  it("are let go with the task, in one transaction, or with what it has done", () => {
    driver.run(told(4, { verified: true }));
    driver.run(trimmedOn(4));
    const remove = { kind: "delete", stream: STREAM } as const;
    expect(driver.run(transaction({ kind: "app-reset", app: "x", tasks: [] }, remove)).kind).toBe("transaction");
    expect(driver.machine.stream(STREAM)).toBeUndefined();
    expect(taskNow()).toMatchObject({ trimmed: false });
    expect(taskNow()).not.toHaveProperty("verified");
  });

  it("in a stream that ends by itself are not what input is trimmed on; nor are those that are needed compacted", () => {
    driver.run(transaction({ kind: "delete", stream: STREAM }));
    driver.create(STREAM, {
      expiry: { kind: "sliding", ttlSeconds: 9 },
      retention: { compaction: { tombstoneMs: 1 } },
    });
    driver.append(STREAM, 10);
    driver.run(told(4, { verified: true }));
    expect(driver.refused(trimmedOn(4))).toMatchObject({ code: "condition-failed" });
    driver.run({ kind: "delete", stream: STREAM });
    const { incarnation } = driver.create(STREAM, { retention: { compaction: { tombstoneMs: 1 } } });
    driver.append(STREAM, 10);
    driver.run(told(5, { verified: true }));
    expect(driver.run(trimmedOn(5)).kind).toBe("done");
    driver.run({ kind: "compact", stream: STREAM, incarnation, before: 9, tombstonesBefore: 0 });
    expect(driver.machine.stream(STREAM)?.compactedBefore).toBe(0);
  });
});

describe("streams that a deployed app cannot go on without", () => {
  const COMMITS = commitsStream("x", "0.0");
  const BETWEEN = "apps/x/repartition-1/0";
  const DEAD = "apps/x/dead";
  const FLEETING = { expiry: { kind: "sliding", ttlSeconds: 9 } } as const;
  const raise = (level = LEVEL_OF_APP_STREAMS) => driver.run({ kind: "feature-level", level });
  const remove = (stream: string) => ({ kind: "delete", stream }) as const;

  beforeEach(() => {
    for (const stream of [COMMITS, commitsStream("x", "9.9"), BETWEEN, DEAD, "apps/x/deadline", "apps/y/commits/0.0"])
      driver.create(stream);
    const tasks = [
      { task: "0.0", inputs: ["in"] },
      { task: "1.0", inputs: [BETWEEN] },
    ];
    deploy(put(1, { tasks }));
  });

  it.each([COMMITS, BETWEEN])("can be neither deleted, nor closed, nor lose records by themselves: %s", (stream) => {
    raise();
    const before = stateOf(driver);
    const close: Command = { kind: "append", stream, close: true };
    const forget: Command = { kind: "settings", stream, retention: { maxAgeMs: 1 } };
    for (const command of [remove(stream), transaction(remove(stream)), close, forget])
      expect(driver.refused(command)).toMatchObject({
        code: "app-needs",
        message: expect.stringMatching(/reset or delete/),
      });
    expect(stateOf(driver)).toEqual(before);
    driver.append(stream, 2);
    expect(driver.run({ kind: "trim", stream, before: 1 }).kind).toBe("trimmed");
  });

  it("are told from others of like names", () => {
    raise();
    for (const stream of [commitsStream("x", "9.9"), DEAD, "apps/y/commits/0.0", "in"])
      expect(driver.run(remove(stream)).kind).toBe("done");
  });

  it("go with a reset, or with the app, in one transaction; or in several, while it is paused", () => {
    raise();
    const reset = { kind: "app-reset", app: "x", tasks: [] } as const;
    const pause = (paused: boolean) => ({ kind: "app-state", app: "x", paused }) as const;
    expect(driver.run(transaction(reset, remove(COMMITS))).kind).toBe("transaction");
    expect(driver.refused(remove(BETWEEN))).toMatchObject({ code: "app-needs" });
    expect(driver.run(transaction(pause(true), reset)).kind).toBe("transaction");
    expect(driver.run(transaction(remove(BETWEEN), pause(false))).kind).toBe("transaction");
    driver.create(BETWEEN);
    expect(driver.run(transaction({ kind: "app-delete", app: "x" }, remove(BETWEEN))).kind).toBe("transaction");
  });

  it("stay so of an app that is only paused, once its tasks have done anything", () => {
    raise();
    const epoch = driver.machine.app("x")?.epoch as number;
    expect(driver.run(commit(epoch, START, place(3, 0)))).toEqual({ kind: "done" });
    driver.run({ kind: "app-state", app: "x", paused: true });
    expect(driver.refused(remove(COMMITS))).toMatchObject({ code: "app-needs" });
  });

  it("are what they were below the feature level that has this (P26)", () => {
    expect(driver.run(remove(COMMITS)).kind).toBe("done");
    raise();
    expect(driver.run(remove(DEAD)).kind).toBe("done");
    expect(driver.create(COMMITS, FLEETING).created).toBe(true);
    expect(driver.run({ ...put(2), app: "y" })).toMatchObject({ changed: true });
  });

  it("have that of dead letters among them, which may lose records by itself", () => {
    raise(LEVEL_OF_LASTING_APP_STREAMS);
    for (const command of [remove(DEAD), { kind: "append", stream: DEAD, close: true } as const])
      expect(driver.refused(command)).toMatchObject({
        code: "app-needs",
        message: 'the app "x" cannot go on without "apps/x/dead", for what it fails at; reset or delete the app',
      });
    expect(driver.run({ kind: "settings", stream: DEAD, retention: { maxAgeMs: 1 } }).kind).toBe("done");
    expect(driver.run(remove("apps/x/deadline")).kind).toBe("done");
    driver.run({ kind: "app-state", app: "x", paused: true });
    expect(driver.run(remove(DEAD)).kind).toBe("done");
    driver.run({ kind: "app-state", app: "x", paused: false });
    expect(driver.refused({ ...create(DEAD), ...FLEETING })).toMatchObject({ code: "app-needs" });
    expect(driver.create(DEAD, { retention: { maxBytes: 1 } }).created).toBe(true);
    expect(driver.run(transaction({ kind: "app-delete", app: "x" }, remove(DEAD))).kind).toBe("transaction");
  });

  it.each([COMMITS, BETWEEN])("are written and trimmed by its tasks alone: %s", (stream) => {
    raise(LEVEL_OF_TASK_WRITES);
    const { epoch, tasks } = driver.machine.app("x") ?? never();
    const task = tasks().find(
      ({ task: name, inputs }) => inputs.includes(stream) || stream === commitsStream("x", name),
    );
    const by = { app: "x", task: task?.task ?? "", epoch, replica: "r" };
    const says = { kind: "task-statement", ...by } as const;
    const written = append(stream, 1);
    const { incarnation } = driver.machine.stream(stream) ?? never();
    const trim = { stream, incarnation, before: 1 };
    const before = stateOf(driver);
    const attempts: Command[] = [
      written,
      { kind: "append-run", stream, producer: { id: "p", epoch: 0, sequence: 0 }, batches: [BATCH] },
      transaction(written),
      // Another app's word, and of the stream of commits another task's.
      transaction({ ...says, app: "y" }, written),
      ...(stream === COMMITS ? [transaction({ ...says, task: "1.0" }, written)] : []),
      transaction({ ...says, epoch: epoch - 1 }, written),
      { kind: "trim", ...trim },
      { kind: "task-trim", ...by, ...trim, epoch: epoch - 1 },
      { kind: "task-trim", ...by, ...trim, stream: DEAD },
    ];
    const codes = attempts.map((command) => refusalOf(driver.run(command)));
    const fenced = stream === COMMITS ? ["app-needs", "task-fenced"] : ["task-fenced"];
    expect(codes).toEqual([
      ...["app-needs", "app-needs", "app-needs", "app-not-found", ...fenced],
      ...["app-needs", "task-fenced", "invalid-app"],
    ]);
    expect(stateOf(driver)).toEqual(before);
    expect(driver.refused(written)).toMatchObject({
      message: `only tasks of the app "x" append to "${stream}", and trim it, while it is deployed`,
    });
    expect(driver.run(transaction(says, written)).kind).toBe("transaction");
    expect(driver.run(transaction(written, { ...commit(epoch, START, place(3, 0)), ...by })).kind).toBe("transaction");
    expect(driver.run({ kind: "task-trim", ...by, ...trim })).toEqual({ kind: "trimmed", firstOffset: 1 });
    driver.run({ kind: "app-delete", app: "x" });
    expect(driver.append(stream, 1).kind).toBe("appended");
  });

  it("get no dead letters or wakes of others either, nor are made with records", () => {
    raise(LEVEL_OF_TASK_WRITES);
    driver.run(transaction({ kind: "app-reset", app: "x", tasks: [] }, remove(COMMITS)));
    const { incarnation } = driver.machine.stream("in") ?? never();
    const fork = { source: "in", incarnation, partialBytes: 0 };
    for (const more of [{ batch: BATCH }, { fork }])
      expect(driver.refused({ ...create(COMMITS), ...more })).toMatchObject({
        code: "app-needs",
        message: expect.stringContaining("this one begins with records"),
      });
    driver.create(COMMITS);
    const mode = { kind: "queue", attemptsMax: 1, retryDelayMs: 0, deadLetter: COMMITS } as const;
    driver.run({ kind: "group-create", id: "g", mode, streams: ["in"], from: "start", leaseMs: 1_000 });
    const taken = driver.run({ kind: "group-take", id: "g", member: "m", count: 1 });
    if (taken.kind !== "group-taken") throw new Error("nothing was taken");
    const [lease] = taken.leases;
    const { generation } = taken;
    const record = { stream: "in", incarnation, offset: lease?.offset ?? -1, generation };
    driver.run({ kind: "group-settle", id: "g", settlements: [{ ...record, count: 1, outcome: { kind: "nack" } }] });
    expect(driver.refused({ kind: "group-dead-letter", id: "g", ...record, batch: BATCH })).toMatchObject({
      code: "app-needs",
    });
    const delivery = { kind: "pull-wake", wakeStream: COMMITS } as const;
    driver.run({ kind: "subscription-create", id: "s", delivery, leaseMs: 1_000, streams: ["in"] });
    driver.append("in", 1);
    const wake = { kind: "subscription-wake", id: "s", generation: 1, wakeId: "w", batch: BATCH } as const;
    expect(driver.refused(wake)).toMatchObject({ code: "app-needs" });
  });

  it.each([
    ["ends by itself (expiry)", FLEETING],
    ["loses records by itself (retention, compaction)", { retention: { maxAgeMs: 1 } }],
    ["loses records by itself (retention, compaction)", { retention: { compaction: { tombstoneMs: 1 } } }],
    ["is closed", { closed: true }],
  ] as const)("are not made so that one %s, nor is an app deployed on such", (what, made) => {
    raise(LEVEL_OF_LASTING_APP_STREAMS);
    driver.run(transaction({ kind: "app-reset", app: "x", tasks: [] }, remove(COMMITS), remove(BETWEEN)));
    for (const stream of [COMMITS, BETWEEN])
      expect(driver.refused({ ...create(stream), ...made })).toMatchObject({
        code: "app-needs",
        message: expect.stringContaining(`cannot go on without "${stream}"; this one ${what}`),
      });
    const commits = commitsStream("z", "0.0");
    driver.create(commits, made);
    const deployment = { ...put(1), app: "z" };
    expect(driver.refused(deployment)).toMatchObject({
      code: "app-needs",
      message: expect.stringContaining(`"${commits}"; the one that is there ${what}: delete it first`),
    });
    driver.run(remove(commits));
    expect(driver.run(deployment)).toMatchObject({ changed: true });
  });

  it("are not needed lasting by an app that has other tasks, nor inputs of the user's by any", () => {
    raise(LEVEL_OF_LASTING_APP_STREAMS);
    for (const stream of ["apps/z/dead", "z-in"]) driver.create(stream, { retention: { maxAgeMs: 1 } });
    driver.create(commitsStream("z", "9.9"), FLEETING);
    expect(driver.run({ ...put(1, { tasks: [{ task: "0.0", inputs: ["z-in"] }] }), app: "z" }).kind).toBe("app-epoch");
    driver.create("apps/w/dead", FLEETING);
    expect(driver.refused({ ...put(1), app: "w" })).toMatchObject({ code: "app-needs" });
  });
});
