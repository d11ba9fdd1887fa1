/**
 * Linearizable reads by ReadIndex (Raft §8, thesis §6.4): the commit index at the time of asking, once a quorum has
 * answered a heartbeat that was sent later. Rounds only grow, so a late answer confirms nothing newer (P14); and nothing
 * is answered before the term's first commit (P13). There are no leases.
 */
import type { LogIndex } from "../../src/wire/entry.ts";
import type { NodeId } from "./types.ts";

/** Who asked: this node, or another one's core. */
export type Reader =
  | { readonly kind: "own"; readonly context: number }
  | { readonly kind: "peer"; readonly node: NodeId; readonly session: number; readonly context: number };

export type ConfirmedRead = { readonly reader: Reader; readonly index: LogIndex };

type Round = { readonly round: number; readonly index: LogIndex; readonly readers: readonly Reader[] };

/** The reads that wait at a leader. */
export class LeaderReads {
  #round = 0;
  /** Asked for since the newest round began, or before the term's first commit. */
  #waiting: Reader[] = [];
  readonly #rounds: Round[] = [];
  #count = 0;

  /** The newest round: each heartbeat carries it. */
  get round(): number {
    return this.#round;
  }

  get count(): number {
    return this.#count;
  }

  /** Some wait for a round to begin. */
  get due(): boolean {
    return this.#waiting.length > 0;
  }

  add(reader: Reader): void {
    this.#waiting.push(reader);
    this.#count += 1;
  }

  /** A new round, for all that wait. `committed` includes an entry of this term. */
  begin(committed: LogIndex): void {
    this.#round += 1;
    this.#rounds.push({ round: this.#round, index: committed, readers: this.#waiting });
    this.#waiting = [];
  }

  /** A quorum has answered this round. */
  confirm(round: number): readonly ConfirmedRead[] {
    const confirmed: ConfirmedRead[] = [];
    for (let first = this.#rounds[0]; first !== undefined && first.round <= round; first = this.#rounds[0]) {
      this.#rounds.shift();
      for (const reader of first.readers) confirmed.push({ reader, index: first.index });
    }
    this.#count -= confirmed.length;
    return confirmed;
  }

  /** Leadership is over. */
  abandon(): readonly Reader[] {
    const readers = [...this.#rounds.flatMap((round) => round.readers), ...this.#waiting];
    this.#rounds.length = 0;
    this.#waiting = [];
    this.#count = 0;
    return readers;
  }
}
