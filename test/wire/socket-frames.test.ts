/** Frames of subscriptions: golden bytes, round trips, and what is refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { hex } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { encodeFrame, type Frame, splitFrames } from "../../src/wire/frame.ts";
import { decodeRequest, encodeRequest } from "../../src/wire/request.ts";
import { decodeResponse, encodeResponse } from "../../src/wire/response.ts";
import {
  decodeSocketRequest,
  decodeSocketResponse,
  encodeSocketRequest,
  encodeSocketResponse,
  isSocketRequest,
  isSocketResponse,
  type SocketRequest,
  type SocketResponse,
} from "../../src/wire/socket-frames.ts";
import { mutate } from "../fuzz/mutate.ts";
import { goldenBytes, goldenHex } from "../lib/golden.ts";
import { arbitraryRequest, arbitraryResponse } from "./requests.ts";

const number = fc.oneof(fc.nat(300), fc.maxSafeNat());
const name = fc.constantFrom("a", "orders/eu", "café/🌊", "x".repeat(1_024));

const socketRequest: fc.Arbitrary<SocketRequest> = fc.oneof(
  fc.record(
    {
      kind: fc.constant("subscribe" as const),
      stream: name,
      incarnation: number,
      from: fc.constantFrom("offset" as const, "start" as const, "now" as const),
      offset: number,
      credit: number,
    },
    { requiredKeys: ["kind", "stream", "from", "offset", "credit"] },
  ),
  fc.record(
    {
      kind: fc.constant("follow" as const),
      streams: fc.uniqueArray(
        fc.record(
          {
            stream: name,
            incarnation: number,
            from: fc.constantFrom("offset" as const, "start" as const, "now" as const),
            offset: number,
          },
          { requiredKeys: ["stream", "from", "offset"] },
        ),
        { minLength: 1, maxLength: 4, selector: ({ stream }) => stream },
      ),
      notBefore: fc.record({ position: number, ordinal: number }),
      credit: number,
      markEveryMs: number,
    },
    { requiredKeys: ["kind", "streams", "credit", "markEveryMs"] },
  ),
  fc.record({ kind: fc.constant("credit" as const), bytes: number }),
  fc.constant({ kind: "unsubscribe" as const }),
  fc.constant({ kind: "ping" as const }),
  fc.record({
    kind: fc.constant("session" as const),
    consistency: fc.constantFrom("linearizable" as const, "session" as const, "eventual" as const),
    token: fc.constantFrom("", "cluster.0.17"),
  }),
);

const endReason = fc.constantFrom("closed" as const, "unsubscribed" as const, "slow" as const, "stopping" as const);
const place = fc.record({ position: number, ordinal: number });
/** In log order: places and times never go back. */
const followBatches = fc
  .array(
    fc.record({
      further: fc.nat(300),
      later: fc.nat(300),
      ordinal: fc.nat(300),
      stream: fc.nat(3),
      firstOffset: number,
      bytes: fc.uint8Array({ maxLength: 20 }),
    }),
    { maxLength: 5 },
  )
  .map((batches) => {
    let [position, logTime] = [0, 0];
    return batches.map(({ further, later, ...batch }) => {
      position += further;
      logTime += later;
      return { ...batch, position, logTime };
    });
  });

const socketResponse: fc.Arbitrary<SocketResponse> = fc.oneof(
  fc.record({
    kind: fc.constant("following" as const),
    position: number,
    streams: fc.array(
      fc.record({
        incarnation: number,
        contentType: fc.constantFrom("application/json", "text/plain"),
        firstOffset: number,
        tail: number,
        closed: fc.boolean(),
        offset: number,
      }),
      { maxLength: 3 },
    ),
  }),
  fc.record({
    kind: fc.constant("follow-records" as const),
    position: number,
    next: place,
    logTime: number,
    batches: followBatches,
  }),
  fc.record({
    kind: fc.constant("stream-event" as const),
    position: number,
    stream: number,
    event: fc.oneof(
      fc.record({ kind: fc.constant("gap" as const), from: number, to: number }),
      fc.record({ kind: fc.constantFrom("closed" as const, "deleted" as const), nextOffset: number }),
    ),
  }),
  fc.record({ kind: fc.constant("follow-end" as const), position: number, reason: endReason, next: place }),
  fc.record({
    kind: fc.constant("subscribed" as const),
    position: number,
    incarnation: number,
    contentType: fc.constantFrom("application/json", "text/plain"),
    firstOffset: number,
    tail: number,
    closed: fc.boolean(),
    offset: number,
  }),
  fc.record({ kind: fc.constant("gap" as const), position: number, from: number, to: number }),
  fc.record({
    kind: fc.constant("end" as const),
    position: number,
    reason: endReason,
    nextOffset: number,
  }),
  fc.record({ kind: fc.constant("pong" as const), position: number }),
  fc.record({ kind: fc.constant("session" as const), position: number, token: fc.constantFrom("c.0.1", "käse.1.2") }),
);

function frameOf(bytes: Uint8Array): Frame {
  const frames = splitFrames(bytes, bytes.length, 1);
  const [frame] = frames.ok ? frames.value : [];
  if (frame === undefined) throw new Error("no frame");
  return frame;
}

function bodied(kind: number, write: (body: ByteWriter) => unknown): Frame {
  const body = new ByteWriter();
  write(body);
  return frameOf(encodeFrame(kind, 1, [body.finish()]));
}

const MAX = Number.MAX_SAFE_INTEGER;

/** Two batches whose positions add to each other. */
function writeRecords(body: ByteWriter, first: number, second: number, length: number): void {
  body.varint(1).varint(1).varint(0).varint(0).varint(2);
  for (const position of [first, second]) body.varint(position).varint(0).varint(0).varint(0).varint(0).varint(length);
}

describe("golden frames", () => {
  it.each<[string, SocketRequest, string]>([
    [
      "W100: a subscribe from an offset",
      { kind: "subscribe", stream: "a", from: "offset", offset: 300, credit: 65_536, incarnation: 9 },
      goldenHex("12000000 01 04 0000 07000000", "0161 00 ac02 808004 01 09"),
    ],
    [
      "W100: a subscribe from the tail",
      { kind: "subscribe", stream: "a", from: "now", offset: 0, credit: 1 },
      goldenHex("0e000000 01 04 0000 07000000", "0161 02 00 01 00"),
    ],
    ["W101: a credit", { kind: "credit", bytes: 200 }, goldenHex("0a000000 01 05 0000 07000000", "c801")],
    ["W102: an unsubscribe", { kind: "unsubscribe" }, goldenHex("08000000 01 06 0000 07000000")],
    ["W107: a ping", { kind: "ping" }, goldenHex("08000000 01 07 0000 07000000")],
    [
      "W164: a session",
      { kind: "session", consistency: "session", token: "a.0.7" },
      goldenHex("0f000000 01 0f 0000 07000000", "01 05612e302e37"),
    ],
    [
      "W113: a follow of two streams, not before a place",
      {
        kind: "follow",
        streams: [
          { stream: "a", from: "offset", offset: 300, incarnation: 9 },
          { stream: "b", from: "now", offset: 0 },
        ],
        notBefore: { position: 200, ordinal: 3 },
        credit: 65_536,
        markEveryMs: 20,
      },
      goldenHex("1d000000 01 08 0000 07000000", "808004 14 01 c801 03 02", "0161 00 ac02 01 09", "0162 02 00 00"),
    ],
    [
      "W113: a follow of one stream from its start, without marks",
      {
        kind: "follow",
        streams: [{ stream: "a", from: "start", offset: 0 }],
        credit: 1,
        markEveryMs: 0,
      },
      goldenHex("11000000 01 08 0000 07000000", "01 00 00 01", "0161 01 00 00"),
    ],
  ])("%s", (_what, value, golden) => {
    expect(hex(encodeSocketRequest(value, 7))).toBe(golden);
    expect(decodeSocketRequest(frameOf(goldenBytes(golden)))).toEqual({ ok: true, value });
  });

  it.each<[string, SocketResponse, string]>([
    [
      "W100: subscribed",
      {
        kind: "subscribed",
        position: 12,
        incarnation: 5,
        contentType: "text/plain",
        firstOffset: 1,
        tail: 300,
        closed: true,
        offset: 2,
      },
      goldenHex("1a000000 01 84 0000 07000000", "0c", "05 0a746578742f706c61696e 01 ac02 01", "02"),
    ],
    [
      "W104: a gap",
      { kind: "gap", position: 12, from: 1, to: 300 },
      goldenHex("0c000000 01 85 0000 07000000", "0c 01 ac02"),
    ],
    [
      "W105: an end",
      { kind: "end", position: 12, reason: "slow", nextOffset: 300 },
      goldenHex("0c000000 01 86 0000 07000000", "0c 02 ac02"),
    ],
    ["W107: a pong", { kind: "pong", position: 12 }, goldenHex("09000000 01 87 0000 07000000", "0c")],
    [
      "W164: a session goes on",
      { kind: "session", position: 12, token: "a.0.12" },
      goldenHex("10000000 01 91 0000 07000000", "0c 06612e302e3132"),
    ],
    [
      "W114: following",
      {
        kind: "following",
        position: 12,
        streams: [
          { incarnation: 5, contentType: "text/plain", firstOffset: 1, tail: 300, closed: true, offset: 2 },
          { incarnation: 6, contentType: "a/b", firstOffset: 0, tail: 0, closed: false, offset: 0 },
        ],
      },
      goldenHex(
        "24000000 01 88 0000 07000000",
        "0c 02",
        "05 0a746578742f706c61696e 01 ac02 01 02",
        "06 03612f62 00 00 00 00",
      ),
    ],
    [
      "W115: records of two streams, places and times as what they add",
      {
        kind: "follow-records",
        position: 400,
        next: { position: 301, ordinal: 2 },
        logTime: 1_001,
        batches: [
          { position: 300, ordinal: 1, stream: 0, firstOffset: 7, logTime: 1_000, bytes: Uint8Array.of(0xaa, 0xbb) },
          { position: 301, ordinal: 0, stream: 1, firstOffset: 200, logTime: 1_001, bytes: Uint8Array.of(0xcc) },
        ],
      },
      goldenHex(
        "22000000 01 89 0000 07000000",
        "9003 ad02 02 e907 02",
        "ac02 01 00 07 e807 02",
        "01 00 01 c801 01 01",
        "aabb cc",
      ),
    ],
    [
      "W116: a mark",
      { kind: "follow-records", position: 12, next: { position: 13, ordinal: 0 }, logTime: 5, batches: [] },
      goldenHex("0d000000 01 89 0000 07000000", "0c 0d 00 05 00"),
    ],
    [
      "W117: a gap of one stream",
      { kind: "stream-event", position: 12, stream: 3, event: { kind: "gap", from: 1, to: 300 } },
      goldenHex("0e000000 01 8e 0000 07000000", "0c 03 00 01 ac02"),
    ],
    [
      "W118: a stream that was deleted",
      { kind: "stream-event", position: 12, stream: 3, event: { kind: "deleted", nextOffset: 300 } },
      goldenHex("0d000000 01 8e 0000 07000000", "0c 03 02 ac02"),
    ],
    [
      "W119: a follow's end",
      { kind: "follow-end", position: 12, reason: "stopping", next: { position: 300, ordinal: 1 } },
      goldenHex("0d000000 01 8f 0000 07000000", "0c 03 ac02 01"),
    ],
  ])("%s", (_what, value, golden) => {
    expect(hex(encodeSocketResponse(value, 7))).toBe(golden);
    expect(decodeSocketResponse(frameOf(goldenBytes(golden)))).toEqual({ ok: true, value });
  });
});

describe("round trips", () => {
  it("W100 to W107: any request", () => {
    fc.assert(
      fc.property(socketRequest, fc.nat(0xffff_ffff), (value, id) => {
        const frame = frameOf(encodeSocketRequest(value, id));
        expect(frame.requestId).toBe(id);
        expect(isSocketRequest(frame)).toBe(true);
        expect(decodeSocketRequest(frame)).toEqual({ ok: true, value });
      }),
    );
  });

  it("W100 to W107: any response", () => {
    fc.assert(
      fc.property(socketResponse, fc.nat(0xffff_ffff), (value, id) => {
        const frame = frameOf(encodeSocketResponse(value, id));
        expect(frame.requestId).toBe(id);
        expect(isSocketResponse(frame)).toBe(true);
        expect(decodeSocketResponse(frame)).toEqual({ ok: true, value });
      }),
    );
  });

  it("W66: no kind is both a subscription's and another's", () => {
    fc.assert(
      fc.property(
        arbitraryRequest,
        arbitraryResponse,
        socketRequest,
        socketResponse,
        (asked, answered, mine, theirs) => {
          expect(isSocketRequest(frameOf(encodeRequest(asked, 1)))).toBe(false);
          expect(isSocketResponse(frameOf(encodeResponse(answered, 1)))).toBe(false);
          expect(decodeRequest(frameOf(encodeSocketRequest(mine, 1)), { batchBytesMax: 1_000 }).ok).toBe(false);
          expect(decodeResponse(frameOf(encodeSocketResponse(theirs, 1))).ok).toBe(false);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe("W5: frames that are almost right", () => {
  it("give a value or an error, and never throw", () => {
    const prng = new Prng(20_261_121);
    const samples = [
      encodeSocketRequest(
        { kind: "subscribe", stream: "a", from: "offset", offset: 300, credit: 9, incarnation: 4 },
        1,
      ),
      encodeSocketRequest({ kind: "credit", bytes: 300 }, 1),
      encodeSocketRequest({ kind: "unsubscribe" }, 1),
      encodeSocketResponse({ kind: "gap", position: 1, from: 2, to: 300 }, 1),
      encodeSocketResponse({ kind: "end", position: 1, reason: "slow", nextOffset: 300 }, 1),
      encodeSocketRequest(
        {
          kind: "follow",
          streams: [
            { stream: "a", from: "offset", offset: 300, incarnation: 4 },
            { stream: "b", from: "now", offset: 0 },
          ],
          notBefore: { position: 300, ordinal: 1 },
          credit: 9,
          markEveryMs: 5,
        },
        1,
      ),
      encodeSocketResponse(
        {
          kind: "follow-records",
          position: 9,
          next: { position: 9, ordinal: 0 },
          logTime: 300,
          batches: [
            { position: 7, ordinal: 1, stream: 0, firstOffset: 7, logTime: 200, bytes: Uint8Array.of(1, 2) },
            { position: 8, ordinal: 0, stream: 1, firstOffset: 200, logTime: 300, bytes: Uint8Array.of(3) },
          ],
        },
        1,
      ),
      encodeSocketResponse(
        { kind: "stream-event", position: 1, stream: 2, event: { kind: "gap", from: 2, to: 300 } },
        1,
      ),
    ];
    let [accepted, refused] = [0, 0];
    for (let run = 0; run < 10_000; run += 1) {
      const frames = splitFrames(mutate(prng, samples), 1_000, 10);
      for (const frame of frames.ok ? frames.value : []) {
        const decoded = isSocketResponse(frame) ? decodeSocketResponse(frame) : decodeSocketRequest(frame);
        if (decoded.ok) accepted += 1;
        else refused += 1;
      }
    }
    expect(Math.min(accepted, refused)).toBeGreaterThan(100);
  });
});

describe("what is refused", () => {
  it.each<[string, string, Frame]>([
    ["W6: a kind that is not known", "malformed-frame", bodied(127, () => 0)],
    ["W66: a response", "malformed-frame", bodied(132, () => 0)],
    ["W100: an empty subscribe", "malformed-frame", bodied(4, () => 0)],
    ["W71: from nowhere", "malformed-frame", bodied(4, (body) => body.string("a").u8(3).varint(0).varint(1).u8(0))],
    [
      "W71: a flag that is neither",
      "malformed-frame",
      bodied(4, (body) => body.string("a").u8(0).varint(0).varint(1).u8(2)),
    ],
    ["W5: a subscribe cut short", "malformed-frame", bodied(4, (body) => body.string("a").u8(0).varint(0).varint(1))],
    [
      "W5: bytes behind it",
      "malformed-frame",
      bodied(4, (body) => body.string("a").u8(0).varint(0).varint(1).u8(0).u8(0)),
    ],
    ["W13: no name", "malformed-name", bodied(4, (body) => body.string("a//b").u8(0).varint(0).varint(1).u8(0))],
    [
      "W2: a credit past the safe integers",
      "malformed-frame",
      bodied(5, (body) => body.bytes(new Uint8Array(8).fill(0xff))),
    ],
    ["W101: an empty credit", "malformed-frame", bodied(5, () => 0)],
    ["W102: an unsubscribe with a body", "malformed-frame", bodied(6, (body) => body.u8(0))],
    ["W107: a ping with a body", "malformed-frame", bodied(7, (body) => body.u8(0))],
    ["W113: an empty follow", "malformed-frame", bodied(8, () => 0)],
    ["W113: a follow of nothing", "malformed-frame", bodied(8, (body) => body.varint(1).varint(0).u8(0).varint(0))],
    [
      "W113: a follow of one stream twice",
      "malformed-frame",
      bodied(8, (body) => {
        body.varint(1).varint(0).u8(0).varint(2);
        body.string("a").u8(1).varint(0).u8(0).string("a").u8(2).varint(0).u8(0);
      }),
    ],
    [
      "W113: more streams than are there",
      "malformed-frame",
      bodied(8, (body) => body.varint(1).varint(0).u8(0).varint(60_000).string("a").u8(1).varint(0).u8(0)),
    ],
    [
      "W113: a place that is neither there nor not",
      "malformed-frame",
      bodied(8, (body) => body.varint(1).varint(0).u8(2).varint(1).string("a").u8(1).varint(0).u8(0)),
    ],
    [
      "W113: a stream that begins nowhere",
      "malformed-frame",
      bodied(8, (body) => body.varint(1).varint(0).u8(0).varint(1).string("a").u8(3).varint(0).u8(0)),
    ],
    [
      "W113: bytes behind a follow",
      "malformed-frame",
      bodied(8, (body) => body.varint(1).varint(0).u8(0).varint(1).string("a").u8(1).varint(0).u8(0).u8(0)),
    ],
    [
      "W72: a follow of no name",
      "malformed-name",
      bodied(8, (body) => body.varint(1).varint(0).u8(0).varint(1).string("a//b").u8(1).varint(0).u8(0)),
    ],
  ])("%s", (_what, code, frame) => {
    expect(decodeSocketRequest(frame)).toMatchObject({ ok: false, error: { code } });
  });

  it.each<[string, Frame]>([
    ["W6: a response of an unknown kind", bodied(255, (body) => body.varint(1))],
    ["W105: an end for no reason", bodied(134, (body) => body.varint(1).u8(4).varint(0))],
    ["W80: a subscribed cut short", bodied(132, (body) => body.varint(1))],
    ["W104: a gap cut short", bodied(133, (body) => body.varint(1).varint(1))],
    ["W107: a pong with a body", bodied(135, (body) => body.varint(1).u8(1))],
    ["W114: a following cut short", bodied(136, (body) => body.varint(1).varint(1))],
    ["W115: records without their bytes", bodied(137, (body) => writeRecords(body, 1, 1, 3))],
    ["W2: places that add up to more than a safe integer", bodied(137, (body) => writeRecords(body, MAX, MAX, 0))],
    ["W117: an event of no kind", bodied(142, (body) => body.varint(1).varint(0).u8(3).varint(0))],
    ["W117: half a gap", bodied(142, (body) => body.varint(1).varint(0).u8(0).varint(0))],
    ["W118: an end with a gap's place", bodied(142, (body) => body.varint(1).varint(0).u8(1).varint(0).varint(0))],
    ["W119: an end for no reason", bodied(143, (body) => body.varint(1).u8(4).varint(0).varint(0))],
  ])("%s", (_what, frame) => {
    expect(decodeSocketResponse(frame)).toMatchObject({ ok: false, error: { code: "malformed-frame" } });
  });
});
