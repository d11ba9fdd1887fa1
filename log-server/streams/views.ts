/**
 * What others see of the state machine: plain copies, true at the position they were taken at. They do not change
 * while their holder waits for something.
 */
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import type { CommandResult, Expiry, Retention, StreamName, SubscriptionDelivery } from "../../src/wire/command.ts";

/** Where a fork left its source. Offsets are the source's: nothing is translated. */
export type ForkedFrom = {
  readonly streamId: number;
  /** Records before this are the source's. */
  readonly offset: Offset;
  /** If not 0, the record at `offset` is this many leading bytes of the source's record there. */
  readonly partialBytes: number;
};

export type StreamView = {
  /** Dense from 1 in order of creation, never reused. */
  readonly id: number;
  readonly name: StreamName;
  readonly incarnation: Incarnation;
  readonly contentType: string;
  readonly expiry: Expiry;
  /** Log time at which it ends unless it is used before; absent without expiry. */
  readonly expiresAtMs?: number;
  readonly retention: Retention;
  /** The first record still retained: the frontier that trims move. */
  readonly firstOffset: Offset;
  readonly nextOffset: Offset;
  /** Its own records before this are compacted: only the newest of each key is sure to be there. */
  readonly compactedBefore: Offset;
  /** Never past `compactedBefore`: tombstones before this are gone, too. */
  readonly tombstonesBefore: Offset;
  readonly closed: boolean;
  /** Soft-deleted: gone for clients, kept because forks need its records. */
  readonly deleted: boolean;
  readonly createdAtMs: number;
  readonly forkedFrom?: ForkedFrom;
  /** The last `Stream-Seq`. */
  readonly lastSequence?: string;
  /** Forks that were made of it and still exist. */
  readonly forks: number;
};

/** A page of a listing, in order of names. */
export type StreamPage = {
  readonly streams: readonly StreamView[];
  /** The last name looked at, where more follow it: what the next page comes after. */
  readonly next?: StreamName;
};

/** Where records of a stream are stored: `[from, to)` of the stream that they were appended to. */
export type ReadRange = {
  readonly streamId: number;
  readonly from: Offset;
  readonly to: Offset;
  /** Only with one record in the range: this many leading bytes of it. */
  readonly partialBytes?: number;
};

export type SubscriptionStreamView = {
  readonly stream: StreamName;
  readonly linkType: "explicit" | "glob";
  /** Absent: named explicitly, but not created yet. */
  readonly streamId?: number;
  /** 0 if there is no such stream yet. */
  readonly incarnation: Incarnation;
  /** Everything before this is processed. */
  readonly ackedOffset: Offset;
  readonly tailOffset: Offset;
  readonly hasPending: boolean;
};

/** `woken`: a wake event is in the wake stream and nobody has claimed it. `leased`: a worker or webhook is at work. */
export type SubscriptionPhase =
  | { readonly kind: "idle" }
  | { readonly kind: "woken"; readonly wakeId: string }
  | { readonly kind: "leased"; readonly wakeId: string; readonly holder: string; readonly untilMs: number };

export type SubscriptionView = {
  readonly id: string;
  readonly delivery: SubscriptionDelivery;
  readonly pattern?: string;
  readonly leaseMs: number;
  readonly description?: string;
  readonly createdAtMs: number;
  /** Of the current wake, or of the last if it is idle; 0 before the first. */
  readonly generation: number;
  readonly phase: SubscriptionPhase;
  /** `failed`: the last webhook attempt failed, and a retry is scheduled. */
  readonly status: "active" | "failed";
  /** Failed attempts since the last success: what the next backoff is made from. */
  readonly failures: number;
  /** No wake before this log time; present while `failed`. */
  readonly retryAtMs?: number;
  readonly hasPending: boolean;
  /** Matching streams that were not linked because the subscription is full. */
  readonly unlinked: number;
  /** Sorted by name. Taken when called. */
  readonly streams: () => readonly SubscriptionStreamView[];
};

/** What became of a batch of the entry: where it lies, or that nobody will read it. */
export type BatchPlacement =
  | {
      readonly accepted: true;
      readonly streamId: number;
      readonly incarnation: Incarnation;
      readonly firstOffset: Offset;
      readonly span: number;
    }
  | { readonly accepted: false };

export type Applied = {
  /** One for each command. */
  readonly results: readonly CommandResult[];
  /** One for each batch of the entry, in order. */
  readonly placements: readonly BatchPlacement[];
  /** Ids of the streams whose tail, closure or existence changed: their readers are woken. */
  readonly changed: readonly number[];
  /** Something about subscriptions changed: look at `wakeable` again. */
  readonly subscriptionsChanged: boolean;
  /** Ids of groups in which a take may find more than before: who waits for that looks again. */
  readonly groupsReady: readonly string[];
};

/** A member of the cluster; an empty disk is not known yet. */
export type MemberView = { readonly node: string; readonly disk: string; readonly host: string; readonly port: number };
