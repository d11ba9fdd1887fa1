/** Requests and responses in frames: golden bytes, round trips, and what is refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/lib/assert.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { hex, utf8 } from "../../src/lib/bytes.ts";
import { encodeBatch, encodeSparseBatch } from "../../src/record/batch-codec.ts";
import { encodeCommands } from "../../src/wire/command-codec.ts";
import { ERRORS } from "../../src/wire/errors.ts";
import { encodeFrame, type Frame, FRAME_HEADER_LENGTH, splitFrames } from "../../src/wire/frame.ts";
import { PROBLEM_CONTENT_TYPE, problemOf } from "../../src/wire/problem.ts";
import { decodeRequest, encodeRequest, type Request } from "../../src/wire/request.ts";
import { decodeResponse, encodeResponse, type Response } from "../../src/wire/response.ts";
import { goldenBytes, goldenHex } from "../lib/golden.ts";
import { arbitraryRequest, arbitraryResponse, batchOf } from "./requests.ts";

const LIMITS = { batchBytesMax: 100_000 };
const BATCH = encodeBatch([{ value: utf8("hi") }]);
const BATCH_HEX = "5936625a5e6d5632 28000000 01 00 0000 01000000 01000000 04000000 0000000000000000 03006869";

function frameOf(bytes: Uint8Array): Frame {
  const frames = splitFrames(bytes, bytes.length, 1);
  const [frame] = frames.ok ? frames.value : [];
  if (frame === undefined) throw new Error("no frame");
  return frame;
}

function request(kind: number, write: (body: ByteWriter) => unknown): ReturnType<typeof decodeRequest> {
  const body = new ByteWriter();
  write(body);
  return decodeRequest(frameOf(encodeFrame(kind, 1, [body.finish()])), LIMITS);
}

function response(kind: number, write: (body: ByteWriter) => unknown): ReturnType<typeof decodeResponse> {
  const body = new ByteWriter();
  write(body);
  return decodeResponse(frameOf(encodeFrame(kind, 1, [body.finish()])));
}

function code(decoded: ReturnType<typeof decodeRequest>): string {
  return decoded.ok ? "ok" : decoded.error.code;
}

/** A position and a stream's facts. */
function facts(body: ByteWriter): ByteWriter {
  return body.varint(1).varint(1).string("t").varint(0).varint(0).u8(0);
}

describe("golden requests", () => {
  it.each<[string, Request, number, string]>([
    [
      "W70: an append by a producer",
      {
        kind: "command",
        command: {
          kind: "append",
          stream: "a/b",
          close: false,
          batch: batchOf(BATCH),
          producer: { id: "p", epoch: 1, sequence: 200 },
        },
      },
      7,
      // The head: one command, append, its stream, its flags, its producer. Then one batch of 40 bytes.
      goldenHex("3f000000 01 01 0000 07000000", "0c 01 01 03612f62 12 0170 01 c801", "01 28", BATCH_HEX),
    ],
    [
      "W71: a read from an offset",
      { kind: "read", stream: "a", from: "offset", offset: 300, maxBytes: 65_536, waitMs: 25_000, incarnation: 9 },
      8,
      goldenHex("15000000 01 02 0000 08000000", "0161 00 ac02 808004 a8c301 01 09"),
    ],
    [
      "W71: a read from the tail",
      { kind: "read", stream: "a", from: "now", offset: 0, maxBytes: 1, waitMs: 0 },
      8,
      goldenHex("0f000000 01 02 0000 08000000", "0161 02 00 01 00 00"),
    ],
    [
      "W72: a description",
      { kind: "describe", stream: "ü" },
      0xffff_ffff,
      goldenHex("0b000000 01 03 0000 ffffffff", "02c3bc"),
    ],
    [
      "W120: a listing",
      { kind: "list", prefix: "a/", after: "", limit: 200 },
      8,
      goldenHex("0e000000 01 09 0000 08000000", "02612f 00 c801"),
    ],
    [
      "W122: the place of a time",
      { kind: "locate", stream: "a", incarnation: 9, atMs: 300 },
      8,
      goldenHex("0e000000 01 0a 0000 08000000", "0161 ac02 01 09"),
    ],
    ["W123: a cursor", { kind: "cursor-get", name: "c" }, 8, goldenHex("0a000000 01 0d 0000 08000000", "0163")],
    [
      "W138: a listing of groups",
      { kind: "groups", prefix: "p", after: "g", limit: 200 },
      8,
      goldenHex("0e000000 01 0b 0000 08000000", "0170 0167 c801"),
    ],
    [
      "W139: a group",
      { kind: "group", id: "g", waitMs: 300, brief: false },
      8,
      goldenHex("0d000000 01 0c 0000 08000000", "0167 ac02 00"),
    ],
    [
      "W139: whether a group has something",
      { kind: "group", id: "g", waitMs: 300, brief: true },
      8,
      goldenHex("0d000000 01 0c 0000 08000000", "0167 ac02 01"),
    ],
    [
      "W207: a listing of apps",
      { kind: "apps", prefix: "p", after: "a", limit: 200 },
      8,
      goldenHex("0e000000 01 10 0000 08000000", "0170 0161 c801"),
    ],
    ["W208: an app", { kind: "app", app: "a" }, 8, goldenHex("0b000000 01 11 0000 08000000", "0161 00")],
    [
      "W208: a task",
      { kind: "app", app: "a", task: "0.0" },
      8,
      goldenHex("0f000000 01 11 0000 08000000", "0161 01 03302e30"),
    ],
  ])("%s", (_what, value, id, golden) => {
    expect(hex(encodeRequest(value, id))).toBe(golden);
    const frame = frameOf(goldenBytes(golden));
    expect(frame.requestId).toBe(id);
    expect(decodeRequest(frame, LIMITS)).toEqual({ ok: true, value });
  });
});

describe("golden responses", () => {
  const stream = { incarnation: 5, contentType: "text/plain", firstOffset: 1, tail: 300, closed: true };
  const FACTS_HEX = "05 0a746578742f706c61696e 01 ac02 01";

  it.each<[string, Response, string]>([
    [
      "W80: a result",
      { kind: "result", position: 12, result: { kind: "done" } },
      goldenHex("0a000000 01 80 0000 07000000", "0c 02"),
    ],
    [
      "W82: records",
      {
        kind: "records",
        position: 12,
        ...stream,
        nextOffset: 2,
        upToDate: false,
        batches: [{ firstOffset: 1, logTime: 1_700_000_000_000, bytes: BATCH }],
      },
      goldenHex("4c000000 01 81 0000 07000000", "0c", FACTS_HEX, "02 00", "01 01 80d095ffbc31 28", BATCH_HEX),
    ],
    [
      "W84: a description",
      {
        kind: "description",
        position: 12,
        ...stream,
        createdAtMs: 1_700_000_000_000,
        expiry: { kind: "never" },
        retention: {},
        compactedBefore: 0,
      },
      goldenHex("23000000 01 82 0000 07000000", "0c", FACTS_HEX, "80d095ffbc31 00 00 00 00"),
    ],
    [
      "W124: a description in full",
      {
        kind: "description",
        position: 12,
        ...stream,
        createdAtMs: 300,
        expiry: { kind: "sliding", ttlSeconds: 60 },
        expiresAtMs: 301,
        retention: { maxBytes: 2, compaction: { tombstoneMs: 3 } },
        compactedBefore: 4,
        forkedFrom: { stream: "s", offset: 5, partialBytes: 6 },
      },
      goldenHex("28000000 01 82 0000 07000000", "0c", FACTS_HEX, "ac02 03 013c ad02 06 02 03 04 0173 05 06"),
    ],
    [
      "W162: a description that may be old",
      {
        kind: "description",
        position: 12,
        ...stream,
        createdAtMs: 300,
        expiry: { kind: "never" },
        retention: {},
        compactedBefore: 0,
        behind: { entries: 2, silentMs: 300 },
      },
      goldenHex("22000000 01 82 0000 07000000", "0c", FACTS_HEX, "ac02 0c 00 00 00 02 ac02"),
    ],
    [
      "W162: of a node that never heard of a leader",
      {
        kind: "description",
        position: 12,
        ...stream,
        createdAtMs: 300,
        expiry: { kind: "never" },
        retention: {},
        compactedBefore: 0,
        behind: { entries: 2 },
      },
      goldenHex("20000000 01 82 0000 07000000", "0c", FACTS_HEX, "ac02 04 00 00 00 02"),
    ],
    [
      "W120: a page of streams",
      { kind: "stream-list", position: 12, streams: [{ name: "a", ...stream, createdAtMs: 300 }], next: "a" },
      goldenHex("21000000 01 8a 0000 07000000", "0c 01 0161", FACTS_HEX, "ac02 01 0161"),
    ],
    [
      "W122: a place",
      { kind: "located", position: 12, incarnation: 5, offset: 300 },
      goldenHex("0c000000 01 8b 0000 07000000", "0c 05 ac02"),
    ],
    [
      "W123: a cursor's value",
      { kind: "cursor", position: 12, value: utf8("v") },
      goldenHex("0c000000 01 90 0000 07000000", "0c 01 0176"),
    ],
    [
      "W138: a page of groups",
      {
        kind: "groups",
        position: 12,
        groups: [{ id: "g", mode: "queue", members: 1, streams: 2, lag: 300, inFlight: 3, resting: 4, dead: 5 }],
        next: "g",
      },
      goldenHex("17000000 01 8c 0000 07000000", "0c 01 0167 01 01 02 ac02 03 04 05 01 0167"),
    ],
    [
      "W139: a group of partitions",
      {
        kind: "group",
        position: 12,
        config: { id: "g", mode: { kind: "partitions" }, streams: ["a"], from: "start", leaseMs: 1000 },
        createdAtMs: 300,
        deadLettered: 1,
        dropped: 2,
        unlinked: 3,
        ready: false,
        members: [{ name: "m", session: 4, untilMs: 5, holds: 1 }],
        streams: [
          {
            stream: "a",
            incarnation: 6,
            owner: "m",
            generation: 7,
            committed: 8,
            tail: 9,
            lagMs: 300,
            lag: 1,
            inFlight: 0,
            resting: 0,
            dead: 0,
          },
        ],
      },
      goldenHex(
        "2e000000 01 8d 0000 07000000",
        "0c 0167 00 00 e807 01 0161",
        "ac02 01 02 03 00",
        "01 016d 04 05 01",
        "01 0161 06 03 016d 07 08 09 ac02 01 00 00 00",
      ),
    ],
    [
      "W139: a queue",
      {
        kind: "group",
        position: 12,
        config: {
          id: "g",
          mode: { kind: "queue", attemptsMax: 5, retryDelayMs: 300, deadLetter: "d" },
          streams: [],
          pattern: "*",
          from: "now",
          leaseMs: 1000,
        },
        createdAtMs: 300,
        deadLettered: 1,
        dropped: 2,
        unlinked: 3,
        ready: true,
        members: [],
        streams: [],
      },
      goldenHex("1f000000 01 8d 0000 07000000", "0c 0167 07 05 ac02 012a 0164 01 e807 00", "ac02 01 02 03 01", "00 00"),
    ],
    [
      "W207: a page of apps",
      {
        kind: "apps",
        position: 12,
        apps: [{ app: "a", version: 2, epoch: 3, paused: true, tasks: 4, createdAtMs: 5, deployedAtMs: 300 }],
        next: "a",
      },
      goldenHex("16000000 01 92 0000 07000000", "0c 01 0161 02 03 01 04 05 ac02 01 0161"),
    ],
    [
      "W208: an app and its tasks",
      {
        kind: "app",
        position: 12,
        logTime: 300,
        app: "a",
        version: 2,
        epoch: 3,
        paused: false,
        description: "d",
        options: "o",
        shape: [{ stage: 1, name: "n", text: "t" }],
        createdAtMs: 5,
        deployedAtMs: 6,
        tasks: [
          {
            task: "0.0",
            inputs: ["i"],
            begins: [7],
            born: 3,
            start: { position: 0, ordinal: 0, index: 0 },
            place: { cursor: { position: 300, ordinal: 1, index: 2 }, outputs: 3 },
            chain: 4n,
            digests: [{ replica: "r", point: { records: 5, logTime: 9, state: 6n, outputs: 7n } }],
            nextDue: 8,
            commits: 9,
            verified: {
              replica: "s",
              manifest: 11,
              neededFrom: 12,
              point: { records: 1, logTime: 2, state: 3n, outputs: 4n },
            },
            trimmed: true,
            commit: { replica: "r", atMs: 10 },
          },
        ],
      },
      goldenHex(
        "68000000 01 93 0000 07000000",
        "0c ac02 0161 02 03 00 0164 016f 01 01 016e 0174 05 06",
        "01 03302e30 01 0169 01 07 03 000000 ac020102 03 0400000000000000",
        "01 0172 05 09 0600000000000000 0700000000000000",
        "09 17 08 0173 0b 0c 01 02 0300000000000000 0400000000000000 0172 0a",
      ),
    ],
    ["W123: no cursor", { kind: "cursor", position: 12 }, goldenHex("0a000000 01 90 0000 07000000", "0c 00")],
    [
      "W85: overloaded",
      { kind: "error", position: 0, code: "overloaded", message: "busy", retryAfterSeconds: 1 },
      goldenHex("1b000000 01 83 0000 07000000", "00", "0a6f7665726c6f61646564", "0462757379", "02 01"),
    ],
    [
      "W85: trimmed",
      { kind: "error", position: 3, code: "offset-trimmed", message: "gone", firstOffset: 130 },
      goldenHex("20000000 01 83 0000 07000000", "03", "0e6f66667365742d7472696d6d6564", "04676f6e65", "01 8201"),
    ],
  ])("%s", (_what, value, golden) => {
    expect(hex(encodeResponse(value, 7))).toBe(golden);
    expect(decodeResponse(frameOf(goldenBytes(golden)))).toEqual({ ok: true, value });
  });
});

describe("round trips", () => {
  it("W70 to W72: any request", () => {
    fc.assert(
      fc.property(arbitraryRequest, fc.nat(0xffff_ffff), (value, id) => {
        const frame = frameOf(encodeRequest(value, id));
        expect(frame.requestId).toBe(id);
        expect(decodeRequest(frame, LIMITS)).toEqual({ ok: true, value });
      }),
    );
  });

  it("W80 to W85: any response", () => {
    fc.assert(
      fc.property(arbitraryResponse, fc.nat(0xffff_ffff), (value, id) => {
        const frame = frameOf(encodeResponse(value, id));
        expect(frame.requestId).toBe(id);
        expect(decodeResponse(frame)).toEqual({ ok: true, value });
      }),
    );
  });

  it("W66: requests and responses are told apart by their kinds", () => {
    fc.assert(
      fc.property(arbitraryRequest, arbitraryResponse, (asked, answered) => {
        expect(frameOf(encodeRequest(asked, 1)).kind).toBeLessThan(128);
        expect(frameOf(encodeResponse(answered, 1)).kind).toBeGreaterThanOrEqual(128);
      }),
      { numRuns: 20 },
    );
  });
});

describe("requests that are refused", () => {
  const head = encodeCommands([{ kind: "append", stream: "a", close: false, batch: batchOf(BATCH) }]).head;

  it("the scaffold is right", () => {
    expect(code(request(1, (body) => body.blob(head).varint(1).varint(BATCH.length).bytes(BATCH)))).toBe("ok");
  });

  it.each<[string, string, number, (body: ByteWriter) => unknown]>([
    ["W6: a kind that is not known", "malformed-frame", 99, () => 0],
    ["W66: a response", "malformed-frame", 128, () => 0],
    ["W70: an empty command", "malformed-frame", 1, () => 0],
    ["W42: no command", "malformed-frame", 1, (body) => body.blob(Uint8Array.of(0)).varint(0)],
    [
      "W42: two commands",
      "malformed-frame",
      1,
      (body) => body.blob(encodeCommands([{ kind: "tick" }, { kind: "tick" }]).head).varint(0),
    ],
    ["W40: a head cut short", "malformed-command", 1, (body) => body.blob(head.subarray(0, 2)).varint(0)],
    ["W40: fewer batches than the command names", "malformed-command", 1, (body) => body.blob(head).varint(0)],
    [
      "W40: more batches than the command names",
      "malformed-command",
      1,
      (body) => body.blob(head).varint(2).varint(BATCH.length).varint(BATCH.length).bytes(BATCH).bytes(BATCH),
    ],
    ["W70: a head of 4 GiB", "malformed-frame", 1, (body) => body.varint(2 ** 32).bytes(head)],
    [
      "W70: a batch of 4 GiB",
      "malformed-frame",
      1,
      (body) =>
        body
          .blob(head)
          .varint(1)
          .varint(2 ** 32)
          .bytes(BATCH),
    ],
    ["W70: four billion batches", "malformed-frame", 1, (body) => body.blob(head).varint(2 ** 32)],
    [
      "W70: bytes behind the batch",
      "malformed-frame",
      1,
      (body) => body.blob(head).varint(1).varint(BATCH.length).bytes(BATCH).u8(0),
    ],
    [
      "W22: a batch cut short",
      "malformed-batch",
      1,
      (body) => body.blob(head).varint(1).varint(39).bytes(BATCH.subarray(0, 39)),
    ],
    [
      "W31: a batch that compaction made",
      "malformed-batch",
      1,
      (body) => {
        const sparse = encodeSparseBatch([{ offsetDelta: 0, record: { value: utf8("hi") } }], 1);
        return body.blob(head).varint(1).varint(sparse.length).bytes(sparse);
      },
    ],
    [
      "W21: a batch with a flipped bit",
      "checksum-mismatch",
      1,
      (body) => body.blob(head).varint(1).varint(BATCH.length).bytes(BATCH.with(39, 0)),
    ],
    [
      "a batch over the bound",
      "batch-too-large",
      1,
      (body) => {
        const large = encodeBatch([{ value: new Uint8Array(LIMITS.batchBytesMax) }]);
        return body.blob(head).varint(1).varint(large.length).bytes(large);
      },
    ],
    [
      "W71: a read from nowhere",
      "malformed-frame",
      2,
      (body) => body.string("a").u8(3).varint(0).varint(1).varint(0).u8(0),
    ],
    ["W138: a listing of groups cut short", "malformed-frame", 11, (body) => body.string("").string("g")],
    [
      "W138: bytes behind a listing of groups",
      "malformed-frame",
      11,
      (body) => body.string("").string("g").varint(1).u8(0),
    ],
    ["W207: a listing of apps cut short", "malformed-frame", 16, (body) => body.string("").string("a")],
    ["W208: an app cut short", "malformed-frame", 17, (body) => body.string("a")],
    ["W208: a flag that is neither", "malformed-frame", 17, (body) => body.string("a").u8(2)],
    ["W139: a group cut short", "malformed-frame", 12, (body) => body.string("g").varint(1)],
    ["W139: neither brief nor in full", "malformed-frame", 12, (body) => body.string("g").varint(1).u8(2)],
    ["W71: a read cut short", "malformed-frame", 2, (body) => body.string("a").u8(0).varint(0).varint(1).varint(0)],
    [
      "W71: a flag that is neither",
      "malformed-frame",
      2,
      (body) => body.string("a").u8(0).varint(0).varint(1).varint(0).u8(2),
    ],
    [
      "W71: bytes behind a read",
      "malformed-frame",
      2,
      (body) => body.string("a").u8(0).varint(0).varint(1).varint(0).u8(0).u8(0),
    ],
    [
      "W2: an offset past the safe integers",
      "malformed-frame",
      2,
      (body) => body.string("a").u8(0).bytes(new Uint8Array(8).fill(0xff)).varint(1).varint(0).u8(0),
    ],
    [
      "W13: a read of a name that is none",
      "malformed-name",
      2,
      (body) => body.string("a/../b").u8(0).varint(0).varint(1).varint(0).u8(0),
    ],
    ["W13: a description of a name that is none", "malformed-name", 3, (body) => body.string("")],
    ["W14: a name that is too long", "malformed-name", 3, (body) => body.string("x".repeat(1_025))],
    ["W4: a name that is not UTF-8", "malformed-frame", 3, (body) => body.blob(Uint8Array.of(0xff))],
    ["W120: a prefix longer than any name", "malformed-frame", 9, (body) => body.string("x".repeat(1_025)).u8(0).u8(1)],
    ["W120: bytes behind a listing", "malformed-frame", 9, (body) => body.string("").string("").varint(1).u8(0)],
    ["W122: a time in a name that is none", "malformed-name", 10, (body) => body.string("").varint(1).u8(0)],
    ["W122: a flag that is neither", "malformed-frame", 10, (body) => body.string("a").varint(1).u8(2)],
    ["W123: bytes behind a cursor", "malformed-frame", 13, (body) => body.string("a").u8(0)],
  ])("%s", (_what, expected, kind, write) => {
    expect(code(request(kind, write))).toBe(expected);
  });

  it("W70: an encoder sends no batch that it does not have", () => {
    const batch = { hash: 1n, length: 40, span: 1 };
    expect(() =>
      encodeRequest({ kind: "command", command: { kind: "append", stream: "a", close: false, batch } }, 1),
    ).toThrow(InvariantError);
  });
});

describe("responses that are refused", () => {
  it.each<[string, number, (body: ByteWriter) => unknown]>([
    ["W6: a kind that is not known", 200, (body) => body.varint(1)],
    ["W66: a request", 1, (body) => body.varint(1)],
    ["W80: nothing", 128, () => 0],
    ["W80: a result that is none", 128, (body) => body.varint(1).u8(99)],
    [
      "W82: more batches than bytes",
      129,
      (body) =>
        facts(body)
          .varint(0)
          .u8(1)
          .varint(2 ** 20),
    ],
    [
      "W82: a batch of 4 GiB",
      129,
      (body) =>
        facts(body)
          .varint(0)
          .u8(1)
          .varint(1)
          .varint(0)
          .varint(0)
          .varint(2 ** 32),
    ],
    ["W82: a flag that is neither", 129, (body) => facts(body).varint(0).u8(2).varint(0)],
    ["W82: bytes behind the batches", 129, (body) => facts(body).varint(0).u8(1).varint(0).u8(0)],
    ["W84: a description cut short", 130, (body) => facts(body)],
    ["W124: an unknown part of a description", 130, (body) => facts(body).varint(0).u8(4).u8(0).u8(0).u8(0)],
    ["W124: an expiry that is none", 130, (body) => facts(body).varint(0).u8(0).u8(3).u8(0).u8(0)],
    ["W120: more streams than bytes", 138, (body) => body.varint(1).varint(2 ** 16)],
    ["W120: a flag that is neither", 138, (body) => body.varint(1).varint(0).u8(2)],
    ["W207: more apps than bytes", 146, (body) => body.varint(1).varint(2 ** 16)],
    ["W208: an app cut short", 147, (body) => body.varint(1).varint(1).string("a")],
    ["W138: more groups than bytes", 140, (body) => body.varint(1).varint(2 ** 16)],
    ["W138: a mode that is none", 140, (body) => body.varint(1).varint(1).string("g").u8(2).bytes(new Uint8Array(7))],
    [
      "W139: a dead-letter stream of partitions",
      141,
      (body) => body.varint(1).string("g").u8(4).string("d").u8(0).bytes(new Uint8Array(9)),
    ],
    [
      "W139: a flag that is neither",
      141,
      (body) => body.varint(1).string("g").bytes(new Uint8Array(7)).u8(2).u8(0).u8(0),
    ],
    [
      "W139: more members than bytes",
      141,
      (body) =>
        body
          .varint(1)
          .string("g")
          .bytes(new Uint8Array(8))
          .varint(2 ** 16),
    ],
    ["W122: bytes behind a place", 139, (body) => body.varint(1).varint(1).varint(1).u8(0)],
    ["W123: a value cut short", 144, (body) => body.varint(1).u8(1).varint(5).u8(0)],
    ["W85: an unknown part", 131, (body) => body.varint(1).string("internal").string("").u8(4)],
  ])("%s", (_what, kind, write) => {
    expect(response(kind, write)).toMatchObject({ ok: false, error: { code: "malformed-frame" } });
  });

  it("W86: a code of a newer server is an error nevertheless", () => {
    expect(response(131, (body) => body.varint(1).string("made-up-later").string("why").u8(0))).toEqual({
      ok: true,
      value: { kind: "error", position: 1, code: "internal", message: "why" },
    });
  });
});

describe("problem documents", () => {
  it("W90: say what the table says", () => {
    expect(PROBLEM_CONTENT_TYPE).toBe("application/problem+json");
    expect(problemOf("overloaded", "try again")).toEqual({
      type: "urn:tidemark:error:overloaded",
      title: "Too much is waiting; try again shortly",
      status: 429,
      detail: "try again",
      code: "overloaded",
      retryable: true,
    });
  });

  it("W90: the table holds together", () => {
    for (const [code, info] of Object.entries(ERRORS)) {
      expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(info.status >= 400 && info.status < 600).toBe(true);
      if (info.outcome === "unknown") expect(info.status).toBeGreaterThanOrEqual(500);
      if (info.retryable) expect([408, 429, 503, 504, 507]).toContain(info.status);
    }
    expect(FRAME_HEADER_LENGTH).toBe(12);
  });
});
