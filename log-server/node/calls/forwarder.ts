/**
 * Commands that came to a node that does not lead, on their way to the one that does. Those of one turn travel together,
 * several messages may be under way, and they are taken in the order in which they came here.
 *
 *     add → waiting → (a leader is known) sent → answered → applied here, too → told
 *
 * What was certainly not done goes to the next leader. What was sent and never answered is sent again only if a
 * producer's sequence makes that harmless (I8); of all else the outcome is unknown (P36).
 */
import { unreachable } from "../../../src/lib/assert.ts";
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { Result } from "../../../src/lib/result.ts";
import type { Timer } from "../../../src/ports/clock.ts";
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import { decodeForwardAnswer, encodeForward, type ForwardAnswer, type ForwardOutcome } from "./forward-codec.ts";
import { NodeError } from "../node-error.ts";
import type { NodeParts } from "../node-parts.ts";
import type { CallError, PeerCalls } from "./peer-calls.ts";
import type { Pending } from "../consensus/proposals.ts";

export type ForwarderParts = Pick<NodeParts, "clock" | "entropy" | "limits" | "nodeName"> & {
  readonly calls: PeerCalls;
};

export interface ForwarderOwner {
  /** The node that leads and takes commands, as far as is known here; it may be this one. */
  leader(): string | undefined;
  /** Everything up to here is applied at this node. */
  position(): LogIndex;
  /** This node leads by now: the command is its own to propose. */
  proposeHere(pending: Pending): void;
}

/** What became of commands that were forwarded; each is counted once in `answered`, `refused` or `unknown`. */
type Counts = {
  /** Told what the leader answered. */
  answered: number;
  /** Certainly not done. */
  refused: number;
  unknown: number;
  /** Times that a command was sent again. */
  repeated: number;
};

export type ForwardStatus = Readonly<Counts> & {
  /** Not told yet. */
  readonly underWay: number;
};

export const NO_FORWARDS: ForwardStatus = { answered: 0, refused: 0, unknown: 0, repeated: 0, underWay: 0 };

type Forwarding = {
  readonly pending: Pending;
  /** In which order they came. */
  readonly order: number;
  /** Waits no longer than this for a leader. */
  until: number;
  /** It was sent and may have been done. */
  doubtful: boolean;
};

/** One message under way. Members that were taken out of it, to be sent again, are undefined. */
type Sent = { readonly members: (Forwarding | undefined)[]; readonly bytes: number; cut: boolean };

/** Applied by the leader, and not yet here. */
type Behind = {
  readonly position: LogIndex;
  readonly outcomes: readonly (readonly [Forwarding, CommandResult])[];
  readonly timer: Timer;
};

const RUN_BYTES = 4;

export class Forwarder {
  readonly #counts: Counts = { answered: 0, refused: 0, unknown: 0, repeated: 0 };
  readonly #parts: ForwarderParts;
  readonly #owner: ForwarderOwner;
  #waiting: Forwarding[] = [];
  /** Of the run under way. */
  readonly #sent = new Set<Sent>();
  #sentBytes = 0;
  readonly #behind = new Set<Behind>();
  /** All that are not told yet. */
  #count = 0;
  #bytes = 0;
  #nextOrder = 0;
  /** `heardAt`: when it answered last, or was sent something while it owed no answer. */
  #run: { readonly id: number; readonly to: string; sequence: number; heardAt: number } | undefined;
  /** Come back undone: they go first in the next run, which begins when this one has nothing under way. */
  #returned: Forwarding[] = [];
  /** Did not take what it was sent: it is left alone for a moment. */
  #avoided: string | undefined;
  #cutting: Timer | undefined;
  #retrying: Timer | undefined;
  #lookDue = false;
  #stopped = false;

  constructor(parts: ForwarderParts, owner: ForwarderOwner) {
    this.#parts = parts;
    this.#owner = owner;
  }

  get status(): ForwardStatus {
    return { ...this.#counts, underWay: this.#count };
  }

  /** Nothing that came before is still to be proposed: what comes now cannot overtake it. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#returned.length === 0 && this.#sent.size === 0;
  }

  /** Refuses as `overloaded` when too much is here. */
  add(pending: Pending): void {
    const { proposalsMax, proposalBytesMax, leaderWaitMsMax } = this.#parts.limits;
    if (this.#stopped) {
      pending.reject(new NodeError("unavailable", "the node is stopping"));
    } else if (this.#count >= proposalsMax || this.#bytes + pending.bytes > proposalBytesMax) {
      pending.reject(new NodeError("overloaded", "too many commands are waiting for the leader"));
    } else {
      this.#count += 1;
      this.#bytes += pending.bytes;
      const until = this.#parts.clock.monotonic() + leaderWaitMsMax;
      this.#waiting.push({ pending, order: this.#nextOrder, until, doubtful: false });
      this.#nextOrder += 1;
      this.#soon();
    }
  }

  /** The leader may have changed. */
  turned(): void {
    if (!this.idle && this.#run?.to !== this.#owner.leader()) this.#soon();
  }

  /** Everything up to `position` is applied here. */
  applied(position: LogIndex): void {
    for (const behind of this.#behind) {
      if (behind.position > position) continue;
      this.#behind.delete(behind);
      behind.timer.cancel();
      for (const [member, result] of behind.outcomes) this.#answer(member, result);
    }
  }

  /** Nothing is sent any more. What may have been done is not known. */
  stop(error: NodeError): void {
    this.#stopped = true;
    this.#cutting?.cancel();
    this.#retrying?.cancel();
    for (const member of [...this.#returned, ...this.#waiting]) this.#giveUp(member, error);
    this.#returned = [];
    this.#waiting = [];
    for (const { members } of this.#sent) for (const member of members) if (member) this.#lose(member);
    this.#sent.clear();
    for (const { outcomes, timer } of this.#behind) {
      timer.cancel();
      for (const [member, result] of outcomes) this.#tooFarBehind(member, result);
    }
    this.#behind.clear();
  }

  /** Once a turn, however many are added in it: these travel together. */
  #soon(): void {
    if (this.#lookDue || this.#stopped) return;
    this.#lookDue = true;
    this.#parts.clock.defer(() => {
      this.#lookDue = false;
      if (!this.#stopped) this.#look();
    });
  }

  #look(): void {
    const leader = this.#owner.leader();
    if (this.#run !== undefined && (this.#returned.length > 0 || this.#run.to !== leader)) this.#endRun();
    if (this.#run === undefined) {
      this.#waiting = [...this.#returned.toSorted((a, b) => a.order - b.order), ...this.#waiting];
      this.#returned = [];
    }
    this.#expire();
    if (leader === this.#parts.nodeName) {
      if (this.#run === undefined) this.#proposeHere();
    } else if (leader !== undefined) {
      this.#send(leader);
    }
    if (this.#waiting.length > 0 && this.#sent.size === 0)
      this.#retrying ??= this.#parts.clock.schedule(this.#parts.limits.forwardRetryMs, () => {
        this.#retrying = undefined;
        this.#avoided = undefined;
        this.#look();
      });
  }

  /**
   * Over once everything has come back. Where another node leads, and an answer of the old leader's is not to be had for
   * a while, no longer than that: what may be repeated is; the rest waits for its answer by itself. One that hands over
   * answers soon; one that was silent for an election timeout already is not waited for again.
   */
  #endRun(): void {
    if (this.#run === undefined || this.#sent.size === 0) {
      this.#run = undefined;
      this.#cutting?.cancel();
      this.#cutting = undefined;
      return;
    }
    const { clock, limits } = this.#parts;
    const leftMs = Math.max(0, this.#run.heardAt + limits.forwardCutMs - clock.monotonic());
    this.#cutting ??= clock.schedule(leftMs, () => {
      this.#cutting = undefined;
      for (const sent of this.#sent) this.#cut(sent);
      this.#sent.clear();
      this.#sentBytes = 0;
      this.#run = undefined;
      this.#look();
    });
  }

  #cut(sent: Sent): void {
    sent.cut = true;
    sent.members.forEach((member, place) => {
      if (member === undefined || !isRepeatable(member.pending.command)) return;
      sent.members[place] = undefined;
      this.#repeat(member);
    });
  }

  #send(to: string): void {
    const { limits, calls, clock, entropy } = this.#parts;
    if (to === this.#avoided || (this.#run !== undefined && (this.#run.to !== to || this.#returned.length > 0))) return;
    while (
      this.#waiting.length > 0 &&
      this.#sent.size < limits.forwardsMax &&
      this.#sentBytes < limits.forwardedBytesMax
    ) {
      const now = clock.monotonic();
      this.#run ??= { id: new ByteReader(entropy.bytes(RUN_BYTES)).u32(), to, sequence: 0, heardAt: now };
      if (this.#sent.size === 0) this.#run.heardAt = now;
      const { members, bytes } = this.#take();
      const body = encodeForward(
        { run: this.#run.id, sequence: this.#run.sequence },
        members.map(({ pending }) => pending.command),
      );
      this.#run.sequence += 1;
      const sent: Sent = { members, bytes, cut: false };
      this.#sent.add(sent);
      this.#sentBytes += bytes;
      void calls.call(to, "forward", body, limits.forwardMsMax).then((result) => this.#onReturned(sent, result));
    }
  }

  /** Those of the next message. */
  #take(): { readonly members: Forwarding[]; readonly bytes: number } {
    const { entryCommandsMax, entryBytesMax } = this.#parts.limits;
    let bytes = 0;
    let count = 0;
    for (const { pending } of this.#waiting) {
      if (count >= entryCommandsMax || (count > 0 && bytes + pending.bytes > entryBytesMax)) break;
      bytes += pending.bytes;
      count += 1;
    }
    return { members: this.#waiting.splice(0, count), bytes };
  }

  #onReturned(sent: Sent, result: Result<Uint8Array, CallError>): void {
    if (this.#stopped) return;
    if (this.#sent.delete(sent)) {
      this.#sentBytes -= sent.bytes;
      if (this.#run !== undefined) this.#run.heardAt = this.#parts.clock.monotonic();
    }
    const members = sent.members.filter((member) => member !== undefined);
    if (result.ok) {
      const answer = decodeForwardAnswer(result.value);
      if (answer === undefined) this.#lost(members);
      else this.#onAnswer(sent, members, answer);
    } else {
      this.#onError(sent, members, result.error);
    }
    this.#soon();
  }

  #onAnswer(sent: Sent, members: readonly Forwarding[], answer: ForwardAnswer): void {
    switch (answer.status) {
      case "done":
        if (answer.outcomes.length === sent.members.length) this.#onOutcomes(sent, answer.position, answer.outcomes);
        else this.#lost(members);
        return;
      case "not-leader":
        this.#avoided = this.#run?.to;
        this.#notDone(sent, members);
        return;
      case "out-of-order":
        this.#notDone(sent, members);
        return;
      case "malformed":
        this.#refuse(members, new NodeError("internal", "the leader could not read what it was sent"));
        return;
      default:
        unreachable(answer);
    }
  }

  #onError(sent: Sent, members: readonly Forwarding[], error: CallError): void {
    switch (error) {
      case "unreachable":
        this.#avoided = this.#run?.to;
        this.#notDone(sent, members);
        return;
      case "overloaded":
        this.#refuse(members, new NodeError("overloaded", "too much is under way to the leader"));
        return;
      case "unsupported":
        this.#refuse(
          members,
          new NodeError("unavailable", "the leader is of a version that takes no forwarded commands"),
        );
        return;
      case "lost":
        this.#lost(members);
        return;
      default:
        unreachable(error);
    }
  }

  #onOutcomes(sent: Sent, position: LogIndex, outcomes: readonly ForwardOutcome[]): void {
    const results: (readonly [Forwarding, CommandResult])[] = [];
    outcomes.forEach((outcome, place) => {
      const member = sent.members[place];
      if (member === undefined) return;
      if (outcome.ok) results.push([member, outcome.value]);
      else if (outcome.error.code === "not-leader") this.#notDone(sent, [member]);
      else if (outcome.error.code === "outcome-unknown") this.#lost([member]);
      else this.#refuse([member], outcome.error);
    });
    if (position <= this.#owner.position()) {
      for (const [member, result] of results) this.#answer(member, result);
    } else if (results.length > 0) {
      this.#waitFor(position, results);
    }
  }

  /** A client that reads here next finds what it wrote. */
  #waitFor(position: LogIndex, outcomes: Behind["outcomes"]): void {
    const timer = this.#parts.clock.schedule(this.#parts.limits.forwardApplyMsMax, () => {
      this.#behind.delete(behind);
      for (const [member, result] of outcomes) this.#tooFarBehind(member, result);
    });
    const behind: Behind = { position, outcomes, timer };
    this.#behind.add(behind);
  }

  /** For the next leader, in order; one that others may have overtaken meanwhile is refused. */
  #notDone(sent: Sent, members: readonly Forwarding[]): void {
    if (sent.cut) for (const member of members) this.#giveUp(member, noLeader());
    else this.#returned.push(...members);
  }

  #lost(members: readonly Forwarding[]): void {
    for (const member of members) {
      if (isRepeatable(member.pending.command)) this.#repeat(member);
      else this.#lose(member);
    }
  }

  #repeat(member: Forwarding): void {
    member.doubtful = true;
    const { clock, limits } = this.#parts;
    member.until = Math.min(clock.monotonic() + limits.leaderWaitMsMax, member.pending.proposedAt + limits.repeatMsMax);
    this.#counts.repeated += 1;
    this.#returned.push(member);
  }

  #refuse(members: readonly Forwarding[], error: NodeError): void {
    for (const member of members) this.#giveUp(member, error);
  }

  /** Those for whom no leader came in time. */
  #expire(): void {
    const now = this.#parts.clock.monotonic();
    if (!this.#waiting.some(({ until }) => until <= now)) return;
    const overdue = this.#waiting.filter(({ until }) => until <= now);
    this.#waiting = this.#waiting.filter(({ until }) => until > now);
    this.#refuse(overdue, noLeader());
  }

  #proposeHere(): void {
    const all = this.#waiting;
    this.#waiting = [];
    for (const member of all) {
      this.#release(member.pending);
      // Whatever becomes of it now, it may have been done before.
      const reject = member.doubtful ? () => member.pending.reject(answerLost()) : member.pending.reject;
      this.#owner.proposeHere({ ...member.pending, reject });
    }
  }

  #answer({ pending }: Forwarding, result: CommandResult): void {
    this.#release(pending);
    this.#counts.answered += 1;
    pending.resolve(result);
  }

  /** `error` says that nothing was done: true but for one that was sent before. */
  #giveUp(member: Forwarding, error: NodeError): void {
    if (member.doubtful) {
      this.#lose(member);
      return;
    }
    this.#release(member.pending);
    this.#counts.refused += 1;
    member.pending.reject(error);
  }

  #lose({ pending }: Forwarding): void {
    this.#release(pending);
    this.#counts.unknown += 1;
    pending.reject(answerLost());
  }

  /** What was refused may be told at once: it changed nothing that could be read. */
  #tooFarBehind(member: Forwarding, result: CommandResult): void {
    if (result.kind === "rejected") {
      this.#answer(member, result);
      return;
    }
    this.#release(member.pending);
    this.#counts.unknown += 1;
    member.pending.reject(new NodeError("outcome-unknown", "this node is too far behind to show what was done"));
  }

  #release(pending: Pending): void {
    this.#count -= 1;
    this.#bytes -= pending.bytes;
  }
}

/**
 * Done twice it is done once, and answered as the first time (I8). A stream that it deletes forgets who appended. The first
 * of a producer's appends is its sender's to repeat: answered as a duplicate, it would look like another's who uses the id.
 */
function isRepeatable(command: Command): boolean {
  if (command.kind === "append" || command.kind === "append-run") return isKnownBySequence(command.producer);
  if (command.kind !== "transaction") return false;
  const { operations } = command;
  return (
    operations.some((operation) => operation.kind === "append" && isKnownBySequence(operation.producer)) &&
    operations.every((operation) => operation.kind !== "delete")
  );
}

/** The first of a producer's may be another's with the same id: only its sender can tell. */
function isKnownBySequence(producer: { readonly sequence: number } | undefined): boolean {
  return producer !== undefined && producer.sequence > 0;
}

function answerLost(): NodeError {
  return new NodeError("outcome-unknown", "the leader was sent the command, and its answer was lost");
}

function noLeader(): NodeError {
  return new NodeError("unavailable", "there is no leader that takes the command");
}
