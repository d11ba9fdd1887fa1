/** Commands by which subscriptions wake workers and are served by them (Durable Streams, section 7): wake, claim, ack, release, failure. */
import { utf8 } from "../../../src/lib/bytes.ts";
import type {
  CommandResult,
  Rejection,
  SubscriptionAckCommand,
  SubscriptionClaimCommand,
  SubscriptionFailedCommand,
  SubscriptionReleaseCommand,
  SubscriptionWakeCommand,
} from "../../../src/wire/command.ts";
import { batchRefusal, openFor } from "../append-records.ts";
import { writeRefusal } from "../apps/app-streams.ts";
import { unknownSubscription } from "./manage-subscription.ts";
import { reject, tooMany } from "../rejections.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import { growStream } from "../stream-lifecycle.ts";
import { IDLE, type Subscription } from "./subscription.ts";
import type { Link } from "./link.ts";

/** Whose lease a webhook's is. */
const WEBHOOK_HOLDER = "webhook";

type Fence = { readonly generation: number; readonly wakeId: string };

/** A lease that is over leaves the subscription idle; what is pending wakes it again. */
export function endLease(state: State, step: Step, subscription: Subscription): void {
  const { phase } = subscription;
  if (phase.kind !== "leased" || phase.untilMs > step.logTime) return;
  becomeIdle(state, step, subscription);
}

function becomeIdle(state: State, step: Step, subscription: Subscription): void {
  subscription.phase = IDLE;
  state.ledger.touch(subscription);
  state.subscriptions.refresh(subscription, step);
}

function lease(state: State, step: Step, subscription: Subscription, wakeId: string, holder: string): void {
  const untilMs = Math.min(step.logTime + subscription.identity.leaseMs, Number.MAX_SAFE_INTEGER);
  subscription.phase = { kind: "leased", wakeId, holder, untilMs };
  state.ledger.touch(subscription);
  state.subscriptions.refresh(subscription, step);
}

export function wakeSubscription(state: State, step: Step, command: SubscriptionWakeCommand): CommandResult {
  const subscription = state.subscriptions.get(command.id);
  if (subscription === undefined) return unknownSubscription(command.id);
  const refusal = wakeRefusal(state, step, subscription, command);
  if (refusal !== undefined) return refusal;
  const { delivery } = subscription.identity;
  if (delivery.kind === "pull-wake") {
    const stream = openFor(state, step, { stream: delivery.wakeStream });
    if ("kind" in stream) return stream;
    if (stream.closed) return reject("stream-closed", `the wake stream "${stream.name}" is closed`);
    const unwritable = batchRefusal(command.batch, stream.nextOffset) ?? writeRefusal(state, step, stream.name);
    if (unwritable !== undefined) return unwritable;
    growStream(state, step, stream, command.batch, false);
  }
  subscription.generation = command.generation;
  subscription.retryAtMs = undefined;
  if (delivery.kind === "pull-wake") {
    subscription.phase = { kind: "woken", wakeId: command.wakeId };
    state.ledger.touch(subscription);
    state.subscriptions.refresh(subscription, step);
  } else {
    lease(state, step, subscription, command.wakeId, WEBHOOK_HOLDER);
  }
  return { kind: "done" };
}

function wakeRefusal(
  state: State,
  step: Step,
  subscription: Subscription,
  command: SubscriptionWakeCommand,
): Rejection | undefined {
  const needsBatch = subscription.identity.delivery.kind === "pull-wake";
  if (needsBatch !== (command.batch !== undefined)) {
    return reject("malformed-command", "a wake has a wake event for a wake stream, and only then");
  }
  if (!subscription.isReady(step.logTime))
    return fenced(subscription, "it is at work, or nothing is pending, or its retry is later");
  if (command.generation !== subscription.generation + 1)
    return fenced(subscription, "the wake's generation is not the next");
  return wakeIdRefusal(state, command.wakeId);
}

/** A worker may claim whether or not it has seen the wake event: an idle subscription then gets a new generation. */
export function claimSubscription(state: State, step: Step, command: SubscriptionClaimCommand): CommandResult {
  const subscription = state.subscriptions.get(command.id);
  if (subscription === undefined) return unknownSubscription(command.id);
  const { limits } = state;
  const { identity, phase } = subscription;
  if (identity.delivery.kind !== "pull-wake")
    return reject("invalid-subscription", "only pull-wake subscriptions are claimed");
  if (command.worker === "" || utf8(command.worker).length > limits.workerBytesMax) {
    return reject("invalid-subscription", `a worker's name has between 1 and ${limits.workerBytesMax} bytes`);
  }
  const refusal = wakeIdRefusal(state, command.wakeId);
  if (refusal !== undefined) return refusal;
  if (phase.kind === "leased") {
    const message = `"${phase.holder}" holds the lease`;
    return reject("already-claimed", message, { holder: phase.holder, generation: subscription.generation });
  }
  if (phase.kind === "idle") subscription.generation += 1;
  const wakeId = phase.kind === "woken" ? phase.wakeId : command.wakeId;
  lease(state, step, subscription, wakeId, command.worker);
  return { kind: "subscription-claimed", generation: subscription.generation, wakeId, leaseMs: identity.leaseMs };
}

/** Acks move cursors forward only. What is not linked any more, or is an earlier stream of the name, is passed over. */
export function ackSubscription(state: State, step: Step, command: SubscriptionAckCommand): CommandResult {
  const subscription = state.subscriptions.get(command.id);
  if (subscription === undefined) return unknownSubscription(command.id);
  const { phase } = subscription;
  if (phase.kind !== "leased" || !isCurrent(subscription, phase.wakeId, command)) {
    return fenced(subscription, "its generation or wake is over");
  }
  if (command.acks.length > state.limits.acksMax) return tooMany("acks", state.limits.acksMax);
  const moves: { readonly link: Link; readonly offset: number }[] = [];
  for (const { stream: name, incarnation, offset } of command.acks) {
    const stream = state.names.get(name);
    const link = stream && subscription.links.get(stream);
    if (stream === undefined || link === undefined || incarnation !== stream.incarnation) continue;
    if (offset > stream.nextOffset) return reject("malformed-offset", `the ack is past the end of "${name}"`);
    moves.push({ link, offset });
  }
  for (const { link, offset } of moves) state.subscriptions.ack(link, offset);
  subscription.failures = 0;
  subscription.retryAtMs = undefined;
  if (command.done) becomeIdle(state, step, subscription);
  else lease(state, step, subscription, phase.wakeId, phase.holder);
  return { kind: "subscription-acked", nextWake: command.done && subscription.pendingLinks > 0 };
}

export function releaseSubscription(state: State, step: Step, command: SubscriptionReleaseCommand): CommandResult {
  const subscription = state.subscriptions.get(command.id);
  if (subscription === undefined) return unknownSubscription(command.id);
  const { phase } = subscription;
  if (phase.kind !== "leased" || !isCurrent(subscription, phase.wakeId, command)) {
    return fenced(subscription, "its generation or wake is over");
  }
  becomeIdle(state, step, subscription);
  return { kind: "done" };
}

export function failSubscription(state: State, step: Step, command: SubscriptionFailedCommand): CommandResult {
  const subscription = state.subscriptions.get(command.id);
  if (subscription === undefined) return unknownSubscription(command.id);
  const { phase } = subscription;
  if (phase.kind !== "leased" || !isCurrent(subscription, phase.wakeId, command)) {
    return fenced(subscription, "its generation or wake is over");
  }
  subscription.failures += 1;
  subscription.retryAtMs = command.retryAtMs;
  becomeIdle(state, step, subscription);
  return { kind: "done" };
}

function isCurrent(subscription: Subscription, wakeId: string, fence: Fence): boolean {
  return fence.generation === subscription.generation && fence.wakeId === wakeId;
}

function fenced(subscription: Subscription, message: string): Rejection {
  return reject("fenced", `the subscription "${subscription.id}" refuses: ${message}`, {
    generation: subscription.generation,
  });
}

function wakeIdRefusal(state: State, wakeId: string): Rejection | undefined {
  const { wakeIdBytesMax } = state.limits;
  if (wakeId !== "" && utf8(wakeId).length <= wakeIdBytesMax) return undefined;
  return reject("malformed-command", `a wake's id has between 1 and ${wakeIdBytesMax} bytes`);
}
