/**
 * One seed: a node lives several lives under load, each ended by a power cut, a disk error or a clean stop; then,
 * stopped cleanly, its disk is damaged and it lives once more. After every start all that was promised is checked.
 */
import { InvariantError } from "../../src/lib/assert.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import type { SimClock } from "../../src/sim/clock.ts";
import type { DiskFault } from "../../src/sim/disk-faults.ts";
import { SECTOR_LENGTH } from "../../src/sim/disk-state.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { Violation } from "./history.ts";
import { NodeWorld } from "./node-world.ts";
import { Workload } from "./workload.ts";

export type SeedReport = {
  readonly seed: number;
  readonly violation: string | undefined;
  /** What `violation` was made of. */
  readonly error: unknown;
  /** What really happened, and how often. */
  readonly counts: ReadonlyMap<string, number>;
  readonly simulatedMs: number;
  readonly steps: number;
  /** Of everything that was noted: the same seed, the same trace. */
  readonly trace: bigint;
  readonly lines: readonly string[];
};

export type ExploreOptions = {
  /** See `WorldOptions`: a canary, whose broken promises must be found. */
  readonly lyingSyncs?: boolean;
  readonly verbose?: boolean;
};

const LIVES_MIN = 3;
const LIVES_MORE = 4;
const STEPS_MAX = 40;
/** Power cuts come after so many mutating calls at most: soon, while starting, and late. */
const CUT_RANGES = [20, 100, 400, 1_000] as const;

export async function exploreSeed(seed: number, options: ExploreOptions = {}): Promise<SeedReport> {
  const lines: string[] = [];
  const run = new Run(seed, options, lines);
  let violation: string | undefined;
  let thrown: unknown;
  try {
    await run.all();
  } catch (error) {
    thrown = error;
    violation =
      error instanceof Violation
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error);
    lines.push(`violation: ${violation}`);
  }
  const { counts, clock } = run;
  const trace = xxh64(utf8(lines.join("\n")));
  return { seed, violation, error: thrown, counts, simulatedMs: clock.monotonic(), steps: clock.steps, trace, lines };
}

class Run {
  readonly counts = new Map<string, number>();
  readonly #prng: Prng;
  readonly #lines: string[];
  readonly #world: NodeWorld;
  readonly #workload: Workload;

  constructor(seed: number, options: ExploreOptions, lines: string[]) {
    this.#prng = new Prng(seed);
    this.#lines = lines;
    const { lyingSyncs = false, verbose = false } = options;
    this.#world = new NodeWorld({ prng: this.#prng, lyingSyncs, verbose, note: (line) => lines.push(line) });
    this.#workload = new Workload(this.#prng);
  }

  get clock(): SimClock {
    return this.#world.clock;
  }

  async all(): Promise<void> {
    try {
      const lives = LIVES_MIN + this.#prng.below(LIVES_MORE);
      for (let life = 0; life < lives; life += 1) await this.#live(`life ${life}`);
      await this.#lastLife();
      await this.#damagedLife();
    } finally {
      this.#gather();
    }
  }

  async #live(name: string): Promise<void> {
    const prng = this.#prng;
    this.#note(name);
    const before = this.#faultsSoFar();
    if (prng.chance(0.15)) await this.#loseStore();
    if (prng.chance(0.4)) this.#world.disk.arm(randomFault(prng));
    const storeFails = prng.chance(0.1);
    if (storeFails) this.#world.kv.failNext(1 + prng.below(3));
    if (prng.chance(0.7)) this.#world.cutPowerIn(1 + prng.below(prng.pick(CUT_RANGES)));
    const excused = (): boolean => storeFails || !this.#world.hasPower || this.#faultsSoFar() > before;
    const node = await this.#start(excused);
    if (node !== undefined) await this.#work(node, excused);
    this.#world.restorePower();
    const [bug] = this.#world.bugs;
    if (bug !== undefined) throw new Violation(bug);
  }

  /** What the store has can be rebuilt: without it nothing acknowledged is lost (P21, P22). */
  async #loseStore(): Promise<void> {
    await this.#world.settle(this.#world.kv.clear());
    this.#note("the store is empty");
    this.#count("fault: lost-store");
  }

  /** No faults, no cuts: everything must be there, and a clean stop must work. */
  async #lastLife(): Promise<void> {
    this.#note("last life");
    if (this.#prng.chance(0.5)) await this.#loseStore();
    const node = await this.#start(() => false);
    if (node === undefined) throw new Violation("the node does not start on a healthy disk");
    await this.#world.settle(this.#workload.begin(node));
    await this.#world.settle(this.#workload.check(node));
    checkHealth(node);
    if (this.#world.events.has("image-discarded"))
      throw new Violation("I10: an image did not verify, and nothing had damaged it");
    await this.#world.settle(node.stop());
    this.#count("clean stop");
    const [bug] = this.#world.bugs;
    if (bug !== undefined) throw new Violation(bug);
  }

  /** What is damaged while it is off is refused, and nothing else is (I13). */
  async #damagedLife(): Promise<void> {
    this.#world.restorePower();
    this.#note("damaged life");
    this.#damageDisk();
    const node = await this.#start(() => true);
    if (node === undefined) return this.#count("damage: refused to start");
    if (node.status().damage.length > 0) this.#count("damage: found at start");
    await this.#world.settle(this.#workload.check(node));
    await this.#world.settle(this.#workload.step(node));
    await this.#world.settle(this.#workload.check(node));
    if (this.#workload.counts.damagedReads > 0) this.#count("damage: refused to read");
  }

  /** Undefined if it did not start, which must be `excused`. */
  async #start(excused: () => boolean): Promise<LogNode | undefined> {
    let why: string;
    let cause: unknown;
    try {
      const opened = await this.#world.settle(this.#world.open());
      if (opened.ok) {
        await this.#world.settle(opened.value.start());
        this.#count("start");
        return opened.value;
      }
      why = `${opened.error.kind}: ${opened.error.message}`;
    } catch (error) {
      if (!(error instanceof DiskError) && !(error instanceof Error && error.name === "NodeError")) throw error;
      why = error.message;
      cause = error;
    }
    this.#note(`did not start: ${why}`);
    this.#count("start failed");
    if (isBug(cause) || !excused())
      throw new Violation(`the node does not start, and nothing was in its way: ${why}`, { cause });
    return undefined;
  }

  async #work(node: LogNode, excused: () => boolean): Promise<void> {
    const prng = this.#prng;
    let failed = false;
    let cause: Error | undefined;
    node.onFailure((error) => {
      failed = true;
      cause = error;
      this.#note(`failed: ${error.message}`);
    });
    const alive = (): boolean => !failed && this.#world.hasPower;
    await this.#world.settle(this.#workload.begin(node));
    if (alive()) await this.#check(node, alive);
    for (let steps = prng.below(STEPS_MAX); steps > 0 && alive(); steps -= 1) {
      await this.#world.settle(this.#workload.step(node));
      if (prng.chance(0.2)) await this.#world.pass(prng.below(2_500));
    }
    // No fault of the hardware is an excuse for a broken invariant.
    if (failed && (isBug(cause) || !excused()))
      throw new Violation("the node failed, and nothing was in its way", { cause });
    if (!alive()) return;
    await this.#check(node, alive);
    if (!excused()) checkHealth(node);
    if (!alive() || prng.chance(0.5)) return;
    await this.#world.settle(node.stop().catch((error: unknown) => this.#note(`stopping failed: ${String(error)}`)));
    if (this.#world.hasPower) this.#count("clean stop");
  }

  /** A check that the power cuts short says nothing. */
  async #check(node: LogNode, alive: () => boolean): Promise<void> {
    try {
      await this.#world.settle(this.#workload.check(node));
    } catch (error) {
      if (alive() || error instanceof Violation) throw error;
    }
  }

  #damageDisk(): void {
    const { disk } = this.#world;
    const prng = this.#prng;
    const files = disk.files().filter((path) => disk.bytes(path).length > 0);
    for (let times = 1 + prng.below(3); times > 0; times -= 1) {
      const path = prng.pick(files);
      const size = disk.bytes(path).length;
      const place = prng.below(size);
      const sector = Math.floor(place / SECTOR_LENGTH);
      const kind = prng.pick(["flip", "zero", "stale"] as const);
      if (kind === "flip") disk.flip(path, place, prng.below(8));
      else if (kind === "zero") disk.zeroSector(path, sector);
      else disk.staleSector(path, sector);
      this.#note(`damage: ${kind} ${path} at ${place}`);
    }
  }

  #faultsSoFar(): number {
    let errors = 0;
    for (const [kind, count] of this.#world.disk.faultsInjected) if (/error|no-space/.test(kind)) errors += count;
    return errors;
  }

  #gather(): void {
    for (const [kind, count] of this.#world.disk.faultsInjected) this.#count(`fault: ${kind}`, count);
    for (const [code, count] of this.#world.events) this.#count(`event: ${code}`, count);
    for (const [what, count] of Object.entries(this.#workload.counts)) this.#count(`client: ${what}`, count);
    for (const [what, count] of Object.entries(this.#workload.jobs.counts)) this.#count(`groups: ${what}`, count);
  }

  #count(what: string, times = 1): void {
    if (times > 0) this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  #note(line: string): void {
    this.#lines.push(line);
  }
}

/** Nothing has been damaged so far: power cuts and refused calls are no damage (P31, P47). */
function checkHealth(node: LogNode): void {
  const [damage] = node.status().damage;
  if (damage !== undefined) throw new Violation(`I13: damage on a healthy disk: ${damage.message}`);
}

function isBug(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error instanceof InvariantError || isBug(error.cause);
}

function randomFault(prng: Prng): DiskFault {
  const operation = prng.pick([
    "write",
    "sync",
    "sync",
    "sync-directory",
    "rename",
    "allocate",
    "create",
    "read",
  ] as const);
  const effect = operation === "write" || operation === "allocate" ? prng.pick(["io", "no-space"] as const) : "io";
  return { operation, effect, nth: 1 + prng.below(prng.pick([5, 40, 200])) };
}
