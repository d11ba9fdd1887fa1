/**
 * The Raft core of one log on one node, in the manner of etcd's RawNode: called like a function, it does no I/O.
 *
 *     tick / propose / readIndex / step(message)  →  ready() says what to do  →  advance(ready)  →  step(…-done)
 *
 * At most one append and one apply are in flight; what arrives meanwhile joins the next, which is how group commit forms.
 * A snapshot is installed while neither is. Messages that depend on storage are given out only once it has answered, so
 * whoever drives this may send what it gets at once. SPEC.md has the rules by number.
 */
import { assert } from "../../src/lib/assert.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Entry, LogIndex, Term } from "../../src/wire/entry.ts";
import type { MembershipChange } from "./config-change.ts";
import type { Configuration } from "./configuration.ts";
import { preCampaign } from "./election.ts";
import { type ConfigurationError, proposeChange } from "./membership.ts";
import type { SnapshotOffer } from "./message.ts";
import { type NodeStatus, statusOf } from "./node-status.ts";
import { Raft, type RaftOptions } from "./raft.ts";
import { reaches } from "./raft-log.ts";
import { requestRead } from "./reads.ts";
import { replicate, unannounced } from "./replication.ts";
import type { Role } from "./role.ts";
import { dispatch } from "./step-table.ts";
import { stableMoved } from "./storage.ts";
import { admits } from "./term-gate.ts";
import { tick } from "./ticks.ts";
import { advanceTransfer, beginTransfer, handOver, type TransferError } from "./transfer.ts";
import type {
  AppendWork,
  ApplyWork,
  InstallWork,
  LogPoint,
  Message,
  NodeId,
  Proposal,
  ProposeError,
  ReadError,
  Ready,
  Snapshot,
} from "./types.ts";

export class RawNode {
  readonly id: NodeId;
  readonly #raft: Raft;
  #offered: Ready | undefined;

  constructor(options: RaftOptions) {
    this.id = options.id;
    this.#raft = new Raft(options);
  }

  get role(): Role["kind"] {
    return this.#raft.role.kind;
  }

  get term(): Term {
    return this.#raft.term;
  }

  /** Of this term, as far as is known here. */
  get leader(): NodeId | undefined {
    return this.#raft.leader;
  }

  get lastIndex(): LogIndex {
    return this.#raft.log.lastIndex;
  }

  get committed(): LogIndex {
    return this.#raft.log.committed;
  }

  get applied(): LogIndex {
    return this.#raft.log.applied;
  }

  /** The one in effect. */
  get configuration(): Configuration {
    return this.#raft.configuration;
  }

  /** A snapshot is to take the log's place, or is taking it. */
  get installing(): boolean {
    return this.#raft.installing !== undefined;
  }

  /** Set while this node may have forgotten what it acknowledged. */
  get ambiguousEnd(): LogPoint | undefined {
    return this.#raft.ambiguousEnd;
  }

  /** An append is in flight: what is proposed now joins the next one. */
  get appending(): boolean {
    return this.#raft.appending !== undefined;
  }

  /** For people and metrics. */
  status(): NodeStatus {
    return statusOf(this.#raft);
  }

  /** The entries of an `ApplyWork` that are still in memory: all, or a part at the end; the rest are on disk. */
  entriesInMemory(from: LogIndex, to: LogIndex): readonly Entry[] {
    return this.#raft.log.slice(from, to);
  }

  /** One step of logical time; how long it takes is the caller's business. */
  tick(): void {
    tick(this.#raft);
  }

  /** Asks for an election now, if this node may stand. */
  campaign(): void {
    preCampaign(this.#raft);
  }

  /** Appends to the leader's log; durable and committed later. Returns where it stands. */
  propose(proposal: Proposal): Result<LogPoint, ProposeError> {
    const { role, log, term, limits } = this.#raft;
    if (role.kind !== "leader") return err("not-leader");
    if (role.transfer !== undefined) return err("transferring");
    if (log.uncommittedBytes >= limits.uncommittedBytesMax) return err("uncommitted-full");
    assert(proposal.kind !== "configuration", "configurations are proposed by their changes");
    const index = log.lastIndex + 1;
    log.append({ index, term, ...proposal });
    return ok({ index, term });
  }

  /** Begins a change of the configuration; returns where it stands. It has happened once `configuration` shows it. */
  proposeChange(changes: readonly MembershipChange[]): Result<LogIndex, ConfigurationError> {
    return proposeChange(this.#raft, changes);
  }

  /** Hands leadership over, if that succeeds within an election time-out. */
  transferLeadership(to: NodeId): Result<undefined, TransferError> {
    return beginTransfer(this.#raft, to);
  }

  /** Likewise, to whoever is furthest. False where nobody is fit, or it is under way. */
  handOver(): boolean {
    return handOver(this.#raft);
  }

  /** It is not to lead while another can, or is again as all others. A leader hands over by itself. */
  standBack(stands: boolean): void {
    this.#raft.standsBack = stands;
  }

  /**
   * Asks for a point from which a read is linearizable. `Ready` answers with the same context, in `reads` or in
   * `refusedReads`; a context is used once in a node's life (P14).
   */
  readIndex(context: number): Result<undefined, ReadError> {
    return requestRead(this.#raft, context);
  }

  /** What to send to a follower once a snapshot was shipped to it; undefined if this node no longer leads. */
  snapshotOffer(to: NodeId, snapshot: Snapshot): SnapshotOffer | undefined {
    if (this.#raft.role.kind !== "leader") return undefined;
    return { kind: "snapshot", from: this.id, to, term: this.#raft.term, snapshot };
  }

  /**
   * All other voters of the newest configuration that any of them has applied were asked where their logs end, and
   * `best` is the most up-to-date of the answers: whatever was committed by this node's word reaches no further (R61). If
   * its proven end does, nothing of value was behind the damage. May be called again with newer answers.
   */
  settleTail(best: LogPoint): void {
    const raft = this.#raft;
    if (raft.ambiguousEnd === undefined || reaches(best, raft.ambiguousEnd)) return;
    raft.ambiguousEnd = best;
    raft.settleAmbiguity();
  }

  /**
   * What stood behind the proven end of this node's own log is whole again, as its chain of identities proves. Nothing
   * happens once a leader has sent something else, or a snapshot (R64).
   */
  restoreTail(entries: readonly Entry[]): void {
    const { log, ambiguousEnd, installing, role, term } = this.#raft;
    if (installing !== undefined) return;
    const [first] = entries;
    const last = entries.at(-1);
    if (first === undefined || last === undefined || ambiguousEnd === undefined || role.kind === "leader") return;
    if (first.index !== log.lastIndex + 1 || first.term < log.last.term || last.term > term) return;
    for (const entry of entries) log.append(entry);
  }

  /** Takes a message: another node's, or the answer to work. */
  step(message: Message): void {
    if ("from" in message && !admits(this.#raft, message)) return;
    dispatch(this.#raft, message);
  }

  /** What is committed is not known to all followers, and no entries are there to carry it. */
  get unannounced(): boolean {
    return this.#raft.role.kind === "leader" && unannounced(this.#raft, this.#raft.role);
  }

  /**
   * The work there is now, or undefined. Call `advance` with it before anything else. Without `announce`, followers learn
   * what is committed with their next entries or heartbeat only, see `unannounced`.
   */
  ready(announce = true): Ready | undefined {
    const raft = this.#raft;
    if (raft.appending === undefined && raft.installing === undefined && raft.log.recheck()) stableMoved(raft);
    if (raft.role.kind === "leader") {
      advanceTransfer(raft, raft.role);
      replicate(raft, raft.role, announce);
    }
    const { outbox: messages, fetches, snapshots, reads, refusedReads } = raft;
    const append = this.#appendWork();
    const apply = this.#applyWork();
    const install = append === undefined ? this.#installWork() : undefined;
    const some = messages.length + fetches.length + snapshots.length + reads.length + refusedReads.length > 0;
    if (append === undefined && apply === undefined && install === undefined && !some) return undefined;
    this.#offered = { append, apply, install, messages, fetches, snapshots, reads, refusedReads };
    return this.#offered;
  }

  /** The caller has taken on the work of `ready`. */
  advance(ready: Ready): void {
    assert(ready === this.#offered, "work is taken on once, the newest");
    this.#offered = undefined;
    const raft = this.#raft;
    raft.appending ??= ready.append;
    if (ready.apply !== undefined) raft.log.applying = ready.apply.to;
    if (raft.installing !== undefined && ready.install !== undefined) raft.installing.handed = true;
    if (ready.messages.length > 0) raft.outbox = [];
    if (ready.fetches.length > 0) raft.fetches = [];
    if (ready.snapshots.length > 0) raft.snapshots = [];
    if (ready.reads.length > 0) raft.reads = [];
    if (ready.refusedReads.length > 0) raft.refusedReads = [];
  }

  /** One at a time; the hard state comes with it. While a snapshot takes the log's place, entries behind it wait. */
  #appendWork(): AppendWork | undefined {
    const { log, hardState, durable, appending, installing } = this.#raft;
    if (appending !== undefined || installing?.handed === true) return undefined;
    const changed = hardState === durable ? undefined : hardState;
    const entries = installing === undefined ? log.unstable() : [];
    if (changed === undefined && entries.length === 0) return undefined;
    const last = entries.length === 0 ? undefined : log.last;
    return { hardState: changed, entries, done: { kind: "append-done", hardTerm: hardState.term, last } };
  }

  #applyWork(): ApplyWork | undefined {
    const { log, installing } = this.#raft;
    if (installing !== undefined || log.applying !== log.applied || log.applicable <= log.applied) return undefined;
    return { from: log.applied + 1, to: log.applicable };
  }

  /** Not while something is under way that a snapshot would pull the ground from. */
  #installWork(): InstallWork | undefined {
    const { log, appending, installing } = this.#raft;
    if (installing === undefined || installing.handed || appending !== undefined || log.applying !== log.applied)
      return undefined;
    return { snapshot: installing.snapshot };
  }
}
