/**
 * An app as the log knows it: what is deployed under a name, and how far its tasks are. What runs them is the runtime
 * (`src/runtime`); this looks at them, and tells them to stop, go on, or begin anew.
 */
import { BEFORE_RECORDS, type RecordPlace } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import type { AppDeleteCommand, AppResetCommand, TaskSpec } from "../../src/wire/app-command.ts";
import type { AppShape } from "../../src/wire/app-shape.ts";
import { checkAppName, statusStream } from "../../src/wire/app-streams.ts";
import { type GoneInput, inputBegins, lostInput, type LostInput, type Restart } from "../../src/wire/lost-input.ts";
import { checkStreamName } from "../../src/wire/stream-name.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import { toAppDescription, type AppDescription } from "./app-description.ts";
import { appTransactions } from "./app-transactions.ts";
import { inputEnds } from "./input-ends.ts";
import type { Connection } from "../connection.ts";
import type { CallOptions } from "../deadline.ts";
import { asTidemarkError, TidemarkError } from "../error.ts";
import { Stream } from "../stream.ts";
import { readReports, type WorkerReport } from "./worker-report.ts";

export type DeployOptions = CallOptions & {
  /** A whole number from 1. A higher one than is deployed takes its place; tasks of the same name stay where they are. */
  readonly version: number;
  readonly tasks: readonly TaskSpec[];
  /** The topology, for people. */
  readonly description?: string;
  /** What all replicas are to have alike. */
  readonly options?: string;
  /** What another version must have alike to go on with its tasks' state. */
  readonly shape?: AppShape;
};

/** `changed`: it was not deployed just so before. */
export type Deployed = { readonly epoch: number; readonly changed: boolean };

/** Without a `start` it begins before the first record. */
export type ResetTask = { readonly task: string; readonly start?: RecordPlace };

export type ResetAppOptions = CallOptions & {
  /** Only these. */
  readonly tasks?: readonly ResetTask[];
  /** Streams to be deleted with it: what it has written, and writes again. */
  readonly deleteStreams?: readonly string[];
  /** Changes nothing. */
  readonly dryRun?: boolean;
};

export type ResetAppOutcome = {
  readonly dryRun: boolean;
  readonly tasks: readonly { readonly task: string; readonly from: TaskPlace; readonly to: TaskPlace }[];
  /**
   * Before it: what tasks that begin before the first record had to read, and that is no longer kept. Nothing comes of it again. Of a
   * stream that was deleted and made anew, what the deleted one had is not among it.
   */
  readonly gone: readonly GoneInput[];
  /** Before it: inputs of theirs that do not exist. Nothing comes of them again, if they ever did. */
  readonly missing: readonly string[];
};

export class App {
  readonly name: string;
  readonly #connection: Connection;
  readonly #zstd: Zstd | undefined;

  constructor(connection: Connection, name: string, zstd: Zstd | undefined) {
    const checked = checkAppName(name);
    if (!checked.ok) throw new TidemarkError(checked.error.code, checked.error.message);
    this.name = name;
    this.#connection = connection;
    this.#zstd = zstd;
  }

  /**
   * Deploys it, or finds it deployed just so. `task-fenced`: a higher version is deployed; `app-exists`: this version is, with
   * something else different; `app-changed`: tasks have state of another shape.
   */
  async deploy(options: DeployOptions): Promise<Deployed> {
    const { version, tasks, description = "", options: shared = "", shape = [] } = options;
    if (!Number.isSafeInteger(version) || version < 1)
      throw new TidemarkError("invalid-argument", "an app's version is a whole number from 1");
    const put = { kind: "app-put", app: this.name, version, tasks, description, options: shared, shape } as const;
    const result = await this.#connection.execute(put, options);
    if (result.kind !== "app-epoch")
      throw new TidemarkError("protocol-error", `"app-put" was answered with "${result.kind}"`, { outcome: "applied" });
    return { epoch: result.epoch, changed: result.changed };
  }

  /** What is deployed, and how each task stands. Everything that anyone was told is in it. */
  async describe(options: CallOptions = {}): Promise<AppDescription> {
    return toAppDescription(await this.#connection.lookUp({ kind: "app", app: this.name }, options));
  }

  /**
   * What the workers that run it, or ran it last, told of its replicas: the newest of each, newest first. One that has not told anything
   * for several times its `everyMs` runs no more.
   */
  async reports(options: CallOptions = {}): Promise<readonly WorkerReport[]> {
    return readReports(new Stream(this.#connection, statusStream(this.name), this.#zstd), options);
  }

  /** Commits of its tasks are refused until it is resumed: their replicas stop. One that is paused is fine. */
  async pause(options: CallOptions = {}): Promise<void> {
    await this.#connection.execute({ kind: "app-state", app: this.name, paused: true }, options);
  }

  async resume(options: CallOptions = {}): Promise<void> {
    await this.#connection.execute({ kind: "app-state", app: this.name, paused: false }, options);
  }

  /**
   * Begins tasks anew, without what they have done so far; what they wrote stays unless it is named to be deleted, all in one
   * transaction. Their replicas stop. The outcome of one whose answer was lost is `unknown`; it is not done twice. With more than about
   * 1,000 streams it takes several transactions, between which the app is paused: where one fails, the outcome is `unknown`, too,
   * and all of it may be done again with the streams that are left.
   */
  async reset(options: ResetAppOptions = {}): Promise<ResetAppOutcome> {
    const { deleteStreams = [], dryRun = false } = options;
    const { tasks: standing, paused } = await this.describe(options);
    const wanted: readonly ResetTask[] = options.tasks ?? standing.map(({ task }) => ({ task }));
    if (wanted.length === 0) throw new TidemarkError("invalid-argument", "no task is named");
    const starts = wanted.map(({ task, start = BEFORE_RECORDS }) => {
      const known = standing.find((other) => other.task === task);
      if (known === undefined) throw new TidemarkError("app-not-found", `the app "${this.name}" has no task "${task}"`);
      return { task, start, known };
    });
    const lost = await this.#lostInput(starts, options);
    if (!dryRun) {
      const tasks = starts.map(({ task, start }) => ({ task, start }));
      await this.#transact({ kind: "app-reset", app: this.name, tasks }, deleteStreams, paused, options);
    }
    const moves = starts.map(({ task, start, known }) => ({
      task,
      from: known.place,
      to: { cursor: start, outputs: 0 },
    }));
    return { dryRun, tasks: moves, ...lost };
  }

  /** Forgets it and how its tasks stand, and deletes these streams with it, as a reset does. Their replicas stop. */
  async delete(options: CallOptions & { readonly deleteStreams?: readonly string[] } = {}): Promise<void> {
    const { deleteStreams = [] } = options;
    const command = { kind: "app-delete", app: this.name } as const;
    if (deleteStreams.length === 0) await this.#connection.execute(command, options);
    else await this.#transact(command, deleteStreams, false, options);
  }

  async #lostInput(restarts: readonly Restart[], call: CallOptions): Promise<LostInput> {
    const begins = inputBegins(this.name, restarts);
    const ends = await inputEnds((name) => new Stream(this.#connection, name, this.#zstd), begins.keys(), call);
    return lostInput(begins, (stream) => ends.get(stream)?.firstOffset);
  }

  async #transact(
    command: AppResetCommand | AppDeleteCommand,
    deleteStreams: readonly string[],
    paused: boolean,
    call: CallOptions,
  ): Promise<void> {
    for (const stream of deleteStreams) {
      const checked = checkStreamName(stream);
      if (!checked.ok) throw new TidemarkError(checked.error.code, checked.error.message);
    }
    for (const [place, operations] of appTransactions(command, deleteStreams, paused).entries()) {
      try {
        await this.#connection.transact({ kind: "transaction", conditions: [], operations }, false, call);
      } catch (thrown) {
        const error = asTidemarkError(thrown);
        if (place === 0) throw error;
        const message = `only a part is done, and the app is paused; do it again: ${error.message}`;
        throw new TidemarkError(error.code, message, { outcome: "unknown", cause: error });
      }
    }
  }
}
