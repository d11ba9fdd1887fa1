/**
 * Wakes idle subscriptions with pending work: proposes the wake, and only once that is applied starts what it leads to
 * outside. It looks whenever something was applied; what is due by time is brought about by the node's ticks.
 */
import type { Timer } from "../../../src/ports/clock.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import type { SubscriptionView } from "../../streams/views.ts";
import { batchOf } from "../body-batch.ts";
import type { HttpContext } from "../context.ts";
import type { SubscriptionConfig } from "./config.ts";
import { newWakeId } from "./wake-id.ts";
import { type DeliveryConfig, deliverWake } from "./webhook-sender.ts";

/** After a wake that could not be applied: a missing wake stream, a full disk. */
const REST_MS = 1_000;

export class WakeLoop {
  readonly #context: HttpContext;
  readonly #config: SubscriptionConfig;
  /** Being woken or delivered. At most `webhooksInFlightMax`. */
  readonly #busy = new Set<string>();
  /** Not to be tried again before its timer ends. At most as many as there are subscriptions. */
  readonly #resting = new Map<string, Timer>();
  readonly #closing = new AbortController();
  #stopListening: (() => void) | undefined;
  #lookDue = false;

  constructor(context: HttpContext, config: SubscriptionConfig) {
    this.#context = context;
    this.#config = config;
  }

  start(): void {
    this.#stopListening = this.#context.node.onApplied(() => this.#soon());
    this.#soon();
  }

  /** Ends deliveries under way; their leases run out, and they are made again after the next start. */
  stop(): void {
    this.#stopListening?.();
    this.#closing.abort(new Error("the server is closing"));
    for (const timer of this.#resting.values()) timer.cancel();
    this.#resting.clear();
  }

  /** Once a turn, however much is applied in it. */
  #soon(): void {
    if (this.#lookDue || this.#closing.signal.aborted) return;
    this.#lookDue = true;
    this.#context.node.clock.defer(() => {
      this.#lookDue = false;
      this.#look();
    });
  }

  #look(): void {
    const { node, limits } = this.#context;
    // Every node could, but one is enough; the leader hears first of what is due.
    if (this.#closing.signal.aborted || node.phase !== "serving" || !node.leads) return;
    // One that was told of keys leads another time.
    const { secrets } = this.#config;
    if (secrets === undefined) return;
    const config = { ...this.#config, secrets };
    for (const view of node.machine.wakeable()) {
      if (this.#busy.size >= limits.webhooksInFlightMax) return;
      if (this.#busy.has(view.id) || this.#resting.has(view.id)) continue;
      this.#busy.add(view.id);
      void this.#wake(config, view).finally(() => {
        this.#busy.delete(view.id);
        this.#soon();
      });
    }
  }

  async #wake(config: DeliveryConfig, view: SubscriptionView): Promise<void> {
    const { node } = this.#context;
    const generation = view.generation + 1;
    const wakeId = newWakeId(node.entropy);
    const batch = this.#wakeEvent(view, generation);
    try {
      const result = await node.propose({
        kind: "subscription-wake",
        id: view.id,
        generation,
        wakeId,
        ...(batch !== undefined && { batch }),
      });
      if (result.kind === "rejected") {
        // "fenced": someone else woke or claimed it meanwhile, which is as good.
        if (result.code !== "fenced") this.#rest(view.id, result.code);
        return;
      }
    } catch (error) {
      this.#rest(view.id, String(error));
      return;
    }
    const woken = node.machine.subscription(view.id);
    if (woken?.delivery.kind !== "webhook" || woken.phase.kind === "idle" || woken.phase.wakeId !== wakeId) return;
    await deliverWake(
      this.#context,
      config,
      { view: woken, url: woken.delivery.url, generation, wakeId },
      this.#closing.signal,
    );
  }

  /** What goes to the wake stream of a pull-wake subscription, in the same step as the wake (section 7.2). */
  #wakeEvent(view: SubscriptionView, generation: number): BatchRef | undefined {
    if (view.delivery.kind !== "pull-wake") return undefined;
    const stream = view.streams().find((link) => link.hasPending)?.stream ?? null;
    const event = { type: "wake", subscription_id: view.id, stream, generation, ts: this.#context.node.clock.now() };
    return batchOf([{ value: Buffer.from(JSON.stringify(event)) }]);
  }

  #rest(id: string, reason: string): void {
    this.#context.observer.event("wake-failed", { subscription: id, reason });
    if (this.#closing.signal.aborted) return;
    const timer = this.#context.node.clock.schedule(REST_MS, () => {
      this.#resting.delete(id);
      this.#soon();
    });
    this.#resting.set(id, timer);
  }
}
