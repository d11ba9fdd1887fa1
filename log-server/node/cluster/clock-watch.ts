/**
 * Compares this node's wall clock with the other voters': the leader's stamps every entry with what it takes the time to be, so
 * one that is far from what most have does not stand for election (N50). Each is asked now and then, and counts half
 * of the way there and back; one that took too long to answer, or has not for a while, counts as being right.
 *
 * So a node stands back only if more than half of all voters, which it has heard lately, are all ahead of it or all behind.
 * These are a majority without it, and where most clocks are off alike they are the ones to go by.
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { Timer } from "../../../src/ports/clock.ts";
import type { NodeId } from "../../raft/types.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { NodeParts } from "../node-parts.ts";

export interface ClockOwner {
  /** As of what is applied here, this node among them if it votes. */
  readonly voters: readonly NodeId[];
  clockIsOff(off: boolean): void;
}

type ClockParts = Pick<NodeParts, "nodeName" | "clock" | "limits" | "observer">;
type Measure = { readonly aheadMs: number; readonly takenAt: number };

export class ClockWatch {
  readonly #parts: ClockParts;
  readonly #calls: PeerCalls;
  readonly #owner: ClockOwner;
  /** By voter: how far its clock is ahead of this one. */
  readonly #measures = new Map<NodeId, Measure>();
  #off = false;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: ClockParts, calls: PeerCalls, owner: ClockOwner) {
    this.#parts = parts;
    this.#calls = calls;
    this.#owner = owner;
    calls.handle("clock", () => Promise.resolve([this.#tell()]));
  }

  start(): void {
    void this.#round().finally(() => {
      if (this.#stopped) return;
      this.#timer = this.#parts.clock.schedule(this.#parts.limits.clockEveryMs, () => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** How far another node's clock is ahead of this one's; undefined where it was not measured lately. */
  aheadMs(node: NodeId): number | undefined {
    const measure = this.#measures.get(node);
    const { clock, limits } = this.#parts;
    return measure !== undefined && clock.monotonic() - measure.takenAt <= limits.clockKeptMs
      ? measure.aheadMs
      : undefined;
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

  async #round(): Promise<void> {
    const { nodeName, limits, observer } = this.#parts;
    const { voters } = this.#owner;
    for (const node of this.#measures.keys()) if (!voters.includes(node)) this.#measures.delete(node);
    await Promise.all(voters.filter((node) => node !== nodeName).map((node) => this.#measure(node)));
    if (this.#stopped) return;
    const { offMs } = this;
    const off = Math.abs(offMs) > limits.clockOffMsMax;
    if (off !== this.#off) observer.event(off ? "clock-off" : "clock-right", { aheadMs: Math.round(offMs) });
    this.#off = off;
    this.#owner.clockIsOff(off);
  }

  async #measure(node: NodeId): Promise<void> {
    const { clock, limits } = this.#parts;
    const [askedAt, now] = [clock.monotonic(), clock.now()];
    const answer = await this.#calls.call(node, "clock", [], limits.clockAnswerMsMax);
    const tookMs = clock.monotonic() - askedAt;
    if (!answer.ok || tookMs > limits.clockAnswerMsMax) return;
    const reader = new ByteReader(answer.value);
    const told = reader.int();
    if (!reader.complete) return;
    this.#measures.set(node, { aheadMs: told - (now + tookMs / 2), takenAt: clock.monotonic() });
  }

  #tell(): Uint8Array {
    return new ByteWriter().int(Math.max(0, Math.round(this.#parts.clock.now()))).finish();
  }
}
