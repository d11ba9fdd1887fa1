/**
 * One line on a terminal that shows how far long work is: done, total, rate, time left. Anywhere else it writes nothing.
 */
import type { Io } from "./io.ts";

export type Progress = {
  readonly phase: string;
  readonly done: number;
  /** Absent: not known, as for a pipe. */
  readonly total?: number;
  /** Shown behind, say a count of records. */
  readonly note?: string;
};

const REDRAW_EVERY_MS = 100;
const BAR_WIDTH = 28;
const COLUMNS_DEFAULT = 80;
/** Before this share is done, the time left is a guess not worth showing. */
const ESTIMATE_FROM = 0.05;
const MS_PER_SECOND = 1_000;
const CLEAR_LINE = "\r\u001B[K";

export class ProgressBar {
  readonly #stream: Io["stderr"];
  readonly #startedMs = performance.now();
  #drawnMs = Number.NEGATIVE_INFINITY;
  #visible = false;

  constructor(stream: Io["stderr"]) {
    this.#stream = stream;
  }

  get enabled(): boolean {
    return this.#stream.isTTY === true;
  }

  show(progress: Progress): void {
    const nowMs = performance.now();
    if (!this.enabled || nowMs - this.#drawnMs < REDRAW_EVERY_MS) return;
    this.#drawnMs = nowMs;
    this.#visible = true;
    const line = formatProgress(progress, (nowMs - this.#startedMs) / MS_PER_SECOND);
    // Some terminals claim to have none.
    const columns =
      this.#stream.columns === undefined || this.#stream.columns === 0 ? COLUMNS_DEFAULT : this.#stream.columns;
    this.#stream.write(`${CLEAR_LINE}${line.slice(0, columns - 1)}`);
  }

  /** Takes the line away, before anything else is written. */
  clear(): void {
    if (this.#visible) this.#stream.write(CLEAR_LINE);
    this.#visible = false;
    this.#drawnMs = Number.NEGATIVE_INFINITY;
  }
}

export function formatProgress({ phase, done, total, note }: Progress, elapsedSeconds: number): string {
  const suffix = note === undefined ? "" : `  ${note}`;
  if (total === undefined || total === 0) return `${phase}${suffix}`;
  const share = Math.min(done / total, 1);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = "#".repeat(filled) + "-".repeat(BAR_WIDTH - filled);
  const left =
    share >= ESTIMATE_FROM && share < 1 ? `  ${formatSeconds((elapsedSeconds * (1 - share)) / share)} left` : "";
  return `${phase} [${bar}] ${String(Math.floor(share * 100)).padStart(3)}%${suffix}${left}`;
}

function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
