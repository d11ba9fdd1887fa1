/** Works on a queue with a handler, several records at a time: done is acknowledged, what throws is refused. */
import { messageOf } from "../../src/lib/thrown.ts";
import type { Deliveries } from "./deliveries.ts";
import type { Delivery } from "./delivery.ts";
import { asTidemarkError } from "../error.ts";

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
  const handling = new Set<Promise<unknown>>();
  /** What was handled and is being settled: the next take does not wait for it, within the same bound. */
  const settling = new Set<Promise<unknown>>();
  const deliveries = take(() => Math.max(1, concurrency - handling.size));
  const onAbort = (): void => void deliveries.stop();
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    for (;;) {
      while (handling.size >= concurrency) await Promise.race(handling);
      while (settling.size >= concurrency) await Promise.race(settling);
      const { done, value: delivery } = await deliveries.next();
      if (done === true) break;
      hold(
        handling,
        handle(delivery, handler, config).then((settle) => hold(settling, settle())),
      );
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await Promise.allSettled(handling);
    await Promise.allSettled(settling);
    await deliveries.close();
  }
}

function hold(held: Set<Promise<unknown>>, work: Promise<unknown>): void {
  const until = work.finally(() => held.delete(until));
  held.add(until);
}

/** Never rejects, and neither does what is left to do: what cannot be settled is given out again. */
async function handle(
  delivery: Delivery,
  handler: GroupHandler,
  { retryDelayMs, onError }: RunHandlerConfig,
): Promise<() => Promise<void>> {
  try {
    await handler(delivery);
  } catch (thrown) {
    onError?.(thrown, delivery);
    const reason = messageOf(thrown).slice(0, REASON_LENGTH_MAX).toWellFormed();
    const how = { reason, ...(retryDelayMs !== undefined && { delayMs: retryDelayMs }) };
    return async () => {
      if (!delivery.settled) await delivery.nack(how).catch(ignore);
    };
  }
  return async () => {
    if (!delivery.settled)
      await delivery.ack().catch((thrown: unknown) => onError?.(asTidemarkError(thrown), delivery));
  };
}
