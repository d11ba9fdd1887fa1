/**
 * One random life of an app on simulated workers, by a seed: records come, and workers are killed, stand still, are cut off, lose messages and
 * are started again, some with the state that they had on disk. At the end everything must have come out, once, in order, at its place (I12),
 * and whoever computes something else must have been found out (I10).
 */
import { utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Topology } from "../../src/operators/build/topology.ts";
import { Violation } from "../sim/history.ts";
import { AppWorld, CALM, type Machine } from "./app-world.ts";
import { APPS, type Event, hurried, type TestApp } from "./apps.ts";
import { plainFault } from "./plain-answer.ts";

export type RandomRunOptions = {
  /** By the seed, if it is not said. */
  readonly app?: keyof typeof APPS;
};

const SKEWED_NAME = "skewed";
/** By the others, or by what is committed. */
const FOUND_OUT: ReadonlySet<string> = new Set(["contradicted", "diverged"]);
const ROUGH = { delayMsMax: 20, lost: 0.1, twice: 0.1 };
const MACHINES = 4;
const ROUNDS = 25;
/** In log time: many in a life. */
const DIGEST_EVERY_MS = 20;
const SNAPSHOT_EVERY_MS = 40;
const FINISHED_WITHIN_MS = 20_000;
const KEYS = ["a", "b", "c"];
const POISONOUS = 0.05;
/** In a round; what input was trimmed on stays. */
const SNAPSHOTS_DELETED = 0.1;
/** A replica that computes something else is among them. */
const SKEWED = 0.2;
/** In a round, that the app is told to stand still, for so long at most. */
const PAUSED = 0.05;
const PAUSED_MS_MAX = 600;
/** In a round, that it begins anew. */
const SKEWED_RESTARTS = 0.1;
/** Nobody comes to help at the end. */
const ALONE = 0.5;
const COMPARED_ROUNDS = 30;
/** So that it never commits, whose outputs would be wrong for all. */
const NEVER_MS = 1_000_000;

/** Throws a `Violation`. */
export async function runRandom(seed: number, options: RandomRunOptions = {}): Promise<void> {
  const prng = new Prng(seed).fork("random run");
  const names = Object.keys(APPS) as (keyof typeof APPS)[];
  const app: TestApp = APPS[options.app ?? prng.pick(names)];
  const skew = app.skewed !== undefined && prng.chance(SKEWED) ? app.skewed() : undefined;
  const world = new AppWorld(hurried(app.make(), DIGEST_EVERY_MS), seed, {}, SNAPSHOT_EVERY_MS);
  if (skew !== undefined) startSkewed(world, skew);
  for (let machine = 0; machine < MACHINES - 1; machine += 1) world.start(machine, ROUGH);
  for (let round = 0; round < ROUNDS; round += 1) {
    append(world, app, 1 + prng.below(3));
    disturb(world);
    if (skew !== undefined && prng.chance(SKEWED_RESTARTS)) {
      world.kill(SKEWED_NAME);
      startSkewed(world, skew);
    }
    await world.pass(prng.below(40));
  }
  world.heal();
  // Those that are there must come to an end by themselves, or others in their place; two that are right are most.
  const mayBeAlone = skew === undefined && prng.chance(ALONE);
  // One that was told to stop may still be on its machine.
  const goesOn = ({ replicas }: Machine): boolean => replicas.every(({ status }) => status.end === undefined);
  const others = mayBeAlone && [...world.machines.values()].some(goesOn) ? [] : ["calm-0", "calm-1"];
  for (const machine of others) world.start(machine, CALM);
  await finish(world);
  if (skew === undefined) return;
  // Something for all to compare, for as long as it may take until what is open comes up again.
  const goesUnnoticed = (): boolean =>
    world.machines.get(SKEWED_NAME)?.replicas.every(({ status }) => !FOUND_OUT.has(status.state)) === true;
  for (let round = 0; round < COMPARED_ROUNDS && goesUnnoticed(); round += 1) {
    append(world, app, 5);
    await world.pass(100);
  }
  if (goesUnnoticed()) throw new Violation("I10: a replica that computes something else goes on");
  for (const [name, { replicas }] of world.machines)
    if (name !== SKEWED_NAME && replicas.some(({ status }) => FOUND_OUT.has(status.state)))
      throw new Violation("I10: a replica that computes what it should was told to stop");
  await finish(world);
}

/** All has come out, at its place, and is what it must be. */
async function finish(world: AppWorld): Promise<void> {
  const fault = (await world.finish(FINISHED_WITHIN_MS)) ?? plainFault(world.graph.app, world.log);
  if (fault !== undefined) throw new Violation(fault);
}

function startSkewed(world: AppWorld, topology: Topology): void {
  world.start(SKEWED_NAME, CALM, hurried(topology, DIGEST_EVERY_MS), { takeoverMs: NEVER_MS });
}

/** To one of the app's inputs, in batches of one record or more. */
export function append(world: AppWorld, { poisonous }: TestApp, count: number): void {
  const { prng } = world;
  const partitions = world.graph.stages[0]?.partitions ?? 1;
  const stream = partitions === 1 ? "in" : `in/${prng.below(partitions)}`;
  const records = Array.from({ length: count }, () => {
    const event: Event = { key: prng.pick(KEYS), n: poisonous && prng.chance(POISONOUS) ? -1 : prng.below(100) };
    return { value: utf8(JSON.stringify(event)), timestamp: Math.floor(world.clock.now()) - prng.below(50) };
  });
  world.log.append(stream, records);
}

/** What may happen between two appends. */
function disturb(world: AppWorld): void {
  const { prng, machines } = world;
  if (prng.chance(SNAPSHOTS_DELETED)) world.log.deleteSnapshots(world.graph.app, prng.pick(world.tasks).task);
  if (prng.chance(PAUSED)) {
    const pause = (paused: boolean): void => {
      for (const { task } of world.tasks) world.log.pause(world.graph.app, task, paused);
    };
    pause(true);
    world.clock.schedule(prng.below(PAUSED_MS_MAX), () => pause(false));
  }
  const machine = prng.below(MACHINES);
  const running = machines.get(machine);
  if (running === undefined) {
    if (prng.chance(0.5) || machines.size === 0) world.start(machine, ROUGH);
    return;
  }
  const dice = prng.below(10);
  if (dice === 0) world.kill(machine);
  else if (dice === 1) void world.stop(machine);
  else if (dice === 2) {
    running.worker.pause();
    world.clock.schedule(prng.below(300), () => running.worker.resume());
  } else if (dice === 3) {
    running.worker.cut = true;
    world.clock.schedule(prng.below(300), () => {
      running.worker.cut = false;
    });
  }
}
