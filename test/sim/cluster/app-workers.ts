/**
 * An app on the simulated cluster: production replicas on the production SDK, in workers that are killed, stand still, are cut off and come
 * late, and somebody who appends to its inputs. What came out is held against the batch's answer to what went in (I12).
 */
import { commitFault, missingOutputs } from "../../../client/testing/batch-answer.ts";
import { LogObserver } from "../../../client/testing/log-observer.ts";
import { SimulatedWorker } from "../../../client/testing/simulated-worker.ts";
import { assert } from "../../../src/lib/assert.ts";
import type { Graph } from "../../../src/operators/engine/graph.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { utf8 } from "../../../src/lib/bytes.ts";
import { APP_RUN_DEFAULTS } from "../../../src/runtime/app-run.ts";
import { taskSpecsOf, tasksOf, writtenStreamsOf } from "../../../src/runtime/app-streams.ts";
import { snapshotsStream } from "../../../src/wire/app-streams.ts";
import { APPS, type Event, hurried } from "../../runtime/apps.ts";
import { plainFault } from "../../runtime/plain-answer.ts";
import { Violation } from "../history.ts";
import { Actor, type Surroundings } from "./clients.ts";

const WORKERS = 3;
const KEYS = ["a", "b", "c"];
const BATCH_MAX = 3;
const LIFE_MS = 3_000;
const PAUSE_MS = 600;
const REST_MS = 300;
/** In log time: many in a life. */
const DIGEST_EVERY_MS = 400;
const SNAPSHOT_EVERY_MS = 1_000;
const DELETE_EVERY_MS = 3_000;
/** The log's ticks may lag so far behind the clock. */
const TICK_MS_MAX = 2_000;

/** Appends to the app's inputs. One of unknown outcome is there or not: what is there counts. */
class FeederActor extends Actor<{ readonly graph: Graph; readonly meanMs: number }> {
  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    const partitions = this.task.graph.stages[0]?.partitions ?? 1;
    while (!this.world.finishing) {
      const stream = partitions === 1 ? "in" : `in/${this.prng.below(partitions)}`;
      const records = Array.from({ length: 1 + this.prng.below(BATCH_MAX) }, () => {
        const event: Event = { key: this.prng.pick(KEYS), n: this.prng.below(100) };
        const timestamp = Math.floor(this.world.clock.now()) - this.prng.below(50);
        return { value: utf8(JSON.stringify(event)), timestamp };
      });
      try {
        await client.stream(stream).append(records, { timeout: 3_000 });
        this.world.count("app: fed");
      } catch (thrown) {
        this.excused(thrown);
      }
      await this.think(this.task.meanMs);
    }
    await client.close();
  }
}

/** Takes snapshots away, as anybody may as long as no input was trimmed on them: that costs time and nothing else. */
class DeleterActor extends Actor<{ readonly graph: Graph; readonly meanMs: number }> {
  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    const { graph, meanMs } = this.task;
    while (!this.world.finishing) {
      await this.think(meanMs);
      const { task } = this.prng.pick(tasksOf(graph));
      try {
        await client.stream(snapshotsStream(graph.app, task)).delete({ timeout: 3_000 });
        this.world.count("app: snapshots deleted");
      } catch (thrown) {
        this.excused(thrown, ["snapshot-needed", "stream-not-found"]);
      }
    }
    await client.close();
  }
}

/** What befalls a worker: it is killed, stopped, cut off, or stands still, again and again. */
class WorkerActor extends Actor<{ readonly graph: Graph; readonly observer: ObserverActor }> {
  #over = false;

  /** It ends, when it is due. */
  end(): void {
    this.#over = true;
  }

  protected async live(): Promise<void> {
    const worker = new SimulatedWorker(this.world, this.prng, {
      name: this.name,
      graph: this.task.graph,
      config: APP_RUN_DEFAULTS,
      snapshotEveryMs: SNAPSHOT_EVERY_MS,
      judged: async (stream, before) => {
        await this.task.observer.log.seen(stream, before);
        this.world.count("app: trimmed");
      },
      onEnd: (task, end) =>
        this.world.violated(
          new Violation(`${this.name}: the replica of ${task} ended: ${end.kind}`, {
            cause: end.kind === "failed" ? end.error : end,
          }),
        ),
    });
    while (!this.#over) {
      worker.start();
      this.world.count("app: worker started");
      if (await this.#liveOnce(worker)) {
        this.world.count("app: worker killed");
        worker.kill();
      } else await worker.stop();
      if (!this.#over) await this.think(REST_MS);
    }
  }

  /** Answers whether it is killed in the end. */
  async #liveOnce(worker: SimulatedWorker): Promise<boolean> {
    while (!this.#over) {
      await this.think(LIFE_MS);
      if (this.world.finishing) {
        await this.rest(LIFE_MS);
        continue;
      }
      const dice = this.prng.below(5);
      if (dice === 0) return true;
      if (dice === 1) return false;
      if (dice === 2) worker.hangUp();
      if (dice < 3) continue;
      this.world.count("app: worker paused");
      const goOn = worker.pause();
      await this.think(PAUSE_MS);
      goOn();
    }
    return false;
  }
}

/** What is judged by. */
class ObserverActor extends Actor<{ readonly graph: Graph }> {
  #log: LogObserver | undefined;

  get log(): LogObserver {
    assert(this.#log !== undefined, "it has begun");
    return this.#log;
  }

  end(): void {
    this.#log?.close();
  }

  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    this.#log = new LogObserver(client.taskLog(), this.task.graph);
    await this.#log.read();
    await client.close();
  }
}

export class AppWorkers {
  readonly #world: Surroundings;
  readonly #graph: Graph;
  readonly #feeder: FeederActor;
  readonly #deleter: DeleterActor;
  readonly #workers: readonly WorkerActor[];
  readonly #observer: ObserverActor;

  constructor(world: Surroundings, prng: Prng, meanMs: number) {
    const names = Object.keys(APPS) as (keyof typeof APPS)[];
    this.#world = world;
    this.#graph = hurried(APPS[prng.fork("app").pick(names)].make(), DIGEST_EVERY_MS);
    const graph = this.#graph;
    this.#feeder = new FeederActor(world, prng, "feeder", { graph, meanMs });
    this.#deleter = new DeleterActor(world, prng, "deleter", { graph, meanMs: DELETE_EVERY_MS });
    const observer = new ObserverActor(world, prng, "observer", { graph });
    this.#observer = observer;
    this.#workers = Array.from({ length: WORKERS }, (_, number) => {
      return new WorkerActor(world, prng, `worker-${number}`, { graph, observer });
    });
  }

  get actors(): readonly Actor<unknown>[] {
    return [this.#feeder, this.#deleter];
  }

  /** Makes its streams, and deploys it. */
  async deploy(): Promise<void> {
    const client = this.#world.connect("deployer");
    const tasks = taskSpecsOf(this.#graph);
    const streams = [...new Set([...tasks.flatMap(({ inputs }) => inputs), ...writtenStreamsOf(this.#graph)])];
    for (const stream of streams) await client.stream(stream).create();
    await client.app(this.#graph.app).deploy({ version: this.#graph.version, tasks });
    await client.close();
  }

  begin(): void {
    for (const actor of [...this.actors, this.#observer, ...this.#workers]) void actor.run();
  }

  /** What is not done yet, when nobody appends any more. */
  missing(position: number): string | undefined {
    if (this.#observer.log.position < position) return "what is in the log was not seen";
    const missing = missingOutputs(this.#observer.log, this.#graph, this.#world.clock.now() - TICK_MS_MAX);
    const fault = missing === undefined ? plainFault(this.#graph.app, this.#observer.log) : undefined;
    if (fault !== undefined) throw new Violation(`${this.#graph.app}: ${fault}`);
    return missing;
  }

  end(): void {
    for (const actor of [this.#observer, ...this.#workers]) actor.end();
  }

  get done(): boolean {
    return [this.#observer, ...this.#workers].every(({ done }) => done);
  }

  judge(): void {
    const fault = commitFault(this.#observer.log, this.#graph);
    if (fault !== undefined) throw new Violation(`${this.#graph.app}: ${fault}`);
    for (const { task } of taskSpecsOf(this.#graph))
      this.#world.count("app: committed", this.#observer.log.of(`apps/${this.#graph.app}/commits/${task}`).length);
  }
}
