/**
 * A random life of a cluster: messages lost, delayed, repeated and reordered, slow disks, crashes, damage, partitions,
 * changes of the configuration, snapshots; then everything heals, and it must get on. A run is a list of small steps, so
 * a failing one can be made shorter by leaving steps out.
 */
import { configurationOf, membersOf, votersOf } from "../../log-server/raft/configuration.ts";
import { RAFT_LIMITS } from "../../log-server/raft/limits.ts";
import { reaches } from "../../log-server/raft/raft-log.ts";
import type { MembershipChange } from "../../log-server/raft/config-change.ts";
import { Prng } from "../../src/lib/prng.ts";
import { formatEvent } from "./format.ts";
import { TestCluster } from "./test-cluster.ts";
import { emptyDisk, type NodeSettings, type TestNode } from "./test-node.ts";

/** What is done, and two numbers that say to whom and how. */
export type RandomStep = readonly [kind: StepKind, a: number, b: number];

const WEIGHTS = {
  "deliver": 40,
  "reorder": 14,
  "drop": 3,
  "repeat": 4,
  "tick": 16,
  "tick-all": 8,
  "append": 14,
  "apply": 10,
  "fetch": 6,
  "install": 6,
  "ship": 4,
  "propose": 12,
  "read": 8,
  "change": 4,
  "transfer": 1,
  "slow": 3,
  "crash": 1,
  "restart": 3,
  "damage": 0.5,
  "save": 3,
  "trim": 2,
  "cut": 2,
  "heal": 4,
  "stall": 0.5,
  "pause": 0.5,
  "resume": 1,
  "usurp": 0,
  "unreachable": 1,
} as const;

type StepKind = keyof typeof WEIGHTS;

/** What a paused node does not keep from happening; whoever receives is looked at by itself. */
const ABOUT_MESSAGES: ReadonlySet<StepKind> = new Set([
  "deliver",
  "reorder",
  "repeat",
  "drop",
  "tick-all",
  "propose",
  "resume",
  "usurp",
  "heal",
]);

/** Of every other seed: leaders come and go faster than they commit, and entries travel one by one (P1). */
const STORM: Readonly<Partial<Record<StepKind, number>>> = {
  "deliver": 160,
  "tick": 6,
  "tick-all": 12,
  "heal": 1,
  "stall": 1,
  "pause": 1,
  "resume": 1.5,
  "usurp": 4,
  "drop": 1,
  "repeat": 6,
  "crash": 2,
  "restart": 5,
  "read": 12,
};

const POOL = ["n1", "n2", "n3", "n4", "n5", "n6"];
const FOUNDERS_MAX = 5;
const PARTS = ["append", "apply", "fetch", "install"] as const;
/** Small, so that every bound is met. */
const LIMITS = {
  ...RAFT_LIMITS,
  messageBytesMax: 24,
  inflightMessagesMax: 3,
  inflightBytesMax: 64,
  keptBytesMax: 40,
  uncommittedBytesMax: 400,
  heldMessagesMax: 8,
};
/** Every node campaigns within so many ticks of a storm. */
const USURP_TICKS = 6;
const USURP_MESSAGES = 40;
const STORM_LIMITS = { ...LIMITS, messageBytesMax: 1, uncommittedBytesMax: 60 };
const LIVELY_TICKS = 400;
const FAILURE_LENGTH = "InvariantError: I3".length;

export function randomSteps(seed: number, count: number): RandomStep[] {
  const prng = new Prng(seed);
  const weights: Readonly<Record<StepKind, number>> = isStorm(seed) ? { ...WEIGHTS, ...STORM } : WEIGHTS;
  const kinds = Object.keys(WEIGHTS) as StepKind[];
  const total = kinds.reduce((sum, kind) => sum + weights[kind], 0);
  return Array.from({ length: count }, () => {
    let left = prng.float() * total;
    const kind = kinds.find((candidate) => (left -= weights[candidate]) < 0) ?? "deliver";
    return [kind, prng.below(1 << 20), prng.below(1 << 20)] as const;
  });
}

function isStorm(seed: number): boolean {
  return seed % 2 === 1;
}

/** What happened, so that a test can see that something did. */
export type Tally = {
  elections: number;
  committed: number;
  changes: number;
  installs: number;
  reads: number;
  fetches: number;
};

/** Throws where an invariant breaks, or the healed cluster does not get on. */
export function runRandom(seed: number, steps: readonly RandomStep[], trace?: (line: string) => void): Tally {
  const run = new RandomRun(seed, trace);
  for (const step of steps) run.step(step);
  run.heal();
  return run.tally;
}

/** As short as leaving steps out makes it, while it fails in the same way. */
export function shrink(seed: number, steps: readonly RandomStep[]): readonly RandomStep[] {
  const how = failure(seed, steps);
  let shortest = steps;
  for (let chunk = Math.ceil(steps.length / 2); chunk >= 1; chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2)) {
    for (let from = 0; from < shortest.length;) {
      const without = [...shortest.slice(0, from), ...shortest.slice(from + chunk)];
      if (failure(seed, without) === how) shortest = without;
      else from += chunk;
    }
  }
  return shortest;
}

/** The beginning of what is wrong: the invariant's number, mostly. */
function failure(seed: number, steps: readonly RandomStep[]): string | undefined {
  try {
    runRandom(seed, steps);
    return undefined;
  } catch (error) {
    return String(error).slice(0, FAILURE_LENGTH);
  }
}

class RandomRun {
  readonly tally: Tally = { elections: 0, committed: 0, changes: 0, installs: 0, reads: 0, fetches: 0 };
  readonly #cluster = new TestCluster();
  /** Their clocks stand still, as a stopped process's does; yet their messages come and go (P12). */
  readonly #stalled = new Set<TestNode>();
  /** Stopped like a process: nothing reaches them, and nothing is lost, until they go on (P43). */
  readonly #paused = new Set<TestNode>();
  #nextText = 1;
  /** By node and life: a new life begins again with 1, as a server would (P14). */
  readonly #contexts = new Map<string, number>();

  constructor(seed: number, trace: ((line: string) => void) | undefined) {
    const founders = configurationOf(POOL.slice(0, 1 + (seed % FOUNDERS_MAX)));
    const settings: NodeSettings = isStorm(seed)
      ? { electionTicks: 3, heartbeatTicks: 1, seed, limits: STORM_LIMITS }
      : { electionTicks: 6, heartbeatTicks: 2, seed, limits: LIMITS };
    this.#cluster.onEvent = (node, event) => {
      if (
        event.kind === "appended" &&
        event.work.entries.some(({ kind }) => kind === "noop") &&
        node.core.role === "leader"
      )
        this.tally.elections += 1;
      if (trace !== undefined) trace(`${node.id} ${event.kind} ${formatEvent(node, event) ?? ""}`);
      if (event.kind === "installed") this.tally.installs += 1;
      if (event.kind === "read") this.tally.reads += 1;
      if (event.kind === "fetch") this.tally.fetches += 1;
    };
    for (const id of POOL) this.#cluster.add(id, emptyDisk(founders), settings);
  }

  step([kind, a, b]: RandomStep): void {
    const cluster = this.#cluster;
    const node = cluster.node(POOL[a % POOL.length] as string);
    const leader = cluster.leader !== undefined && this.#paused.has(cluster.leader) ? undefined : cluster.leader;
    if (this.#paused.has(node) && !ABOUT_MESSAGES.has(kind)) return;
    switch (kind) {
      case "deliver":
        return this.#hand(0, false);
      case "reorder":
        return this.#hand(a, false);
      case "repeat":
        return this.#hand(a, true);
      case "drop":
        cluster.messages.splice(a % Math.max(1, cluster.messages.length), 1);
        return;
      case "tick":
        return this.#tick(node);
      case "tick-all":
        for (const each of cluster.nodes.values()) this.#tick(each);
        return;
      case "stall":
        // A leader that stands still is the one that may deceive its readers.
        return this.#stall(b % 2 === 0 ? node : (leader ?? node));
      case "pause":
        this.#paused.add(b % 2 === 0 ? node : (leader ?? node));
        return;
      case "resume":
        return this.#resume();
      case "usurp":
        return this.#usurp(leader, b % 2 === 0);
      case "append":
      case "apply":
      case "install":
        return this.#finish(node, kind);
      case "fetch":
        return b % 6 === 0 ? this.#failFetches(node) : this.#finish(node, kind);
      case "ship":
        return b % 4 === 0 ? this.#failShipping(node) : cluster.shipAll(node);
      case "propose":
        if (leader === undefined) return;
        leader.propose(`c${this.#nextText}`);
        this.#nextText += 1;
        return cluster.run(leader);
      case "read":
        if (!node.down) cluster.read(node, this.#nextContext(node));
        return;
      case "change":
        if (leader === undefined) return;
        if (leader.core.proposeChange(changesOf(a, b)).ok) this.tally.changes += 1;
        return cluster.run(leader);
      case "transfer":
        leader?.core.transferLeadership(node.id);
        if (leader !== undefined) cluster.run(leader);
        return;
      case "slow":
        node.slow[PARTS[b % PARTS.length] as (typeof PARTS)[number]] = b % 5 < 3;
        return;
      default:
        return this.#harm(kind, node, b);
    }
  }

  #harm(kind: StepKind, node: TestNode, b: number): void {
    const cluster = this.#cluster;
    switch (kind) {
      case "crash":
        return node.crash();
      case "restart":
        node.crash();
        node.restart(this.#stillAmbiguous(node));
        this.#contexts.delete(node.id);
        return cluster.run(node);
      case "damage":
        if ([...cluster.nodes.values()].some(({ core }) => core.ambiguousEnd !== undefined)) return;
        if (node.disk.entries.length === 0 || this.#soleVoter) return;
        cluster.checkMajorities = false;
        node.crash();
        node.restart({ entries: 1 + (b % Math.min(3, node.disk.entries.length)), readable: b % 2 === 0 });
        return cluster.run(node);
      case "save":
        return node.down ? undefined : node.saveImage();
      case "trim":
        if (
          node.down ||
          node.append !== undefined ||
          node.install !== undefined ||
          node.core.applied <= node.disk.base.index + 2
        )
          return;
        return node.trim(node.core.applied - (b % 2));
      case "cut":
        return this.#cut(node, b);
      case "heal":
        this.#stalled.clear();
        this.#resume();
        return cluster.cut.clear();
      case "unreachable":
        if (!node.down) node.core.step({ kind: "unreachable", node: POOL[b % POOL.length] as string });
        return cluster.run(node);
      default:
    }
  }

  /** Everything works again: within a bound there is a leader, and all its members have applied the same. */
  heal(): void {
    const cluster = this.#cluster;
    cluster.cut.clear();
    this.#stalled.clear();
    this.#paused.clear();
    for (const node of cluster.nodes.values()) {
      for (const part of PARTS) node.slow[part] = false;
      if (node.down) node.restart(this.#stillAmbiguous(node));
      for (const part of PARTS) finishPart(node, part);
      cluster.run(node);
    }
    let proposed: string | undefined;
    let proposedTerm = 0;
    const done = (): boolean => {
      for (const node of cluster.nodes.values()) this.#settleTail(node);
      const { leader } = cluster;
      if (leader === undefined) return false;
      // What an earlier leader took may be lost with it.
      if (proposedTerm !== leader.core.term) {
        proposed = `end of term ${leader.core.term}`;
        if (leader.propose(proposed).ok) proposedTerm = leader.core.term;
        cluster.run(leader);
        return false;
      }
      const { voters, outgoing, learners } = leader.core.configuration;
      const members = membersOf(leader.core.configuration).map((id) => cluster.node(id));
      const settled = outgoing.length === 0 && learners.every(({ wanted }) => wanted === "learner");
      // Who asks for a read hears of it, whatever becomes of the leader (P13).
      if (cluster.unansweredReads > 0) return false;
      return settled && voters.length > 0 && members.every((node) => node.commands.includes(proposed as string));
    };
    if (!cluster.tickUntil(done, LIVELY_TICKS)) {
      const state = [...cluster.nodes.values()].map(({ core }) => JSON.stringify(core.status()));
      throw new Error(`the healed cluster does not get on:\n${state.join("\n")}`);
    }
    this.tally.committed = cluster.committed;
  }

  /** The voters of the newest configuration are asked where their logs end: the most up-to-date answer settles it. */
  #settleTail(node: TestNode): void {
    if (node.core.ambiguousEnd === undefined) return;
    const all = [...this.#cluster.nodes.values()];
    const newest = all.reduce((best, other) => (other.core.applied > best.core.applied ? other : best));
    const voters = votersOf(newest.core.configuration);
    const ends = all.filter(({ id }) => id !== node.id && voters.includes(id)).map((other) => other.lastOnDisk);
    node.core.settleTail(ends.reduce((best, end) => (reaches(end, best) ? end : best), { index: 0, term: 0 }));
    this.#cluster.run(node);
  }

  /** Somebody's word alone is enough somewhere: nobody else has what is damaged then. */
  get #soleVoter(): boolean {
    const configurations = [...this.#cluster.nodes.values()].map(({ core }) => core.configuration);
    return configurations.some(({ voters, outgoing }) => voters.length === 1 || outgoing.length === 1);
  }

  /** A restart finds the same damage again, if it was not settled. */
  #stillAmbiguous(node: TestNode): { readonly entries: number; readonly readable: boolean } | undefined {
    return node.core.ambiguousEnd === undefined ? undefined : { entries: 0, readable: false };
  }

  #hand(place: number, keep: boolean): void {
    const { messages } = this.#cluster;
    const ready = this.#paused.size === 0 ? messages : messages.filter(({ to }) => !this.#isPaused(to));
    const message = ready[place % Math.max(1, ready.length)];
    if (message === undefined) return;
    messages.splice(messages.indexOf(message), 1);
    if (keep) messages.push(message);
    this.#cluster.hand(message);
  }

  #finish(node: TestNode, part: (typeof PARTS)[number]): void {
    if (node.down) return;
    finishPart(node, part);
    this.#cluster.run(node);
  }

  #isPaused(id: string): boolean {
    return this.#paused.has(this.#cluster.node(id));
  }

  /** Who was stopped serves what clients had sent before it hears that the world went on. */
  #resume(): void {
    for (const node of this.#paused) {
      this.#paused.delete(node);
      if (!node.down) this.#cluster.read(node, this.#nextContext(node));
    }
  }

  /**
   * The leader is cut off until another one is elected, and whoever was cut off before is back. A short reign ends before
   * anybody has heard of it, so that logs fork: what figure 8 is made of (P1).
   */
  #usurp(leader: TestNode | undefined, short: boolean): void {
    const cluster = this.#cluster;
    cluster.cut.clear();
    if (leader !== undefined) this.#cut(leader, 1);
    for (let ticks = 0; ticks < USURP_TICKS; ticks += 1) {
      for (const each of cluster.nodes.values()) this.#tick(each);
      for (let left = USURP_MESSAGES; left > 0 && cluster.messages.length > 0; left -= 1) {
        this.#hand(0, false);
        const next = cluster.leader;
        if (next === undefined || next === leader || next.core.term <= (leader?.core.term ?? 0)) continue;
        if (short) this.#cut(next, 1);
        return;
      }
    }
  }

  #tick(node: TestNode): void {
    if (!this.#stalled.has(node) && !this.#paused.has(node)) this.#cluster.tick(node);
  }

  #stall(node: TestNode): void {
    if (this.#stalled.delete(node)) return;
    this.#stalled.add(node);
    this.#cut(node, 1);
  }

  /** One way between two, or one node from all others. */
  #cut({ id }: TestNode, b: number): void {
    if (b % 2 === 0) this.#cluster.cut.add(`${id}>${POOL[(b >> 1) % POOL.length]}`);
    else for (const other of POOL) this.#cluster.cut.add(`${id}>${other}`).add(`${other}>${id}`);
  }

  #failFetches(node: TestNode): void {
    if (node.down) return;
    const works = node.fetches;
    node.fetches = [];
    for (const { id, node: to } of works)
      node.core.step({ kind: "fetched", id, node: to, outcome: { kind: "unavailable" } });
    this.#cluster.run(node);
  }

  #failShipping(node: TestNode): void {
    if (node.down) return;
    for (const { id, node: to } of node.snapshots)
      node.core.step({ kind: "snapshot-status", id, node: to, outcome: { kind: "failed" } });
    node.snapshots = [];
    this.#cluster.run(node);
  }

  #nextContext(node: TestNode): number {
    const next = (this.#contexts.get(node.id) ?? 0) + 1;
    this.#contexts.set(node.id, next);
    return next;
  }
}

function finishPart(node: TestNode, part: (typeof PARTS)[number]): void {
  switch (part) {
    case "append":
      return node.finishAppend();
    case "apply":
      return node.finishApply();
    case "fetch":
      return node.finishFetches();
    case "install":
      return node.finishInstall();
  }
}

/** One to three members, each in some way. */
function changesOf(a: number, b: number): MembershipChange[] {
  const kinds = ["add", "add", "remove", "demote"] as const;
  return Array.from({ length: 1 + (a % 3) }, (_, place) => {
    const node = POOL[((a >> 3) + place) % POOL.length] as string;
    const kind = kinds[(b >> (2 * place)) % kinds.length] as (typeof kinds)[number];
    return kind === "add" ? { kind, node, as: (b >> 9) % 4 < 3 ? "voter" : "learner" } : { kind, node };
  });
}
