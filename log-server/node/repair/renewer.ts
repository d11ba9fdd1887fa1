/**
 * The last resort of a node that goes on but for damage that is final: all others were asked for what it took, nobody gave
 * it, and a rewrite of its segment did not rid the node of it, either. After a while it has the leader ship all that this has,
 * and takes that in the place of its log (`RaftLoop.renew`), if it is whole and nothing of this log is missing behind it.
 *
 *     pass:   the leader ships what it has now; the log goes on, so this ends before it; what is new is shipped in the next one
 *     close:  once a pass is short the node takes no entries more, so that the next one reaches the end of its log
 *
 * Until the last moment the node serves and applies. No record goes by it: what is shipped was read and verified, reaches as
 * far, and is of a leader that knows of no damage. A leader with such damage hands over first, to a node that is whole.
 */
import type { FollowerStatus, NodeStatus as RaftStatus } from "../../raft/node-status.ts";
import type { NodeId } from "../../raft/types.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { Renewal } from "../consensus/raft-loop.ts";
import type { NodeParts } from "../node-parts.ts";
import { Rounds } from "../rounds.ts";

export interface RenewalOwner {
  /** `final`: nobody makes it good. Undefined: none is known, or this node cannot go on for it, which is not seen to here. */
  readonly damage: "hoped" | "final" | undefined;
  /** No damage is known here, and nothing is in the way of applying. */
  readonly isWhole: boolean;
  readonly raft: RaftStatus;
  /** See `RaftLoop`. */
  readonly renewal: Renewal;
  /** Bytes that have come so far. */
  readonly receivedBytes: number;
  renew(closed: boolean): void;
  endRenewal(): void;
  transferTo(node: NodeId): void;
  /** Begins to ship all that is here. False: not now. */
  ship(node: NodeId): Promise<boolean>;
}

export type RenewalStatus = {
  /** Times that a leader began to ship for it, since the start. */
  readonly tries: number;
  readonly underWay: boolean;
};

type RenewerParts = Pick<NodeParts, "clock" | "limits" | "observer" | "installed">;

type Try = {
  readonly leader: NodeId;
  passes: number;
  passSince: number;
  closed: boolean;
  receivedBytes: number;
  progressAt: number;
};

const YES = 1;
const NO = 0;

export class Renewer {
  readonly #parts: RenewerParts;
  readonly #calls: PeerCalls;
  readonly #owner: RenewalOwner;
  readonly #rounds: Rounds;
  #damagedAt: number | undefined;
  #try: Try | undefined;
  #tries = 0;
  /** From one try to the next: twice as long each time. */
  #pauseMs: number;
  #notBefore = 0;

  constructor(parts: RenewerParts, calls: PeerCalls, owner: RenewalOwner) {
    const { clock, limits, installed } = parts;
    this.#parts = parts;
    this.#calls = calls;
    this.#owner = owner;
    this.#pauseMs = limits.renewPauseMs;
    // Renewed a short while ago: if that did not help, neither will doing it over and over.
    if (installed) this.#notBefore = clock.monotonic() + limits.renewPauseMsMax;
    this.#rounds = new Rounds(clock, {
      everyMs: limits.rebuildEveryMs,
      work: () => this.#look(),
      failed: (error) => this.#giveUp(String(error)),
    });
    calls.handle("ship-whole", async (from) => [Uint8Array.of((await this.#ship(from)) ? YES : NO)]);
    calls.handle("is-whole", () => Promise.resolve([Uint8Array.of(owner.isWhole ? YES : NO)]));
  }

  get status(): RenewalStatus {
    return { tries: this.#tries, underWay: this.#try !== undefined };
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves when what was begun has ended. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #look(): Promise<void> {
    const { clock, limits } = this.#parts;
    const now = clock.monotonic();
    const { damage } = this.#owner;
    if (damage === undefined) this.#giveUp("the damage is none any more");
    // Who is asked for it meanwhile, and does not answer, changes nothing.
    if (this.#try !== undefined) return this.#goOn(this.#try, now);
    this.#damagedAt = damage === "final" ? (this.#damagedAt ?? now) : undefined;
    if (this.#damagedAt === undefined) return;
    if (now < Math.max(this.#damagedAt + limits.renewAfterMs, this.#notBefore)) return;
    this.#notBefore = now + limits.renewAskEveryMs;
    const { role, leader } = this.#owner.raft;
    if (role === "leader") await this.#handOver();
    else if (leader !== undefined) await this.#begin(leader);
  }

  async #begin(leader: NodeId): Promise<void> {
    const { clock, limits, observer } = this.#parts;
    if (!(await this.#ask(leader, "ship-whole"))) return;
    const now = clock.monotonic();
    this.#notBefore = now + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, limits.renewPauseMsMax);
    this.#tries += 1;
    const { receivedBytes } = this.#owner;
    this.#try = { leader, passes: 1, passSince: now, closed: false, receivedBytes, progressAt: now };
    this.#owner.renew(false);
    observer.event("renewing", { from: leader });
  }

  async #goOn(one: Try, now: number): Promise<void> {
    const { limits } = this.#parts;
    const { receivedBytes, renewal, raft } = this.#owner;
    if (renewal === "damaged") return this.#giveUp("what the leader ships is damaged, too");
    if (raft.leader !== one.leader || raft.role !== "follower") return this.#giveUp("another leads");
    if (renewal === "short") return this.#nextPass(one, now);
    if (receivedBytes !== one.receivedBytes) one.progressAt = now;
    one.receivedBytes = receivedBytes;
    if (one.closed && now - one.passSince >= limits.renewClosedMsMax) this.#giveUp("the last of it took too long");
    else if (now - one.progressAt >= limits.renewStallMs) this.#giveUp("nothing came any more");
  }

  /** What the log has got meanwhile is shipped as well. */
  async #nextPass(one: Try, now: number): Promise<void> {
    const { limits, observer } = this.#parts;
    one.passes += 1;
    if (one.passes > limits.renewPassesMax) return this.#giveUp("the log grows faster than it is shipped");
    one.closed = now - one.passSince <= limits.renewCloseMs;
    one.passSince = now;
    one.progressAt = now;
    this.#owner.renew(one.closed);
    if (one.closed) observer.event("renewal-closing", { passes: one.passes });
    if (!(await this.#ask(one.leader, "ship-whole"))) this.#giveUp("the leader ships no more");
  }

  #giveUp(reason: string): void {
    if (this.#try === undefined) return;
    this.#try = undefined;
    this.#owner.endRenewal();
    this.#parts.observer.event("renewal-ended", { reason });
  }

  /** Who leads ships to others, and nobody ships to it. */
  async #handOver(): Promise<void> {
    const { limits, observer } = this.#parts;
    const { raft } = this.#owner;
    for (const follower of raft.followers) {
      if (!raft.configuration.voters.includes(follower.id) || follower.standsBack) continue;
      if (!keepsUp(follower, limits.heartbeatTicks) || !(await this.#ask(follower.id, "is-whole"))) continue;
      observer.event("leadership-given-up", { to: follower.id, reason: "nobody gives back what damage took here" });
      return this.#owner.transferTo(follower.id);
    }
  }

  async #ask(node: NodeId, what: "ship-whole" | "is-whole"): Promise<boolean> {
    const answer = await this.#calls.call(node, what, [], this.#parts.limits.repairTimeoutMs);
    return answer.ok && answer.value[0] === YES;
  }

  async #ship(node: NodeId): Promise<boolean> {
    const { isWhole, raft } = this.#owner;
    return isWhole && goesOnWithout(raft, node, this.#parts.limits.heartbeatTicks) && (await this.#owner.ship(node));
  }
}

/** Whether those who keep up with this leader, without that node, are a majority: it is about to be away for a while. */
export function goesOnWithout(raft: RaftStatus, node: NodeId, heartbeatTicks: number): boolean {
  const { role, changing, configuration, followers } = raft;
  if (role !== "leader" || changing) return false;
  const { voters } = configuration;
  const there = followers.filter((one) => voters.includes(one.id) && one.id !== node && keepsUp(one, heartbeatTicks));
  // The leader itself is one of them, unless it is being removed: then a change is under way.
  return 2 * (there.length + 1) > voters.length;
}

function keepsUp({ flow, silentTicks }: FollowerStatus, heartbeatTicks: number): boolean {
  return flow === "replicate" && silentTicks <= 2 * heartbeatTicks;
}
