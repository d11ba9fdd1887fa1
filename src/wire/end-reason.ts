/**
 * Why a subscription is over. `closed`: what it reads is closed, and everything there was sent. `unsubscribed`: as asked.
 * `slow`: the reader took nothing for too long. `stopping`: the server stops, or an operator has drained it: another goes on.
 */

/** Their places are their numbers on the wire. */
export const END_REASONS = ["closed", "unsubscribed", "slow", "stopping"] as const;

export type EndReason = (typeof END_REASONS)[number];
