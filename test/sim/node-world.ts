/**
 * One node on simulated hardware: production node, log, Raft and state machine; a disk and a store that lose power
 * together; a clock that moves when nothing else can. Everything is drawn from one seed.
 */
import type { Prng } from "../../src/lib/prng.ts";
import type { Result } from "../../src/lib/result.ts";
import type { Clock } from "../../src/ports/clock.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { type CrashChoice, SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { LOG_LIMITS } from "../../log-server/log/limits.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { openNode, type OpenNodeError } from "../../log-server/node/open-node.ts";
import { endOfTurn } from "../../log-server/sim/turn.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { withoutSyncs } from "./flawed-disk.ts";

const KIB = 1024;

/** Small, so that segments roll, images and snapshots are written and segments are dropped within one run. */
const LIMITS = {
  node: {
    ...NODE_LIMITS,
    imageEveryBytes: 24 * KIB,
    imageEveryMs: 2_000,
    snapshotEveryBytes: 48 * KIB,
    housekeepingEveryMs: 500,
    replayBytesMax: 16 * KIB,
    entryBytesMax: 16 * KIB,
    lowWaterBytes: 0,
    compactionDirtyBytesMin: 4 * KIB,
    compactionDirtyShareMin: 0.3,
    compactionGainShareMin: 0.05,
    compactionMapBytesMax: 2 * KIB,
    rollEveryMs: 3_000,
    rewriteGainBytesMin: 4 * KIB,
    rewriteRunBytesMax: 64 * KIB,
  },
  log: {
    ...LOG_LIMITS,
    segmentBytes: 32 * KIB,
    sparesKept: 1,
    allocationStepBytes: 8 * KIB,
    tailCacheBytes: 8 * KIB,
    gatherBlockBytes: 8 * KIB,
    tailRowEntries: 8,
  },
  streams: STREAMS_LIMITS,
};

export type WorldOptions = {
  readonly prng: Prng;
  /** A disk whose syncs do nothing and say they did: a broken promise below that must be noticed above. */
  readonly lyingSyncs: boolean;
  /** Also notes every call that changes the disk. */
  readonly verbose: boolean;
  /** What happened, in order: the same seed gives the same lines. */
  readonly note: (line: string) => void;
};

export class NodeWorld {
  readonly clock = new SimClock();
  readonly #prng: Prng;
  readonly #options: WorldOptions;
  #disk: SimDisk;
  #kv: SimKv;
  /** Of the process that runs now: it ends with it, and its timers with it. */
  #life = { over: false };
  #cutAt = Number.POSITIVE_INFINITY;
  #mutations = 0;
  readonly events = new Map<string, number>();
  /** What the node says of broken invariants in work that nobody waits for. */
  readonly bugs: string[] = [];

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#prng = options.prng.fork("world");
    this.#disk = new SimDisk(this.#diskOptions());
    this.#kv = new SimKv(this.#kvOptions());
  }

  get disk(): SimDisk {
    return this.#disk;
  }

  get kv(): SimKv {
    return this.#kv;
  }

  get hasPower(): boolean {
    return !this.#disk.plugPulled;
  }

  /** The power goes at the `calls`-th mutating call of disk or store from now on. */
  cutPowerIn(calls: number): void {
    this.#cutAt = this.#mutations + calls;
  }

  cutPower(): void {
    this.#cutAt = Number.POSITIVE_INFINITY;
    this.#disk.pullPlug();
    this.#kv.pullPlug();
  }

  /** Power is back. What was not synced is gone, in part or not, as the disk likes. */
  restorePower(): void {
    this.cutPower();
    this.#life.over = true;
    this.#life = { over: false };
    const choices: readonly CrashChoice[] = [{ kind: "none" }, { kind: "all" }, { kind: "random", prng: this.#prng }];
    const choice = this.#prng.pick(choices);
    const keepRunning = this.#prng.chance(0.5);
    this.#options.note(
      `power back: ${choice.kind}, ${this.#disk.pendingOperations} pending, transaction ${keepRunning ? "kept" : "lost"}`,
    );
    this.#disk = this.#disk.crash(choice, this.#diskOptions());
    this.#kv = this.#kv.crash(keepRunning, this.#kvOptions());
  }

  open(): Promise<Result<LogNode, OpenNodeError>> {
    const count = (code: string): void => void this.events.set(code, (this.events.get(code) ?? 0) + 1);
    return openNode({
      disk: this.#options.lyingSyncs ? withoutSyncs(this.#disk) : this.#disk,
      kv: this.#kv,
      clock: this.#clockOfLife(),
      entropy: { bytes: (length) => this.#prng.bytes(length) },
      zstd: undefined,
      logId: 0,
      clusterId: "simulated-cluster",
      nodeName: "simulated-node",
      diskId: "simulated-disk",
      limits: LIMITS,
      observer: {
        proposed: () => undefined,
        synced: () => undefined,
        event: (code, detail) => {
          count(code);
          const { error } = detail as { readonly error?: unknown };
          if (typeof error === "string" && error.startsWith("InvariantError")) this.bugs.push(`${code}: ${error}`);
          this.#options.note(
            `${code} ${JSON.stringify(detail, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}`,
          );
        },
      },
    });
  }

  /** Runs until the promise is settled; moves time only when nothing else can happen. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    for (let turns = 0; !settled; turns += 1) {
      await endOfTurn();
      if (settled) break;
      if (turns > TURNS_MAX || !this.clock.advanceToNext())
        throw new Error("the simulation is stuck: nothing can happen any more");
    }
    return promise;
  }

  /** Lets time pass. */
  async pass(milliseconds: number): Promise<void> {
    this.clock.advance(milliseconds);
    await endOfTurn();
  }

  #clockOfLife(): Clock {
    const { clock } = this;
    const life = this.#life;
    const whileAlive = (run: () => void) => (): void => {
      if (!life.over) run();
    };
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      schedule: (delayMs, run) => clock.schedule(delayMs, whileAlive(run)),
      defer: (run) => clock.defer(whileAlive(run)),
    };
  }

  #mutated(): void {
    this.#mutations += 1;
    if (this.#mutations >= this.#cutAt) this.cutPower();
  }

  #diskOptions(): ConstructorParameters<typeof SimDisk>[0] {
    return {
      onMutation: (kind, path, phase) => {
        if (this.#options.verbose && phase === "before") this.#options.note(`  ${kind} ${path}`);
        this.#mutated();
      },
      pace: () => this.#pace(),
    };
  }

  #kvOptions(): ConstructorParameters<typeof SimKv>[0] {
    return { onMutation: () => this.#mutated(), pace: () => this.#pace() };
  }

  /** Sometimes others get their turn first. */
  async #pace(): Promise<void> {
    for (let turns = this.#prng.below(4); turns > 0; turns -= 1) await Promise.resolve();
  }
}

const TURNS_MAX = 100_000;
