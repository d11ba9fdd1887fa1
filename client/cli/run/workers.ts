/**
 * The worker processes of `tidemark run`: each has a replica of every task, and shares nothing with the others. One that dies is
 * started again, after a pause that grows while it dies at once; the others take over meanwhile. So is one that hangs, in an operator
 * that does not return, say: it is killed, and it is told which operator that was.
 */
import { type ChildProcess, fork } from "node:child_process";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { unreachable } from "../../../src/lib/assert.ts";
import { messageOf } from "../../../src/lib/thrown.ts";
import { TidemarkError } from "../../error.ts";
import type { CommitTally } from "./metered-log.ts";
import { type RunningOperator, runningText } from "./running-place.ts";
import {
  type FromWorker,
  HANGING_FD,
  type HangingWorker,
  type ToldStatus,
  type ToWorker,
  type WorkerEnd,
  type WorkerSettings,
} from "./worker-messages.ts";

/** Beside us, as source or as built. */
const WORKER = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 10_000;
/** A worker that ran so long is started again at once. */
const HEALTHY_MS = 30_000;
export type WorkerTimeouts = {
  /** One that was told to end, or says that it does, has so long for it. */
  readonly stopMs: number;
  /** One that said something, and nothing more for so long, hangs. */
  readonly hungMs: number;
};

const TIMEOUTS: WorkerTimeouts = { stopMs: 10_000, hungMs: 30_000 };
/** One hangs that was silent at so many in a row: if it was this process that stood still, or the machine, that is one. */
const SILENT_LOOKS_MAX = 10;
const MS_PER_SECOND = 1_000;

export type WorkersListener = {
  /** A worker, by its number from 1, is another process now. */
  readonly onStart: (worker: number, processId: number | undefined) => void;
  /** It is started again in so long. */
  readonly onDeath: (worker: number, why: string, restartMs: number) => void;
  /** It is not started again. */
  readonly onOver: (worker: number, why: string) => void;
  readonly onStatus: (worker: number, commits: CommitTally) => void;
  /** In which what the workers run is deployed. */
  readonly epoch: () => number;
  /** Resolves when what is deployed is this again. */
  readonly redeploy: () => Promise<void>;
};

/** A worker, by its number from 1, and what it told last; of one that is being started again, nothing of either. */
export type WorkerStatus = {
  readonly worker: number;
  readonly process: number | undefined;
  readonly replicas: readonly ToldStatus[];
  /** In which it has been for some seconds; undefined: it answers, or nobody knows. */
  readonly hangs: RunningOperator | undefined;
};

type Running = {
  readonly child: ChildProcess;
  readonly epoch: number;
  /** Looks since it said something; undefined before it first did. */
  silentLooks: number | undefined;
  /** What its watchdog said since. */
  hangs: RunningOperator | undefined;
  /** There is no such process any more, or there never was. */
  readonly gone: Promise<void>;
};

type Worker = {
  readonly number: number;
  readonly settings: WorkerSettings;
  running: Running | undefined;
  process: number | undefined;
  replicas: readonly ToldStatus[];
  startedMs: number;
  heardMs: number;
  restartMs: number;
  timer: NodeJS.Timeout | undefined;
  /** Why it was told to end, to be started again. */
  restart: string | undefined;
  /** It is not started again, as long as what is deployed is this. */
  isOver: boolean;
};

/** The same may do later. */
export function isPassing(error: unknown): boolean {
  return error instanceof TidemarkError && error.retryable;
}

/** All workers must end: started again, they would come to the same. */
export class AppEnded extends Error {
  override readonly name = "AppEnded";
  readonly exitCode: number;

  constructor(what: string, exitCode: number) {
    super(what);
    this.exitCode = exitCode;
  }
}

export class Workers {
  readonly #workers: readonly Worker[];
  readonly #listener: WorkersListener;
  readonly #ended = Promise.withResolvers<never>();
  readonly #timeouts: WorkerTimeouts;
  readonly #looking: NodeJS.Timeout;
  #stopping = false;

  /** Starts one for each of the settings. */
  constructor(settings: readonly WorkerSettings[], listener: WorkersListener, timeouts: WorkerTimeouts = TIMEOUTS) {
    this.#listener = listener;
    this.#timeouts = timeouts;
    this.#ended.promise.catch(() => undefined);
    this.#workers = settings.map((own, at) => ({
      number: at + 1,
      settings: own,
      running: undefined,
      process: undefined,
      replicas: [],
      startedMs: 0,
      heardMs: 0,
      restartMs: RESTART_MS_MIN,
      timer: undefined,
      restart: undefined,
      isOver: false,
    }));
    for (const worker of this.#workers) this.#start(worker);
    this.#looking = setInterval(() => this.#look(), timeouts.hungMs / SILENT_LOOKS_MAX);
  }

  /** Rejects, with `AppEnded` or with why it cannot be deployed again, when all of them must end. */
  get failed(): Promise<never> {
    return this.#ended.promise;
  }

  get statuses(): readonly WorkerStatus[] {
    return this.#workers.map(({ number, process, replicas, running }) => {
      return { worker: number, process, replicas, hangs: running?.hangs };
    });
  }

  /** All of them must end, as if one of them had found so. */
  fail(error: unknown): void {
    this.#ended.reject(error);
  }

  /** Ends and starts those that run in an epoch that is over; in another one even those that are over may go on. */
  restart(why: string): void {
    const epoch = this.#listener.epoch();
    for (const worker of this.#workers) {
      if (worker.isOver) this.#start(worker);
      if (worker.running === undefined || worker.running.epoch === epoch) continue;
      worker.restart = why;
      this.#endSoon(worker.running.child);
    }
  }

  /** Each ends between two inputs. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#looking);
    await Promise.all(
      this.#workers.map(async ({ running, timer }) => {
        clearTimeout(timer);
        if (running !== undefined) this.#endSoon(running.child);
        await running?.gone;
      }),
    );
  }

  #start(worker: Worker): void {
    if (this.#stopping) return;
    const epoch = this.#listener.epoch();
    worker.startedMs = performance.now();
    worker.heardMs = worker.startedMs;
    worker.restart = undefined;
    worker.isOver = false;
    let child: ChildProcess;
    try {
      child = fork(WORKER, [], { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc", "pipe"] });
    } catch (error) {
      this.#onEnd(worker, { what: messageOf(error), next: "again" });
      return;
    }
    const gone = Promise.withResolvers<void>();
    const running: Running = { child, epoch, silentLooks: undefined, hangs: undefined, gone: gone.promise };
    worker.running = running;
    worker.process = child.pid;
    let end: WorkerEnd | undefined;
    const onGone = (how: string): void => {
      if (worker.running?.child !== child) return;
      worker.running = undefined;
      // What it told last is what there is to tell of how all came to an end.
      if (end?.next !== "end" && end?.next !== "never") {
        worker.process = undefined;
        worker.replicas = [];
      }
      gone.resolve();
      this.#onEnd(worker, end ?? { what: worker.restart ?? how, next: "again" });
    };
    child.on("message", (message: FromWorker) => {
      running.silentLooks = 0;
      running.hangs = undefined;
      worker.heardMs = performance.now();
      switch (message.kind) {
        case "alive":
          return;
        case "ended":
          end ??= message.end;
          return this.#endSoon(child);
        case "status":
          worker.replicas = message.replicas;
          return this.#listener.onStatus(worker.number, message.commits);
        default:
          return unreachable(message);
      }
    });
    hear(child, (operator) => {
      running.hangs = operator;
    });
    child.on("error", ({ message }) => {
      // Of one that could not be started, this is all that is heard.
      if (child.pid === undefined) onGone(message);
    });
    child.once("exit", (status, signal) => {
      onGone(signal === null ? `it ended with status ${status}` : `it was ended by ${signal}`);
    });
    say(child, { kind: "run", epoch, settings: worker.settings });
    this.#listener.onStart(worker.number, child.pid);
  }

  #onEnd(worker: Worker, end: WorkerEnd): void {
    if (this.#stopping) return;
    if (end.next === "never") {
      worker.isOver = true;
      this.#listener.onOver(worker.number, end.what);
    }
    if (end.next === "end" || (end.next === "never" && this.#workers.every(({ isOver }) => isOver)))
      this.#ended.reject(new AppEnded(end.what, end.exitCode));
    if (end.next === "end" || end.next === "never") return;
    if (worker.heardMs - worker.startedMs >= HEALTHY_MS) worker.restartMs = RESTART_MS_MIN;
    const { restartMs } = worker;
    worker.restartMs = Math.min(RESTART_MS_MAX, restartMs * 2);
    this.#listener.onDeath(worker.number, end.what, restartMs);
    worker.timer = setTimeout(() => {
      if (end.next === "again") this.#start(worker);
      else void this.#redeploy(worker);
    }, restartMs);
  }

  #look(): void {
    for (const worker of this.#workers) {
      const { running } = worker;
      if (running?.silentLooks === undefined) continue;
      running.silentLooks += 1;
      if (running.silentLooks < SILENT_LOOKS_MAX) continue;
      const seconds = this.#timeouts.hungMs / MS_PER_SECOND;
      const where = running.hangs === undefined ? "" : `: ${runningText(running.hangs)}`;
      worker.restart ??= `nothing was heard of it for ${seconds} s${where}`;
      running.child.kill("SIGKILL");
    }
  }

  async #redeploy(worker: Worker): Promise<void> {
    try {
      await this.#listener.redeploy();
    } catch (error) {
      if (isPassing(error)) this.#onEnd(worker, { what: messageOf(error), next: "deploy" });
      else this.#ended.reject(error);
      return;
    }
    this.#start(worker);
  }

  /** Also one that hangs. */
  #endSoon(child: ChildProcess): void {
    say(child, { kind: "stop" });
    const timer = setTimeout(() => child.kill("SIGKILL"), this.#timeouts.stopMs);
    child.once("exit", () => clearTimeout(timer));
  }
}

/** What its watchdog says. */
function hear(child: ChildProcess, onHanging: (operator: RunningOperator | undefined) => void): void {
  const input = child.stdio[HANGING_FD];
  // Of one that could not be started there may be nothing.
  if (!(input instanceof Readable)) return;
  const lines = createInterface({ input });
  lines.on("line", (line) => {
    try {
      onHanging((JSON.parse(line) as HangingWorker).operator);
    } catch {
      // It was killed in the midst of it.
    }
  });
  lines.on("error", () => lines.close());
}

/** To one that is gone, or has no channel yet, nothing. */
function say(child: ChildProcess, message: ToWorker): void {
  if (child.connected) child.send(message, () => undefined);
}
