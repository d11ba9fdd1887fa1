/**
 * How far long work is: recovery now, more kinds later. One shape for health, logs, metrics and the command line.
 */
import type { Clock } from "../../src/ports/clock.ts";

export type Progress = {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  /** Of `done`, per second since the phase began. */
  readonly rate: number;
  /** Seconds to go at that rate; undefined while it is not known. */
  readonly etaSeconds: number | undefined;
};

export class ProgressMeter {
  readonly #clock: Clock;
  #phase: string;
  #startedAt: number;
  #startedWith = 0;
  #done = 0;
  #total = 0;

  constructor(clock: Clock, phase: string) {
    this.#clock = clock;
    this.#phase = phase;
    this.#startedAt = clock.monotonic();
  }

  update(phase: string, done: number, total: number): void {
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#startedAt = this.#clock.monotonic();
      this.#startedWith = done;
    }
    this.#done = done;
    this.#total = Math.max(done, total);
  }

  get progress(): Progress {
    const seconds = (this.#clock.monotonic() - this.#startedAt) / 1_000;
    const rate = seconds > 0 ? (this.#done - this.#startedWith) / seconds : 0;
    const left = this.#total - this.#done;
    const etaSeconds = left === 0 ? 0 : rate > 0 ? left / rate : undefined;
    return { phase: this.#phase, done: this.#done, total: this.#total, rate, etaSeconds };
  }
}
