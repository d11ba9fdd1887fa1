/**
 * Delivers one wake to its webhook (section 7.1), after the command that names its generation was applied, and puts
 * what came of it back into the log: an acknowledgement if the handler says it is done, a failure with the time of the
 * next attempt otherwise. Delivery is at least once; generations keep late answers harmless.
 */
import { text } from "../../../src/lib/bytes.ts";
import type { Command } from "../../../src/wire/command.ts";
import type { SubscriptionStreamView, SubscriptionView } from "../../streams/views.ts";
import type { HttpContext } from "../context.ts";
import { randomFraction } from "../random.ts";
import type { SubscriptionConfig } from "./config.ts";
import type { Secrets } from "./secrets.ts";
import { webhookSignature } from "./signing.ts";
import { shownStreams, streamsJson, SUBSCRIPTIONS_PATH } from "./subscription-json.ts";
import { issueToken } from "./tokens.ts";
import { checkWebhookUrl, resolveWebhook } from "./url-policy.ts";
import { sendWebhook } from "./webhook-request.ts";

export type Wake = {
  readonly view: SubscriptionView;
  readonly url: string;
  readonly generation: number;
  readonly wakeId: string;
};

/** Whoever delivers has something to sign with. */
export type DeliveryConfig = SubscriptionConfig & { readonly secrets: Secrets };

/** Of the backoff, in each direction. */
const JITTER = 0.2;
/** An attempt ends before its lease does, so that its failure is still counted. */
const LEASE_SHARE = 0.8;

/** Resolves when the outcome is in the log, or could not be put there. Never rejects. */
export async function deliverWake(
  context: HttpContext,
  config: DeliveryConfig,
  wake: Wake,
  closing: AbortSignal,
): Promise<void> {
  const streams = shownStreams(wake.view, context.limits.wakeStreamsMax);
  let done: boolean;
  try {
    done = await attempt(context, config, wake, streams, closing);
    context.observer.webhook("delivered");
  } catch (error) {
    if (closing.aborted) return;
    context.observer.webhook("failed");
    context.observer.event("webhook-failed", {
      subscription: wake.view.id,
      generation: wake.generation,
      error: String(error),
    });
    await propose(context, failed(context, wake));
    return;
  }
  if (done) await propose(context, acknowledgement(wake, streams));
}

/** Whether the handler is done already. Throws where the webhook was not delivered. */
async function attempt(
  context: HttpContext,
  config: DeliveryConfig,
  wake: Wake,
  streams: readonly SubscriptionStreamView[],
  closing: AbortSignal,
): Promise<boolean> {
  const { clock } = context.node;
  const { secrets, policy, resolve } = config;
  const url = checkWebhookUrl(wake.url, policy);
  if (!url.ok) throw new Error(`the webhook's address is not allowed: ${url.error}`);
  const controller = new AbortController();
  const timer = clock.schedule(Math.min(context.limits.webhookTimeoutMs, wake.view.leaseMs * LEASE_SHARE), () => {
    controller.abort(new Error("the webhook did not answer in time"));
  });
  const onClosing = (): void => controller.abort(closing.reason);
  closing.addEventListener("abort", onClosing, { once: true });
  try {
    const address = await resolveWebhook(url.value, policy, resolve);
    if (!address.ok) throw new Error(`the webhook's address is not allowed: ${address.error}`);
    const body = Buffer.from(JSON.stringify(notification(context, config, wake, streams)));
    const answer = await sendWebhook({
      url: url.value,
      address: address.value,
      headers: {
        "content-type": "application/json",
        "webhook-signature": webhookSignature(secrets.signingKey, clock.now(), body),
      },
      body,
      responseBytesMax: context.limits.webhookResponseBytesMax,
      signal: controller.signal,
    });
    if (answer.status < 200 || answer.status > 299)
      throw new Error(`the webhook answered with status ${answer.status}`);
    return saysDone(answer.body);
  } finally {
    timer.cancel();
    closing.removeEventListener("abort", onClosing);
  }
}

function notification(
  context: HttpContext,
  { secrets }: DeliveryConfig,
  { view, generation, wakeId }: Wake,
  streams: readonly SubscriptionStreamView[],
): unknown {
  return {
    subscription_id: view.id,
    wake_id: wakeId,
    generation,
    streams: streamsJson(streams),
    callback_url: `${context.publicUrl()}${SUBSCRIPTIONS_PATH}/${encodeURIComponent(view.id)}/callback`,
    callback_token: issueToken(
      secrets.tokenSecrets[0],
      { subscription: view.id, generation },
      context.node.clock.now(),
    ),
  };
}

function saysDone(body: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(text(body) ?? "");
    return typeof value === "object" && value !== null && "done" in value && value.done === true;
  } catch {
    return false;
  }
}

/** Everything that the handler was shown is processed. */
function acknowledgement({ view, generation, wakeId }: Wake, streams: readonly SubscriptionStreamView[]): Command {
  const acks = streams
    .filter((link) => link.hasPending)
    .map((link) => ({ stream: link.stream, incarnation: link.incarnation, offset: link.tailOffset }));
  return { kind: "subscription-ack", id: view.id, generation, wakeId, acks, done: true };
}

function failed(context: HttpContext, { view, generation, wakeId }: Wake): Command {
  const { webhookRetryFirstMs, webhookRetryMaxMs } = context.limits;
  const delayMs = Math.min(webhookRetryFirstMs * 2 ** Math.min(view.failures, 32), webhookRetryMaxMs);
  const jittered = delayMs * (1 + JITTER * (2 * randomFraction(context.node.entropy) - 1));
  const retryAtMs = Math.round(context.node.clock.now() + Math.min(jittered, webhookRetryMaxMs));
  return { kind: "subscription-failed", id: view.id, generation, wakeId, retryAtMs };
}

async function propose(context: HttpContext, command: Command): Promise<void> {
  try {
    // A refusal means that the wake is no longer current: its lease was over, and another is under way.
    await context.node.propose(command);
  } catch (error) {
    context.observer.event("webhook-outcome-lost", { command: command.kind, error: String(error) });
  }
}
