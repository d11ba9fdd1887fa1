/** Time as an input. Nothing that nodes must agree on may depend on a local clock (I14): see log time. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump. */
  now(): number;
  /** Milliseconds since some fixed moment; never goes back. For time-outs and durations. */
  monotonic(): number;
  /** Calls `run` once, `delayMs` from now. */
  schedule(delayMs: number, run: () => void): Timer;
  /** Calls `run` once all input that has already arrived was handled: the end of this turn of the loop. */
  defer(run: () => void): void;
}
