/** Commands that make, end and change subscriptions (Durable Streams, section 6). */
import { utf8 } from "../../../src/lib/bytes.ts";
import type {
  CommandResult,
  Rejection,
  StreamName,
  SubscriptionCreateCommand,
  SubscriptionDeleteCommand,
  SubscriptionLinkCommand,
  SubscriptionUnlinkCommand,
} from "../../../src/wire/command.ts";
import { checkStreamName } from "../../../src/wire/stream-name.ts";
import { checkPattern } from "../glob.ts";
import { reject, tooMany } from "../rejections.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import type { Stream } from "../stream.ts";
import { hashConfig, Subscription } from "./subscription.ts";

/** Existing streams are linked at their tails: a new subscription replays nothing. */
export function createSubscription(state: State, step: Step, command: SubscriptionCreateCommand): CommandResult {
  const streams = [...new Set(command.streams)].sort();
  const configHash = hashConfig(command, streams);
  const existing = state.subscriptions.get(command.id);
  if (existing !== undefined) {
    if (existing.identity.configHash === configHash) return { kind: "subscription-created", created: false };
    return reject("subscription-exists", `the subscription "${command.id}" exists with another configuration`);
  }
  const refusal = createRefusal(state, command, streams);
  if (refusal !== undefined) return refusal;

  const { id, delivery, pattern, leaseMs, description } = command;
  const createdAtMs = step.logTime;
  const subscription = new Subscription({ id, delivery, pattern, leaseMs, description, configHash, createdAtMs });
  // It is added only if all that it follows finds a place: a refusal leaves nothing behind.
  const matching = matchingStreams(state, step, subscription, streams);
  if (!state.subscriptions.hasRoom(subscription, matching.length)) {
    return tooMany("streams linked to one subscription", state.limits.linksPerSubscriptionMax);
  }
  state.subscriptions.add(subscription);
  state.ledger.put(subscription);
  for (const name of streams) state.ledger.put(state.subscriptions.addExplicit(subscription, name));
  for (const stream of matching) state.subscriptions.link(subscription, stream, stream.nextOffset);
  step.subscriptionsChanged = true;
  return { kind: "subscription-created", created: true };
}

export function deleteSubscription(state: State, step: Step, command: SubscriptionDeleteCommand): CommandResult {
  const subscription = state.subscriptions.get(command.id);
  if (subscription === undefined) return unknownSubscription(command.id);
  state.subscriptions.remove(subscription);
  step.subscriptionsChanged = true;
  return { kind: "done" };
}

export function linkStreams(state: State, step: Step, command: SubscriptionLinkCommand): CommandResult {
  const subscription = state.subscriptions.get(command.id);
  if (subscription === undefined) return unknownSubscription(command.id);
  const names = [...new Set(command.streams)].filter((name) => !subscription.explicit.has(name)).sort();
  const refusal =
    namesRefusal(subscription, names) ?? explicitRefusal(state, subscription.explicit.size + names.length);
  if (refusal !== undefined) return refusal;
  const streams = names.map((name) => liveStream(state, step, name)).filter((stream) => stream !== undefined);
  const unlinked = streams.filter((stream) => !subscription.links.has(stream));
  if (!state.subscriptions.hasRoom(subscription, unlinked.length)) {
    return tooMany("streams linked to one subscription", state.limits.linksPerSubscriptionMax);
  }
  for (const name of names) state.ledger.put(state.subscriptions.addExplicit(subscription, name));
  for (const stream of unlinked) state.subscriptions.link(subscription, stream, stream.nextOffset);
  step.subscriptionsChanged = true;
  return { kind: "done" };
}

/** Only the explicit link goes: what the pattern matches stays linked. */
export function unlinkStream(state: State, step: Step, command: SubscriptionUnlinkCommand): CommandResult {
  const subscription = state.subscriptions.get(command.id);
  if (subscription === undefined) return unknownSubscription(command.id);
  if (!subscription.explicit.has(command.stream)) return { kind: "done" };
  state.subscriptions.removeExplicit(subscription, command.stream);
  const stream = state.names.get(command.stream);
  const link = stream && subscription.links.get(stream);
  if (link !== undefined && !subscription.wants(command.stream)) state.subscriptions.removeLink(link);
  state.subscriptions.refresh(subscription, step);
  return { kind: "done" };
}

export function unknownSubscription(id: string): Rejection {
  return reject("subscription-not-found", `there is no subscription "${id}"`);
}

/** A stream that is past its time is linked to nothing. */
function liveStream(state: State, step: Step, name: StreamName): Stream | undefined {
  const stream = state.names.get(name);
  return stream === undefined || stream.deleted || stream.isDue(step.logTime) ? undefined : stream;
}

function matchingStreams(
  state: State,
  step: Step,
  subscription: Subscription,
  explicit: readonly StreamName[],
): readonly Stream[] {
  const matching = new Set<Stream>();
  for (const name of explicit) {
    const stream = liveStream(state, step, name);
    if (stream !== undefined) matching.add(stream);
  }
  if (subscription.glob === undefined) return [...matching];
  for (const name of state.names.keys()) {
    if (!subscription.wants(name)) continue;
    const stream = liveStream(state, step, name);
    if (stream !== undefined) matching.add(stream);
  }
  return [...matching];
}

function createRefusal(
  state: State,
  command: SubscriptionCreateCommand,
  streams: readonly StreamName[],
): Rejection | undefined {
  const { limits } = state;
  const { id, delivery, pattern, leaseMs, description } = command;
  if (id === "" || utf8(id).length > limits.subscriptionIdBytesMax) {
    return invalid(`a subscription's id has between 1 and ${limits.subscriptionIdBytesMax} bytes`);
  }
  if (pattern === undefined && streams.length === 0) return invalid("a subscription has a pattern, or streams");
  if (leaseMs < limits.leaseMsMin || leaseMs > limits.leaseMsMax) {
    return invalid(`a lease is between ${limits.leaseMsMin} and ${limits.leaseMsMax} ms`);
  }
  if (description !== undefined && utf8(description).length > limits.descriptionBytesMax) {
    return invalid(`a description has at most ${limits.descriptionBytesMax} bytes`);
  }
  if (delivery.kind === "webhook" && utf8(delivery.url).length > limits.webhookUrlBytesMax) {
    return invalid(`a webhook's URL has at most ${limits.webhookUrlBytesMax} bytes`);
  }
  if (delivery.kind === "pull-wake") {
    if (!checkStreamName(delivery.wakeStream).ok) return invalid("the wake stream's name is not allowed");
    if (streams.includes(delivery.wakeStream)) return invalid("a subscription cannot follow its own wake stream");
  }
  if (pattern !== undefined) {
    const checked = checkPattern(pattern, limits);
    if (!checked.ok) return invalid(checked.error);
  }
  for (const name of streams) if (!checkStreamName(name).ok) return invalid(`the stream name "${name}" is not allowed`);
  if (state.subscriptions.count >= limits.subscriptionsMax) return tooMany("subscriptions", limits.subscriptionsMax);
  return explicitRefusal(state, streams.length);
}

function namesRefusal(subscription: Subscription, names: readonly StreamName[]): Rejection | undefined {
  const { delivery } = subscription.identity;
  for (const name of names) {
    if (!checkStreamName(name).ok) return invalid(`the stream name "${name}" is not allowed`);
    if (delivery.kind === "pull-wake" && delivery.wakeStream === name) {
      return invalid("a subscription cannot follow its own wake stream");
    }
  }
  return undefined;
}

function explicitRefusal(state: State, count: number): Rejection | undefined {
  const { explicitStreamsMax } = state.limits;
  return count > explicitStreamsMax ? tooMany("explicit streams of one subscription", explicitStreamsMax) : undefined;
}

function invalid(message: string): Rejection {
  return reject("invalid-subscription", message);
}
