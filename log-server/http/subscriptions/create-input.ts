/** Reads and normalises the bodies of the reserved APIs (section 6.2), so that equal configurations are equal commands. */
import type { StreamName, SubscriptionCreateCommand, SubscriptionDelivery } from "../../../src/wire/command.ts";
import { checkStreamName } from "../../../src/wire/stream-name.ts";
import { HttpError } from "../http-error.ts";
import type { HttpLimits } from "../limits.ts";
import { checkWebhookUrl, type WebhookPolicy } from "./url-policy.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

const LEASE_MS_DEFAULT = 30_000;
const LEASE_MS_MIN = 1_000;
const LEASE_MS_MAX = 600_000;

/** The object in a body. */
export function readJsonObject(body: Uint8Array, limits: HttpLimits): JsonObject {
  if (body.length > limits.subscriptionBodyBytesMax) {
    throw new HttpError("body-too-large", `the body may have at most ${limits.subscriptionBodyBytesMax} bytes`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new HttpError("malformed-json", "the body is not valid JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("the body must be a JSON object");
  return value as JsonObject;
}

export function createInput(
  id: string,
  input: JsonObject,
  limits: HttpLimits,
  policy: WebhookPolicy,
): SubscriptionCreateCommand {
  const pattern = optionalText(input, "pattern", limits.patternBytesMax);
  const description = optionalText(input, "description", limits.descriptionBytesMax);
  const streams = input["streams"] === undefined ? [] : streamNames(input["streams"], limits);
  if (pattern === undefined && streams.length === 0) throw invalid("pattern or streams must be given");
  return {
    kind: "subscription-create",
    id,
    delivery: delivery(input, limits, policy),
    ...(pattern !== undefined && { pattern: normalizedPattern(pattern) }),
    streams,
    leaseMs: leaseMs(input["lease_ttl_ms"]),
    ...(description !== undefined && { description }),
  };
}

/** Names, sorted and each once. */
export function streamNames(value: unknown, limits: HttpLimits): readonly StreamName[] {
  if (!Array.isArray(value)) throw invalid("streams must be an array of stream paths");
  if (value.length > limits.subscriptionStreamsMax)
    throw new HttpError("too-many", `streams may have at most ${limits.subscriptionStreamsMax} elements`);
  return [...new Set(value.map(streamName))].sort();
}

/** A stream-root-relative path. */
export function streamName(value: unknown): StreamName {
  if (typeof value !== "string") throw invalid("a stream path must be a string");
  const checked = checkStreamName(withoutOuterSlashes(value));
  if (!checked.ok) throw invalid(checked.error.message);
  return checked.value;
}

export function requiredText(input: JsonObject, field: string, bytesMax: number): string {
  const value = optionalText(input, field, bytesMax);
  if (value === undefined) throw invalid(`${field} must be a non-empty string`);
  return value;
}

export function requiredInteger(input: JsonObject, field: string): number {
  const value = input[field];
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw invalid(`${field} must be a non-negative integer`);
  return value as number;
}

export function invalid(message: string): HttpError {
  return new HttpError("invalid-subscription", message);
}

function optionalText(input: JsonObject, field: string, bytesMax: number): string | undefined {
  const value = input[field];
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string" || !value.isWellFormed() || Buffer.byteLength(value) > bytesMax) {
    throw invalid(`${field} must be a string of at most ${bytesMax} bytes`);
  }
  return value;
}

function delivery(input: JsonObject, limits: HttpLimits, policy: WebhookPolicy): SubscriptionDelivery {
  switch (input["type"]) {
    case "webhook": {
      const webhook = input["webhook"];
      const url = typeof webhook === "object" && webhook !== null ? (webhook as JsonObject)["url"] : undefined;
      if (typeof url !== "string" || url.length > limits.webhookUrlBytesMax) {
        throw invalid(`webhook.url must be a URL of at most ${limits.webhookUrlBytesMax} bytes`);
      }
      const checked = checkWebhookUrl(url, policy);
      if (!checked.ok) throw new HttpError("webhook-forbidden", `webhook.url is not allowed: ${checked.error}`);
      return { kind: "webhook", url };
    }
    case "pull-wake":
      if (input["wake_stream"] === undefined) throw invalid("a pull-wake subscription needs wake_stream");
      return { kind: "pull-wake", wakeStream: streamName(input["wake_stream"]) };
    default:
      throw invalid('type must be "webhook" or "pull-wake"');
  }
}

function leaseMs(value: unknown): number {
  if (value === undefined) return LEASE_MS_DEFAULT;
  if (!Number.isInteger(value) || (value as number) < LEASE_MS_MIN || (value as number) > LEASE_MS_MAX) {
    throw invalid(`lease_ttl_ms must be an integer from ${LEASE_MS_MIN} to ${LEASE_MS_MAX}`);
  }
  return value as number;
}

/** A pattern is a stream name in which `*` and `**` may stand for segments. */
function normalizedPattern(pattern: string): string {
  const normal = withoutOuterSlashes(pattern);
  const checked = checkStreamName(normal);
  if (!checked.ok) throw invalid(`pattern: ${checked.error.message}`);
  return normal;
}

function withoutOuterSlashes(path: string): string {
  return path.replace(/^\/+/, "").replace(/\/+$/, "");
}
