/**
 * What a client has seen of a cluster's log, as the token `cluster.log.position` that nodes give with each answer. It is
 * shown with each request, so that no node answers from before it (W161), whichever the client turns to.
 */
import type { Consistency } from "../../src/wire/consistency.ts";

export class Session {
  /** What reads may be answered from. */
  readonly consistency: Consistency;
  #log: string | undefined;
  #position = 0;

  constructor(consistency: Consistency = "session") {
    this.consistency = consistency;
  }

  /** Undefined before the first answer. */
  get token(): string | undefined {
    return this.#log === undefined ? undefined : `${this.#log}.${this.#position}`;
  }

  /** An answer of the same connection is as of here. */
  advance(position: number): void {
    this.#position = Math.max(this.#position, position);
  }

  /** From an answer. A token of another cluster is passed over: the next request finds out, by the one that it shows. */
  note(token: string | null): void {
    const match = token === null ? null : /^(.+\.\d+)\.(\d+)$/.exec(token);
    if (match === null) return;
    this.#log ??= match[1];
    if (match[1] === this.#log) this.#position = Math.max(this.#position, Number(match[2]));
  }
}
