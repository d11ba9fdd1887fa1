/** The longest time between two moves of something, from its beginning on. */
export class LongestPause {
  #movedMs: number | undefined;
  #longestMs = 0;

  /** From now on pauses count. */
  begin(): void {
    this.#movedMs = performance.now();
  }

  moved(): void {
    if (this.#movedMs === undefined) return;
    const nowMs = performance.now();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#movedMs);
    this.#movedMs = nowMs;
  }

  get milliseconds(): number {
    return Math.round(this.#longestMs);
  }
}
