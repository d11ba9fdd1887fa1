/**
 * A node's place in its cluster, as it comes to know it beside Raft: whether it is to lead, whether it still is a member, and
 * what the others support. A node that is alone knows all of this from the start.
 */
import type { Result } from "../../../src/lib/result.ts";
import { membersOf } from "../../raft/configuration.ts";
import type { NodeId } from "../../raft/types.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { RaftLoop } from "../consensus/raft-loop.ts";
import type { NodeParts } from "../node-parts.ts";
import type { NodePhase } from "../node-status.ts";
import { Drain } from "./drain.ts";
import { PeerWatch } from "./peer-watch.ts";
import { StandBack } from "./stand-back.ts";

export interface BelongingOwner {
  loop(): RaftLoop;
  phase(): NodePhase;
  /** What all members support; undefined where this node does not lead. */
  supportedLevel(): Result<number, string> | undefined;
  /** Of the cluster's first feature level. */
  raise(level: number): void;
  /** Somebody waits here for this node's removal. */
  isLeaving(): boolean;
  serveNoMore(why: string): void;
}

type BelongingParts = Pick<
  NodeParts,
  "nodeName" | "diskId" | "since" | "cluster" | "machine" | "clock" | "limits" | "observer"
>;

export class Belonging {
  readonly standBack: StandBack;
  readonly drain: Drain = new Drain();
  readonly #parts: BelongingParts;
  readonly #owner: BelongingOwner;
  /** Undefined: there are no others. */
  readonly #watch: PeerWatch | undefined;
  #removed = false;

  constructor(parts: BelongingParts, calls: PeerCalls | undefined, owner: BelongingOwner) {
    this.#parts = parts;
    this.#owner = owner;
    this.standBack = new StandBack((stands) => owner.loop().standBack(stands));
    this.#watch = calls && this.#watchPeers(calls);
  }

  start(): void {
    this.#watch?.start();
  }

  async stop(): Promise<void> {
    await this.#watch?.stop();
  }

  /** It was a member and is none any more. */
  get removed(): boolean {
    return this.#removed;
  }

  /** How far this node's clock is ahead of the voters' median. */
  get clockOffMs(): number {
    return this.#watch?.offMs ?? 0;
  }

  /** How far another node's clock is ahead of this one's, as measured lately. */
  aheadMs(node: NodeId): number | undefined {
    return this.#watch?.aheadMs(node);
  }

  /** The newest feature level that another node supports. */
  levelOf(node: NodeId): number | undefined {
    return this.#watch?.levelOf(node);
  }

  /** This node serves now, and leads: alone, it has nobody to wait for. */
  leads(): void {
    if (this.#watch === undefined) this.#beginLevel();
  }

  #watchPeers(calls: PeerCalls): PeerWatch {
    const loop = (): RaftLoop => this.#owner.loop();
    return new PeerWatch(this.#parts, calls, {
      get voters() {
        return loop().voters;
      },
      get others() {
        return loop().others;
      },
      asked: () => {
        this.#beginLevel();
        this.#noteRemoval();
      },
      clockIsOff: (off) => this.standBack.set("clock", off),
    });
  }

  /** A log that says nothing of a feature level begins with what all its members support; after that it is an operator's to raise. */
  #beginLevel(): void {
    const { featureLevel, members } = this.#parts.machine;
    if (this.#owner.phase() !== "serving" || featureLevel > 0) return;
    // What is not known yet, and could support less.
    if (this.#watch !== undefined && members.length === 0) return;
    const level = this.#owner.supportedLevel();
    if (level?.ok === true) this.#owner.raise(level.value);
  }

  /** A node that is no member any more serves nothing: what it has grows old. Those that wait here are sent elsewhere. */
  #noteRemoval(): void {
    const was = this.#removed;
    this.#removed = this.#isRemoved();
    if (this.#removed && !was) this.#parts.observer.event("removed", { node: this.#parts.nodeName });
    // Who asked here for the removal is to hear that it is done: the answer comes, or the leader hangs up.
    if (this.#removed && this.#owner.phase() === "serving" && !this.#owner.isLeaving())
      this.#owner.serveNoMore("it was removed from the cluster, and serves no more");
  }

  #isRemoved(): boolean {
    const { cluster, nodeName, diskId, since, machine } = this.#parts;
    // Who serves is up to date, and knows it from the log.
    if (this.#owner.phase() === "recovering" && cluster?.removed?.() === true) return true;
    const { members, position } = machine;
    if (members.length === 0 || (since?.kind === "joined" && position < since.position)) return false;
    const own = members.find(({ node }) => node === nodeName);
    if (own !== undefined && own.disk !== "" && own.disk !== diskId) return true;
    // It is told of this while it still is a member, and of nothing after.
    const belonging = membersOf(this.#owner.loop().configuration);
    return belonging.length > 0 && !belonging.includes(nodeName);
  }
}
