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
  fc.record({ kind: fc.constant("credit" as const), bytes: number }),
  fc.constant({ kind: "unsubscribe" as const }),
  fc.constant({ kind: "ping" as const }),
);

const socketResponse: fc.Arbitrary<SocketResponse> = fc.oneof(
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
    reason: fc.constantFrom("closed" as const, "unsubscribed" as const, "slow" as const, "stopping" as const),
    nextOffset: number,
  }),
  fc.record({ kind: fc.constant("pong" as const), position: number }),
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
    ["W6: a kind that is not known", "malformed-frame", bodied(8, () => 0)],
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
  ])("%s", (_what, code, frame) => {
    expect(decodeSocketRequest(frame)).toMatchObject({ ok: false, error: { code } });
  });

  it.each<[string, Frame]>([
    ["W6: a response of an unknown kind", bodied(136, (body) => body.varint(1))],
    ["W105: an end for no reason", bodied(134, (body) => body.varint(1).u8(4).varint(0))],
    ["W80: a subscribed cut short", bodied(132, (body) => body.varint(1))],
    ["W104: a gap cut short", bodied(133, (body) => body.varint(1).varint(1))],
    ["W107: a pong with a body", bodied(135, (body) => body.varint(1).u8(1))],
  ])("%s", (_what, frame) => {
    expect(decodeSocketResponse(frame)).toMatchObject({ ok: false, error: { code: "malformed-frame" } });
  });
});
