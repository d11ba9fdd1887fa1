/** Frames survive any cutting of the stream, and nothing damaged is taken for one (N1, N2). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  beginFrame,
  encodeFrame,
  FRAME_HEADER_LENGTH,
  type Frame,
  type FrameKind,
  sealFrame,
} from "../../log-server/peer/frame.ts";
import { FrameParser } from "../../log-server/peer/frame-parser.ts";
import { decodeHello, encodeHello, decodeRefusal, encodeRefusal } from "../../log-server/peer/hello.ts";
import {
  decodeTransfer,
  encodeTransfer,
  type TransferMessage,
} from "../../log-server/node/catch-up/transfer-message.ts";

const PAYLOAD_MAX = 64;

function collect(parser: FrameParser, bytes: Buffer, into: string[]): string | undefined {
  return parser.push(bytes, (frame: Frame) => {
    into.push(`${frame.kind} ${Buffer.from(frame.payload).toString("hex")}`);
    return true;
  });
}

describe("the frame parser", () => {
  it("N1: gives the same frames however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: PAYLOAD_MAX }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }),
        (payloads, cuts) => {
          const stream = Buffer.concat(payloads.map((payload) => encodeFrame("control", payload)));
          const parser = new FrameParser(PAYLOAD_MAX);
          const seen: string[] = [];
          for (let place = 0, turn = 0; place < stream.length; turn += 1) {
            const next = place + (cuts[turn % cuts.length] as number);
            expect(collect(parser, stream.subarray(place, next), seen)).toBeUndefined();
            place = next;
          }
          expect(seen).toEqual(payloads.map((payload) => `control ${Buffer.from(payload).toString("hex")}`));
          expect(parser.heldBytes).toBe(0);
        },
      ),
    );
  });

  it("N1: a flipped bit anywhere is found", () => {
    const frame = encodeFrame("entries", Buffer.from("some entries"));
    for (let bit = 0; bit < frame.length * 8; bit += 1) {
      const copy = Buffer.from(frame);
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
      const seen: string[] = [];
      const violation = collect(new FrameParser(PAYLOAD_MAX), copy, seen);
      // A length that grew within the bound waits for bytes that never come: still nothing is taken.
      expect(seen).toEqual([]);
      if (bit < 64 || bit >= FRAME_HEADER_LENGTH * 8) expect(violation).toBe("frame-damaged");
    }
  });

  it("N1: of a frame that proves itself at its end, a bit is found that is wrong before that, and the rest is left to who takes it", () => {
    const payload = Buffer.from("a head, and batches");
    const proven = "batches".length;
    const frame = beginFrame("entries", { length: payload.length, proven }, false, payload.length);
    frame.set(payload, FRAME_HEADER_LENGTH);
    sealFrame(frame, []);
    const parts = beginFrame("entries", { length: payload.length, proven }, false, 3);
    parts.set(payload.subarray(0, 3), FRAME_HEADER_LENGTH);
    sealFrame(parts, [payload.subarray(3, 9), payload.subarray(9)]);
    expect(parts.subarray(0, FRAME_HEADER_LENGTH), "however it is cut").toEqual(frame.subarray(0, FRAME_HEADER_LENGTH));
    for (let bit = 0; bit < frame.length * 8; bit += 1) {
      const copy = Buffer.from(frame);
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
      const seen: string[] = [];
      collect(new FrameParser(PAYLOAD_MAX), copy, seen);
      expect(seen).toHaveLength(bit < (frame.length - proven) * 8 ? 0 : 1);
    }
  });

  it("N1: more cannot prove itself than there is", () => {
    const frame = beginFrame("entries", { length: 1, proven: 2 }, false, 1);
    frame[FRAME_HEADER_LENGTH] = 0;
    expect(collect(new FrameParser(PAYLOAD_MAX), frame, [])).toBe("not-a-frame");
  });

  it("N1: only entries prove themselves, and what a newer version knows", () => {
    const told = (kind: FrameKind, code?: number): unknown => {
      const frame = beginFrame(kind, { length: 1, proven: 1 }, false, 1);
      if (code !== undefined) frame[16] = code;
      sealFrame(frame, []);
      const seen: string[] = [];
      return collect(new FrameParser(PAYLOAD_MAX), frame, seen) ?? seen.length;
    };
    for (const kind of [
      "hello",
      "welcome",
      "refusal",
      "ping",
      "pong",
      "goodbye",
      "control",
      "requests",
      "bulk",
    ] as const)
      expect(told(kind), kind).toBe("not-a-frame");
    expect(told("entries")).toBe(1);
    expect(told("entries", 99)).toBe(1);
  });

  it("N2: holds no more than a header for a length that is not allowed", () => {
    const header = encodeFrame("bulk", new Uint8Array(0));
    header.writeUInt32LE(0xffff_ffff, 8);
    const parser = new FrameParser(PAYLOAD_MAX);
    expect(collect(parser, header.subarray(0, FRAME_HEADER_LENGTH - 1), [])).toBeUndefined();
    expect(collect(parser, header.subarray(FRAME_HEADER_LENGTH - 1), [])).toBe("frame-too-long");
    expect(parser.heldBytes).toBeLessThanOrEqual(FRAME_HEADER_LENGTH);
  });

  it("passes over kinds of a newer version", () => {
    const frame = encodeFrame("control", Buffer.from("?"));
    frame[16] = 99;
    sealFrame(frame, []);
    const seen: string[] = [];
    expect(collect(new FrameParser(PAYLOAD_MAX), frame, seen)).toBeUndefined();
    expect(seen).toEqual(["undefined 3f"]);
  });
});

describe("what is decoded", () => {
  it("hellos and refusals come back as they were; anything else is none", () => {
    const hello = {
      versionOldest: 1,
      versionNewest: 3,
      node: "n1",
      to: "n2",
      disk: "d",
      cluster: "",
      life: "l",
      featureLevel: 4,
      logs: [0, 7],
    };
    expect(decodeHello(encodeHello(hello))).toEqual(hello);
    // What a newer version adds is passed over.
    expect(decodeHello(Buffer.concat([encodeHello(hello), Buffer.from("more")]))).toEqual(hello);
    const refusal = { code: "wrong-node", detail: "é" } as const;
    expect(decodeRefusal(encodeRefusal(refusal))).toEqual(refusal);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeHello(bytes);
        decodeRefusal(bytes);
        decodeTransfer(bytes);
      }),
    );
  });

  it("a transfer's messages come back as they were", () => {
    const messages: TransferMessage[] = [
      { kind: "offer", id: 1, length: 5_000_000_000, name: "segment 7" },
      { kind: "taken", id: 2, offset: 0 },
      { kind: "chunk", id: 3, offset: 9, hash: 11n, bytes: new Uint8Array([1, 2, 3]) },
      { kind: "done", id: 4 },
      { kind: "failed", id: 5, reason: "no room" },
    ];
    for (const message of messages) {
      expect(decodeTransfer(new Uint8Array(Buffer.concat(encodeTransfer(message))))).toEqual(message);
    }
  });
});
