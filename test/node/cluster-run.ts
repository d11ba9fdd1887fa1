/**
 * A random life of a cluster: producers that retry until they are answered, writers that do not, readers, all on every
 * node, and faults of power, network and scheduling in between; then all is healed. What was acknowledged is there
 * afterwards, once, at the offset that was answered (I5–I8); what was refused is not, and what is unknown once at most
 * (P36); no read was behind what was acknowledged before it (P12–P14); all nodes are equal (I4, I10).
 * The steps are drawn first, and any part of them is a life as well: so they can be shrunk.
 */
import { NodeError } from "../../log-server/node/node-error.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { CommandResult } from "../../src/wire/command.ts";
import type { NetworkFaults } from "../../src/sim/network.ts";
import { append, create, readAll } from "./sim-node.ts";
import { Killed, SimCluster } from "../../log-server/sim/sim-cluster.ts";

export type Step =
  | { readonly kind: "append"; readonly producer: number }
  | { readonly kind: "write"; readonly node: string; readonly value: number }
  | { readonly kind: "read" | "kill" | "start" | "isolate" | "pause" | "resume"; readonly node: string }
  | { readonly kind: "kill-at"; readonly node: string; readonly calls: number }
  | { readonly kind: "cut"; readonly from: string; readonly to: string }
  | { readonly kind: "kill-all" | "heal" }
  | { readonly kind: "pass"; readonly ms: number };

/** What really happened (P46). */
export type Tally = {
  acknowledged: number;
  duplicates: number;
  unknown: number;
  refused: number;
  writes: number;
  repeated: number;
  reads: number;
  readsRefused: number;
  kills: number;
  terms: number;
  lost: number;
};

const NODES = ["n1", "n2", "n3"] as const;
const PRODUCERS = 3;
const STREAM = "a";
const PATIENCE_MS = 3_000;
const REST_MS = 40;
const HEALED_WITHIN_MS = 120_000;

/** A network that loses, repeats and reorders now and then. */
const ROUGH: NetworkFaults = {
  delayMsMin: 0.2,
  delayMsMax: 5,
  lossChance: 0.02,
  duplicateChance: 0.02,
  reorderChance: 0.02,
  reorderMsMax: 50,
  damageChance: 0.02,
  bytesPerSecond: 100_000_000,
};

export function randomSteps(seed: number, count: number): Step[] {
  const prng = new Prng(seed).fork("steps");
  return Array.from({ length: count }, (_, at): Step => {
    const node = prng.pick(NODES);
    const draw = prng.below(100);
    if (draw < 30) return { kind: "append", producer: prng.below(PRODUCERS) };
    if (draw < 40) return { kind: "write", node, value: at };
    if (draw < 50) return { kind: "read", node };
    if (draw < 70) return { kind: "pass", ms: prng.pick([1, 5, 20, 100, 500, 2_500]) };
    if (draw < 72) return { kind: "kill", node };
    if (draw < 74) return { kind: "kill-at", node, calls: 1 + prng.below(12) };
    if (draw < 75) return prng.chance(0.3) ? { kind: "kill-all" } : { kind: "kill", node };
    if (draw < 86) return { kind: "start", node };
    if (draw < 88) return { kind: "isolate", node };
    if (draw < 90) return { kind: "cut", from: node, to: prng.pick(NODES) };
    if (draw < 94) return { kind: "heal" };
    return { kind: draw < 96 ? "pause" : "resume", node };
  });
}

export async function runCluster(seed: number, steps: readonly Step[], note?: (line: string) => void): Promise<Tally> {
  const run = new Run(seed, note);
  await run.found();
  for (const step of steps) await run.step(step);
  await run.heal();
  return run.tally;
}

/** Fewer steps that still fail. */
export async function shrink(seed: number, steps: readonly Step[]): Promise<readonly Step[]> {
  let shortest = steps;
  for (let part = Math.ceil(steps.length / 2); part >= 1; part = Math.floor(part / 2)) {
    for (let from = 0; from < shortest.length;) {
      const fewer = [...shortest.slice(0, from), ...shortest.slice(from + part)];
      const fails = await runCluster(seed, fewer).then(
        () => false,
        () => true,
      );
      if (fails) shortest = fewer;
      else from += part;
    }
  }
  return shortest;
}

class Run {
  readonly tally: Tally = {
    acknowledged: 0,
    duplicates: 0,
    unknown: 0,
    refused: 0,
    writes: 0,
    repeated: 0,
    reads: 0,
    readsRefused: 0,
    kills: 0,
    terms: 0,
    lost: 0,
  };
  readonly #cluster: SimCluster;
  readonly #prng: Prng;
  readonly #note: (line: string) => void;
  readonly #next = Array.from({ length: PRODUCERS }, () => 0);
  readonly #working = new Map<number, Promise<void>>();
  /** Reads and writes under way. */
  readonly #asking = new Set<Promise<void>>();
  /** Certainly not done. */
  readonly #refused: string[] = [];
  /** By offset. */
  readonly #acknowledged = new Map<number, string>();
  /** Everything before this offset was acknowledged, or stands before something that was. */
  #floor = 0;
  readonly #violations: Error[] = [];

  constructor(seed: number, note: ((line: string) => void) | undefined) {
    this.#prng = new Prng(seed).fork("run");
    this.#note = note ?? ((): void => undefined);
    this.#cluster = new SimCluster({
      seed,
      faults: ROUGH,
      diskMsMax: 2,
      segmentBytes: 4 * 1024,
      limits: { unsettledMsMax: 2_000, imageEveryBytes: 3_000, housekeepingEveryMs: 1_000 },
      ...(note && { note }),
    });
  }

  async found(): Promise<void> {
    const cluster = this.#cluster;
    await cluster.settle(Promise.all(NODES.map((name) => cluster.start(name))), HEALED_WITHIN_MS);
    const leader = await cluster.elected();
    const created = await cluster.settle(cluster.propose(leader.name, create(STREAM)), HEALED_WITHIN_MS);
    if (created.kind === "rejected") throw new Error(`not founded: ${created.message}`);
  }

  async step(step: Step): Promise<void> {
    const cluster = this.#cluster;
    this.#note(JSON.stringify(step));
    switch (step.kind) {
      case "append":
        if (!this.#working.has(step.producer)) this.#start(step.producer);
        break;
      case "write":
        if (cluster.member(step.node).node !== undefined) this.#write(step.node, step.value);
        break;
      case "read":
        if (cluster.member(step.node).node !== undefined) this.#read(step.node);
        break;
      case "kill":
        this.#kill(step.node);
        break;
      case "kill-at":
        cluster.killAt(step.node, step.calls);
        break;
      case "kill-all":
        for (const node of NODES) this.#kill(node);
        break;
      case "start":
        this.#restart(step.node);
        break;
      case "isolate":
        cluster.isolate(step.node);
        break;
      case "cut":
        if (step.from !== step.to) cluster.network.cut(step.from, step.to);
        break;
      case "heal":
        cluster.network.healAll();
        break;
      case "pause":
        cluster.pause(step.node);
        break;
      case "resume":
        cluster.resume(step.node);
        break;
      case "pass":
        await cluster.pass(step.ms);
    }
    this.#check();
  }

  async heal(): Promise<void> {
    const cluster = this.#cluster;
    this.#note("healed");
    cluster.network.healAll();
    for (const name of NODES) {
      cluster.member(name).cutIn = Number.POSITIVE_INFINITY;
      cluster.resume(name);
    }
    await cluster.pass(1);
    for (const name of NODES) this.#restart(name);
    await cluster.until(() => this.#working.size + this.#asking.size === 0, "all is answered", HEALED_WITHIN_MS);
    await cluster.until(() => cluster.members.every(({ node }) => node?.phase === "serving"), "all serve");
    await cluster.agreed();
    this.#check();
    this.tally.terms = cluster.leader?.node?.status().term ?? 0;
    this.tally.lost = cluster.network.counts.lost;
    for (const { node } of cluster.up) this.tally.repeated += node?.status().forwards.repeated ?? 0;
    const digests = new Set(cluster.up.map(({ node }) => node?.machine.digest()));
    if (digests.size !== 1 || cluster.up.length !== NODES.length) throw new Error("I4, I10: the nodes differ");
    for (const { name } of cluster.members) {
      const values = await cluster.settle(readAll(cluster.node(name), STREAM));
      this.#judge(name, values);
    }
  }

  #judge(name: string, values: readonly string[]): void {
    for (const [offset, value] of this.#acknowledged)
      if (values[offset] !== value)
        throw new Error(`I6: ${name} has ${values[offset]} at ${offset}, where ${value} was acknowledged`);
    for (const value of this.#refused)
      if (values.includes(value)) throw new Error(`P36: ${name} has ${value}, which was refused`);
    const writes = values.filter((value) => value.startsWith("w/"));
    if (new Set(writes).size !== writes.length) throw new Error(`P36: ${name} has a write twice: ${writes.join()}`);
    const expected = Array.from({ length: PRODUCERS }, (_, producer) => producer).flatMap((producer) =>
      Array.from({ length: this.#next[producer] as number }, (_, sequence) => `${producer}/${sequence}`),
    );
    for (let producer = 0; producer < PRODUCERS; producer += 1) {
      const own = values.filter((value) => value.startsWith(`${producer}/`));
      const due = expected.filter((value) => value.startsWith(`${producer}/`));
      if (own.join() !== due.join()) throw new Error(`I8: ${name} has ${own.join()} of producer ${producer}`);
    }
  }

  #start(producer: number): void {
    const sequence = this.#next[producer] as number;
    this.#next[producer] = sequence + 1;
    const done = this.#append(producer, sequence)
      .catch((error: unknown) => void this.#violations.push(error as Error))
      .finally(() => this.#working.delete(producer));
    this.#working.set(producer, done);
  }

  async #append(producer: number, sequence: number): Promise<void> {
    const value = `${producer}/${sequence}`;
    for (;;) {
      const result = await this.#try(value, producer, sequence);
      if (result?.kind === "appended") {
        const offset = result.firstOffset;
        if (offset === undefined) throw new Error(`I8: ${value} was answered without an offset`);
        const before = this.#acknowledged.get(offset);
        if (before !== undefined) throw new Error(`I7: ${value} and ${before} were both acknowledged at ${offset}`);
        this.#acknowledged.set(offset, value);
        this.#floor = Math.max(this.#floor, offset + 1);
        this.tally.acknowledged += 1;
        if (result.duplicate) this.tally.duplicates += 1;
        this.#note(`${value} at ${offset}`);
        return;
      }
      if (result !== undefined) throw new Error(`I8: ${value} was answered ${JSON.stringify(result)}`);
      await this.#rest(REST_MS);
    }
  }

  /** Undefined: to be tried again. */
  async #try(value: string, producer: number, sequence: number): Promise<CommandResult | undefined> {
    const cluster = this.#cluster;
    const known = this.#prng.chance(0.5) ? cluster.leader?.name : undefined;
    const name = known ?? this.#prng.pick(NODES);
    if (cluster.member(name).node === undefined) return undefined;
    const command = append(STREAM, [value], { producer: { id: `p${producer}`, epoch: 0, sequence } });
    try {
      return await Promise.race([cluster.propose(name, command), this.#rest(PATIENCE_MS).then(() => undefined)]);
    } catch (error) {
      this.#excuse(error, ["unavailable", "outcome-unknown", "overloaded"]);
      if (error instanceof Killed || (error as NodeError).code === "outcome-unknown") this.tally.unknown += 1;
      else this.tally.refused += 1;
      return undefined;
    }
  }

  /** Once, and whatever comes of it. */
  #write(name: string, place: number): void {
    const value = `w/${place}`;
    const done = this.#cluster
      .propose(name, append(STREAM, [value]))
      .then(
        (result) => {
          if (result.kind !== "appended" || result.firstOffset === undefined)
            throw new Error(`${value} was answered ${JSON.stringify(result)}`);
          this.#acknowledged.set(result.firstOffset, value);
          this.#floor = Math.max(this.#floor, result.firstOffset + 1);
          this.tally.writes += 1;
        },
        (error: unknown) => {
          this.#excuse(error, ["unavailable", "outcome-unknown", "overloaded"]);
          if (error instanceof NodeError && error.code !== "outcome-unknown") this.#refused.push(value);
        },
      )
      .catch((error: unknown) => void this.#violations.push(error as Error))
      .finally(() => this.#asking.delete(done));
    this.#asking.add(done);
  }

  #read(name: string): void {
    const floor = this.#floor;
    const { node } = this.#cluster.member(name);
    const done = this.#cluster
      .barrier(name)
      .then(
        () => {
          const tail = node?.machine.stream(STREAM)?.nextOffset ?? 0;
          if (tail < floor)
            throw new Error(`P12: ${name} showed ${tail} records where ${floor} were acknowledged before`);
          this.tally.reads += 1;
        },
        (error: unknown) => {
          this.#excuse(error, ["unavailable", "overloaded", "outcome-unknown"]);
          this.tally.readsRefused += 1;
        },
      )
      .catch((error: unknown) => void this.#violations.push(error as Error))
      .finally(() => this.#asking.delete(done));
    this.#asking.add(done);
  }

  #kill(name: string): void {
    if (this.#cluster.member(name).life.over) return;
    this.#cluster.kill(
      name,
      this.#prng.pick([{ kind: "none" }, { kind: "all" }, { kind: "random", prng: this.#prng }]),
    );
    this.tally.kills += 1;
  }

  #restart(name: string): void {
    const member = this.#cluster.member(name);
    if (!member.life.over) return;
    const started = this.#cluster.start(name);
    const { life, disk } = member;
    started.catch((error: unknown) => {
      // Killed again while it started.
      if (!(error instanceof Killed) && !disk.plugPulled && !life.over) this.#violations.push(error as Error);
    });
  }

  /** What faults may bring is no violation. */
  #excuse(error: unknown, codes: readonly string[]): void {
    if (error instanceof Killed || (error instanceof NodeError && codes.includes(error.code))) return;
    throw error;
  }

  #rest(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.#cluster.clock.schedule(milliseconds, resolve));
  }

  #check(): void {
    const [violation] = [...this.#violations, ...this.#cluster.failures];
    if (violation !== undefined) throw violation;
  }
}
