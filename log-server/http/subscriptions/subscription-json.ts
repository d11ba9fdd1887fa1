/** Subscriptions as the protocol shows them (sections 6.3, 7.1 and 7.2). */
import { formatOffset } from "../../../src/record/offset.ts";
import type { SubscriptionStreamView, SubscriptionView } from "../../streams/views.ts";
import { STREAM_PREFIX } from "../stream-url.ts";
import type { SigningKey } from "./signing.ts";

export const SUBSCRIPTIONS_PATH: string = `${STREAM_PREFIX}__ds/subscriptions`;
export const JWKS_PATH: string = `${STREAM_PREFIX}__ds/jwks.json`;

export function subscriptionJson(
  view: SubscriptionView,
  key: SigningKey,
  publicUrl: string,
): Readonly<Record<string, unknown>> {
  const { delivery } = view;
  const signing = { alg: "ed25519", kid: key.jwk.kid, jwks_url: publicUrl + JWKS_PATH };
  return {
    id: view.id,
    subscription_id: view.id,
    type: delivery.kind,
    pattern: view.pattern ?? null,
    streams: view.streams().map((link) => ({
      path: link.stream,
      link_type: link.linkType,
      acked_offset: formatOffset(link.incarnation, link.ackedOffset),
    })),
    webhook: delivery.kind === "webhook" ? { url: delivery.url, signing } : null,
    wake_stream: delivery.kind === "pull-wake" ? delivery.wakeStream : null,
    lease_ttl_ms: view.leaseMs,
    created_at: new Date(view.createdAtMs).toISOString(),
    status: view.status,
    generation: view.generation,
    ...(view.retryAtMs !== undefined && { next_attempt_at: new Date(view.retryAtMs).toISOString() }),
    ...(view.unlinked > 0 && { unlinked_streams: view.unlinked }),
    description: view.description ?? null,
  };
}

/** The streams that a wake shows: all, or of very many those with something pending first. */
export function shownStreams(view: SubscriptionView, max: number): readonly SubscriptionStreamView[] {
  const streams = view.streams();
  if (streams.length <= max) return streams;
  const pending = streams.filter((link) => link.hasPending);
  return [...pending, ...streams.filter((link) => !link.hasPending)].slice(0, max);
}

/** The streams of a wake, with where each ends now. */
export function streamsJson(streams: readonly SubscriptionStreamView[]): readonly Readonly<Record<string, unknown>>[] {
  return streams.map((link) => ({
    path: link.stream,
    link_type: link.linkType,
    acked_offset: formatOffset(link.incarnation, link.ackedOffset),
    tail_offset: formatOffset(link.incarnation, link.tailOffset),
    has_pending: link.hasPending,
  }));
}
