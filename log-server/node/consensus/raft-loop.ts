/**
 * The loop that drives Raft: gives it time, messages and what waits to be proposed; does what it asks for.
 *
 *     ticks → what was heard → proposals → ready: send, then persist, fetch, apply, answer reads
 *
 * Messages go before this node's own write begins: followers write while the leader does. What depends on that write
 * the core gives out only once it is durable. What an entry means, and who waits for it, is the owner's business.
 */
import { assert } from "../../../src/lib/assert.ts";
import type { Result } from "../../../src/lib/result.ts";
import type { Timer } from "../../../src/ports/clock.ts";
import type { Entry, LogIndex, Term } from "../../../src/wire/entry.ts";
import type { Link } from "../../../src/ports/link.ts";
import type { Damage } from "../../log/repair/damage.ts";
import type { Held } from "../../log/snapshots/holds.ts";
import type { NodeStatus as RaftStatus } from "../../raft/node-status.ts";
import type { MembershipChange } from "../../raft/config-change.ts";
import { type Configuration, membersOf, votersOf } from "../../raft/configuration.ts";
import type { ConfigurationError } from "../../raft/membership.ts";
import { reaches } from "../../raft/raft-log.ts";
import { RawNode } from "../../raft/raw-node.ts";
import type { TransferError } from "../../raft/transfer.ts";
import type {
  ApplyWork,
  LogPoint,
  Mended,
  Message,
  NodeId,
  Proposal,
  ProposeError,
  ReadError,
  Ready,
  Snapshot,
  SnapshotWork,
} from "../../raft/types.ts";
import { CatchUp, type ShippingTotals } from "../catch-up/catch-up.ts";
import type { NodeParts } from "../node-parts.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import { PeerMessages } from "./peer-messages.ts";
import { configurationsIn } from "./pending-configurations.ts";
import { raftOptions, termsOf } from "./raft-options.ts";
import type { ReceivingStatus } from "../catch-up/snapshot-receiver.ts";
import type { SendingStatus, WaitingFollower } from "../catch-up/snapshot-sender.ts";
import { RaftStorage, type StorageOwner } from "./raft-storage.ts";

export interface LoopOwner extends Pick<StorageOwner, "synced" | "stalled"> {
  /** Called before work is asked for: what waits may be proposed. */
  propose(): void;
  /** Committed, and durable here: the next ones, in order. */
  apply(entries: readonly Entry[]): void;
  /** A linearizable read has its point, or will not get one. */
  read(context: number, index: LogIndex): void;
  readRefused(context: number): void;
  /** All that could be done was done; role and leader may have changed. */
  turned(): void;
  /** An entry that must be applied cannot be read: nothing after it can be known here. */
  blocked(damage: Damage): void;
  /** A snapshot takes the log's place as soon as the node is opened anew: this one does nothing more. */
  replaced(): void;
  /** The node cannot go on. `internal`: its own fault; else what was proposed may be durable, or not. */
  failed(code: "internal" | "outcome-unknown", error: unknown): void;
}

/**
 * How a shipment stands that is to replace the log of a node that goes on meanwhile: awaited; or it came, and ended before the
 * log, or was damaged; undefined: none is wanted.
 */
export type Renewal = "awaited" | "short" | "damaged" | undefined;

/** What the core asks for has higher ones: it does not hear of this one. */
const SHIP_ASKED_FOR = 0;

export class RaftLoop {
  readonly #parts: NodeParts;
  readonly #calls: PeerCalls | undefined;
  readonly #owner: LoopOwner;
  readonly #raft: RawNode;
  readonly #storage: RaftStorage;
  /** Undefined: nobody else has this log. */
  readonly #peers: PeerMessages | undefined;
  readonly #catchUp: CatchUp | undefined;
  #ticking: Timer | undefined;
  #tickedAt: number;
  #turnDue = false;
  /** Whoever keeps up is told what is committed, in this turn. */
  #announce = false;
  #announcing: Timer | undefined;
  #driving = false;
  #stopped = false;
  #firstIndex: LogIndex;
  /** Applying stopped before this entry, which could not be read. */
  #blocked: ApplyWork | undefined;
  /** The newest term that this node has led, and the index of its no-op. */
  #led: LogPoint = { index: 0, term: 0 };
  #leaderHeardAt: number | undefined;
  /** Whom the log of events knows as leader, and the newest term of which it knows who led. */
  #leaderTold: { readonly leader: NodeId | undefined; readonly term: Term } = { leader: undefined, term: 0 };
  /** All up to here that a shipment does not bring: for its sake this node is to forget it. */
  #givenUp: LogPoint | undefined;
  #renewal: Renewal;
  /** No entries are taken, so that a shipment can reach the end of the log. */
  #closed = false;

  /** `calls` has the link's `requests`. */
  constructor(parts: NodeParts, calls: PeerCalls | undefined, owner: LoopOwner) {
    const { cluster, clock, log } = parts;
    this.#parts = parts;
    this.#calls = calls;
    this.#owner = owner;
    this.#raft = new RawNode(raftOptions(parts));
    this.#storage = new RaftStorage(parts, {
      answered: (message) => this.#answered(message),
      synced: (entries, milliseconds) => owner.synced(entries, milliseconds),
      stalled: () => owner.stalled(),
      failed: (error) => this.#fail("outcome-unknown", error),
    });
    this.#catchUp = cluster && this.#makeCatchUp(parts, cluster.link);
    const isReceived = (snapshot: Snapshot): boolean => this.#catchUp?.receiver.freeze(snapshot) === true;
    this.#peers = cluster && new PeerMessages({ ...parts, link: cluster.link, isReceived });
    this.#tickedAt = clock.monotonic();
    this.#firstIndex = log.firstIndex;
  }

  get role(): RawNode["role"] {
    return this.#raft.role;
  }

  get term(): Term {
    return this.#raft.term;
  }

  get leader(): NodeId | undefined {
    return this.#raft.leader;
  }

  get committed(): LogIndex {
    return this.#raft.committed;
  }

  get lastIndex(): LogIndex {
    return this.#raft.lastIndex;
  }

  /** The next append is not begun before the one under way is durable: what is proposed meanwhile joins it. */
  get appending(): boolean {
    return this.#raft.appending;
  }

  /** An append waits for room on the disk. */
  get stalled(): boolean {
    return this.#storage.stalled;
  }

  /**
   * The term that this node leads and whose first entry it has applied: it knows all that was decided before, log time
   * included. Undefined while there is none.
   */
  get leads(): Term | undefined {
    const { role, term, applied } = this.#raft;
    return role === "leader" && this.#led.term === term && applied >= this.#led.index ? term : undefined;
  }

  /** Since a leader was heard last; undefined: never. */
  get leaderSilentMs(): number | undefined {
    return this.#leaderHeardAt === undefined ? undefined : this.#parts.clock.monotonic() - this.#leaderHeardAt;
  }

  /**
   * Ships all that is here to a member that asks for it, though its log be as this one. False where this node does not lead,
   * cannot go on itself, or is at it already.
   */
  ship(node: NodeId): boolean {
    const sender = this.#catchUp?.sender;
    if (sender === undefined || this.#raft.role !== "leader" || this.#standsStill || !this.others.includes(node))
      return false;
    if (sender.status.some((sending) => sending.node === node)) return false;
    void sender.send({ id: SHIP_ASKED_FOR, node }, this.#raft.lastIndex);
    return true;
  }

  get renewal(): Renewal {
    return this.#renewal;
  }

  /**
   * What comes next of what the leader ships takes the place of this log, if it is whole and reaches as far. `closed`: until
   * then this node takes no entries, as if they were lost on the way.
   */
  renew(closed: boolean): void {
    this.#renewal = "awaited";
    this.#closed = closed;
  }

  /** It is wanted no more, and what came of it is of no use. */
  endRenewal(): void {
    if (this.#renewal === undefined) return;
    this.#renewal = undefined;
    this.#closed = false;
    if (!this.#stopped && !this.#raft.installing) this.#catchUp?.receiver.discard();
  }

  /** Leadership is being handed over. */
  get transferring(): boolean {
    return this.#raft.status().transferringTo !== undefined;
  }

  /** Messages that were refused as damaged or misdirected. */
  get refusedMessages(): number {
    return (this.#peers?.refused ?? 0) + (this.#calls?.refused ?? 0);
  }

  status(): RaftStatus {
    return this.#raft.status();
  }

  get sending(): readonly SendingStatus[] {
    return this.#catchUp?.sender.status ?? [];
  }

  get waitingForSnapshots(): readonly WaitingFollower[] {
    return this.#catchUp?.sender.waiting ?? [];
  }

  get shipping(): ShippingTotals | undefined {
    return this.#catchUp?.totals;
  }

  get receiving(): ReceivingStatus | undefined {
    return this.#catchUp?.receiver.status;
  }

  start(): void {
    this.#tickedAt = this.#parts.clock.monotonic();
    const { cluster } = this.#parts;
    if (cluster === undefined) {
      // Nobody else can lead, so nobody waits to see, and no time is counted.
      this.#raft.campaign();
      this.#turn();
      return;
    }
    cluster.link.listen({
      message: (from, lane, bytes) => {
        if (lane === "requests") this.#calls?.message(from, bytes);
        else if (lane === "bulk") this.#catchUp?.message(from, bytes);
        else this.#heard(from, bytes);
      },
      reachable: (node) => this.#catchUp?.reachable(node),
      unreachable: (node) => {
        this.#calls?.unreachable(node);
        this.#step({ kind: "unreachable", node });
      },
      room: (node) => this.#catchUp?.room(node),
    });
    this.#tickLater();
    this.scheduleTurn();
  }

  /** Does nothing more from now on; what is being written is not waited for, but for what is shipped here. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#ticking?.cancel();
    this.#announcing?.cancel();
    this.#storage.stop();
    await this.#catchUp?.stop();
  }

  /** Looks for work once everything that has already arrived was seen. */
  scheduleTurn(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    this.#parts.clock.defer(() => {
      this.#turnDue = false;
      this.#turn();
    });
  }

  /** Another node waits to hear that something is committed: it is told, if it was not yet. */
  announce(): void {
    this.#announce = true;
    if (!this.#driving) this.#turn();
  }

  /** Only from `LoopOwner.propose`. */
  propose(proposal: Proposal): Result<LogPoint, ProposeError> {
    return this.#raft.propose(proposal);
  }

  /** The answer comes to `LoopOwner.read` or `readRefused`, perhaps at once. */
  readIndex(context: number): Result<undefined, ReadError> {
    const asked = this.#raft.readIndex(context);
    if (!asked.ok || this.#driving) this.scheduleTurn();
    else this.#turn();
    return asked;
  }

  /** What damage took is there again: the core learns of it, and what it was in the way of goes on. */
  mended(pending: Pick<Mended, "configurations" | "hidden">): void {
    if (this.#parts.bereft !== undefined) return;
    this.#step({ kind: "mended", terms: termsOf(this.#parts.log), ...pending });
    const blocked = this.#blocked;
    this.#blocked = undefined;
    if (blocked !== undefined && !this.#stopped) void this.#applyFromDisk(blocked);
  }

  /** Set while this node may have forgotten what it acknowledged, or is about to. */
  get ambiguousEnd(): LogPoint | undefined {
    return this.#givenUp ?? this.#raft.ambiguousEnd;
  }

  /** As of what is applied. */
  get voters(): readonly NodeId[] {
    return votersOf(this.#raft.configuration);
  }

  /** See `RawNode.settleTail`, `restoreTail`. */
  settleTail(best: LogPoint): void {
    this.#raft.settleTail(best);
    this.scheduleTurn();
  }

  restoreTail(entries: readonly Entry[]): void {
    this.#raft.restoreTail(entries);
    this.scheduleTurn();
  }

  /** The other members, as of what is applied. */
  get others(): readonly NodeId[] {
    return membersOf(this.#raft.configuration).filter((node) => node !== this.#raft.id);
  }

  get configuration(): Configuration {
    return this.#raft.configuration;
  }

  /** Begins a change of who belongs to the log. */
  proposeChange(changes: readonly MembershipChange[]): Result<LogIndex, ConfigurationError> {
    const begun = this.#raft.proposeChange(changes);
    this.scheduleTurn();
    return begun;
  }

  transferTo(node: NodeId): Result<undefined, TransferError> {
    const begun = this.#raft.transferLeadership(node);
    this.scheduleTurn();
    return begun;
  }

  /** This node is not to lead while another can, or may again: see R102. */
  standBack(stands: boolean): void {
    this.#raft.standBack(stands);
    this.scheduleTurn();
  }

  /** Hands leadership to the voter that is furthest, if there is one that is heard. */
  handOver(): void {
    if (this.#raft.handOver()) this.scheduleTurn();
  }

  #heard(from: string, bytes: Uint8Array): void {
    if (this.#stopped) return;
    const message = this.#peers?.receive(from, bytes);
    if (message === undefined || (this.#closed && message.kind === "append")) return;
    this.#step(message);
    if (from === this.#raft.leader) this.#leaderHeardAt = this.#parts.clock.monotonic();
    if (message.kind !== "snapshot") return;
    if (this.#standsStill) void this.#install();
    else if (!this.#raft.installing) this.#shipped();
  }

  /** The log reaches what came: nobody needs it but for a renewal. */
  #shipped(): void {
    const { incoming, log } = this.#parts;
    const { shipment, damagedFiles } = incoming;
    const receiver = this.#catchUp?.receiver;
    if (this.#renewal === undefined || shipment === undefined || damagedFiles > 0) {
      receiver?.discard();
      if (this.#renewal !== undefined) this.#renewal = "damaged";
    } else if (!reaches(shipment.end, endOf(log))) {
      receiver?.thaw();
      this.#renewal = "short";
    } else void this.#install();
  }

  #answered(message: Message): void {
    this.#step(message, () => this.#turn());
  }

  /** Time first: after a pause this node may no longer be what it believes to be (P43). */
  #step(message: Message, then: () => void = () => this.scheduleTurn()): void {
    if (this.#stopped) return;
    try {
      this.#countTicks();
      this.#raft.step(message);
    } catch (error) {
      this.#fail("internal", error);
      return;
    }
    then();
  }

  #tickLater(): void {
    this.#ticking = this.#parts.clock.schedule(this.#parts.limits.tickMs, () => {
      this.#tickLater();
      this.#turn();
    });
  }

  /**
   * The time that has passed, in ticks. After a long pause no more than end a leadership: others had that long to
   * elect, and what this node has yet to hear decides the rest.
   */
  #countTicks(): void {
    if (this.#peers === undefined) return;
    const { clock, limits } = this.#parts;
    const due = Math.floor((clock.monotonic() - this.#tickedAt) / limits.tickMs);
    if (due <= 0) return;
    this.#tickedAt += due * limits.tickMs;
    for (let left = Math.min(due, limits.electionTicks); left > 0; left -= 1) this.#raft.tick();
  }

  /** Does what Raft asks for until it asks for nothing. Not re-entrant: work that ends at once is picked up by the loop. */
  #turn(): void {
    if (this.#driving || this.#stopped) return;
    this.#driving = true;
    try {
      this.#countTicks();
      for (;;) {
        this.#noteLeadership();
        this.#noteTrim();
        this.#owner.propose();
        const ready = this.#raft.ready(this.#announce);
        if (ready === undefined) break;
        this.#raft.advance(ready);
        this.#work(ready);
      }
      this.#announce = false;
      if (this.#raft.unannounced) this.#announceLater();
      this.#tellLeader();
      this.#owner.turned();
    } catch (error) {
      this.#fail("internal", error);
    } finally {
      this.#driving = false;
    }
  }

  /** Most often the next entries are faster, and carry it: a message less to each follower, and a turn of its loop. */
  #announceLater(): void {
    this.#announcing ??= this.#parts.clock.schedule(this.#parts.limits.announceMs, () => {
      this.#announcing = undefined;
      this.announce();
    });
  }

  #work(ready: Ready): void {
    // Lost for certain; the core would find out only by the next one.
    for (const { kind, to } of this.#peers?.send(ready.messages) ?? [])
      if (kind === "append") this.#raft.step({ kind: "unreachable", node: to });
    for (const work of ready.fetches) void this.#storage.fetch(work);
    for (const work of ready.snapshots) void this.#catchUp?.sender.send(work);
    for (const { context, index } of ready.reads) this.#owner.read(context, index);
    for (const context of ready.refusedReads) this.#owner.readRefused(context);
    if (ready.install !== undefined) void this.#install();
    if (ready.append !== undefined) void this.#storage.append(ready.append);
    if (ready.apply !== undefined) this.#apply(ready.apply);
  }

  #tellLeader(): void {
    const { leader, term } = this.#raft;
    const last = this.#leaderTold;
    if (leader === last.leader && (term === last.term || leader === undefined)) return;
    this.#leaderTold = { leader, term: leader === undefined ? last.term : term };
    const { observer } = this.#parts;
    if (leader === undefined) observer.event("leader-lost", last);
    // Who did not hear it for a while hears it again: nobody was elected.
    else observer.event(term === last.term ? "leader-regained" : "leader-elected", { leader, term });
  }

  /** Seen before anything is proposed in a new term: its no-op is the newest entry. */
  #noteLeadership(): void {
    const { role, term, lastIndex } = this.#raft;
    if (role === "leader" && term !== this.#led.term) this.#led = { index: lastIndex, term };
  }

  /** The log has dropped segments: what was in them cannot be sent any more. */
  #noteTrim(): void {
    const { firstIndex } = this.#parts.log;
    if (firstIndex <= this.#firstIndex || firstIndex > this.#raft.applied + 1) return;
    this.#firstIndex = firstIndex;
    this.#raft.step({ kind: "trimmed", firstIndex });
  }

  #makeCatchUp(parts: NodeParts, link: Link): CatchUp {
    const raft = this.#raft;
    return new CatchUp(parts, link, {
      get leader() {
        return raft.leader;
      },
      get leads() {
        return raft.role === "leader" ? raft.term : undefined;
      },
      needs: (node) => raft.status().followers.some(({ id, flow }) => id === node && flow !== "replicate"),
      sent: (work, held) => this.#snapshotSent(work, held),
      failed: ({ id, node }) => this.#step({ kind: "snapshot-status", id, node, outcome: { kind: "failed" } }),
      diskFailed: (error) => this.#fail("outcome-unknown", error),
    });
  }

  /** Entries go on where the segments end that came with it. */
  #snapshotSent({ id, node }: SnapshotWork, { shipment }: Held): void {
    const { position, term, end } = shipment;
    // The one that counts is in the state that was shipped: the receiver begins a new life with it.
    const snapshot = { index: position, term, configuration: this.#raft.configuration };
    const offer = this.#raft.snapshotOffer(node, snapshot);
    if (offer !== undefined) this.#peers?.send([offer]);
    this.#step({ kind: "snapshot-status", id, node, outcome: { kind: "sent", index: end.index } });
  }

  /**
   * All that holds the old state, down to the faces, would have to change it under its users: the node is opened anew instead,
   * which puts the new state in place, as it would after a crash from here on. Nothing is acknowledged any more. Where the
   * shipment ends before the log, entries may be given up that were: that is in the hard state first, until they are here again.
   */
  async #install(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const { hardState, incoming, log } = this.#parts;
    try {
      const end = endOf(log);
      if (incoming.shipment === undefined || !reaches(incoming.shipment.end, end)) {
        const { doubt } = hardState.state;
        this.#givenUp = doubt !== undefined && reaches(doubt, end) ? doubt : end;
        await hardState.writeDoubt(this.#givenUp);
      }
      await this.#catchUp?.receiver.decide();
    } catch (error) {
      this.#stopped = false;
      this.#fail("outcome-unknown", error);
      return;
    }
    void this.stop();
    this.#owner.replaced();
  }

  /** Nothing is applied here any more, unless damage is made good. */
  get #standsStill(): boolean {
    return this.#parts.bereft !== undefined || this.#blocked !== undefined;
  }

  #apply(work: ApplyWork): void {
    const { bereft } = this.#parts;
    if (bereft !== undefined) {
      this.#owner.blocked(bereft);
      return;
    }
    const entries = this.#raft.entriesInMemory(work.from, work.to);
    if (entries.length === work.to - work.from + 1) {
      this.#owner.apply(entries);
      this.#raft.step({ kind: "apply-done", index: work.to });
    } else {
      void this.#applyFromDisk(work);
    }
  }

  /** Catching up after a restart: a bounded piece at a time, with a turn of the loop between two. */
  async #applyFromDisk(work: ApplyWork): Promise<void> {
    const { log, limits, clock } = this.#parts;
    let next = work.from;
    try {
      while (next <= work.to) {
        const read = await log.entries(next, work.to, limits.replayBytesMax);
        if (this.#stopped) return;
        if (!read.ok) {
          this.#parts.observer.event("apply-blocked", { position: next, damage: read.error });
          this.#blocked = { from: next, to: work.to };
          this.#owner.blocked(read.error);
          return;
        }
        assert(read.value.length > 0, "I5: what is applied is in this node's log");
        this.#learn(read.value);
        this.#owner.apply(read.value);
        next += read.value.length;
        await new Promise<void>((resolve) => clock.defer(resolve));
      }
    } catch (error) {
      this.#fail("internal", error);
      return;
    }
    this.#answered({ kind: "apply-done", index: work.to });
  }

  /** Configurations that damage hid when this life began take effect all the same (R91). */
  #learn(entries: readonly Entry[]): void {
    const configurations = configurationsIn(entries);
    if (configurations.length > 0)
      this.#raft.step({ kind: "mended", terms: termsOf(this.#parts.log), configurations, hidden: true });
  }

  #fail(code: "internal" | "outcome-unknown", error: unknown): void {
    if (this.#stopped) return;
    void this.stop();
    this.#owner.failed(code, error);
  }
}

/** What was acknowledged here reaches no further. */
function endOf({ lastIndex, lastTerm }: NodeParts["log"]): LogPoint {
  return { index: lastIndex, term: lastTerm };
}
