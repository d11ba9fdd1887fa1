/** Append messages on their way to one follower: their last entries and sizes, oldest first. Bounded by `limits.ts`. */
import type { LogIndex } from "../../src/wire/entry.ts";
import type { RaftLimits } from "./limits.ts";

type Inflight = { readonly lastIndex: LogIndex; readonly bytes: number };

export class Inflights {
  readonly #limits: RaftLimits;
  readonly #messages: Inflight[] = [];
  #bytes = 0;

  constructor(limits: RaftLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#messages.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing more may be begun before an answer. */
  get full(): boolean {
    return this.#messages.length >= this.#limits.inflightMessagesMax || this.#bytes >= this.#limits.inflightBytesMax;
  }

  add(lastIndex: LogIndex, bytes: number): void {
    this.#messages.push({ lastIndex, bytes });
    this.#bytes += bytes;
  }

  /** The follower has everything to `index`. */
  freeTo(index: LogIndex): void {
    let free = 0;
    while (free < this.#messages.length && (this.#messages[free] as Inflight).lastIndex <= index) {
      this.#bytes -= (this.#messages[free] as Inflight).bytes;
      free += 1;
    }
    if (free > 0) this.#messages.splice(0, free);
  }
}
