/** What delivering wakes needs from outside: keys, secrets, and how free webhooks are. */
import type { Secrets } from "./secrets.ts";
import type { Resolve, WebhookPolicy } from "./url-policy.ts";

export type SubscriptionConfig = {
  readonly secrets: Secrets;
  readonly policy: WebhookPolicy;
  /** How host names become addresses; by DNS unless given. */
  readonly resolve?: Resolve;
};
