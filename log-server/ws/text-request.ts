/**
 * The text mode's requests: one JSON object a message, for people with a WebSocket in their hands (src/wire/SPEC.md,
 * "Text mode"). The key that comes first names what is asked, and its value the stream: `{"append": "orders",
 * "records": ["a"]}`. A key that is not known is refused, for it is usually a slip.
 */
import { err, ok, type Err, type Result } from "../../src/lib/result.ts";
import { parseExactJson } from "../../src/record/exact-json.ts";
import type { LogPlace } from "../../src/record/log-place.ts";
import { type Incarnation, type Offset, parseOffset } from "../../src/record/offset.ts";
import { type JsonRecord, parseJsonRecord } from "../../src/record/record-json.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { checkStreamName } from "../../src/wire/stream-name.ts";

export type TextId = string | number;

export type TextPlace =
  | { readonly kind: "start" }
  | { readonly kind: "now" }
  | { readonly kind: "offset"; readonly offset: Offset; readonly incarnation: Incarnation | undefined };

export type TextRequest =
  | {
      readonly kind: "create";
      readonly stream: string;
      readonly contentType: string | undefined;
      readonly ttlSeconds: number | undefined;
    }
  | {
      readonly kind: "append";
      readonly stream: string;
      readonly records: readonly JsonRecord[];
      readonly close: boolean;
      readonly expectedOffset: Offset | undefined;
      readonly producer: { readonly id: string; readonly epoch: number; readonly sequence: number } | undefined;
    }
  | { readonly kind: "close"; readonly stream: string }
  | { readonly kind: "delete"; readonly stream: string }
  | { readonly kind: "describe"; readonly stream: string }
  | { readonly kind: "read"; readonly stream: string; readonly from: TextPlace; readonly maxBytes: number | undefined }
  | {
      readonly kind: "subscribe";
      readonly stream: string;
      readonly from: TextPlace;
      readonly credit: number | undefined;
    }
  | {
      readonly kind: "follow";
      readonly streams: readonly { readonly stream: string; readonly from: TextPlace }[];
      readonly notBefore: LogPlace | undefined;
      readonly credit: number | undefined;
      readonly markEveryMs: number | undefined;
    }
  | { readonly kind: "credit"; readonly subscription: number; readonly bytes: number }
  | { readonly kind: "unsubscribe"; readonly subscription: number }
  | { readonly kind: "ping" };

export type TextError = { readonly code: ErrorCode; readonly message: string; readonly id: TextId | undefined };
export type ParsedText = { readonly id: TextId | undefined; readonly request: TextRequest };

type Fields = Readonly<Record<string, unknown>>;

/** What may stand beside each verb; `id` may always. */
const KEYS = {
  create: ["contentType", "ttlSeconds"],
  append: ["records", "close", "expectedOffset", "producer"],
  close: [],
  delete: [],
  describe: [],
  read: ["from", "maxBytes"],
  subscribe: ["from", "credit"],
  follow: ["from", "notBefore", "credit", "markEveryMs"],
  credit: ["bytes"],
  unsubscribe: [],
  ping: [],
} as const satisfies Readonly<Record<TextRequest["kind"], readonly string[]>>;

const VERBS = Object.keys(KEYS) as readonly (keyof typeof KEYS)[];
const TEXT_ID_LENGTH_MAX = 256;

/** Thrown and caught in this file only. */
class Fault extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function parseTextRequest(text: string): Result<ParsedText, TextError> {
  const json = parseExactJson(text);
  if (!json.ok) {
    const { kind, message } = json.error;
    return refused("malformed-json", kind === "inexact" ? message : "a message is one JSON object", undefined);
  }
  const parsed = json.value;
  if (!isObject(parsed)) return refused("malformed-request", "a message is one JSON object", undefined);
  const id = parsed["id"];
  if (id !== undefined && !isId(id)) return refused("malformed-request", '"id" is a text or a number', undefined);
  try {
    return ok({ id, request: requestOf(parsed) });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return refused(error.code, error.message, id);
  }
}

function requestOf(fields: Fields): TextRequest {
  const named = Object.keys(fields).filter((key) => key !== "id");
  const first = named[0];
  const verb = VERBS.find((known) => known === first);
  if (verb === undefined) throw new Fault("malformed-request", `a message begins with one of ${VERBS.join(", ")}`);
  const unknown = named.slice(1).find((key) => !(KEYS[verb] as readonly string[]).includes(key));
  if (unknown !== undefined)
    throw new Fault("malformed-request", `"${unknown.slice(0, 40)}" does not go with "${verb}"`);
  switch (verb) {
    case "create":
      return {
        kind: "create",
        stream: streamOf(fields[verb]),
        contentType: optional(fields["contentType"], isString, '"contentType" is a text'),
        ttlSeconds: optional(fields["ttlSeconds"], isPositive, '"ttlSeconds" is a whole number from 1'),
      };
    case "append":
      return {
        kind: "append",
        stream: streamOf(fields[verb]),
        records: recordsOf(fields["records"]),
        close: optional(fields["close"], isBoolean, '"close" is true or false') ?? false,
        expectedOffset: optional(fields["expectedOffset"], isCount, '"expectedOffset" is a whole number'),
        producer: producerOf(fields["producer"]),
      };
    case "close":
    case "delete":
    case "describe":
      return { kind: verb, stream: streamOf(fields[verb]) };
    case "read":
      return {
        kind: "read",
        stream: streamOf(fields[verb]),
        from: placeOf(fields["from"]),
        maxBytes: optional(fields["maxBytes"], isCount, '"maxBytes" is a whole number'),
      };
    case "subscribe":
      return {
        kind: "subscribe",
        stream: streamOf(fields[verb]),
        from: placeOf(fields["from"]),
        credit: optional(fields["credit"], isCount, '"credit" is a whole number of bytes'),
      };
    case "follow":
      return {
        kind: "follow",
        streams: startsOf(fields[verb], fields["from"]),
        notBefore: logPlaceOf(fields["notBefore"]),
        credit: optional(fields["credit"], isCount, '"credit" is a whole number of bytes'),
        markEveryMs: optional(fields["markEveryMs"], isCount, '"markEveryMs" is a whole number'),
      };
    case "credit":
      return {
        kind: "credit",
        subscription: needed(fields[verb], isCount, '"credit" names a subscription by its number'),
        bytes: needed(fields["bytes"], isCount, '"bytes" is a whole number'),
      };
    case "unsubscribe":
      return {
        kind: "unsubscribe",
        subscription: needed(fields[verb], isCount, '"unsubscribe" names a subscription by its number'),
      };
    case "ping":
      return { kind: "ping" };
  }
}

function streamOf(value: unknown): string {
  const name = needed(value, isString, "a stream is named by a text");
  const checked = checkStreamName(name);
  if (!checked.ok) throw new Fault(checked.error.code, checked.error.message);
  return name;
}

/** `from` is one place for all, or an object that has one for each stream that does not begin at its start. */
function startsOf(value: unknown, from: unknown): { readonly stream: string; readonly from: TextPlace }[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new Fault("malformed-request", '"follow" names streams: ["a", "b"]');
  const names = value.map(streamOf);
  if (new Set(names).size < names.length) throw new Fault("malformed-request", '"follow" names a stream twice');
  if (!isObject(from)) {
    const place = placeOf(from);
    if (place.kind === "offset") throw new Fault("malformed-request", 'an offset is of one stream: "from": {"a": 5}');
    return names.map((stream) => ({ stream, from: place }));
  }
  const stranger = Object.keys(from).find((name) => !names.includes(name));
  if (stranger !== undefined)
    throw new Fault("malformed-request", `"from" names "${stranger.slice(0, 40)}", which is not followed`);
  return names.map((stream) => ({ stream, from: placeOf(Object.hasOwn(from, stream) ? from[stream] : undefined) }));
}

function logPlaceOf(value: unknown): LogPlace | undefined {
  if (value === undefined) return undefined;
  const wrong = '"notBefore" is {"position": 1, "ordinal": 0}';
  if (!isObject(value)) throw new Fault("malformed-request", wrong);
  return {
    position: needed(value["position"], isCount, wrong),
    ordinal: needed(value["ordinal"] ?? 0, isCount, wrong),
  };
}

function placeOf(value: unknown): TextPlace {
  if (value === undefined || value === "start") return { kind: "start" };
  if (value === "now") return { kind: "now" };
  if (isCount(value)) return { kind: "offset", offset: value, incarnation: undefined };
  const token = isString(value) ? parseOffset(value) : undefined;
  if (token?.ok !== true) throw new Fault("malformed-offset", '"from" is "start", "now", an offset or a token');
  const { incarnation, offset } = token.value;
  // All zeros means the start, of any stream.
  if (incarnation === 0) return offset === 0 ? { kind: "start" } : { kind: "offset", offset, incarnation: undefined };
  return { kind: "offset", offset, incarnation };
}

function recordsOf(value: unknown): readonly JsonRecord[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Fault("malformed-request", '"records" is an array');
  return value.map((element) => {
    const record = parseJsonRecord(element);
    if (!record.ok) throw new Fault(record.error.code, record.error.message);
    return record.value;
  });
}

function producerOf(
  value: unknown,
): { readonly id: string; readonly epoch: number; readonly sequence: number } | undefined {
  if (value === undefined) return undefined;
  if (!isObject(value)) throw new Fault("malformed-request", '"producer" is an object');
  return {
    id: needed(value["id"], isString, 'a producer\'s "id" is a text'),
    epoch: needed(value["epoch"], isCount, 'a producer\'s "epoch" is a whole number'),
    sequence: needed(value["sequence"], isCount, 'a producer\'s "sequence" is a whole number'),
  };
}

function optional<T>(value: unknown, is: (value: unknown) => value is T, otherwise: string): T | undefined {
  return value === undefined ? undefined : needed(value, is, otherwise);
}

function needed<T>(value: unknown, is: (value: unknown) => value is T, otherwise: string): T {
  if (!is(value)) throw new Fault("malformed-request", otherwise);
  return value;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isString(value: unknown): value is string {
  return typeof value === "string" && value.isWellFormed();
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === "boolean";
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPositive(value: unknown): value is number {
  return isCount(value) && value > 0;
}

function isId(value: unknown): value is TextId {
  return (
    (isString(value) && value.length <= TEXT_ID_LENGTH_MAX) || (typeof value === "number" && Number.isFinite(value))
  );
}

function refused(code: ErrorCode, message: string, id: TextId | undefined): Err<TextError> {
  return err({ code, message, id });
}
