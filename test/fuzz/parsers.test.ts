/**
 * A smoke of seeded fuzzing through every parser of records and of the protocol (W5): bytes that are almost right give a
 * value or an error value with a known code, never a throw, and buffers no larger than the input pays for. A failure
 * prints the seed and the bytes. Each parser must also be seen to accept and to refuse, or the run has shown nothing.
 */
import { describe, expect, it } from "vitest";
import { hex, text, utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Result } from "../../src/lib/result.ts";
import {
  checkBatch,
  decodeBatch,
  encodeBatch,
  encodeSparseBatch,
  verifyRecords,
} from "../../src/record/batch-codec.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import { formatOffset, parseOffset } from "../../src/record/offset.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { decodeCommands, decodeResult, encodeCommands, encodeResult } from "../../src/wire/command-codec.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import { ERRORS } from "../../src/wire/errors.ts";
import { FrameSplitter, splitFrames } from "../../src/wire/frame.ts";
import { decodeRequest, encodeRequest, type Request } from "../../src/wire/request.ts";
import { decodeResponse, encodeResponse, type Response } from "../../src/wire/response.ts";
import { encodeStreamName, parseStreamName } from "../../src/wire/stream-name.ts";
import { allocatedBytes } from "../lib/allocation.ts";
import { nodeZstd } from "../record/node-zstd.ts";
import { batchOf } from "../wire/requests.ts";
import { mutate } from "./mutate.ts";

const SEED = 20_261_121;
const RUNS = 6_000;
const BYTES_MAX = 64 * 1024;
const LIMITS = { batchBytesMax: BYTES_MAX, rawBytesMax: BYTES_MAX, recordBytesMax: BYTES_MAX, zstd: nodeZstd };

type Outcome = Result<unknown, string | { readonly code: string }>;

type Target = {
  readonly name: string;
  readonly samples: readonly Uint8Array[];
  readonly parse: (bytes: Uint8Array) => Outcome;
  /** Bytes of buffers that it may make beyond its input. */
  readonly allocationMax: number;
};

const records: StreamRecord[] = [
  { value: utf8("value") },
  { key: utf8("key"), value: null, timestamp: 1_700_000_000_000 },
  {
    value: utf8("v"),
    headers: [
      ["name", utf8("header")],
      ["é", new Uint8Array(40)],
    ],
  },
];
const plain = encodeBatch(records);
const batches = [
  plain,
  encodeBatch([{ value: new Uint8Array(500).fill(65) }], { zstd: nodeZstd }),
  encodeSparseBatch([{ offsetDelta: 3, record: records[0] as StreamRecord }], 9),
];
const commands: Command[] = [
  {
    kind: "append",
    stream: "a/b",
    close: true,
    batch: batchOf(plain),
    producer: { id: "p", epoch: 1, sequence: 2 },
    expectedOffset: 7,
  },
  {
    kind: "create",
    stream: "c",
    closed: false,
    contentType: "text/plain",
    expiry: { kind: "sliding", ttlSeconds: 60 },
    retention: { maxBytes: 9 },
  },
  {
    kind: "transaction",
    conditions: [
      { kind: "next-offset", stream: "a", offset: 4 },
      { kind: "cursor", name: "c", value: null },
    ],
    operations: [
      { kind: "append", stream: "a", close: false, batch: batchOf(plain) },
      { kind: "cursor", name: "c", value: utf8("9"), expected: null },
    ],
  },
  {
    kind: "subscription-ack",
    id: "s",
    generation: 1,
    wakeId: "w",
    acks: [{ stream: "a", incarnation: 1, offset: 2 }],
    done: false,
  },
];
const results: CommandResult[] = [
  {
    kind: "appended",
    incarnation: 1,
    firstOffset: 2,
    nextOffset: 3,
    tail: 3,
    closed: false,
    duplicate: true,
    producer: { epoch: 1, sequence: 2 },
  },
  { kind: "rejected", code: "sequence-gap", message: "no", expectedSequence: 4, tail: 9 },
  { kind: "transaction", results: [{ kind: "done" }, { kind: "trimmed", firstOffset: 3 }] },
];
const requests: Request[] = [
  ...commands.map((command): Request => ({ kind: "command", command })),
  { kind: "read", stream: "a", from: "offset", offset: 300, maxBytes: 65_536, waitMs: 1_000, incarnation: 4 },
  { kind: "describe", stream: "café" },
  { kind: "list", prefix: "a/", after: "a/b", limit: 100 },
  { kind: "locate", stream: "a", incarnation: 4, atMs: 1_700_000_000_000 },
  { kind: "cursor-get", name: "c" },
];
const facts = { incarnation: 5, contentType: "text/plain", firstOffset: 1, tail: 300, closed: true };
const responses: Response[] = [
  ...results.map((result): Response => ({ kind: "result", position: 5, result })),
  {
    kind: "records",
    position: 9,
    ...facts,
    nextOffset: 3,
    upToDate: true,
    batches: batches.map((bytes) => ({ firstOffset: 1, logTime: 2, bytes })),
  },
  {
    kind: "description",
    position: 9,
    ...facts,
    createdAtMs: 5,
    expiry: { kind: "absolute", atMs: 9 },
    expiresAtMs: 9,
    retention: { maxAgeMs: 1, compaction: { tombstoneMs: 2 } },
    compactedBefore: 1,
    forkedFrom: { stream: "a", offset: 2, partialBytes: 3 },
  },
  { kind: "stream-list", position: 9, streams: [{ name: "a/b", ...facts, createdAtMs: 5 }], next: "a/b" },
  { kind: "located", position: 9, incarnation: 5, offset: 3 },
  { kind: "cursor", position: 9, value: utf8("v") },
  { kind: "error", position: 9, code: "overloaded", message: "m", retryAfterSeconds: 1, firstOffset: 4 },
];

/** Makes the checksum good, so that what lies behind it is reached. */
function sealed(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 12) return bytes;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  data.setUint32(8, bytes.length, true);
  data.setBigUint64(0, xxh64(bytes.subarray(8)), true);
  return bytes;
}

function overFrames(bytes: Uint8Array, decode: (frame: Parameters<typeof decodeResponse>[0]) => Outcome): Outcome {
  const frames = splitFrames(bytes, BYTES_MAX, 100);
  if (!frames.ok) return frames;
  for (const frame of frames.value) {
    const decoded = decode(frame);
    if (!decoded.ok) return decoded;
  }
  return frames;
}

const heads = commands.map((command) => encodeCommands([command]));
const frames = [
  ...requests.map((request, id) => encodeRequest(request, id)),
  ...responses.map((response, id) => encodeResponse(response, id)),
];

const TARGETS: readonly Target[] = [
  { name: "decodeBatch", samples: batches, parse: (bytes) => decodeBatch(bytes, LIMITS), allocationMax: 0 },
  {
    name: "decodeBatch behind the checksum",
    samples: batches,
    parse: (bytes) => decodeBatch(sealed(bytes), LIMITS),
    allocationMax: BYTES_MAX,
  },
  {
    name: "checkBatch and verifyRecords",
    samples: batches,
    parse: (bytes) => {
      const checked = checkBatch(sealed(bytes), LIMITS);
      return checked.ok ? verifyRecords(bytes, LIMITS) : checked;
    },
    allocationMax: BYTES_MAX,
  },
  {
    name: "decodeCommands",
    samples: heads.map(({ head }) => head),
    parse: (bytes) => {
      const answers = [0, 1, 2].map((count) =>
        decodeCommands(
          bytes,
          Array.from({ length: count }, () => batchOf(plain)),
        ),
      );
      return answers.find((answer) => answer.ok) ?? (answers[0] as Outcome);
    },
    allocationMax: 0,
  },
  { name: "decodeResult", samples: results.map(encodeResult), parse: decodeResult, allocationMax: 0 },
  {
    name: "decodeRequest",
    samples: frames,
    parse: (bytes) => overFrames(bytes, (frame) => decodeRequest(frame, LIMITS)),
    allocationMax: 2 * BYTES_MAX,
  },
  {
    name: "decodeResponse",
    samples: frames,
    parse: (bytes) => overFrames(bytes, decodeResponse),
    allocationMax: 2 * BYTES_MAX,
  },
  {
    name: "FrameSplitter in pieces",
    samples: frames,
    parse: (bytes) => {
      const splitter = new FrameSplitter(BYTES_MAX);
      let answer: Outcome = splitter.push(bytes.subarray(0, bytes.length >> 1));
      if (answer.ok) answer = splitter.push(bytes.subarray(bytes.length >> 1));
      return answer;
    },
    allocationMax: 2 * BYTES_MAX,
  },
  {
    name: "parseStreamName",
    samples: ["orders/eu", "café/🌊", "a b%", "x".repeat(1_024)].map((name) => utf8(encodeStreamName(name))),
    parse: (bytes) => parseStreamName(text(bytes) ?? String.fromCharCode(...bytes)),
    allocationMax: BYTES_MAX,
  },
  {
    name: "parseOffset",
    samples: [utf8(formatOffset(1, 2)), utf8(formatOffset(0, 0))],
    parse: (bytes) => parseOffset(text(bytes) ?? ""),
    allocationMax: BYTES_MAX,
  },
];

describe("W5: parsers survive", () => {
  it.each(TARGETS)("$name", ({ name, samples, parse, allocationMax }) => {
    const prng = new Prng(SEED).fork(name);
    let accepted = 0;
    let refused = 0;
    for (let run = 0; run < RUNS; run += 1) {
      const bytes = mutate(prng, samples);
      const shown = hex(bytes);
      try {
        const outcome: Outcome[] = [];
        expect(allocatedBytes(() => outcome.push(parse(bytes)))).toBeLessThanOrEqual(allocationMax);
        const [answer] = outcome as [Outcome];
        if (answer.ok) accepted += 1;
        else {
          refused += 1;
          const code = typeof answer.error === "string" ? answer.error : answer.error.code;
          expect(Object.hasOwn(ERRORS, code)).toBe(true);
        }
      } catch (cause) {
        throw new Error(`seed ${SEED}, run ${run}: ${shown}`, { cause });
      }
    }
    expect(accepted).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
  });
});
