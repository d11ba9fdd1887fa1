/** What delivering wakes needs from outside: keys, secrets, and how free webhooks are. */
import type { Secrets } from "./secrets.ts";
import type { Resolve, WebhookPolicy } from "./url-policy.ts";

export type SubscriptionConfig = {
  /** Undefined: a node of a cluster was not told any, and its own would mean nothing to the others. */
  readonly secrets: Secrets | undefined;
  readonly policy: WebhookPolicy;
  /** How host names become addresses; by DNS unless given. */
  readonly resolve?: Resolve;
};
