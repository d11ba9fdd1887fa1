/** The bytes of a segment: fixed once written, and safe to read whatever they are. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Closing, closingPlace, encodeClosing, readClosing } from "../../log-server/log/entries/closing.ts";
import { headLengthOf, readEntryHead, writeEntryHead } from "../../log-server/log/entries/entry-codec.ts";
import {
  FRAME_HEADER_LENGTH,
  headIsIntact,
  readFrameHeader,
  seedOfSegment,
  writeFrameHeader,
} from "../../log-server/log/entries/frame.ts";
import { encodeSegmentHeader, readSegmentHeader } from "../../log-server/log/segments/segment-header.ts";
import { scanSegment } from "../../log-server/log/segments/segment-scan.ts";
import { hex } from "../../src/lib/bytes.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import type { Entry } from "../../src/wire/entry.ts";

const ENTRY: Entry = {
  index: 5,
  term: 3,
  kind: "commands",
  logTime: 1_700_000_000_123,
  head: Uint8Array.of(1, 2, 3),
  batches: [{ hash: 0x1122334455667788n, length: 40, span: 2 }],
};

function encode(entry: Entry, sequence: number, place: number): Uint8Array {
  const headLength = headLengthOf(entry);
  const bytes = new Uint8Array(FRAME_HEADER_LENGTH + headLength);
  const data = new DataView(bytes.buffer);
  writeEntryHead(bytes, data, FRAME_HEADER_LENGTH, 7, entry, 0xabcdn);
  const length = bytes.length + 40;
  writeFrameHeader(bytes, data, 0, {
    kind: "entry",
    segmentSeed: seedOfSegment(sequence),
    place,
    length,
    syncedUpTo: 512,
    headLength,
  });
  return bytes;
}

function dataOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

describe("the format of a segment", () => {
  it("has these bytes for an entry", () => {
    expect(hex(encode(ENTRY, 2, 1_024))).toBe(
      [
        "0466764e920d93558b00000001010000000200004300000073a76454de577002",
        "070000000102000005000000000000000300000000000000cdab000000000000",
        "7b68e5cf8b0100000300000001000000",
        "010203",
        "88776655443322112800000002000000",
      ].join(""),
    );
  });

  it("has these bytes for a footer and a header", () => {
    const last = { index: 9, term: 3, hash: 0xfedcn, logTime: 77 };
    expect(hex(encodeClosing("footer", 2, { last, nextSequence: 4, endPlace: 600, dataEnd: 800 }))).toBe(
      [
        "e682be41a3adf1b5500000000301000058020000300000009c4cbd65f274f620",
        "09000000000000000300000000000000dcfe0000000000004d00000000000000",
        "04000000000000005802000020030000",
      ].join(""),
    );
    const header = encodeSegmentHeader({ logId: 7, sequence: 2, previous: last });
    expect(header.length).toBe(512);
    expect(hex(header.subarray(0, 64))).toBe(
      [
        "de1df285b0f6ff66544d534701000000070000000000000002000000000000000a00000000000000",
        "0300000000000000dcfe0000000000004d00000000000000",
      ].join(""),
    );
    expect(readSegmentHeader(header, 2)).toEqual({ logId: 7, sequence: 2, previous: last });
    expect(readSegmentHeader(header, 3)).toEqual({ kind: "damaged" });
  });

  it("is read back as it was written, and only in its place", () => {
    fc.assert(
      fc.property(
        fc.record({
          index: fc.maxSafeNat(),
          term: fc.maxSafeNat(),
          kind: fc.constantFrom("noop" as const, "commands" as const, "configuration" as const),
          logTime: fc.maxSafeNat(),
          head: fc.uint8Array({ maxLength: 40 }),
          batches: fc.array(
            fc.record({ hash: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), length: fc.nat(), span: fc.nat() }),
            { maxLength: 5 },
          ),
        }),
        fc.nat(0xffff_ffff),
        (entry, place) => {
          const bytes = encode(entry, 9, place);
          const frame = readFrameHeader(bytes, dataOf(bytes), 0, seedOfSegment(9), place);
          if (frame === undefined || frame === "unsupported") throw new Error("not read back");
          expect(frame).toMatchObject({ kind: "entry", length: bytes.length + 40, syncedUpTo: 512 });
          expect(headIsIntact(bytes, 0, frame)).toBe(true);
          const { index, term, kind, logTime, head, batches } = entry;
          const read = readEntryHead(bytes, dataOf(bytes), FRAME_HEADER_LENGTH, frame.headLength, 7);
          expect(read).toEqual({ index, term, kind, logTime, head, batches, previousHash: 0xabcdn });
          expect(readEntryHead(bytes, dataOf(bytes), FRAME_HEADER_LENGTH, frame.headLength, 8)).toBeUndefined();
          expect(readFrameHeader(bytes, dataOf(bytes), 0, seedOfSegment(9), place + 8)).toBeUndefined();
          expect(readFrameHeader(bytes, dataOf(bytes), 0, seedOfSegment(10), place)).toBeUndefined();
        },
      ),
    );
  });

  it("shows a changed bit anywhere in a frame", () => {
    const bytes = encode(ENTRY, 2, 1_024);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = bytes.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      const frame = readFrameHeader(changed, dataOf(changed), 0, seedOfSegment(2), 1_024);
      expect(frame === undefined || (frame !== "unsupported" && !headIsIntact(changed, 0, frame))).toBe(true);
    }
  });

  it("says that a kind or version is not known rather than take it for damage", () => {
    for (const [at, value] of [
      [12, 5],
      [13, 2],
    ] as const) {
      const bytes = encodeClosing("mark", 2, {
        last: { index: 0, term: 0, hash: 0n, logTime: 0 },
        nextSequence: 0,
        endPlace: 512,
        dataEnd: 512,
      });
      bytes[at] = value;
      expect(readFrameHeader(rehashed(bytes), dataOf(bytes), 0, seedOfSegment(2), 512)).toBe("unsupported");
    }
  });

  it("keeps marks in sectors of their own", () => {
    expect([closingPlace(512), closingPlace(513), closingPlace(1_024)]).toEqual([512, 1_024, 1_024]);
    const closing: Closing = {
      last: { index: 1, term: 1, hash: 5n, logTime: 2 },
      nextSequence: 0,
      endPlace: 520,
      dataEnd: 520,
    };
    const bytes = encodeClosing("mark", 3, closing);
    const frame = readFrameHeader(bytes, dataOf(bytes), 0, seedOfSegment(3), 1_024);
    if (frame === undefined || frame === "unsupported") throw new Error("not read back");
    expect(readClosing(dataOf(bytes), 0, frame)).toEqual(closing);
  });
});

describe("a scan", () => {
  it("of anything at all ends, covers it without a gap, and does not throw", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 0, maxLength: 3_000, size: "max" }),
        fc.boolean(),
        async (noise, withHeader) => {
          const disk = new SimDisk();
          const file = await disk.open("segment", "create");
          const header = encodeSegmentHeader({
            logId: 0,
            sequence: 1,
            previous: { index: 0, term: 0, hash: 0n, logTime: 0 },
          });
          await file.write(0, withHeader ? [header, encode(ENTRY, 1, 512), noise] : [noise]);
          const scan = await scanSegment(file, 1, 0, () => undefined);
          if (!scan.ok) throw new Error(scan.error.message);
          let place = 512;
          for (const piece of scan.value.pieces) {
            expect(piece.place).toBe(place);
            expect(piece.end).toBeGreaterThan(place);
            place = piece.end;
          }
          expect(place).toBeLessThanOrEqual(scan.value.dirtyEnd);
        },
      ),
      { numRuns: 100 },
    );
  });
});

/** As a later version would have written it. */
function rehashed(bytes: Uint8Array): Uint8Array {
  dataOf(bytes).setBigUint64(0, xxh64(bytes.subarray(8, 32), seedOfSegment(2) + 512n), true);
  return bytes;
}
