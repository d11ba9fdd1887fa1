/**
 * All subscriptions: which streams each is linked to, which have something pending, and which are ready to be woken.
 * An append costs a look at the links that were caught up, and at no others.
 */
import { assert } from "../../../src/lib/assert.ts";
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import { Deadlines } from "../deadlines.ts";
import { ExplicitStream } from "./explicit-stream.ts";
import type { StreamsLimits } from "../limits.ts";
import { Link } from "./link.ts";
import type { RowLedger } from "../row-ledger.ts";
import type { Step } from "../step.ts";
import type { Stream } from "../stream.ts";
import type { Subscription } from "./subscription.ts";

function byId(a: Subscription, b: Subscription): number {
  return a.id < b.id ? -1 : Number(a.id > b.id);
}

export class SubscriptionTable {
  readonly #ledger: RowLedger;
  readonly #limits: StreamsLimits;
  readonly #byId = new Map<string, Subscription>();
  /** Sorted by id: who finds a place when places are few must not depend on history (I10). */
  readonly #sorted: Subscription[] = [];
  readonly #byExplicitName = new Map<StreamName, Set<Subscription>>();
  /** How many subscriptions write their wake events to it. */
  readonly #wakeStreams = new Map<StreamName, number>();
  readonly #ready = new Set<Subscription>();
  #linkCount = 0;
  /** Ends of leases and times of retries. */
  readonly deadlines = new Deadlines<Subscription>(byId);

  constructor(ledger: RowLedger, limits: StreamsLimits) {
    this.#ledger = ledger;
    this.#limits = limits;
  }

  get count(): number {
    return this.#sorted.length;
  }

  get linkCount(): number {
    return this.#linkCount;
  }

  get(id: string): Subscription | undefined {
    return this.#byId.get(id);
  }

  all(): readonly Subscription[] {
    return this.#sorted;
  }

  ready(): readonly Subscription[] {
    return [...this.#ready].sort(byId);
  }

  isWakeStream(name: StreamName): boolean {
    return this.#wakeStreams.has(name);
  }

  add(subscription: Subscription): void {
    this.#byId.set(subscription.id, subscription);
    this.#sorted.splice(this.#placeOf(subscription), 0, subscription);
    const { delivery } = subscription.identity;
    if (delivery.kind !== "pull-wake") return;
    this.#wakeStreams.set(delivery.wakeStream, (this.#wakeStreams.get(delivery.wakeStream) ?? 0) + 1);
  }

  remove(subscription: Subscription): void {
    for (const link of [...subscription.links.values()]) this.removeLink(link);
    for (const name of [...subscription.explicit.keys()]) this.removeExplicit(subscription, name);
    this.deadlines.cancel(subscription.deadline);
    this.#ready.delete(subscription);
    this.#byId.delete(subscription.id);
    this.#sorted.splice(this.#placeOf(subscription), 1);
    this.#ledger.remove(subscription);
    const { delivery } = subscription.identity;
    if (delivery.kind !== "pull-wake") return;
    const others = (this.#wakeStreams.get(delivery.wakeStream) ?? 1) - 1;
    if (others === 0) this.#wakeStreams.delete(delivery.wakeStream);
    else this.#wakeStreams.set(delivery.wakeStream, others);
  }

  addExplicit(subscription: Subscription, name: StreamName): ExplicitStream {
    const explicit = new ExplicitStream(subscription, name);
    subscription.explicit.set(name, explicit);
    const named = this.#byExplicitName.get(name);
    if (named === undefined) this.#byExplicitName.set(name, new Set([subscription]));
    else named.add(subscription);
    return explicit;
  }

  removeExplicit(subscription: Subscription, name: StreamName): void {
    const explicit = subscription.explicit.get(name);
    if (explicit === undefined) return;
    subscription.explicit.delete(name);
    this.#ledger.remove(explicit);
    const named = this.#byExplicitName.get(name);
    named?.delete(subscription);
    if (named?.size === 0) this.#byExplicitName.delete(name);
  }

  hasRoom(subscription: Subscription, links = 1): boolean {
    return (
      subscription.links.size + links <= this.#limits.linksPerSubscriptionMax &&
      this.#linkCount + links <= this.#limits.linksMax
    );
  }

  /** Makes a link whose row is not known yet. */
  link(subscription: Subscription, stream: Stream, acked: Offset): Link {
    const link = new Link(subscription, stream, acked);
    this.insertLink(link);
    this.#ledger.put(link);
    return link;
  }

  insertLink(link: Link): void {
    const { subscription, stream } = link;
    assert(!subscription.links.has(stream), "a subscription has one link to a stream");
    subscription.links.set(stream, link);
    stream.links ??= new Set();
    stream.links.add(link);
    this.#linkCount += 1;
    if (link.isPending) subscription.pendingLinks += 1;
    else this.#caughtUp(link);
  }

  removeLink(link: Link): void {
    const { subscription, stream } = link;
    subscription.links.delete(stream);
    stream.links?.delete(link);
    if (stream.links?.size === 0) stream.links = undefined;
    if (!this.#leaveCaughtUp(link)) subscription.pendingLinks -= 1;
    this.#linkCount -= 1;
    this.#ledger.remove(link);
  }

  /** A new stream, still empty of own records: whoever wants it is linked before its first append. */
  linkNewStream(stream: Stream, step: Step): void {
    if (this.#sorted.length === 0) return;
    if (this.isWakeStream(stream.name)) step.subscriptionsChanged = true;
    for (const subscription of this.#sorted) {
      if (!subscription.wants(stream.name)) continue;
      step.subscriptionsChanged = true;
      if (this.hasRoom(subscription)) {
        const link = this.link(subscription, stream, stream.nextOffset);
        step.journal?.record(() => this.removeLink(link));
      } else {
        subscription.unlinked += 1;
        this.#ledger.touch(subscription);
        step.journal?.record(() => (subscription.unlinked -= 1));
      }
    }
  }

  /** The stream ended: nobody follows it any more. */
  unlinkStream(stream: Stream, step: Step): void {
    if (stream.links === undefined) return;
    for (const link of [...stream.links]) {
      this.removeLink(link);
      this.refresh(link.subscription, step);
      step.journal?.record(() => {
        this.insertLink(link);
        this.#ledger.put(link);
        this.refresh(link.subscription, step);
      });
    }
  }

  /** The stream has grown: those who had seen all of it have something pending. */
  grown(stream: Stream, step: Step): void {
    const { caughtUp } = stream;
    if (caughtUp === undefined) return;
    stream.caughtUp = undefined;
    for (const link of caughtUp) {
      link.subscription.pendingLinks += 1;
      this.refresh(link.subscription, step);
    }
    step.journal?.record(() => {
      stream.caughtUp = caughtUp;
      for (const link of caughtUp) {
        link.subscription.pendingLinks -= 1;
        this.refresh(link.subscription, step);
      }
    });
  }

  ack(link: Link, offset: Offset): void {
    if (offset <= link.acked) return;
    link.acked = offset;
    this.#ledger.touch(link);
    if (link.isPending) return;
    link.subscription.pendingLinks -= 1;
    this.#caughtUp(link);
  }

  /** After every change of what decides whether it can be woken. */
  refresh(subscription: Subscription, step: Step): void {
    step.subscriptionsChanged = true;
    this.settle(subscription, step.logTime);
  }

  settle(subscription: Subscription, logTime: number): void {
    const { phase, retryAtMs } = subscription;
    if (subscription.isReady(logTime)) this.#ready.add(subscription);
    else this.#ready.delete(subscription);
    const due = phase.kind === "leased" ? phase.untilMs : retryAtMs;
    const waits = phase.kind === "leased" || (phase.kind === "idle" && due !== undefined && due > logTime);
    if (waits && due !== undefined) this.deadlines.set(subscription.deadline, due);
    else this.deadlines.cancel(subscription.deadline);
  }

  #caughtUp(link: Link): void {
    link.stream.caughtUp ??= new Set();
    link.stream.caughtUp.add(link);
  }

  #leaveCaughtUp(link: Link): boolean {
    const { stream } = link;
    const was = stream.caughtUp?.delete(link) ?? false;
    if (stream.caughtUp?.size === 0) stream.caughtUp = undefined;
    return was;
  }

  #placeOf(subscription: Subscription): number {
    return firstNotBefore(this.#sorted, (other) => byId(other, subscription) < 0);
  }
}
