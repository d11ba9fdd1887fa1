/**
 * What a node asks the others now and then: how late it is there, and which feature level they support.
 *
 * The leader's clock stamps every entry with what it takes the time to be, so a node whose clock is far from what most have does not
 * stand for election (N50). An answer counts half of the way there and back; one that took too long tells nothing of the
 * time, and who was not measured lately counts as being right. So a node stands back only if more than half of all voters,
 * which it has heard lately, are all ahead of it or all behind. These are a majority without it, and where most clocks are
 * off alike they are the ones to go by.
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { NodeId } from "../../raft/types.ts";
import { FEATURE_LEVEL_NEWEST } from "../../streams/feature-level.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { NodeParts } from "../node-parts.ts";
import { Rounds } from "../rounds.ts";

export interface PeerWatchOwner {
  /** As of what is applied here, this node among them if it votes. */
  readonly voters: readonly NodeId[];
  /** All other members. */
  readonly others: readonly NodeId[];
  clockIsOff(off: boolean): void;
  /** All that answer have been asked. */
  asked(): void;
}

type PeerWatchParts = Pick<NodeParts, "nodeName" | "clock" | "limits" | "observer">;
/** The time is of the newest answer that came soon enough to tell it. */
type Measure = { readonly aheadMs: number; readonly takenAt: number };

export class PeerWatch {
  readonly #parts: PeerWatchParts;
  readonly #calls: PeerCalls;
  readonly #owner: PeerWatchOwner;
  /** By node: how far its clock is ahead of this one. */
  readonly #measures = new Map<NodeId, Measure>();
  readonly #levels = new Map<NodeId, number>();
  readonly #rounds: Rounds;
  #off = false;

  constructor(parts: PeerWatchParts, calls: PeerCalls, owner: PeerWatchOwner) {
    this.#parts = parts;
    this.#calls = calls;
    this.#owner = owner;
    this.#rounds = new Rounds(parts.clock, {
      everyMs: parts.limits.factsEveryMs,
      work: () => this.#askAll(),
      failed: (error) => parts.observer.event("peer-watch-failed", { error: String(error) }),
    });
    calls.handle("facts", () => Promise.resolve([this.#tell()]));
  }

  start(): void {
    this.#rounds.start(0);
  }

  /** Resolves when what was begun has ended. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** How far another node's clock is ahead of this one's; undefined where it was not measured lately. */
  aheadMs(node: NodeId): number | undefined {
    const measure = this.#measures.get(node);
    const { clock, limits } = this.#parts;
    return measure !== undefined && clock.monotonic() - measure.takenAt <= limits.clockKeptMs
      ? measure.aheadMs
      : undefined;
  }

  /** The newest feature level that another node supports; undefined where it does not answer. */
  levelOf(node: NodeId): number | undefined {
    return this.#levels.get(node);
  }

  /** How far this node's clock is ahead of the voters' median. */
  get offMs(): number {
    const { nodeName } = this.#parts;
    const sorted = this.#owner.voters
      .map((node) => (node === nodeName ? 0 : (this.aheadMs(node) ?? 0)))
      .sort((a, b) => a - b);
    const [low = 0, high = 0] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
    // Of an even number the one that accuses less.
    return 0 - (Math.abs(low) < Math.abs(high) ? low : high);
  }

  async #askAll(): Promise<void> {
    const { limits, observer } = this.#parts;
    const { others } = this.#owner;
    for (const node of [...this.#measures.keys(), ...this.#levels.keys()]) {
      if (others.includes(node)) continue;
      this.#measures.delete(node);
      this.#levels.delete(node);
    }
    await Promise.all(others.map((node) => this.#measure(node)));
    if (this.#rounds.stopped) return;
    const { offMs } = this;
    const off = Math.abs(offMs) > limits.clockOffMsMax;
    if (off !== this.#off) observer.event(off ? "clock-off" : "clock-right", { aheadMs: Math.round(offMs) });
    this.#off = off;
    this.#owner.clockIsOff(off);
    this.#owner.asked();
  }

  async #measure(node: NodeId): Promise<void> {
    const { clock, limits } = this.#parts;
    const [askedAt, now] = [clock.monotonic(), clock.now()];
    const answer = await this.#calls.call(node, "facts", [], limits.factsAnswerMsMax);
    // It may come back as another version.
    if (!answer.ok) return void this.#levels.delete(node);
    const tookMs = clock.monotonic() - askedAt;
    const reader = new ByteReader(answer.value);
    const told = reader.int();
    const level = reader.varint();
    if (!reader.complete) return;
    this.#levels.set(node, level);
    if (tookMs > limits.clockAnswerMsMax) return;
    this.#measures.set(node, { aheadMs: told - (now + tookMs / 2), takenAt: clock.monotonic() });
  }

  #tell(): Uint8Array {
    return new ByteWriter()
      .int(Math.max(0, Math.round(this.#parts.clock.now())))
      .varint(FEATURE_LEVEL_NEWEST)
      .finish();
  }
}
