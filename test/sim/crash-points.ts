/**
 * Crashes some work before and after every one of its mutating disk calls, in every way the disk allows: each subset
 * of up to eight unsynced operations, samples beyond. Of those that leave the same, after the same progress, one is verified.
 */
import { Prng } from "../../src/lib/prng.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { type CrashChoice, crashChoices, type SimDisk } from "../../src/sim/disk.ts";
import { CrashStates } from "./crash-states.ts";

export type CrashPoints<Progress> = {
  /** What is on the disk, durably, before the work. */
  readonly base: SimDisk;
  /** A fresh record of what the work was told is done: acknowledgements. */
  readonly begin: () => Progress;
  readonly work: (disk: SimDisk, progress: Progress) => Promise<void>;
  /** What must hold on the disk after the crash: of disk and progress alone, for what was seen of one state is not looked at again. */
  readonly verify: (disk: SimDisk, progress: Progress, where: string) => Promise<void>;
  /** Crashes tried at a point with more than eight unsynced operations. */
  readonly samples?: number;
  readonly seed?: number;
};

export type CrashTally = { readonly points: number; readonly crashes: number };

export async function everyCrashPoint<Progress>(plan: CrashPoints<Progress>): Promise<CrashTally> {
  const prng = new Prng(plan.seed ?? 1);
  const states = new CrashStates();
  let crashes = 0;
  const crash = async (disk: SimDisk, progress: Progress, moment: string): Promise<void> => {
    const pending = disk.pendingOperations;
    for (const choice of crashChoices(pending, { prng, samples: plan.samples ?? 30 })) {
      crashes += 1;
      const left = disk.crash(choice);
      const where = `${moment}, ${describe(choice)} of ${pending} unsynced operations kept`;
      if (states.isNew(progress, left)) await plan.verify(left, progress, where);
    }
  };

  const whole = plan.base.crash({ kind: "all" });
  const complete = plan.begin();
  await plan.work(whole, complete);
  const calls = whole.mutations;
  await crash(whole, complete, "crash once all was done");
  for (let call = 1; call <= calls; call += 1) {
    for (const moment of ["before", "after"] as const) {
      const disk: SimDisk = plan.base.crash(
        { kind: "all" },
        {
          onMutation: (_kind, _path, phase, ordinal) => {
            if (ordinal === call && phase === moment) disk.pullPlug();
          },
        },
      );
      const progress = plan.begin();
      const where = `crash ${moment} call ${call} of ${calls}`;
      try {
        await plan.work(disk, progress);
        throw new Error(`${where}: the work did not notice`);
      } catch (error) {
        if (!(error instanceof DiskError) || error.code !== "closed") throw error;
      }
      await crash(disk, progress, where);
    }
  }
  return { points: calls * 2, crashes };
}

function describe(choice: CrashChoice): string {
  return choice.kind === "subset" ? `subset ${choice.kept.toString(2)}` : choice.kind;
}
