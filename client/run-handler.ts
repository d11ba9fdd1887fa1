/** Works on a queue with a handler, several records at a time: done is acknowledged, what throws is refused. */
import type { Deliveries } from "./deliveries.ts";
import type { Delivery } from "./delivery.ts";
import { asTidemarkError } from "./error.ts";

/** A delivery that the handler has not settled itself is acknowledged when it returns. */
export type GroupHandler = (delivery: Delivery) => Promise<void> | void;

export type RunHandlerConfig = {
  readonly concurrency: number;
  /** How long what threw rests; undefined: as the group has it. */
  readonly retryDelayMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onError: ((error: unknown, delivery: Delivery) => void) | undefined;
};

/** A group takes 256 bytes of a reason, and a UTF-16 code unit has three at most: what is longer is cut. */
const REASON_LENGTH_MAX = 80;

function ignore(): void {}

/**
 * Resolves when the signal fires, once those under way are handled. `take` is asked for no more than may be handled at once.
 */
export async function runHandler(
  take: (room: () => number) => Deliveries,
  handler: GroupHandler,
  config: RunHandlerConfig,
): Promise<void> {
  const { concurrency, signal } = config;
  const underWay = new Set<Promise<void>>();
  const deliveries = take(() => Math.max(1, concurrency - underWay.size));
  const onAbort = (): void => void deliveries.stop();
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    for (;;) {
      while (underWay.size >= concurrency) await Promise.race(underWay);
      const { done, value: delivery } = await deliveries.next();
      if (done === true) break;
      const work = handle(delivery, handler, config).finally(() => underWay.delete(work));
      underWay.add(work);
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await Promise.all(underWay);
    await deliveries.close();
  }
}

/** Never rejects: what cannot be settled is given out again. */
async function handle(
  delivery: Delivery,
  handler: GroupHandler,
  { retryDelayMs, onError }: RunHandlerConfig,
): Promise<void> {
  try {
    await handler(delivery);
  } catch (thrown) {
    onError?.(thrown, delivery);
    if (delivery.settled) return;
    const reason = (thrown instanceof Error ? thrown.message : String(thrown))
      .slice(0, REASON_LENGTH_MAX)
      .toWellFormed();
    await delivery.nack({ reason, ...(retryDelayMs !== undefined && { delayMs: retryDelayMs }) }).catch(ignore);
    return;
  }
  if (delivery.settled) return;
  await delivery.ack().catch((thrown: unknown) => onError?.(asTidemarkError(thrown), delivery));
}
