/**
 * Small requests that travel together: what is asked while one command is under way goes into the next, in order. That
 * makes thousands of acknowledgements a second a few commands, without anyone waiting for a timer.
 */
import type { Clock } from "../src/ports/clock.ts";
import { asTidemarkError, TidemarkError } from "./error.ts";

/** Carries items out, all in one command: for each, in order, why it was refused. A rejection is everyone's. */
export type SendGathered<Item> = (items: readonly Item[]) => Promise<readonly (TidemarkError | undefined)[]>;

type Waiting<Item> = {
  readonly item: Item;
  readonly resolve: () => void;
  readonly reject: (error: TidemarkError) => void;
};

export class GatheredCalls<Item> {
  readonly #clock: Clock;
  readonly #send: SendGathered<Item>;
  readonly #limits: { readonly togetherMax: number; readonly waitingMax: number };
  #waiting: Waiting<Item>[] = [];
  #working = false;

  constructor(
    clock: Clock,
    send: SendGathered<Item>,
    limits: { readonly togetherMax: number; readonly waitingMax: number },
  ) {
    this.#clock = clock;
    this.#send = send;
    this.#limits = limits;
  }

  /** Resolves once it is done. Rejects with `buffer-full` where too much waits. */
  add(item: Item): Promise<void> {
    if (this.#waiting.length >= this.#limits.waitingMax) return Promise.reject(new TidemarkError("buffer-full"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#working) void this.#work();
    });
  }

  /** Never rejects: each hears for itself. */
  async #work(): Promise<void> {
    this.#working = true;
    // At the end of the turn, so that what is asked together travels together.
    await new Promise<void>((resolve) => this.#clock.defer(resolve));
    while (this.#waiting.length > 0) {
      const group = this.#waiting.slice(0, this.#limits.togetherMax);
      this.#waiting = this.#waiting.slice(group.length);
      try {
        const refusals = await this.#send(group.map(({ item }) => item));
        for (const [at, { resolve, reject }] of group.entries()) {
          const refusal = refusals[at];
          if (refusal === undefined) resolve();
          else reject(refusal);
        }
      } catch (thrown) {
        const error = asTidemarkError(thrown);
        for (const { reject } of group) reject(error);
      }
    }
    this.#working = false;
  }
}
