/**
 * The end of a call, as those hear of it who work for it: the part of an `AbortSignal` that they use. A platform's
 * `AbortController` costs more than all else about a small append, and every call has one of these.
 */
export interface CallSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** One that can be ended, once. Each listener is called once, in the order in which they were added. */
export class CallEnding implements CallSignal {
  #aborted = false;
  #reason: unknown;
  /** Nearly always there is one. */
  #listener: (() => void) | undefined;
  #others: (() => void)[] | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    if (this.#aborted) return;
    if (this.#listener === undefined && this.#others === undefined) this.#listener = listener;
    else (this.#others ??= []).push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    if (this.#listener === listener) {
      this.#listener = undefined;
      return;
    }
    const at = this.#others?.indexOf(listener) ?? -1;
    if (at >= 0) this.#others?.splice(at, 1);
  }

  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const [first, others] = [this.#listener, this.#others];
    this.#listener = undefined;
    this.#others = undefined;
    first?.();
    if (others !== undefined) for (const listener of others) listener();
  }
}
