/**
 * The state, in memory: the entities and the ways to find them. Whatever is not in a row is found again from the rows.
 * Nothing here decides by the order of a Map or Set: after a restore it may be another.
 */
import type { StreamName } from "../../src/wire/command.ts";
import { AppTable } from "./apps/app-table.ts";
import { ConfigurationRow, type MemberRow } from "./cluster-members.ts";
import type { Cursor } from "./cursor.ts";
import { Deadlines } from "./deadlines.ts";
import { FeatureLevelRow } from "./feature-level.ts";
import type { FormerDiskRow } from "./former-disks.ts";
import { GroupTable } from "./groups/group-table.ts";
import type { StreamsLimits } from "./limits.ts";
import { NameOrder } from "./name-order.ts";
import { PositionRow } from "./position-row.ts";
import { compareProducers, type Producer } from "./producer.ts";
import { RowLedger } from "./row-ledger.ts";
import type { Stream } from "./stream.ts";
import { SubscriptionTable } from "./subscriptions/subscription-table.ts";

/** Content types kept once for all streams that have them; more are kept with each. */
const SHARED_TEXTS_MAX = 1_024;

export class State {
  readonly limits: StreamsLimits;
  readonly ledger = new RowLedger();
  readonly position = new PositionRow();

  readonly streams = new Map<number, Stream>();
  /** Soft-deleted streams too: their names are taken. */
  readonly names = new Map<StreamName, Stream>();
  /** The same names, sorted. */
  readonly nameOrder = new NameOrder();
  readonly expiries = new Deadlines<Stream>((a, b) => a.id - b.id);
  /** Soft-deleted and no longer needed by any fork: removed as soon as an entry has room for it. */
  readonly doomed = new Set<Stream>();
  /** With retention settings. */
  readonly retained = new Set<Stream>();

  readonly producerExpiries = new Deadlines<Producer>(compareProducers);
  producerCount = 0;

  readonly configuration = new ConfigurationRow();
  readonly members = new Map<string, MemberRow>();
  readonly formerDisks = new Map<string, FormerDiskRow>();
  readonly featureLevel = new FeatureLevelRow();
  /** Counts their changes since the start, for whoever follows them; no part of the state. */
  memberChanges = 0;
  readonly cursors = new Map<string, Cursor>();
  readonly subscriptions: SubscriptionTable;
  readonly groups: GroupTable;
  readonly apps: AppTable;
  readonly #texts = new Map<string, string>();

  constructor(limits: StreamsLimits) {
    this.limits = limits;
    this.subscriptions = new SubscriptionTable(this.ledger, limits);
    this.groups = new GroupTable(this.ledger, limits);
    this.apps = new AppTable(this.ledger);
  }

  /** The same text, stored once. */
  shared(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size < SHARED_TEXTS_MAX) this.#texts.set(text, text);
    return text;
  }
}
