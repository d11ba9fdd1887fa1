/**
 * The state of the Raft core, and the moves between roles. What each message does to it is in the files beside it, one
 * for each concern (`election.ts`, `following.ts`, `replication.ts` …), dispatched by `step-table.ts`; `raw-node.ts` is
 * what the node's loop sees.
 */
import { assert } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { LogIndex, Term } from "../../src/wire/entry.ts";
import { type Configuration, isVoter } from "./configuration.ts";
import type { RaftLimits } from "./limits.ts";
import type { PeerMessage } from "./message.ts";
import { type PendingConfiguration, RaftLog, reaches } from "./raft-log.ts";
import type { Leader, Role } from "./role.ts";
import type {
  AppendWork,
  FetchWork,
  HardState,
  LogPoint,
  NodeId,
  ReadState,
  Snapshot,
  SnapshotWork,
  TermRun,
} from "./types.ts";

export type RaftOptions = {
  readonly id: NodeId;
  /** As of `applied`. */
  readonly configuration: Configuration;
  readonly hardState: HardState;
  /** The first entry that the log on disk has. */
  readonly firstIndex: LogIndex;
  /** The proven end of the log on disk. */
  readonly last: LogPoint;
  /** Where the terms change, as far back as the log can be sent; the last of them reaches to `last`. */
  readonly terms: readonly TermRun[];
  /** What the state machine has applied already. */
  readonly applied: LogIndex;
  /** The configurations in the entries behind `applied`. */
  readonly configurations: readonly PendingConfiguration[];
  /** Damage hides some of these entries, and perhaps configurations. */
  readonly hidden: boolean;
  /**
   * Configurations of entries up to here take no effect before all of that is applied (R100): they are of a time before
   * this disk was a member, or before the cluster was this one. 0 for those that were there from the beginning.
   */
  readonly since: LogIndex;
  /** Known to be committed by other means than by being applied (R101); 0 where there are none. */
  readonly committed: LogIndex;
  /**
   * The end of what was perhaps acknowledged, where damage lies behind the proven end (I13). An end that cannot be
   * read is `unreadableEnd`.
   */
  readonly ambiguousEnd: LogPoint | undefined;
  /** Ticks without a leader before a campaign: from this many up to twice as many, drawn anew each time. */
  readonly electionTicks: number;
  /** Between two heartbeats of a leader. */
  readonly heartbeatTicks: number;
  /** Of time-outs, and of this life's name for reads; drawn anew at every start. */
  readonly seed: number;
  readonly limits: RaftLimits;
};

/** An ambiguous end that cannot be read: whatever was acknowledged there was of this term at most. */
export function unreadableEnd({ term }: Pick<HardState, "term">): LogPoint {
  return { index: Number.MAX_SAFE_INTEGER, term };
}

/** A message without what every message has. */
type Outgoing<M> = M extends PeerMessage ? Omit<M, "from"> : never;

export class Raft {
  readonly id: NodeId;
  readonly options: RaftOptions;
  readonly limits: RaftLimits;
  readonly log: RaftLog;
  /** This life's name for reads that other nodes answer. */
  readonly session: number;
  role: Role;
  hardState: HardState;
  /** The hard state that storage holds. */
  durable: HardState;
  configuration: Configuration;
  /** Logs of a quorum show by themselves that this configuration is committed (R37); of what a node starts with it is believed. */
  proven = true;
  /** While set, this node stands for nothing that it may have forgotten (I13). */
  ambiguousEnd: LogPoint | undefined;
  /** The append that storage has under way: what is proposed now joins the next one. */
  appending: AppendWork | undefined;
  /** A snapshot that takes the log's place, from when it was offered until it is installed. */
  installing: { readonly snapshot: Snapshot; handed: boolean } | undefined;

  /** It is not to lead while another can (R102): whoever drives the core knows why. */
  standsBack = false;
  /** Of its own time-outs, how many it has let pass for that since a leader was heard. */
  timeoutsPassed = 0;

  outbox: PeerMessage[] = [];
  fetches: FetchWork[] = [];
  snapshots: SnapshotWork[] = [];
  reads: ReadState[] = [];
  refusedReads: number[] = [];

  /** Made under a hard state that is not yet durable: no message leaves before it is (I1, P4). */
  #held: PeerMessage[] = [];
  readonly #prng: Prng;
  #nextId = 1;

  constructor(options: RaftOptions) {
    const { last, hardState, electionTicks, heartbeatTicks } = options;
    assert(last.term <= hardState.term, "I2: the term is at least the log's");
    assert(heartbeatTicks > 0 && heartbeatTicks < electionTicks * 2, "heartbeats are more frequent than elections");
    this.id = options.id;
    this.options = options;
    this.limits = options.limits;
    this.hardState = hardState;
    this.durable = hardState;
    this.configuration = options.configuration;
    this.log = new RaftLog(options);
    this.ambiguousEnd = options.ambiguousEnd;
    this.#prng = new Prng(options.seed);
    this.session = this.#prng.u32();
    this.role = this.#follower(undefined);
  }

  get term(): Term {
    return this.hardState.term;
  }

  get leader(): NodeId | undefined {
    if (this.role.kind === "leader") return this.id;
    return this.role.kind === "follower" ? this.role.leader : undefined;
  }

  /** Whether it may stand for election now. */
  get electable(): boolean {
    return (
      isVoter(this.configuration, this.id) &&
      // A newer configuration is decided already, and this one may no longer be anybody's (R31).
      !this.log.unappliedConfiguration &&
      this.installing === undefined &&
      // Its own vote follows the rule of the ambiguous end as well (R60).
      this.ambiguousEnd === undefined
    );
  }

  /** Sends, at once or when the hard state is durable. */
  send(message: Outgoing<PeerMessage>): void {
    assert(message.to !== this.id, "a node sends nothing to itself");
    const whole = { ...message, from: this.id } as PeerMessage;
    if (this.hardState === this.durable) {
      this.outbox.push(whole);
      return;
    }
    this.#held.push(whole);
    if (this.#held.length > this.limits.heldMessagesMax) this.#held.shift();
  }

  /** Storage made a hard state durable. */
  persisted(hardState: HardState): void {
    this.durable = hardState;
    if (this.hardState !== hardState) return;
    this.outbox.push(...this.#held);
    this.#held = [];
  }

  nextId(): number {
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }

  /** Follows `leader`, or nobody yet, in `term`: this one or a later one. */
  becomeFollower(term: Term, leader: NodeId | undefined): void {
    assert(term >= this.term, "I1: terms never go back");
    this.#leaveRole();
    if (term > this.term) this.#enterTerm({ term, vote: undefined });
    if (leader !== undefined) this.timeoutsPassed = 0;
    this.role = this.#follower(leader);
  }

  becomePreCandidate(): void {
    this.#leaveRole();
    const timeoutTicks = this.drawTimeout();
    this.role = { kind: "pre-candidate", votes: new Map([[this.id, true]]), elapsedTicks: 0, timeoutTicks };
  }

  /** Votes for itself in the next term; that counts once it is durable. */
  becomeCandidate(): void {
    assert(this.electable, "I1: a node campaigns only if it may");
    this.#leaveRole();
    this.#enterTerm({ term: this.term + 1, vote: this.id });
    this.role = { kind: "candidate", votes: new Map(), elapsedTicks: 0, timeoutTicks: this.drawTimeout() };
  }

  becomeLeader(leader: Leader): void {
    assert(this.role.kind === "candidate" && this.durable === this.hardState, "I1: a leader was elected");
    this.role = leader;
  }

  /** Others know of an entry in this log that it is committed (P18). */
  learnCommitted({ index, term }: LogPoint): void {
    if (index > this.log.committed && term > 0 && this.log.matches({ index, term })) this.log.commitTo(index);
  }

  /** What this node knows to be committed. */
  get committedPoint(): LogPoint {
    const index = this.log.committed;
    return { index, term: this.log.term(index) ?? 0 };
  }

  /** The damaged end is settled once what is durable reaches it: all that was acknowledged is there, or was never committed. */
  settleAmbiguity(): void {
    if (this.ambiguousEnd === undefined) return;
    const stable = { index: this.log.stable, term: this.log.term(this.log.stable) ?? 0 };
    if (reaches(stable, this.ambiguousEnd)) this.ambiguousEnd = undefined;
  }

  drawTimeout(): number {
    return this.options.electionTicks + this.#prng.below(this.options.electionTicks);
  }

  /** Messages held back under an older hard state are of no use any more. */
  #enterTerm(hardState: HardState): void {
    this.hardState = hardState;
    this.#held = [];
  }

  #follower(leader: NodeId | undefined): Role {
    const timeoutTicks = this.drawTimeout();
    return { kind: "follower", leader, elapsedTicks: 0, timeoutTicks, matched: 0, acknowledged: 0, reads: new Map() };
  }

  /** Whoever waits for what only this role could give is told so. */
  #leaveRole(): void {
    const role = this.role;
    if (role.kind === "follower") this.refusedReads.push(...role.reads.keys());
    if (role.kind !== "leader") return;
    for (const reader of role.reads.abandon()) {
      if (reader.kind === "own") this.refusedReads.push(reader.context);
      else {
        const { node: to, session, context } = reader;
        this.send({ kind: "read-answer", to, term: this.term, session, context, index: undefined });
      }
    }
  }
}
