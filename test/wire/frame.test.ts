/** Frames: cut right however their bytes arrive, and refused before they cost anything. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/lib/assert.ts";
import { concat, hex } from "../../src/lib/bytes.ts";
import { encodeFrame, type Frame, FRAME_HEADER_LENGTH, FrameSplitter, splitFrames } from "../../src/wire/frame.ts";
import { allocatedBytes } from "../lib/allocation.ts";
import { goldenHex } from "../lib/golden.ts";

const MAX = 1_000;

const frame: fc.Arbitrary<Frame> = fc.record({
  kind: fc.nat(255),
  requestId: fc.nat(0xffff_ffff),
  body: fc.uint8Array({ maxLength: 200 }),
});

function encode({ kind, requestId, body }: Frame): Uint8Array {
  return encodeFrame(kind, requestId, [body]);
}

function header(length: number, version = 1, flags = 0): Uint8Array {
  const bytes = encodeFrame(7, 9, []);
  const data = new DataView(bytes.buffer, bytes.byteOffset);
  data.setUint32(0, length, true);
  data.setUint8(4, version);
  data.setUint16(6, flags, true);
  return bytes;
}

function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, place) => bytes.subarray(places[place], end));
}

describe("encodeFrame", () => {
  it("W60: golden bytes", () => {
    const bytes = encodeFrame(0x81, 0x0403_0201, [Uint8Array.of(0xaa), Uint8Array.of(), Uint8Array.of(0xbb, 0xcc)]);
    expect(hex(bytes)).toBe(goldenHex("0b000000 01 81 0000 01020304 aabbcc"));
    expect(splitFrames(bytes, MAX, 1)).toEqual({
      ok: true,
      value: [{ kind: 0x81, requestId: 0x0403_0201, body: Uint8Array.of(0xaa, 0xbb, 0xcc) }],
    });
  });

  it.each([-1, 2 ** 32, 0.5])("W65: %s is no request number", (requestId) => {
    expect(() => encodeFrame(1, requestId, [])).toThrow(InvariantError);
  });
});

describe("FrameSplitter", () => {
  it("W60: gives the same frames however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 20 }), (frames, cuts) => {
        const splitter = new FrameSplitter(MAX);
        const found: Frame[] = [];
        for (const piece of pieces(concat(frames.map(encode)), cuts)) {
          const cut = splitter.push(piece);
          if (!cut.ok) throw new Error(cut.error.message);
          found.push(...cut.value);
        }
        expect(found).toEqual(frames);
        expect(splitter.pendingBytes).toBe(0);
      }),
    );
  });

  it("W60: byte by byte", () => {
    const bytes = concat([encode({ kind: 1, requestId: 2, body: new Uint8Array(50).fill(3) }), encodeFrame(4, 5, [])]);
    const splitter = new FrameSplitter(MAX);
    const found = [...bytes].flatMap((byte) => {
      const cut = splitter.push(Uint8Array.of(byte));
      return cut.ok ? cut.value : [];
    });
    expect(found.map(({ kind, body }) => [kind, body.length])).toEqual([
      [1, 50],
      [4, 0],
    ]);
  });

  it("keeps what it holds when the caller's buffer is used again", () => {
    const bytes = encodeFrame(1, 1, [Uint8Array.of(1, 2, 3)]);
    const buffer = bytes.slice(0, 13);
    const splitter = new FrameSplitter(MAX);
    splitter.push(buffer);
    buffer.fill(0xff);
    expect(splitter.push(bytes.subarray(13))).toEqual({
      ok: true,
      value: [{ kind: 1, requestId: 1, body: Uint8Array.of(1, 2, 3) }],
    });
  });

  it("W61: a claim of 4 GiB is refused as soon as it is read, and costs nothing", () => {
    for (const first of [4, 3, 1]) {
      const splitter = new FrameSplitter(64 * 1024 * 1024);
      const claim = header(2 ** 32 - 1).subarray(0, 4);
      const allocated = allocatedBytes(() => {
        const early = splitter.push(claim.subarray(0, first));
        const answer = first === 4 ? early : splitter.push(claim.subarray(first));
        expect(answer).toMatchObject({ ok: false, error: { code: "body-too-large" } });
      });
      expect(allocated).toBeLessThan(16);
    }
  });

  it("W61: memory grows with what has arrived, not with what is claimed", () => {
    const splitter = new FrameSplitter(64 * 1024 * 1024);
    const allocated = allocatedBytes(() => {
      expect(splitter.push(header(60 * 1024 * 1024)).ok).toBe(true);
      for (let chunk = 0; chunk < 100; chunk += 1) splitter.push(new Uint8Array(10).fill(1));
    });
    expect(splitter.pendingBytes).toBe(FRAME_HEADER_LENGTH + 1_000);
    expect(allocated).toBeLessThan(8_192);
  });

  it("W61: a large frame in small chunks is copied a few times, not once a chunk", () => {
    const bytes = encodeFrame(1, 1, [new Uint8Array(4 * 1024 * 1024)]);
    const splitter = new FrameSplitter(bytes.length);
    let frames = 0;
    const allocated = allocatedBytes(() => {
      for (let place = 0; place < bytes.length; place += 1_000) {
        const cut = splitter.push(bytes.subarray(place, place + 1_000));
        if (cut.ok) frames += cut.value.length;
      }
    });
    expect(frames).toBe(1);
    expect(allocated).toBeLessThan(bytes.length * 4);
  });

  it("W61: the bound counts the whole frame", () => {
    const bytes = encodeFrame(1, 1, [new Uint8Array(MAX - FRAME_HEADER_LENGTH)]);
    expect(new FrameSplitter(MAX).push(bytes).ok).toBe(true);
    expect(new FrameSplitter(MAX - 1).push(bytes)).toMatchObject({ ok: false, error: { code: "body-too-large" } });
  });

  it.each([
    ["W62: a length of 0", header(0), "malformed-frame"],
    ["W62: a length within the header", header(7), "malformed-frame"],
    ["W63: another version", header(8, 2), "unsupported-version"],
    ["W63: an unknown flag", header(8, 1, 1), "malformed-frame"],
    ["W63: a high unknown flag", header(8, 1, 0x8000), "malformed-frame"],
  ])("%s is refused, and the rest is not read", (_what, bytes, code) => {
    const splitter = new FrameSplitter(MAX);
    const answer = splitter.push(concat([encodeFrame(1, 1, []), bytes, encodeFrame(2, 2, [])]));
    expect(answer).toMatchObject({ ok: false, error: { code } });
    expect(splitter.push(encodeFrame(3, 3, []))).toEqual(answer);
    expect(splitter.pendingBytes).toBe(0);
  });

  it("takes no more frames than asked for", () => {
    const three = concat([1, 2, 3].map((id) => encodeFrame(1, id, [])));
    expect(new FrameSplitter(MAX).push(three, 3).ok).toBe(true);
    expect(new FrameSplitter(MAX).push(three, 2)).toMatchObject({ ok: false, error: { code: "malformed-frame" } });
  });
});

describe("splitFrames", () => {
  it("W64: a body ends with a frame", () => {
    const bytes = encodeFrame(1, 1, [Uint8Array.of(5)]);
    for (let length = 1; length < bytes.length; length += 1) {
      expect(splitFrames(bytes.subarray(0, length), MAX, 9)).toMatchObject({
        ok: false,
        error: { code: "malformed-frame" },
      });
    }
    expect(splitFrames(new Uint8Array(), MAX, 9)).toEqual({ ok: true, value: [] });
  });
});

describe("W5: any bytes", () => {
  it("are answered with a value, and cost no more than twice what they are", () => {
    const lengths = fc.tuple(
      fc.constantFrom(0, 7, 8, 9, 30, 255),
      fc.constant(0),
      fc.constant(0),
      fc.constantFrom(0, 0, 0, 255),
      fc.constant(1),
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.tuple(lengths, fc.uint8Array({ maxLength: 60 })).map(([head, rest]) => Uint8Array.of(...head, ...rest)),
    );
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(), { maxLength: 5 }), (input, cuts) => {
        const parts = pieces(input, cuts);
        const splitter = new FrameSplitter(MAX);
        const allocated = allocatedBytes(() => {
          for (const part of parts) {
            splitter.push(part);
            expect(splitter.pendingBytes).toBeLessThanOrEqual(input.length);
          }
        });
        expect(allocated).toBeLessThanOrEqual(2 * MAX + 16);
      }),
      { numRuns: 500 },
    );
  });
});
