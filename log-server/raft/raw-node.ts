/**
 * The Raft core of one log on one node, in the manner of etcd's RawNode: called like a function, it does no I/O.
 *
 *     tick / propose / readIndex / step(message)  →  ready() says what to do  →  advance(ready)  →  step(…-done)
 *
 * At most one append and one apply are in flight; what arrives meanwhile joins the next, which is how group
 * commit forms. This is the core for a single voter: elections, commit and reads follow Raft's rules (own vote
 * and own entries count only once durable, commit only through an entry of the own term, a no-op at each term's
 * start), but there are no peers to talk to, and a configuration of several voters is refused.
 */
import { assert, unreachable } from "../../src/lib/assert.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Entry, LogIndex, Term } from "../../src/wire/entry.ts";
import { RaftLog } from "./raft-log.ts";
import type {
  AppendDone,
  HardState,
  Message,
  NodeId,
  Proposal,
  ProposeError,
  ReadState,
  Ready,
  Role,
} from "./types.ts";

export type RawNodeOptions = {
  readonly id: NodeId;
  readonly voters: readonly NodeId[];
  readonly hardState: HardState;
  /** The end of the log on disk. */
  readonly last: { readonly index: LogIndex; readonly term: Term };
  /** What the state machine has applied already. */
  readonly applied: LogIndex;
  /** Ticks without a leader before a campaign. */
  readonly electionTicks: number;
  /** Proposals are refused while more bytes than this wait for commit. */
  readonly uncommittedBytesMax: number;
};

const NOTHING: Uint8Array = new Uint8Array(0);

export class RawNode {
  readonly id: NodeId;
  readonly #options: RawNodeOptions;
  readonly #log: RaftLog;
  #role: Role = { kind: "follower", elapsedTicks: 0 };
  #hardState: HardState;
  /** The hard state that storage holds; work is asked for while it differs from `#hardState`. */
  #durable: HardState;
  #appendInFlight: AppendDone | undefined;
  #reads: ReadState[] = [];
  /** Reads asked for before this term's first commit: until then the leader cannot know what is committed (P13). */
  #waitingReads: number[] = [];

  constructor(options: RawNodeOptions) {
    assert(options.voters.length === 1 && options.voters[0] === options.id, "this core serves a single voter");
    assert(
      options.last.term <= options.hardState.term || options.last.index === 0,
      "I2: the term is at least the log's",
    );
    this.id = options.id;
    this.#options = options;
    this.#hardState = options.hardState;
    this.#durable = options.hardState;
    this.#log = new RaftLog(options.last, options.applied);
  }

  get role(): Role["kind"] {
    return this.#role.kind;
  }

  get term(): Term {
    return this.#hardState.term;
  }

  get lastIndex(): LogIndex {
    return this.#log.lastIndex;
  }

  get committed(): LogIndex {
    return this.#log.committed;
  }

  get applied(): LogIndex {
    return this.#log.applied;
  }

  /** An append is in flight: what is proposed now joins the next one. */
  get appending(): boolean {
    return this.#appendInFlight !== undefined;
  }

  /** The entries of an `ApplyWork` that are still in memory: all, or a part at the end; the rest are on disk. */
  entriesInMemory(from: LogIndex, to: LogIndex): readonly Entry[] {
    return this.#log.slice(from, to);
  }

  /** One step of logical time; how long it takes is the caller's business. */
  tick(): void {
    const role = this.#role;
    if (role.kind === "leader") return;
    role.elapsedTicks += 1;
    if (role.elapsedTicks >= this.#options.electionTicks) this.campaign();
  }

  /** Stands for election in the next term. The own vote counts once it is durable (I1, P4). */
  campaign(): void {
    if (this.#role.kind === "leader") return;
    this.#hardState = { term: this.#hardState.term + 1, vote: this.id };
    this.#role = { kind: "candidate", votes: new Set(), elapsedTicks: 0 };
  }

  /** Appends to the leader's log; durable and committed later. Returns where it stands. */
  propose(proposal: Proposal): Result<{ readonly index: LogIndex; readonly term: Term }, ProposeError> {
    if (this.#role.kind !== "leader") return err("not-leader");
    if (this.#log.uncommittedBytes >= this.#options.uncommittedBytesMax) return err("uncommitted-full");
    return ok(this.#append(proposal));
  }

  /** Asks for a point from which a read is linearizable; `ready()` answers with the same context. */
  readIndex(context: number): Result<undefined, "not-leader"> {
    if (this.#role.kind !== "leader") return err("not-leader");
    if (this.#log.committed < this.#role.termStart) this.#waitingReads.push(context);
    else this.#reads.push({ context, index: this.#log.committed });
    return ok(undefined);
  }

  step(message: Message): void {
    switch (message.kind) {
      case "append-done":
        return this.#onAppendDone(message);
      case "apply-done":
        return this.#log.appliedTo(message.index);
      default:
        return unreachable(message);
    }
  }

  /** The work there is now, or undefined. Call `advance` with it before asking again. */
  ready(): Ready | undefined {
    const log = this.#log;
    const hardState = this.#hardState === this.#durable ? undefined : this.#hardState;
    const append =
      this.#appendInFlight === undefined && (hardState !== undefined || log.handed < log.lastIndex)
        ? {
            hardState,
            entries: log.slice(log.handed + 1, log.lastIndex),
            done: {
              kind: "append-done" as const,
              hardTerm: this.#hardState.term,
              last: log.handed < log.lastIndex ? { index: log.lastIndex, term: log.lastTerm } : undefined,
            },
          }
        : undefined;
    const apply =
      log.applying === log.applied && log.committed > log.applied
        ? { from: log.applied + 1, to: log.committed }
        : undefined;
    if (append === undefined && apply === undefined && this.#reads.length === 0) return undefined;
    return { append, apply, reads: this.#reads };
  }

  /** The caller has taken on the work of `ready`. */
  advance(ready: Ready): void {
    if (ready.append !== undefined) {
      this.#appendInFlight = ready.append.done;
      if (ready.append.done.last !== undefined) this.#log.handed = ready.append.done.last.index;
      this.#durable = this.#hardState;
    }
    if (ready.apply !== undefined) this.#log.applying = ready.apply.to;
    if (ready.reads === this.#reads) this.#reads = [];
  }

  #append(proposal: Proposal): { readonly index: LogIndex; readonly term: Term } {
    const index = this.#log.lastIndex + 1;
    const term = this.#hardState.term;
    this.#log.append({ index, term, ...proposal });
    return { index, term };
  }

  #onAppendDone(done: AppendDone): void {
    assert(done === this.#appendInFlight, "one append is in flight at a time, answered once");
    this.#appendInFlight = undefined;
    const last = done.last;
    // P7: an answer for entries that were since replaced proves nothing about those that stand there now.
    if (last !== undefined && this.#log.term(last.index) === last.term && last.index > this.#log.stable) {
      this.#log.stable = last.index;
    }
    if (this.#role.kind === "candidate" && done.hardTerm === this.#hardState.term) {
      this.#role.votes.add(this.id);
      if (this.#role.votes.size * 2 > this.#options.voters.length) this.#becomeLeader();
    }
    if (this.#role.kind === "leader") this.#maybeCommit(this.#role.termStart);
  }

  #becomeLeader(): void {
    const termStart = this.#log.lastIndex + 1;
    this.#role = { kind: "leader", termStart };
    // Log time 0 means "no later than before": the state machine takes the maximum.
    this.#append({ kind: "noop", logTime: 0, head: NOTHING, batches: [] });
  }

  /** Commits what a majority holds durably, if that reaches an entry of this term (Raft §5.4.2, P1). */
  #maybeCommit(termStart: LogIndex): void {
    const majority = this.#log.stable;
    if (majority < termStart) return;
    this.#log.commitTo(majority);
    for (const context of this.#waitingReads) this.#reads.push({ context, index: this.#log.committed });
    this.#waitingReads = [];
  }
}
