/** What the HTTP and WebSocket faces read besides frames: headers, URLs, bodies, and the text mode's messages. */
import { isDeepStrictEqual } from "node:util";
import { bearerToken } from "../../../log-server/http/auth.ts";
import { normalizeContentType } from "../../../log-server/http/content-type.ts";
import type { HttpContext } from "../../../log-server/http/context.ts";
import { laterCursor, nextCursor } from "../../../log-server/http/cursor.ts";
import { matchesEtag } from "../../../log-server/http/etag.ts";
import { closedHeader, header, integerHeader, parseTimestamp } from "../../../log-server/http/header-values.ts";
import { HttpError } from "../../../log-server/http/http-error.ts";
import { splitMessages } from "../../../log-server/http/json-mode.ts";
import { HTTP_LIMITS } from "../../../log-server/http/limits.ts";
import { batchOfRecords } from "../../../log-server/http/records/body.ts";
import { answerForm, BATCH_TYPE, NDJSON_TYPE } from "../../../log-server/http/records/media.ts";
import {
  contentTypeHeader,
  expiryHeaders,
  producerHeaders,
  streamSequenceHeader,
} from "../../../log-server/http/stream-routes/request-headers.ts";
import { readQuery, streamOfUrl } from "../../../log-server/http/stream-url.ts";
import { createInput, readJsonObject } from "../../../log-server/http/subscriptions/create-input.ts";
import { checkToken, issueToken } from "../../../log-server/http/subscriptions/tokens.ts";
import { checkWebhookUrl } from "../../../log-server/http/subscriptions/url-policy.ts";
import { NODE_LIMITS } from "../../../log-server/node/limits.ts";
import { STREAMS_LIMITS } from "../../../log-server/streams/limits.ts";
import { checkPattern, Glob } from "../../../log-server/streams/glob.ts";
import { parseTextRequest } from "../../../log-server/ws/text-request.ts";
import { concat, text } from "../../../src/lib/bytes.ts";
import { checkBatch } from "../../../src/record/batch-codec.ts";
import { cheap, demand, judge, refusedAs, type Target, type Verdict } from "../target.ts";
import { BATCHES, sealBatch } from "./record-targets.ts";
import { JSON_WORDS, TEXT_WORDS, textOf, textSamples } from "./samples.ts";

const MESSAGES_MAX = 20;
const LIMITS = { ...HTTP_LIMITS, recordsPerBatchMax: MESSAGES_MAX };
/** Of which reading a body needs no more than the bounds. */
const CONTEXT = { limits: LIMITS, node: { limits: NODE_LIMITS } } as unknown as HttpContext;
const SECRET = new Uint8Array(32).fill(7);
const NOW_MS = 1_800_000_000_000;
/** A literal address that no webhook may have. */
const PRIVATE = /^(?:10|127|0)\.\d+\.\d+\.\d+$|^169\.254\.\d+\.\d+$|^\[::1?\]$/;
const URL_BYTES_MAX = 4_096;
const TYPES = [
  ["application/json", "application/json"],
  ["application/json", "text/plain"],
  [NDJSON_TYPE, "application/octet-stream"],
  [BATCH_TYPE, "text/plain"],
] as const;

const JSON_BODIES = textSamples(
  "[1,2,3]",
  '{"a":[1,{"b":"],[,\\"}"}],"c":"\\\\"}',
  ' [ "x" , [ ] , { } , -1.5e-7 ] ',
  '["a,b\\"c\\\\",[1,[2,[3]]]]',
  '"text"',
  "null",
  "[]",
);

export const FACE_TARGETS: readonly Target[] = [
  cheap({
    name: "request headers",
    samples: textSamples(
      "content-type: application/json\nproducer-id: p\nproducer-epoch: 0\nproducer-seq: 7",
      "content-type: text/plain; charset=UTF-8\nstream-seq: a\nstream-ttl: 3600\nstream-closed: true",
      'stream-expires-at: 2026-01-31T12:00:00.5+01:00\ncontent-type: a/b; c="d\\"e"',
    ),
    words: [...TEXT_WORDS, ...textSamples("\nproducer-id: ", "\nstream-ttl: ", "\nstream-expires-at: ")],
    check: (bytes) => {
      const headers: Record<string, string> = Object.create(null) as Record<string, string>;
      for (const line of textOf(bytes).split("\n")) {
        const [name = "", ...value] = line.split(":");
        headers[name] = value.join(":").trim();
      }
      return asked(() => {
        contentTypeHeader(headers, LIMITS);
        producerHeaders(headers, LIMITS);
        streamSequenceHeader(headers, LIMITS);
        expiryHeaders(headers, LIMITS);
        closedHeader(headers);
        bearerToken(header(headers, "authorization"));
      });
    },
  }),
  cheap({
    name: "header integer",
    samples: textSamples("0", "17", "9007199254740991", "1000000"),
    words: TEXT_WORDS,
    check: (bytes) =>
      asked(() => {
        const given = textOf(bytes);
        const value = integerHeader({ n: given }, "n");
        demand(value !== undefined && String(value) === given, "only plain decimal is taken");
      }),
  }),
  cheap({
    name: "header timestamp",
    samples: textSamples("2026-01-31T12:00:00Z", "1970-01-01T00:00:00.000000001+23:59", "9999-12-31t23:59:59-00:00"),
    words: TEXT_WORDS,
    check: (bytes) => taken(parseTimestamp(textOf(bytes)) !== undefined),
  }),
  cheap({
    name: "content type",
    samples: textSamples("application/json", "Text/Plain; Charset=UTF-8; b=1", 'a/b;c="d;e\\"f"; g=h'),
    words: TEXT_WORDS,
    check: (bytes) => {
      const normal = normalizeContentType(textOf(bytes));
      if (normal === undefined) return "refused";
      demand(/^[ -~]+$/.test(normal), "it can be repeated in a header");
      return "accepted";
    },
  }),
  cheap({
    name: "accept",
    samples: textSamples(
      "application/json",
      "application/x-ndjson, */*;q=0.5",
      "text/event-stream;q=0.1,application/*",
    ),
    words: TEXT_WORDS,
    check: (bytes) => asked(() => answerForm(textOf(bytes))),
  }),
  cheap({
    name: "cursor and etag",
    samples: textSamples("5", "123456", "99999999999999999999", '"c.1:0:5"', 'W/"c.1:0:5", "x"', "*"),
    words: TEXT_WORDS,
    check: (bytes) => {
      const shown = textOf(bytes);
      const next = nextCursor(shown, NOW_MS, 7);
      demand(/^\d+$/.test(next) && next !== shown, "a cursor is never the one that was shown");
      demand(laterCursor(next, next) === next, "a cursor is no earlier than itself");
      return taken(matchesEtag(shown, '"c.1:0:5"') || /^\d/.test(shown));
    },
  }),
  cheap({
    name: "stream URL",
    samples: textSamples(
      "/v1/stream/orders/eu?offset=-1&live=sse",
      "/v1/stream/caf%C3%A9?offset=0000000000000001_0000000000000002&live=long-poll&cursor=5",
      "/v1/stream/a?offset=now",
    ),
    words: TEXT_WORDS,
    check: (bytes) =>
      asked(() => {
        const url = Buffer.from(bytes).toString("latin1");
        streamOfUrl(url, URL_BYTES_MAX);
        readQuery(url);
      }),
  }),
  cheap({
    name: "JSON mode body",
    samples: JSON_BODIES,
    words: JSON_WORDS,
    check: (bytes) => {
      const split = splitMessages(bytes, MESSAGES_MAX);
      if (!split.ok) return judge(split);
      const whole: unknown = JSON.parse(text(bytes) ?? "");
      const messages = split.value.map((message) => JSON.parse(text(message) ?? "") as unknown);
      demand(isDeepStrictEqual(messages, Array.isArray(whole) ? whole : [whole]), "messages are what the array has");
      return "accepted";
    },
  }),
  cheap({
    name: "records body",
    // The first byte says of which type body and stream are.
    samples: [
      ...JSON_BODIES.map((body) => concat([Uint8Array.of(0), body])),
      ...textSamples(
        '\u0001[{"value":"a","key":"k","timestamp":5},"b",{"base64":"AP8="}]',
        '\u0001{"value":{"a":1},"headers":[["h","v"]]}',
        '\u0002{"value":1}\n"x"\r\n\n[3]',
        '\u0002null\n{"value":null,"key":"k"}\n',
      ),
      ...BATCHES.slice(0, 20).map((batch) => concat([Uint8Array.of(3), batch])),
    ],
    words: [...JSON_WORDS, ...textSamples("\n", '{"value":')],
    seal: (bytes) =>
      (bytes[0] ?? 0) % TYPES.length === 3 ? concat([bytes.subarray(0, 1), sealBatch(bytes.slice(1))]) : bytes,
    allocationMax: 64 * 1024,
    check: (bytes) =>
      asked(() => {
        const [bodyType, streamType] = TYPES[(bytes[0] ?? 0) % TYPES.length] as (typeof TYPES)[number];
        const batch = batchOfRecords(CONTEXT, bytes.subarray(1), bodyType, streamType);
        const stored = batch?.bytes;
        demand(stored === undefined || checkBatch(stored, NODE_LIMITS).ok, "what is stored is a batch");
      }),
  }),
  cheap({
    name: "text request",
    samples: textSamples(
      '{"append":"orders","records":["a",{"value":1,"key":"k"}],"producer":{"id":"p","epoch":0,"sequence":1}}',
      '{"id":"x","follow":["a","b"],"from":{"a":5,"b":"now"},"notBefore":{"position":1,"ordinal":0},"credit":100}',
      '{"subscribe":"s","from":"0000000000000001_0000000000000002","credit":5,"id":7}',
      '{"read":"s","from":12,"maxBytes":100}',
      '{"create":"s","contentType":"text/plain","ttlSeconds":60}',
      '{"credit":1,"bytes":5}',
      '{"unsubscribe":1}',
      '{"describe":"s"}',
      '{"ping":true}',
    ),
    words: JSON_WORDS,
    check: (bytes) => judge(parseTextRequest(textOf(bytes))),
  }),
  cheap({
    name: "subscription JSON",
    samples: textSamples(
      '{"type":"webhook","pattern":"a/*/**","webhook":{"url":"https://example.com/x?y=z"},"lease_ttl_ms":30000}',
      '{"type":"webhook","streams":["a","b/c"],"webhook":{"url":"http://127.0.0.1:9/"},"description":"é"}',
      '{"type":"pull-wake","streams":["a"],"wake_stream":"w"}',
    ),
    words: JSON_WORDS,
    check: (bytes) => asked(() => createInput("id", readJsonObject(bytes, LIMITS), LIMITS, { allowLoopback: true })),
  }),
  cheap({
    name: "webhook URL",
    samples: textSamples(
      "https://example.com/x",
      "https://93.184.216.34:8443/a",
      "http://localhost:1/",
      "https://[2606:4700::1111]/",
    ),
    words: textSamples("127.0.0.1", "0x7f.1", "[::ffff:10.0.0.1]", "@", "169.254.169.254", "%31", "0", ".", "://"),
    check: (bytes) => {
      const checked = checkWebhookUrl(textOf(bytes), { allowLoopback: false });
      if (!checked.ok) return "refused";
      const { hostname, protocol } = checked.value;
      demand(protocol === "https:" && !PRIVATE.test(hostname), `${hostname} is not public`);
      return "accepted";
    },
  }),
  cheap({
    name: "wake token",
    samples: textSamples(
      issueToken(SECRET, { subscription: "s", generation: 1 }, NOW_MS),
      issueToken(SECRET, { subscription: "é", generation: 2 }, NOW_MS),
    ),
    words: TEXT_WORDS,
    check: (bytes) => taken(checkToken([SECRET], textOf(bytes), NOW_MS).kind === "valid"),
  }),
  cheap({
    name: "stream pattern",
    samples: textSamples("a/*/b", "**", "orders/**/x*y*z", "a*b*c*d*e*f*g*h*"),
    words: textSamples("*", "**", "/", "*a", "/**/"),
    check: (bytes) => {
      const pattern = checkPattern(textOf(bytes), STREAMS_LIMITS);
      if (!pattern.ok) return "refused";
      new Glob(pattern.value).matches("aaaaaaaaaaaaaaaaaaaaaaaaaaaaab/x/y/z/aaaaaaaaaaaaaaaaaaaaaa");
      return "accepted";
    },
  }),
];

/** What a route does with a request: whatever it throws must be an answer. */
function asked(read: () => unknown): Verdict {
  try {
    read();
    return "accepted";
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    return refusedAs(error.code);
  }
}

function taken(value: boolean): Verdict {
  return value ? "accepted" : "refused";
}
