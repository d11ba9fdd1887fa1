/**
 * Commands on their way into the log: a bounded queue of what waits to be encoded, and what was proposed and waits
 * to be applied. Appends from all connections in one turn of the loop join in as few entries as possible.
 */
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import type { LogIndex, Term } from "../../../src/wire/entry.ts";
import { NodeError } from "../node-error.ts";
import type { NodeLimits } from "../limits.ts";

export type Pending = {
  readonly command: Command;
  readonly bytes: number;
  /** Monotonic milliseconds. */
  readonly proposedAt: number;
  /** `peer`: another node forwarded it, and goes on looking for a leader if this node is none. */
  readonly origin: "here" | "peer";
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: NodeError) => void;
};

/** The commands of one entry, with who waits for each. */
export type Group = { readonly term: Term; readonly members: readonly Pending[] };

export class Proposals {
  readonly #limits: NodeLimits;
  #waiting: Pending[] = [];
  #head = 0;
  #waitingBytes = 0;
  readonly #proposed = new Map<LogIndex, Group>();

  constructor(limits: NodeLimits) {
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  get inFlight(): number {
    return this.#proposed.size;
  }

  /** False when the queue is full. */
  add(pending: Pending): boolean {
    const { proposalsMax, proposalBytesMax } = this.#limits;
    if (this.waiting >= proposalsMax || this.#waitingBytes + pending.bytes > proposalBytesMax) return false;
    this.#waiting.push(pending);
    this.#waitingBytes += pending.bytes;
    return true;
  }

  /** Takes the commands of the next entry off the queue; empty when none waits. */
  take(): Pending[] {
    const members: Pending[] = [];
    let bytes = 0;
    while (this.#head < this.#waiting.length && members.length < this.#limits.entryCommandsMax) {
      const next = this.#waiting[this.#head] as Pending;
      if (members.length > 0 && bytes + next.bytes > this.#limits.entryBytesMax) break;
      members.push(next);
      bytes += next.bytes;
      this.#head += 1;
    }
    this.#waitingBytes -= bytes;
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    }
    return members;
  }

  proposed(index: LogIndex, group: Group): void {
    // What this node proposed here in an earlier term was cut off; elsewhere it may stand, and be committed yet.
    const before = this.#proposed.get(index);
    if (before !== undefined) rejectAll(before, otherEntry());
    this.#proposed.set(index, group);
  }

  /** The group proposed at this place, if the entry applied there is really it (same term). */
  settle(index: LogIndex, term: Term): Group | undefined {
    const group = this.#proposed.get(index);
    if (group === undefined) return undefined;
    this.#proposed.delete(index);
    if (group.term === term) return group;
    rejectAll(group, otherEntry());
    return undefined;
  }

  /** Waits no longer for what was proposed, but for that of `term`. */
  giveUpAllBut(term: Term | undefined, error: NodeError): void {
    for (const [index, group] of this.#proposed) {
      if (group.term === term) continue;
      this.#proposed.delete(index);
      rejectAll(group, error);
    }
  }

  /** All that was not proposed yet, no longer here. */
  takeWaiting(): readonly Pending[] {
    const unsent = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    this.#waitingBytes = 0;
    return unsent;
  }

  /** Refuses what was not proposed yet. */
  refuseWaiting(error: NodeError): void {
    for (const member of this.takeWaiting()) member.reject(error);
  }

  /** Gives up: what waits was not proposed; what was proposed may or may not survive. */
  fail(waiting: NodeError, proposed: NodeError): void {
    const sent = [...this.#proposed.values()];
    this.#proposed.clear();
    this.refuseWaiting(waiting);
    for (const group of sent) rejectAll(group, proposed);
  }
}

function rejectAll(group: Group, error: NodeError): void {
  for (const member of group.members) member.reject(error);
}

function otherEntry(): NodeError {
  return new NodeError("outcome-unknown", "another leader's entry took this place");
}
