/**
 * Lets what is due happen: when the state machine's next deadline passes by this node's clock, a `tick` is proposed,
 * and the deadline takes effect when that is applied (I14). An idle log fires all the same.
 */
import type { Timer } from "../../src/ports/clock.ts";
import type { CommandResult } from "../../src/wire/command.ts";
import type { NodeParts } from "./node-parts.ts";

/** Longer delays are cut into pieces: timers of the platform overflow at 2^31 milliseconds, and clocks may be set. */
const TIMER_MS_MAX = 60_000;
const RETRY_MS = 1_000;

export class Deadlines {
  readonly #parts: NodeParts;
  readonly #proposeTick: () => Promise<CommandResult>;
  #timer: { readonly at: number; readonly timer: Timer } | undefined;
  #ticking: Promise<void> | undefined;
  #running = false;
  /** Reads that wait for the leader's clock, together. */
  #elapsing: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(parts: NodeParts, proposeTick: () => Promise<CommandResult>) {
    this.#parts = parts;
    this.#proposeTick = proposeTick;
  }

  /** This node leads. */
  start(): void {
    this.#running = true;
    this.reschedule();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  /** Something is due by this node's clock that no entry has made happen yet. */
  get passed(): boolean {
    const deadline = this.#parts.machine.nextDeadline();
    return deadline !== undefined && deadline <= this.#parts.clock.now();
  }

  /**
   * What is due by this node's clock is the leader's to make happen: resolves once it has, or after a while. Then the
   * leader's clock is behind this one, and by it nothing is due.
   */
  elapsed(): Promise<void> {
    this.#elapsing ??= this.#wait();
    return this.#elapsing.promise;
  }

  /** Makes what is due happen. Callers at the same time share one entry. */
  tick(): Promise<void> {
    this.#ticking ??= this.#proposeTick()
      .then(() => undefined)
      .finally(() => {
        this.#ticking = undefined;
      });
    return this.#ticking;
  }

  /** The next deadline may have changed: entries were applied. */
  reschedule(): void {
    if (this.#elapsing !== undefined && !this.passed) this.#elapsing.resolve();
    const deadline = this.#parts.machine.nextDeadline();
    if (!this.#running || deadline === this.#timer?.at) return;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    if (deadline === undefined) return;
    const delayMs = Math.min(Math.max(0, deadline - this.#parts.clock.now()), TIMER_MS_MAX);
    this.#set(deadline, delayMs, () => {
      if (this.passed)
        this.tick().then(
          () => this.reschedule(),
          () => this.#retry(),
        );
      else this.reschedule();
    });
  }

  #wait(): { readonly promise: Promise<void>; readonly resolve: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      this.#elapsing = undefined;
      timer.cancel();
      resolve();
    };
    const timer = this.#parts.clock.schedule(this.#parts.limits.dueElsewhereMsMax, end);
    return { promise, resolve: end };
  }

  /** The tick could not be proposed (a full queue, say): once more, in a while. */
  #retry(): void {
    if (this.#running && this.#timer === undefined) this.#set(Number.NaN, RETRY_MS, () => this.reschedule());
  }

  #set(at: number, delayMs: number, run: () => void): void {
    const timer = this.#parts.clock.schedule(delayMs, () => {
      this.#timer = undefined;
      if (this.#running) run();
    });
    this.#timer = { at, timer };
  }
}
