/**
 * An SDK environment whose time stands still until a test moves it, and a way to let everything run that needs no time.
 */
import type { Environment } from "../../client/environment.ts";
import { Prng } from "../../src/lib/prng.ts";
import { SimClock } from "../../src/sim/clock.ts";

export type VirtualTime = { readonly environment: Environment; readonly clock: SimClock };

export function virtualTime(seed = 1): VirtualTime {
  const clock = new SimClock();
  const prng = new Prng(seed);
  return {
    clock,
    environment: {
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        schedule: (delayMs, run) => clock.schedule(delayMs, run),
        // Of this turn, so that a test needs no timer to see it run.
        defer: (run) => queueMicrotask(run),
      },
      entropy: { bytes: (length) => prng.bytes(length) },
    },
  };
}

/** Lets every promise that needs no time come to rest. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Moves time from timer to timer until `promise` settles; fails if it never will. */
export async function run<T>(time: VirtualTime, promise: Promise<T>): Promise<T> {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  promise.then(settle, settle);
  for (;;) {
    await turn();
    if (settled) return promise;
    if (!time.clock.advanceToNext()) throw new Error("nothing is left that could settle this promise");
  }
}
