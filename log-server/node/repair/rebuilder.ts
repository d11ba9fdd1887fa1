/**
 * A node that cannot go on from what its own disk holds (image and snapshots gone, a state that a majority contradicts,
 * entries to be applied that nobody can give back) asks the leader for all that it has, and takes that in the log's place.
 * Until then it applies nothing, serves nothing, and stands for no election; what its log holds it still acknowledges, votes
 * by and gives to others.
 */
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { NodeParts } from "../node-parts.ts";
import type { NodeId } from "../../raft/types.ts";
import { Rounds } from "../rounds.ts";

export interface RebuildOwner {
  /** Undefined: none is known, or it is this node. */
  readonly leader: NodeId | undefined;
  /** Something is in the way of applying anything more; `final`: all others were asked for it, and none has it. Undefined: nothing is. */
  readonly blocked: "hoped" | "final" | undefined;
  /** Bytes that have come so far. */
  readonly receivedBytes: number;
  /** Begins to ship all that is here. False: not now, or not from here. */
  ship(node: NodeId): Promise<boolean>;
}

const YES = 1;

export class Rebuilder {
  readonly #parts: Pick<NodeParts, "clock" | "limits" | "observer" | "bereft" | "installed">;
  readonly #calls: PeerCalls;
  readonly #owner: RebuildOwner;
  readonly #rounds: Rounds;
  #blockedAt: number | undefined;
  /** When a leader last said that it would ship, or something came. */
  #promisedAt: number | undefined;
  #receivedBytes = 0;

  constructor(
    parts: Pick<NodeParts, "clock" | "limits" | "observer" | "bereft" | "installed">,
    calls: PeerCalls,
    owner: RebuildOwner,
  ) {
    this.#parts = parts;
    this.#calls = calls;
    this.#owner = owner;
    this.#rounds = new Rounds(parts.clock, {
      everyMs: parts.limits.rebuildEveryMs,
      work: () => this.#look(),
      failed: (error) => parts.observer.event("rebuild-failed", { error: String(error) }),
    });
    calls.handle("ship-log", async (from) => [Uint8Array.of((await owner.ship(from)) ? YES : 0)]);
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves when what was begun has ended. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #look(): Promise<void> {
    const { clock, limits, observer, bereft, installed } = this.#parts;
    const { blocked, leader, receivedBytes } = this.#owner;
    const now = clock.monotonic();
    this.#blockedAt = blocked === undefined ? undefined : (this.#blockedAt ?? now);
    // Who does not answer may have it, but is not waited for for ever.
    const isLate = this.#blockedAt !== undefined && now - this.#blockedAt >= limits.rebuildAfterMs;
    // What was shipped when this life began may have brought the damage along: it is not shipped over and over.
    const isFinal = blocked === "final" && !installed;
    if ((bereft === undefined && !isFinal && !isLate) || leader === undefined) return;
    if (receivedBytes !== this.#receivedBytes) this.#promisedAt = now;
    this.#receivedBytes = receivedBytes;
    if (this.#promisedAt !== undefined && now - this.#promisedAt < limits.repairRetryMs) return;
    const answer = await this.#calls.call(leader, "ship-log", [], limits.repairTimeoutMs);
    if (!answer.ok || answer.value[0] !== YES) return;
    this.#promisedAt = clock.monotonic();
    observer.event("rebuilding", { from: leader });
  }
}
