/**
 * An app on the simulated cluster: production replicas on the production SDK, in workers that are killed, stand still, are cut off and come
 * late, and somebody who appends to its inputs. What came out is held against the batch's answer to what went in (I12).
 */
import { commitFault, type LogView, missingOutputs } from "../../../client/testing/batch-answer.ts";
import { GatedLog } from "../../../client/testing/gated-log.ts";
import { BEFORE_RECORDS } from "../../../src/record/record-place.ts";
import type { Graph } from "../../../src/operators/engine/graph.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { utf8 } from "../../../src/lib/bytes.ts";
import { APP_RUN_DEFAULTS, AppRun, openInMemory } from "../../../src/runtime/app-run.ts";
import { taskSpecsOf, writtenStreamsOf } from "../../../src/runtime/app-streams.ts";
import type { Feed, FeedRecord, TaskLog } from "../../../src/runtime/task-log.ts";
import type { TaskCommit } from "../../../src/wire/app-command.ts";
import { APPS, type Event } from "../../runtime/apps.ts";
import { Violation } from "../history.ts";
import { Actor, type Surroundings } from "./clients.ts";

const WORKERS = 3;
const KEYS = ["a", "b", "c"];
const BATCH_MAX = 3;
const LIFE_MS = 3_000;
const PAUSE_MS = 600;
const REST_MS = 300;
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

/** One machine after another with all replicas of the app, each for a while. */
class WorkerActor extends Actor<{ readonly graph: Graph }> {
  #running: { readonly run: AppRun; readonly worker: GatedLog; readonly client: string } | undefined;
  #over = false;

  /** It ends, when it is due. */
  end(): void {
    this.#over = true;
  }

  protected async live(): Promise<void> {
    for (let life = 0; !this.#over; life += 1) {
      const name = `${this.name}.${life}`;
      const client = this.world.connect(name);
      const worker = new GatedLog(this.world.clock, client.taskLog());
      const onEnd = (task: string, { kind }: { readonly kind: string }): void => {
        if (kind !== "stopped" && this.#running?.run === run)
          this.world.violated(
            new Violation(`${name}: the replica of ${task} ended: ${kind}`, { cause: causeOf(run, task) }),
          );
      };
      const entropy = { bytes: (length: number) => this.prng.bytes(length) };
      const ports = { clock: worker, entropy, openState: openInMemory, onEnd };
      const run: AppRun = new AppRun(worker, ports, this.task.graph, APP_RUN_DEFAULTS);
      this.#running = { run, worker, client: name };
      this.world.count("app: worker started");
      const isKilled = await this.#liveOnce(worker, name);
      this.#running = undefined;
      if (isKilled) {
        this.world.count("app: worker killed");
        worker.gate.close();
        this.world.hangUp(name);
        void run.stop();
      } else await run.stop();
      void client.close();
      if (!this.#over) await this.think(REST_MS);
    }
  }

  /** Answers whether it is killed in the end. */
  async #liveOnce(worker: GatedLog, name: string): Promise<boolean> {
    while (!this.#over) {
      await this.think(LIFE_MS);
      if (this.world.finishing) {
        await this.rest(LIFE_MS);
        continue;
      }
      const dice = this.prng.below(5);
      if (dice === 0) return true;
      if (dice === 1) return false;
      if (dice === 2) this.world.hangUp(name);
      if (dice < 3) continue;
      this.world.count("app: worker paused");
      worker.gate.close();
      await this.think(PAUSE_MS);
      worker.gate.open();
    }
    return false;
  }
}

/** Reads all that the app reads and writes, from the beginning: what is judged by. */
class AppObserver extends Actor<{ readonly graph: Graph }> implements LogView {
  logTime = -Infinity;
  /** Everything before it was seen. */
  position = 0;
  readonly #streams = new Map<string, FeedRecord[]>();
  #log: TaskLog | undefined;
  #feed: Feed | undefined;

  of(stream: string): readonly FeedRecord[] {
    return this.#streams.get(stream) ?? [];
  }

  readCommit(record: FeedRecord): TaskCommit | undefined {
    return record.stream.includes("/commits/") ? this.#log?.readCommit(record) : undefined;
  }

  end(): void {
    this.#feed?.close();
  }

  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    this.#log = client.taskLog();
    const { graph } = this.task;
    const streams = [...new Set([...taskSpecsOf(graph).flatMap(({ inputs }) => inputs), ...writtenStreamsOf(graph)])];
    this.#feed = this.#log.follow(
      streams.map((stream) => ({ stream })),
      BEFORE_RECORDS,
    );
    for (;;) {
      const items = await this.#feed.next();
      if (items === undefined) break;
      for (const item of items) {
        if (item.kind === "gap") throw new Violation(`I7: ${this.name} was told of a gap in ${item.stream}`);
        if (item.kind === "record") this.#streams.set(item.stream, [...this.of(item.stream), item]);
        else this.position = item.position;
        this.logTime = item.logTime;
      }
    }
    await client.close();
  }
}

export class AppWorkers {
  readonly #world: Surroundings;
  readonly #graph: Graph;
  readonly #feeder: FeederActor;
  readonly #workers: readonly WorkerActor[];
  readonly #observer: AppObserver;

  constructor(world: Surroundings, prng: Prng, meanMs: number) {
    const names = Object.keys(APPS) as (keyof typeof APPS)[];
    this.#world = world;
    this.#graph = APPS[prng.fork("app").pick(names)].make().build();
    const graph = this.#graph;
    this.#feeder = new FeederActor(world, prng, "feeder", { graph, meanMs });
    this.#workers = Array.from({ length: WORKERS }, (_, number) => {
      return new WorkerActor(world, prng, `worker-${number}`, { graph });
    });
    this.#observer = new AppObserver(world, prng, "observer", { graph });
  }

  get actors(): readonly Actor<unknown>[] {
    return [this.#feeder];
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
    for (const actor of [this.#feeder, this.#observer, ...this.#workers]) void actor.run();
  }

  /** What is not done yet, when nobody appends any more. */
  missing(position: number): string | undefined {
    if (this.#observer.position < position) return "what is in the log was not seen";
    return missingOutputs(this.#observer, this.#graph, this.#world.clock.now() - TICK_MS_MAX);
  }

  end(): void {
    for (const actor of [this.#observer, ...this.#workers]) actor.end();
  }

  get done(): boolean {
    return [this.#observer, ...this.#workers].every(({ done }) => done);
  }

  judge(): void {
    const fault = commitFault(this.#observer, this.#graph);
    if (fault !== undefined) throw new Violation(`${this.#graph.app}: ${fault}`);
    for (const { task } of taskSpecsOf(this.#graph))
      this.#world.count("app: committed", this.#observer.of(`apps/${this.#graph.app}/commits/${task}`).length);
  }
}

function causeOf(run: AppRun, task: string): unknown {
  const end = run.status.find((status) => status.task === task)?.end;
  return end?.kind === "failed" ? end.error : end;
}
