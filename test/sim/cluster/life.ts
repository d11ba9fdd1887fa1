/**
 * One seed: a cluster is founded, clients go to work, faults befall it; then everything heals and must get on within a
 * bound, and once more without one of its nodes; the clients finish, and what every node has is held against what every client
 * was told.
 */
import type { LogNode } from "../../../log-server/node/log-node.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import { text, utf8 } from "../../../src/lib/bytes.ts";
import { readAll } from "../../node/sim-node.ts";
import { Violation } from "../history.ts";
import {
  type Actor,
  AppenderActor,
  CounterActor,
  FollowerActor,
  LookerActor,
  ProducerActor,
  SubscriberActor,
} from "./clients.ts";
import { AppWorkers } from "./app-workers.ts";
import { drawFaults, type TimedFault } from "./faults.ts";
import type { Plan, Profile } from "./profiles.ts";
import { SessionActor } from "./session-client.ts";
import { TrimmerActor } from "./trimmer.ts";
import { World } from "./world.ts";

export type LifeOptions = {
  readonly profile: Profile;
  readonly durationMs: number;
  /** Instead of those that the seed gives: to try what is left of them. */
  readonly faults?: readonly TimedFault[];
  readonly lyingSyncs?: boolean;
};

export type LifeReport = {
  readonly seed: number;
  readonly violation: string | undefined;
  /** What `violation` was made of. */
  readonly error: unknown;
  /** What really happened, and how often. */
  readonly counts: ReadonlyMap<string, number>;
  readonly simulatedMs: number;
  readonly steps: number;
  /** Of everything that was noted, and of every entry: the same seed, the same trace. */
  readonly trace: bigint;
  readonly lines: readonly string[];
  readonly faults: readonly TimedFault[];
};

/** Counted in every life. */
export const DONE_WITHOUT = "done without one";
const SHARED = "shared";
const PAIR = ["left", "right"] as const;
const STREAMS = [SHARED, "own", ...PAIR] as const;
/** Its beginning is trimmed, where the profile says so. */
const PASSING = "passing";
const PASSING_BYTES_MAX = 3_000;
const APPENDED_BYTES_MAX = 60;
const TRIM_EVERY_MS = 1_000;
const SEGMENT_BYTES = 16 * 1024;
const READ_BYTES = 64 * 1024;
const CHECK_EVERY_MS = 250;
/** From healing until something is acknowledged again: leases, back-offs and an election or two. */
const HEALED_WITHIN_MS = 30_000;
/** Acknowledged before a node was taken down, and heard of only then: no more than these. */
const LAST_WORDS_MAX = 20;
/** From there until nothing is under way any more: the longest patience of a client, and its last attempt. */
const FINISHED_WITHIN_MS = 90_000;

export async function liveOnce(seed: number, options: LifeOptions): Promise<LifeReport> {
  const lines: string[] = [];
  const life = new Life(seed, options, lines);
  let violation: string | undefined;
  let thrown: unknown;
  try {
    await life.all();
  } catch (error) {
    thrown = error;
    violation = describe(error);
    lines.push(`violation: ${violation}`);
  }
  return {
    seed,
    violation,
    error: thrown,
    counts: life.counts(),
    simulatedMs: life.world.clock.monotonic(),
    steps: life.world.cluster.clock.steps,
    trace: xxh64(utf8(lines.join("\n")), life.world.entries.fingerprint),
    lines,
    faults: life.faults,
  };
}

/** Fewer faults in less time that break the same promise. */
export async function shrinkLife(seed: number, options: LifeOptions, report: LifeReport): Promise<LifeReport> {
  let best = report;
  const how = kindOf(report.violation);
  const attempt = async (faults: readonly TimedFault[], durationMs: number): Promise<boolean> => {
    const tried = await liveOnce(seed, { ...options, faults, durationMs });
    if (tried.violation === undefined || kindOf(tried.violation) !== how) return false;
    best = tried;
    return true;
  };
  let { durationMs } = options;
  for (let part = Math.ceil(best.faults.length / 2); part >= 1; part = part === 1 ? 0 : Math.ceil(part / 2)) {
    for (let from = 0; from < best.faults.length;) {
      const fewer = [...best.faults.slice(0, from), ...best.faults.slice(from + part)];
      if (!(await attempt(fewer, durationMs))) from += part;
    }
  }
  for (let shorter = durationMs / 2; shorter > 500; shorter /= 2) {
    const kept = best.faults.filter(({ atMs }) => atMs < shorter);
    if (!(await attempt(kept, shorter))) break;
    durationMs = shorter;
  }
  return best;
}

/** The invariant's number; else what it says, without names, numbers and what follows them: what is wrong, without where. */
export function kindOf(violation: string | undefined): string | undefined {
  return (
    /^(?:[A-Z][a-z]*Error: )?([IP]\d+)\b/.exec(violation ?? "")?.[1] ??
    violation?.split("\n", 1)[0]?.replaceAll(/\w*\d\S*/g, "")
  );
}

class Life {
  readonly world: World;
  readonly faults: readonly TimedFault[];
  readonly #options: LifeOptions;
  readonly #plan: Plan;
  readonly #actors: Actor<unknown>[] = [];
  readonly #subscribers: SubscriberActor[] = [];
  readonly #followers: FollowerActor[] = [];
  #app: AppWorkers | undefined;
  readonly #prng: Prng;
  /** What it decides comes after all faults. */
  readonly #last: Prng;

  constructor(seed: number, options: LifeOptions, lines: string[]) {
    const { profile, durationMs, lyingSyncs = false } = options;
    this.#options = options;
    this.#prng = new Prng(seed).fork("life");
    this.#last = new Prng(seed).fork("last");
    const nodes = this.#prng.pick(profile.nodes);
    this.#plan = this.#prng.pick(profile.plans);
    const { limits = {}, segmentBytes = SEGMENT_BYTES, spares } = this.#plan;
    this.faults = options.faults ?? drawFaults(this.#prng.fork("faults"), nodes, durationMs, this.#plan);
    this.world = new World({ seed, nodes, spares, lyingSyncs, limits, segmentBytes, note: (line) => lines.push(line) });
  }

  counts(): ReadonlyMap<string, number> {
    const { counts, cluster, sockets, entries } = this.world;
    const all = new Map(counts);
    const add = (what: string, count: number): void => {
      if (count > 0) all.set(what, (all.get(what) ?? 0) + count);
    };
    for (const { disk } of cluster.members)
      for (const [kind, count] of disk.faultsInjected) add(`disk: ${kind}`, count);
    for (const [what, count] of Object.entries(cluster.network.counts)) add(`network: ${what}`, count);
    for (const [what, count] of Object.entries(sockets.counts)) add(`sockets: ${what}`, count);
    add("term", entries.terms);
    return all;
  }

  async all(): Promise<void> {
    const { world } = this;
    await world.found();
    await this.#makeStreams();
    await this.#employ();
    await this.#suffer();
    world.heal();
    await this.#recover();
    await this.#doWithout();
    await this.#finish();
    await this.#judge();
  }

  async #makeStreams(): Promise<void> {
    const { world } = this;
    const client = world.connect("founder");
    const made = Promise.all([...STREAMS, PASSING].map((stream) => client.stream(stream).create()));
    await world.cluster.settle(made, HEALED_WITHIN_MS);
    await client.close();
  }

  async #employ(): Promise<void> {
    const { world } = this;
    const prng = this.#prng;
    const thinkMs = prng.pick(this.#options.profile.thinkMs);
    this.#subscribers.push(
      new SubscriberActor(world, prng, "subscriber-0", { stream: SHARED }),
      new SubscriberActor(world, prng, "subscriber-1", { stream: "own" }),
    );
    this.#followers.push(new FollowerActor(world, prng, "follower-0", { streams: STREAMS }));
    this.#actors.push(
      new ProducerActor(world, prng, "producer-0", { stream: SHARED, meanMs: thinkMs }),
      new ProducerActor(world, prng, "producer-1", { stream: SHARED, meanMs: thinkMs * 3 }),
      new ProducerActor(world, prng, "producer-2", { stream: "own", meanMs: thinkMs }),
      new AppenderActor(world, prng, "appender-0", {
        stream: SHARED,
        meanMs: thinkMs * 2,
        bytesMax: APPENDED_BYTES_MAX,
      }),
      new CounterActor(world, prng, "counter-0", { streams: PAIR }),
      new CounterActor(world, prng, "counter-1", { streams: PAIR }),
      new LookerActor(world, prng, "looker-0", { streams: STREAMS }),
      new LookerActor(world, prng, "looker-1", { streams: STREAMS }),
      new SessionActor(world, prng, "session-0", { streams: [SHARED, "own"], consistency: "session" }),
      new SessionActor(world, prng, "session-1", { streams: [SHARED, "own"], consistency: "session" }),
      new SessionActor(world, prng, "eventual-0", { streams: [SHARED, "own"], consistency: "eventual" }),
    );
    if (this.#options.profile.app) await this.#runApp(thinkMs);
    if (this.#plan.passing) this.#letPass(thinkMs, prng);
    for (const actor of [...this.#actors, ...this.#subscribers, ...this.#followers]) void actor.run();
  }

  async #runApp(thinkMs: number): Promise<void> {
    await this.world.raiseLevel();
    this.#app = new AppWorkers(this.world, this.#prng, thinkMs);
    await this.world.cluster.settle(this.#app.deploy(), HEALED_WITHIN_MS);
    this.#app.begin();
  }

  /** Most of the log is what nobody wants any more, so that snapshots take the place of entries. */
  #letPass(thinkMs: number, prng: Prng): void {
    const { world } = this;
    const appender = { stream: PASSING, meanMs: thinkMs, bytesMax: PASSING_BYTES_MAX };
    this.#subscribers.push(new SubscriberActor(world, prng, "subscriber-2", { stream: PASSING }));
    this.#actors.push(
      new AppenderActor(world, prng, "passer-0", appender),
      new TrimmerActor(world, prng, "trimmer-0", { stream: PASSING, meanMs: TRIM_EVERY_MS }),
    );
  }

  async #suffer(): Promise<void> {
    const { world } = this;
    const begunMs = world.clock.monotonic();
    for (const { atMs, fault } of this.faults) {
      await this.#pass(begunMs + atMs);
      world.inflict(fault);
    }
    await this.#pass(begunMs + this.#options.durationMs);
  }

  /** A violation is best seen soon after it was made. */
  async #pass(untilMs: number): Promise<void> {
    const { world } = this;
    for (;;) {
      world.check();
      const left = untilMs - world.clock.monotonic();
      if (left <= 0) return;
      await world.cluster.pass(Math.min(left, CHECK_EVERY_MS));
    }
  }

  /** Liveness: with everything healed, there is a leader and appends are acknowledged. */
  async #recover(): Promise<void> {
    const { world } = this;
    const healedMs = world.clock.monotonic();
    await this.#goOn("something is acknowledged again", 1, this.#options.profile.recoverMs ?? HEALED_WITHIN_MS);
    world.note(`recovered ${Math.round(world.clock.monotonic() - healedMs)} ms after it was healed`);
  }

  /** Liveness: nobody waits for one who may never come back, whatever is left to be made good on the others. */
  async #doWithout(): Promise<void> {
    const { world } = this;
    await this.#untilComplete();
    await this.#until(() => !world.inDoubt, "it is settled where each log ends", HEALED_WITHIN_MS);
    const name = this.#last.chance(0.5) ? (world.cluster.leader?.name ?? "") : this.#last.pick(world.names);
    if (!world.names.includes(name)) return;
    world.takeDown(name);
    await this.#goOn(`something is acknowledged without ${name}`, LAST_WORDS_MAX, HEALED_WITHIN_MS);
    world.count(DONE_WITHOUT);
    world.employ(name);
  }

  /** So many calls are acknowledged from now on. */
  async #goOn(what: string, count: number, withinMs: number): Promise<void> {
    const { counts } = this.world;
    const acknowledged = (): number => counts.get("client: acknowledged") ?? 0;
    const wanted = acknowledged() + count;
    await this.#until(() => acknowledged() >= wanted, what, withinMs);
  }

  /** All that are to be members are, and serve. */
  async #untilComplete(): Promise<void> {
    const { world } = this;
    if (this.#plan.spares !== undefined)
      await this.#until(() => world.operator.settled, "the members are those that were asked for", FINISHED_WITHIN_MS);
    await this.#until(
      () => world.members.every(({ node }) => node?.phase === "serving"),
      "all nodes serve",
      HEALED_WITHIN_MS,
    );
  }

  async #finish(): Promise<void> {
    const { world } = this;
    const { cluster } = world;
    world.finishing = true;
    const actors = [...this.#actors, ...(this.#app?.actors ?? [])];
    await this.#until(() => actors.every(({ done }) => done), "all clients are answered", FINISHED_WITHIN_MS);
    await this.#untilComplete();
    await cluster.agreed();
    const isWhole = (): boolean => world.members.every(({ node }) => node?.status().damage.length === 0);
    if (!world.damaged && !isWhole()) throw new Violation("I13: damage on disks that nobody damaged");
    await this.#until(isWhole, "I13: damage is repaired", FINISHED_WITHIN_MS);
    const tailOf = (stream: string): number => cluster.leader?.node?.machine.stream(stream)?.nextOffset ?? 0;
    await this.#until(
      () =>
        this.#subscribers.every((subscriber) => subscriber.hasReached(tailOf(subscriber.task.stream))) &&
        this.#followers.every((follower) => follower.hasReached(tailOf)),
      "subscribers have everything",
      FINISHED_WITHIN_MS,
    );
    if (this.#app !== undefined) await this.#finishApp(this.#app);
    for (const actor of [...this.#subscribers, ...this.#followers]) actor.end();
    await this.#until(
      () => [...this.#subscribers, ...this.#followers].every(({ done }) => done),
      "subscribers end",
      FINISHED_WITHIN_MS,
    );
    await cluster.agreed();
    world.check();
  }

  async #finishApp(app: AppWorkers): Promise<void> {
    const { cluster } = this.world;
    const position = cluster.leader?.node?.machine.position ?? 0;
    let missing: string | undefined = "";
    for (let look = 0; missing !== undefined && look * CHECK_EVERY_MS < FINISHED_WITHIN_MS; look += 1) {
      this.world.check();
      await cluster.pass(CHECK_EVERY_MS);
      missing = app.missing(position);
    }
    if (missing !== undefined) throw new Violation(`liveness: the app: ${missing}`);
    app.end();
    await this.#until(() => app.done, "the app's workers end", FINISHED_WITHIN_MS);
  }

  async #judge(): Promise<void> {
    const { world } = this;
    this.#app?.judge();
    const { cluster, counter } = world;
    const digests = new Set(world.members.map(({ node }) => node?.machine.digest()));
    if (digests.size !== 1) throw new Violation("I10: the nodes have different states");
    for (const { name } of world.members) {
      const node = cluster.node(name);
      const there = new Map<string, readonly string[]>();
      for (const stream of [...STREAMS, PASSING]) {
        const first = node.machine.stream(stream)?.firstOffset ?? 0;
        const records = await this.#readAll(node, stream, first);
        there.set(stream, records);
        world.history(stream).judge(records, first, name);
      }
      const [left = [], right = []] = PAIR.map((stream) => there.get(stream));
      if (left.join() !== right.join())
        throw new Violation(`I11: ${name} has transactions in one of their two streams`);
      const value = node.machine.cursor(counter.name);
      counter.judge(value === undefined ? 0 : Number(text(value)), name);
      if (left.length !== (value === undefined ? 0 : Number(text(value))))
        throw new Violation(`I11: ${name} has ${left.length} rows of the counter's moves`);
    }
  }

  /** What damage hides is repaired once it was found, and reading finds it (I13). */
  async #readAll(node: LogNode, stream: string, first: number): Promise<readonly string[]> {
    const { cluster, damaged, clock } = this.world;
    for (const endMs = clock.monotonic() + FINISHED_WITHIN_MS; ;) {
      try {
        return await cluster.settle(readAll(node, stream, first, READ_BYTES));
      } catch (error) {
        const isDamage = error instanceof Error && /^(?:damaged|repairing):/.test(error.message);
        if (isDamage && !damaged) throw new Violation(`I13: damage on disks that nobody damaged: ${error.message}`);
        if (!isDamage) throw error;
        if (clock.monotonic() > endMs) throw new Violation(`I13: damage is not repaired: ${error.message}`);
        await cluster.pass(CHECK_EVERY_MS);
      }
    }
  }

  async #until(isSo: () => boolean, what: string, withinMs: number): Promise<void> {
    const { cluster, clock } = this.world;
    const endMs = clock.monotonic() + withinMs;
    const soon = (): boolean => isSo() || clock.monotonic() >= endMs;
    while (!isSo()) {
      this.world.check();
      if (clock.monotonic() >= endMs) throw new Violation(`liveness: not within ${withinMs} ms: ${what}`);
      await cluster.until(soon, what, CHECK_EVERY_MS).catch(() => undefined);
    }
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const causes = error.cause === undefined ? "" : `\n  because: ${describe(error.cause)}`;
  return (error instanceof Violation ? error.message : (error.stack ?? error.message)) + causes;
}
