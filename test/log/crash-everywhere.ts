/**
 * Crashes some work on a disk and a key-value store before and after every mutating call of either, in every way that
 * both allow: each subset of up to eight unsynced operations of the disk, samples beyond. Of those that leave the same, after
 * the same progress, one is verified.
 */
import { Prng } from "../../src/lib/prng.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { crashChoices, type SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { CrashStates } from "../sim/crash-states.ts";

export type Machine = { readonly disk: SimDisk; readonly kv: SimKv };

export type CrashPlan<Progress> = {
  /** What is there, durably, before the work. */
  readonly base: Machine;
  readonly begin: () => Progress;
  readonly work: (machine: Machine, progress: Progress) => Promise<void>;
  /** Of the machine and the progress alone: what was seen of one state is not looked at again. */
  readonly verify: (machine: Machine, progress: Progress, where: string) => Promise<void>;
  readonly samples: number;
  readonly seed: number;
};

export type CrashTally = { readonly points: number; readonly crashes: number; readonly sampled: number };

/** The same disk and store once more, with something told before and after each mutating call. */
export function restarted(machine: Machine, onEvent: (what: string) => void = (): void => undefined): Machine {
  const disk = machine.disk.crash(
    { kind: "all" },
    { onMutation: (kind, path, phase) => onEvent(`${phase} ${kind} ${path}`) },
  );
  const kv = machine.kv.crash(false, { onMutation: (phase) => onEvent(`${phase} kv`) });
  return { disk, kv };
}

/** The same machine twice: as it is, and without what its store had. */
export function withAndWithoutStore({ disk, kv }: Machine): readonly Machine[] {
  return [kv.crash(), new SimKv()].map((store) => ({ disk: disk.crash({ kind: "all" }), kv: store }));
}

export async function crashEverywhere<Progress>(plan: CrashPlan<Progress>): Promise<CrashTally> {
  const prng = new Prng(plan.seed);
  let events = 0;
  await plan.work(
    restarted(plan.base, () => {
      events += 1;
    }),
    plan.begin(),
  );
  const states = new CrashStates();
  let crashes = 0;
  let sampled = 0;
  for (let point = 1; point <= events; point += 1) {
    let seen = 0;
    let moment = "";
    const machine: Machine = restarted(plan.base, (what) => {
      seen += 1;
      if (seen !== point) return;
      moment = what;
      machine.disk.pullPlug();
      machine.kv.pullPlug();
    });
    const progress = plan.begin();
    await plan.work(machine, progress).catch((error: unknown) => {
      if (!(error instanceof DiskError) || !machine.disk.plugPulled) throw error;
    });
    const pending = machine.disk.pendingOperations;
    for (const choice of crashChoices(pending, { prng, samples: plan.samples })) {
      crashes += 1;
      if (choice.kind === "random") sampled += 1;
      const kept = choice.kind === "subset" ? choice.kept.toString(2) : choice.kind;
      const where = `crash ${moment} (${point} of ${events}), ${kept} of ${pending} kept`;
      const left = { disk: machine.disk.crash(choice), kv: machine.kv.crash(prng.chance(0.5)) };
      if (states.isNew(progress, left.disk, left.kv)) await plan.verify(left, progress, where);
    }
  }
  return { points: events, crashes, sampled };
}
