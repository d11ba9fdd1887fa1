/**
 * From command to entry to answer: what is proposed waits for the end of the turn, joins in as few entries as possible,
 * and is answered when the place it was given is applied. Nothing is ever dropped without a word: what was not proposed
 * is refused, and of what was proposed and is not seen applied in time the outcome is unknown.
 */
import { assert, unreachable } from "../../../src/lib/assert.ts";
import type { Timer } from "../../../src/ports/clock.ts";
import { decodeCommands, encodeCommands } from "../../../src/wire/command-codec.ts";
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import type { ProposeError } from "../../raft/types.ts";
import { NodeError } from "../node-error.ts";
import type { NodeParts } from "../node-parts.ts";
import { type Group, type Pending, Proposals } from "./proposals.ts";
import type { RaftLoop } from "./raft-loop.ts";

export type ProposerParts = Pick<NodeParts, "machine" | "clock" | "limits" | "observer">;

/** An entry's commands, and who waits for their results, if that is somebody here. */
export type Settled = { readonly commands: readonly Command[]; readonly group: Group | undefined };

export class Proposer {
  readonly #parts: ProposerParts;
  readonly #elsewhere: (pending: Pending) => void;
  readonly #proposals: Proposals;
  /** Of the newest entry proposed here: log time never goes back, not even between two entries not yet applied. */
  #logTime = 0;
  #givingUp: Timer | undefined;

  /** `elsewhere` takes what was not proposed, for this node does not lead. */
  constructor(parts: ProposerParts, elsewhere: (pending: Pending) => void) {
    this.#parts = parts;
    this.#elsewhere = elsewhere;
    this.#proposals = new Proposals(parts.limits);
  }

  get waiting(): number {
    return this.#proposals.waiting;
  }

  /** Something was proposed, or is to be, and is not answered. */
  get underWay(): boolean {
    return this.#proposals.waiting > 0 || this.#proposals.inFlight > 0;
  }

  /** Refuses as `overloaded` when too much waits. */
  add(pending: Pending): void {
    const added = this.#proposals.add(pending);
    if (!added) pending.reject(new NodeError("overloaded", "too many commands are waiting to be written"));
  }

  /**
   * Moves waiting commands into entries, as few as possible, unless a group is being written: then they wait and join the
   * next. Nor before this leader has applied what came before its term: the log time of its first entry follows that.
   */
  propose(loop: RaftLoop): void {
    if (this.#proposals.waiting === 0 || loop.appending || loop.leads === undefined) return;
    const { clock, limits, machine } = this.#parts;
    let groupBytes = 0;
    while (this.#proposals.waiting > 0 && groupBytes < limits.groupBytesMax) {
      const members = this.#proposals.take();
      const { head, batches } = encodeCommands(members.map((member) => member.command));
      this.#logTime = Math.max(this.#logTime, machine.logTime, clock.now());
      const proposed = loop.propose({ kind: "commands", logTime: this.#logTime, head, batches });
      if (!proposed.ok) {
        this.#notProposed(members, proposed.error);
        return;
      }
      this.#proposals.proposed(proposed.value.index, { term: proposed.value.term, members });
      groupBytes += head.length;
      for (const batch of batches) groupBytes += batch.length;
    }
  }

  /** Called for each entry before it is applied. */
  settle(entry: Entry): Settled {
    const group = this.#proposals.settle(entry.index, entry.term);
    return { commands: group?.members.map((member) => member.command) ?? commandsOf(entry), group };
  }

  answer(group: Group, results: readonly CommandResult[]): void {
    const now = this.#parts.clock.monotonic();
    group.members.forEach((member: Pending, place) => {
      const result = results[place];
      assert(result !== undefined, "each command has one result");
      this.#parts.observer.proposed(result.kind, now - member.proposedAt);
      member.resolve(result);
    });
  }

  /** This node does not lead: what was not proposed yet is for the one that does. */
  moveWaiting(): void {
    if (this.#proposals.waiting === 0) return;
    for (const member of this.#proposals.takeWaiting()) this.#elsewhere(member);
  }

  /** Refuses what was not proposed yet. */
  refuseWaiting(error: NodeError): void {
    if (this.#proposals.waiting > 0) this.#proposals.refuseWaiting(error);
  }

  /**
   * This node leads no more. What it proposed may be committed by others: it is answered when its place is applied, or
   * given up after a while. `leads` says which term this node leads by then.
   */
  leadershipLost(leads: () => number | undefined): void {
    if (this.#proposals.inFlight === 0) return;
    this.#givingUp ??= this.#parts.clock.schedule(this.#parts.limits.unsettledMsMax, () => {
      this.#givingUp = undefined;
      this.#proposals.giveUpAllBut(leads(), new NodeError("outcome-unknown", "the leader changed, and no word came"));
    });
  }

  #notProposed(members: readonly Pending[], error: ProposeError): void {
    switch (error) {
      case "not-leader":
      case "transferring":
        // What waits behind these must not overtake them.
        for (const member of members) this.#elsewhere(member);
        this.moveWaiting();
        return;
      case "uncommitted-full":
        for (const member of members) member.reject(new NodeError("overloaded", "too much is waiting to be committed"));
        return;
      default:
        unreachable(error);
    }
  }

  /** What waits was not proposed; what was proposed may or may not survive. */
  fail(waiting: NodeError, proposed: NodeError): void {
    this.#givingUp?.cancel();
    this.#proposals.fail(waiting, proposed);
  }
}

export function notLeader(): NodeError {
  return new NodeError("not-leader", "this node does not lead the log");
}

function commandsOf(entry: Entry): readonly Command[] {
  if (entry.kind !== "commands") return [];
  const decoded = decodeCommands(entry.head, entry.batches);
  assert(decoded.ok, `I10: entry ${entry.index} cannot be decoded by this version`);
  return decoded.value;
}
