/** What workers and webhook handlers send about one wake: acknowledgements, heartbeats, the end (section 7). */
import type { IncomingHttpHeaders } from "node:http";
import { parseOffset } from "../../../src/record/offset.ts";
import type { SubscriptionAck, SubscriptionAckCommand } from "../../../src/wire/command.ts";
import { bearerToken, unauthorized } from "../auth.ts";
import { HttpError } from "../http-error.ts";
import type { HttpLimits } from "../limits.ts";
import { invalid, type JsonObject, requiredInteger, requiredText, streamName } from "./create-input.ts";
import { asSubscriptionError } from "./subscription-error.ts";
import { checkToken } from "./tokens.ts";

const WAKE_ID_BYTES_MAX = 256;

/** Which wake a request is about. */
export type WakeRef = { readonly generation: number; readonly wakeId: string };

/** Throws unless the request carries a token for this subscription, and speaks of the token's generation. */
export function authorizeWake(
  headers: IncomingHttpHeaders,
  secrets: readonly Uint8Array[],
  nowMs: number,
  id: string,
  wake: WakeRef,
): void {
  const given = bearerToken(headers.authorization);
  const check = given === undefined ? { kind: "invalid" as const } : checkToken(secrets, given, nowMs);
  switch (check.kind) {
    case "invalid":
      throw unauthorized("the Authorization header must be Bearer and the token of the wake");
    case "expired":
      throw asSubscriptionError(unauthorized("the token of the wake has expired"), { code: "TOKEN_EXPIRED" });
    case "valid":
      if (check.token.subscription !== id) throw unauthorized("the token is for another subscription");
      if (check.token.generation !== wake.generation)
        throw new HttpError("fenced", "the token is for another generation");
  }
}

export function wakeRef(input: JsonObject): WakeRef {
  return {
    generation: requiredInteger(input, "generation"),
    wakeId: requiredText(input, "wake_id", WAKE_ID_BYTES_MAX),
  };
}

export function ackCommand(id: string, wake: WakeRef, input: JsonObject, limits: HttpLimits): SubscriptionAckCommand {
  const done = input["done"] ?? false;
  if (typeof done !== "boolean") throw invalid("done must be true or false");
  const acks = input["acks"] ?? [];
  if (!Array.isArray(acks)) throw invalid("acks must be an array");
  if (acks.length > limits.subscriptionStreamsMax)
    throw new HttpError("too-many", `acks may have at most ${limits.subscriptionStreamsMax} elements`);
  return { kind: "subscription-ack", id, generation: wake.generation, wakeId: wake.wakeId, acks: acks.map(ack), done };
}

function ack(value: unknown): SubscriptionAck {
  if (typeof value !== "object" || value === null) throw invalid("an ack must be an object");
  const { stream, path, offset } = value as JsonObject;
  const token = typeof offset === "string" ? parseOffset(offset) : undefined;
  if (token === undefined || !token.ok)
    throw new HttpError("malformed-offset", "an ack's offset must be one that this service gave");
  return { stream: streamName(stream ?? path), incarnation: token.value.incarnation, offset: token.value.offset };
}
