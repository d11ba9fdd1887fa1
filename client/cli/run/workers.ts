/**
 * The worker processes of `tidemark run`: each has a replica of every task, and shares nothing with the others. One that dies is
 * started again, after a pause that grows while it dies at once; the others take over meanwhile.
 */
import { type ChildProcess, fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReplicaStatus } from "../../../src/runtime/replica.ts";
import type { CommitTally } from "./metered-log.ts";
import type { FromWorker, ToWorker, WorkerEnd, WorkerSettings } from "./worker-messages.ts";

/** Beside us, as source or as built. */
const WORKER = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 10_000;
/** A worker that ran so long is started again at once. */
const HEALTHY_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;

export type WorkersListener = {
  /** A worker, by its number from 1, is another process now. */
  readonly onStart: (worker: number, processId: number | undefined) => void;
  /** It is started again in so long. */
  readonly onDeath: (worker: number, why: string, restartMs: number) => void;
  readonly onStatus: (worker: number, commits: CommitTally) => void;
  /** Resolves when what is deployed is this again; rejects, if it never will be. */
  readonly redeploy: () => Promise<void>;
};

/** A worker, by its number from 1, and what it told last; of one that is being started again, nothing. */
export type WorkerStatus = {
  readonly worker: number;
  readonly process: number | undefined;
  readonly replicas: readonly ReplicaStatus[];
};

type Worker = {
  readonly number: number;
  readonly settings: WorkerSettings;
  child: ChildProcess | undefined;
  replicas: readonly ReplicaStatus[];
  startedMs: number;
  restartMs: number;
  timer: NodeJS.Timeout | undefined;
  /** Why it was told to end, to be started again. */
  restart: string | undefined;
};

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
  #stopping = false;

  /** Starts one for each of the settings. */
  constructor(settings: readonly WorkerSettings[], listener: WorkersListener) {
    this.#listener = listener;
    this.#ended.promise.catch(() => undefined);
    this.#workers = settings.map((own, at) => ({
      number: at + 1,
      settings: own,
      child: undefined,
      replicas: [],
      startedMs: 0,
      restartMs: RESTART_MS_MIN,
      timer: undefined,
      restart: undefined,
    }));
    for (const worker of this.#workers) this.#start(worker);
  }

  /** Rejects, with `AppEnded` or with why it cannot be deployed again, when all of them must end. */
  get failed(): Promise<never> {
    return this.#ended.promise;
  }

  get statuses(): readonly WorkerStatus[] {
    return this.#workers.map(({ number, child, replicas }) => ({ worker: number, process: child?.pid, replicas }));
  }

  /** All of them must end, as if one of them had found so. */
  fail(error: unknown): void {
    this.#ended.reject(error);
  }

  /** Ends and starts those that run. */
  restart(why: string): void {
    for (const worker of this.#workers) {
      worker.restart = why;
      worker.child?.send({ kind: "stop" } satisfies ToWorker, () => undefined);
    }
  }

  /** Each ends between two inputs. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers.map((worker) => this.#stopOne(worker)));
  }

  #start(worker: Worker): void {
    if (this.#stopping) return;
    const child = fork(WORKER, [], { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] });
    worker.child = child;
    worker.startedMs = performance.now();
    worker.restart = undefined;
    let end: WorkerEnd | undefined;
    child.on("message", (message: FromWorker) => {
      if (message.kind === "ended") end = message.end;
      else {
        worker.replicas = message.replicas;
        this.#listener.onStatus(worker.number, message.commits);
      }
    });
    child.once("error", (error) => (end ??= { what: error.message, next: "again" }));
    child.once("exit", (status, signal) => {
      worker.child = undefined;
      worker.replicas = [];
      const how = signal === null ? `it ended with status ${status}` : `it was ended by ${signal}`;
      this.#onExit(worker, end ?? { what: worker.restart ?? how, next: "again" });
    });
    child.send({ kind: "run", settings: worker.settings } satisfies ToWorker, () => undefined);
    this.#listener.onStart(worker.number, child.pid);
  }

  #onExit(worker: Worker, end: WorkerEnd): void {
    if (this.#stopping) return;
    if (end.next === "end") {
      this.#ended.reject(new AppEnded(end.what, end.exitCode));
      return;
    }
    if (performance.now() - worker.startedMs >= HEALTHY_MS) worker.restartMs = RESTART_MS_MIN;
    const { restartMs } = worker;
    worker.restartMs = Math.min(RESTART_MS_MAX, restartMs * 2);
    this.#listener.onDeath(worker.number, end.what, restartMs);
    worker.timer = setTimeout(() => {
      if (end.next === "again") this.#start(worker);
      else void this.#listener.redeploy().then(() => this.#start(worker), this.#ended.reject);
    }, restartMs);
  }

  async #stopOne({ child, timer }: Worker): Promise<void> {
    clearTimeout(timer);
    if (child === undefined) return;
    const exited = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
    });
    child.send({ kind: "stop" } satisfies ToWorker, () => undefined);
    const kill = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(kill);
  }
}
