/**
 * What a leader knows of one follower, and how it feeds it. The flow is a union, each state with its own fields only:
 *
 *     probe      one message at a time, until it is known where the logs agree
 *     replicate  a stream of messages, bounded by what is under way
 *     snapshot   nothing but a snapshot helps; entries go on where that ends
 */
import type { LogIndex } from "../../src/wire/entry.ts";
import { Inflights } from "./inflights.ts";
import type { RaftLimits } from "./limits.ts";
import type { NodeId } from "./types.ts";

export type Flow =
  | {
      readonly kind: "probe";
      /** The entry to send next. */
      next: LogIndex;
      /** A message is under way; an answer, or the next heartbeat's, lets another one go. */
      paused: boolean;
      /** The disk is read for it; answers to other fetches are stale. */
      fetch: number | undefined;
    }
  | {
      readonly kind: "replicate";
      next: LogIndex;
      readonly inflights: Inflights;
      fetch: number | undefined;
      /** What it was last told is committed. */
      told: LogIndex;
    }
  | { readonly kind: "snapshot"; readonly id: number };

export class Progress {
  readonly id: NodeId;
  /** Everything to here is durable there, and as it is here. */
  match: LogIndex = 0;
  /** The newest heartbeat round it has answered. */
  round = 0;
  /** Ticks since it was last heard. */
  silentTicks = 0;
  /** Ticks for which it has had all that was committed. */
  caughtUpTicks = 0;
  /** It is not to lead, by its own word. */
  standsBack = false;
  flow: Flow;

  constructor(id: NodeId, next: LogIndex) {
    this.id = id;
    this.flow = { kind: "probe", next, paused: false, fetch: undefined };
  }

  probe(next: LogIndex): void {
    this.flow = { kind: "probe", next: Math.max(next, this.match + 1), paused: false, fetch: undefined };
  }

  replicate(limits: RaftLimits): void {
    const inflights = new Inflights(limits);
    this.flow = { kind: "replicate", next: this.match + 1, inflights, fetch: undefined, told: 0 };
  }

  needSnapshot(id: number): void {
    this.flow = { kind: "snapshot", id };
  }

  /** It has everything to `index`. True if that was news. */
  accepted(index: LogIndex): boolean {
    const news = index > this.match;
    if (news) this.match = index;
    if (this.flow.kind === "replicate") {
      this.flow.inflights.freeTo(index);
      this.flow.next = Math.max(this.flow.next, index + 1);
    }
    return news;
  }
}
