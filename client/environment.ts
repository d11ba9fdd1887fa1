/**
 * Time and randomness as the SDK uses them: the same ports as everywhere, so that a simulator can stand in.
 */
import { hex } from "../src/lib/bytes.ts";
import type { Clock, Timer } from "../src/ports/clock.ts";
import type { Entropy } from "../src/ports/entropy.ts";

/** What Node's `diagnostics_channel` calls a `TracingChannel`, as far as it is used here. */
export interface DiagnosticChannel {
  readonly hasSubscribers: boolean;
  tracePromise<T>(run: () => Promise<T>, message: object): Promise<T>;
}

export type Environment = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Where the SDK tells what it does; see `diagnostics.ts`. Absent where the platform has no such channels. */
  readonly channel?: (name: string) => DiagnosticChannel;
};

type NodeProcess = {
  readonly getBuiltinModule?: (id: "node:diagnostics_channel") => {
    readonly tracingChannel: (name: string) => DiagnosticChannel;
  };
};

/** Asked for at run time, for an import would keep the SDK from loading in browsers. */
function platformChannels(): Pick<Environment, "channel"> {
  const { process } = globalThis as { readonly process?: NodeProcess };
  const tracingChannel = process?.getBuiltinModule?.("node:diagnostics_channel").tracingChannel;
  return tracingChannel === undefined ? {} : { channel: tracingChannel };
}

/** The platform's own: what Node and browsers share, and diagnostics where there are any. */
export const SYSTEM_ENVIRONMENT: Environment = {
  clock: {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    schedule(delayMs: number, run: () => void): Timer {
      const timer = setTimeout(run, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
    defer: (run) => {
      setTimeout(run, 0);
    },
  },
  entropy: { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
  ...platformChannels(),
};

const ID_BYTES = 12;

/** An id no one else will draw. */
export function randomId(entropy: Entropy): string {
  return hex(entropy.bytes(ID_BYTES));
}
