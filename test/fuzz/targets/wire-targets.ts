/** The protocol's frames and what is in them, commands and results as they are logged, and stream names. */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { concat, equalBytes } from "../../../src/lib/bytes.ts";
import type { Result } from "../../../src/lib/result.ts";
import { encodeBatch } from "../../../src/record/batch-codec.ts";
import { decodeCommands, encodeCommands } from "../../../src/wire/command-codec.ts";
import { decodeResult, encodeResult } from "../../../src/wire/result-codec.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import { type Frame, FrameSplitter, splitFrames } from "../../../src/wire/frame.ts";
import { decodeRequest, encodeRequest } from "../../../src/wire/request.ts";
import { decodeResponse, encodeResponse } from "../../../src/wire/response.ts";
import {
  decodeSocketRequest,
  decodeSocketResponse,
  encodeSocketRequest,
  encodeSocketResponse,
  type SocketRequest,
  type SocketResponse,
} from "../../../src/wire/socket-frames.ts";
import { encodeStreamName, parseStreamName } from "../../../src/wire/stream-name.ts";
import { anyResult, commandKinds, commandOf } from "../../wire/command-arbitraries.ts";
import { arbitraryRequest, arbitraryResponse, batchOf } from "../../wire/requests.ts";
import { cheap, demand, judge, type Target, type Verdict } from "../target.ts";
import { SAMPLE_SEED, TEXT_WORDS, textOf, textSamples } from "./samples.ts";

const BYTES_MAX = 64 * 1024;
const FRAMES_MAX = 100;
const SAMPLES = 120;
const SAMPLES_PER_COMMAND = 4;
const SAMPLE = { seed: SAMPLE_SEED, numRuns: SAMPLES };
const BATCHES_MAX = 4;
const PLAIN: BatchRef = batchOf(encodeBatch([{ value: Uint8Array.of(1, 2, 3) }]));

/** Behind a byte that says how many batches the head has. */
const HEADS = commandKinds.flatMap((kind) =>
  fc.sample(commandOf(kind), { seed: SAMPLE_SEED, numRuns: SAMPLES_PER_COMMAND }).map((command) => {
    const { head, batches } = encodeCommands([command]);
    return concat([Uint8Array.of(batches.length), head]);
  }),
);
const REQUESTS = fc.sample(arbitraryRequest, SAMPLE).map((request, id) => encodeRequest(request, id));
const RESPONSES = fc.sample(arbitraryResponse, SAMPLE).map((response, id) => encodeResponse(response, id));

const facts = { incarnation: 5, contentType: "text/plain", firstOffset: 1, tail: 300, closed: true };
const place = { position: 900, ordinal: 2 };
const SOCKET_REQUESTS: readonly SocketRequest[] = [
  { kind: "subscribe", stream: "orders/eu", from: "offset", offset: 300, credit: 65_536, incarnation: 4 },
  { kind: "subscribe", stream: "café", from: "now", offset: 0, credit: 1 },
  { kind: "credit", bytes: 4_096 },
  { kind: "unsubscribe" },
  { kind: "ping" },
  {
    kind: "follow",
    streams: [
      { stream: "a", from: "start", offset: 0 },
      { stream: "b", from: "offset", offset: 7, incarnation: 9 },
    ],
    notBefore: place,
    credit: 1_000,
    markEveryMs: 500,
  },
  { kind: "follow", streams: [{ stream: "a", from: "now", offset: 0 }], credit: 0, markEveryMs: 0 },
];
const SOCKET_RESPONSES: readonly SocketResponse[] = [
  { kind: "subscribed", position: 9, ...facts, offset: 3 },
  { kind: "gap", position: 9, from: 1, to: 300 },
  { kind: "end", position: 9, reason: "slow", nextOffset: 300 },
  { kind: "pong", position: 9 },
  {
    kind: "following",
    position: 9,
    streams: [
      { ...facts, offset: 1 },
      { ...facts, offset: 0 },
    ],
  },
  {
    kind: "follow-records",
    position: 1_000,
    next: { position: 901, ordinal: 0 },
    logTime: 77,
    batches: [
      { ...place, stream: 0, firstOffset: 4, logTime: 70, bytes: PLAIN.bytes as Uint8Array },
      { position: 900, ordinal: 5, stream: 1, firstOffset: 9, logTime: 75, bytes: new Uint8Array(5) },
    ],
  },
  { kind: "follow-records", position: 1_000, next: place, logTime: 77, batches: [] },
  { kind: "stream-event", position: 9, stream: 1, event: { kind: "gap", from: 1, to: 2 } },
  { kind: "stream-event", position: 9, stream: 0, event: { kind: "closed", nextOffset: 7 } },
  { kind: "stream-event", position: 9, stream: 0, event: { kind: "deleted", nextOffset: 7 } },
  { kind: "follow-end", position: 9, reason: "closed", next: place },
];

const VERSION_PLACE = 4;
const FLAGS_PLACE = 6;
const LENGTH_BYTES = 4;

export const WIRE_TARGETS: readonly Target[] = [
  cheap({
    name: "command heads",
    samples: HEADS,
    check: (bytes) => {
      const batches = Array.from({ length: (bytes[0] ?? 0) % BATCHES_MAX }, () => PLAIN);
      const decoded = decodeCommands(bytes.subarray(1), batches);
      if (!decoded.ok) return judge(decoded);
      const { head, batches: kept } = encodeCommands(decoded.value);
      return same(decoded.value, decodeCommands(head, kept));
    },
  }),
  cheap({
    name: "command results",
    samples: fc.sample(anyResult, SAMPLE).map(encodeResult),
    check: (bytes) => {
      const decoded = decodeResult(bytes);
      if (!decoded.ok) return judge(decoded);
      return same(decoded.value, decodeResult(encodeResult(decoded.value)));
    },
  }),
  frames("request frames", REQUESTS, (frame) => decodeRequest(frame, { batchBytesMax: BYTES_MAX }), encodeRequest),
  frames("response frames", RESPONSES, decodeResponse, encodeResponse),
  frames(
    "socket request frames",
    SOCKET_REQUESTS.map((request, id) => encodeSocketRequest(request, id)),
    decodeSocketRequest,
    encodeSocketRequest,
  ),
  frames(
    "socket response frames",
    SOCKET_RESPONSES.map((response, id) => encodeSocketResponse(response, id)),
    decodeSocketResponse,
    encodeSocketResponse,
  ),
  cheap({
    name: "frame splitter",
    samples: [...REQUESTS, ...RESPONSES, concat(REQUESTS.slice(0, 3)), concat(RESPONSES.slice(0, 3))],
    allocationMax: 2 * BYTES_MAX,
    check: (bytes) => {
      const whole = splitFrames(bytes, BYTES_MAX, FRAMES_MAX);
      const pieces = inPieces(bytes);
      if (!whole.ok) return judge(whole);
      demand(pieces !== undefined && sameFrames(pieces, whole.value), "W60: in pieces, the frames are the same");
      return "accepted";
    },
  }),
  cheap({
    name: "stream name",
    samples: textSamples(...["orders/eu", "café/🌊", "a b%", "x".repeat(1_024)].map((name) => encodeStreamName(name))),
    words: TEXT_WORDS,
    check: (bytes) => {
      const parsed = parseStreamName(textOf(bytes));
      if (!parsed.ok) return judge(parsed);
      const again = parseStreamName(encodeStreamName(parsed.value));
      demand(again.ok && again.value === parsed.value, "a name that was read can be written and read again");
      return "accepted";
    },
  }),
];

/** All of the bytes are frames, and each means something. */
function frames<T>(
  name: string,
  samples: readonly Uint8Array[],
  decode: (frame: Frame) => Result<T, { readonly code: string }>,
  encode: (value: T, id: number) => Uint8Array,
): Target {
  const check = (bytes: Uint8Array): Verdict => {
    const split = splitFrames(bytes, BYTES_MAX, FRAMES_MAX);
    if (!split.ok) return judge(split);
    if (split.value.length === 0) return "refused";
    for (const frame of split.value) {
      const decoded = decode(frame);
      if (!decoded.ok) return judge(decoded);
      const [again] = inPieces(encode(decoded.value, frame.requestId)) ?? [];
      demand(again !== undefined && again.requestId === frame.requestId, "it can be sent again");
      same(decoded.value, decode(again));
    }
    return "accepted";
  };
  return cheap({ name, samples, check, seal: sealFrame, allocationMax: 2 * BYTES_MAX });
}

function same<T>(value: T, again: Result<T, unknown>): Verdict {
  demand(again.ok && isDeepStrictEqual(again.value, value), "I10: encoded again, it means the same");
  return "accepted";
}

function inPieces(bytes: Uint8Array): Frame[] | undefined {
  const splitter = new FrameSplitter(BYTES_MAX);
  const found: Frame[] = [];
  const middle = bytes.length >> 1;
  for (const piece of [bytes.subarray(0, middle), bytes.subarray(middle)]) {
    const pushed = splitter.push(piece);
    if (!pushed.ok) return undefined;
    found.push(...pushed.value);
  }
  return found;
}

function sameFrames(a: readonly Frame[], b: readonly Frame[]): boolean {
  return (
    a.length === b.length &&
    a.every((frame, at) => {
      const other = b[at] as Frame;
      return frame.kind === other.kind && frame.requestId === other.requestId && equalBytes(frame.body, other.body);
    })
  );
}

/** One frame over all of the bytes, of the version that is known. */
function sealFrame(bytes: Uint8Array): Uint8Array {
  if (bytes.length < FLAGS_PLACE + 2) return bytes;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  data.setUint32(0, bytes.length - LENGTH_BYTES, true);
  data.setUint8(VERSION_PLACE, 1);
  data.setUint16(FLAGS_PLACE, 0, true);
  return bytes;
}
