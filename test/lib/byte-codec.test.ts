/** ByteWriter and ByteReader: what one writes the other reads, and a reader survives whatever it is given. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/lib/assert.ts";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { hex } from "../../src/lib/bytes.ts";
import { fromZigzag, toZigzag, VARINT_BYTES_MAX, varintLength } from "../../src/lib/varint.ts";
import { allocatedBytes } from "./allocation.ts";
import { goldenHex } from "./golden.ts";

const safeInteger = fc.oneof(
  fc.nat({ max: 300 }),
  fc.maxSafeNat(),
  fc.integer({ min: 1, max: 52 }).map((bits) => 2 ** bits - 1),
  fc.integer({ min: 1, max: 52 }).map((bits) => 2 ** bits),
  fc.constant(Number.MAX_SAFE_INTEGER),
);

/** One thing to write, and how to read it back. */
const field = fc.oneof(
  fc
    .nat({ max: 0xff })
    .map((value) => ({ value, write: (w: ByteWriter) => w.u8(value), read: (r: ByteReader) => r.u8() })),
  fc
    .nat({ max: 0xffff })
    .map((value) => ({ value, write: (w: ByteWriter) => w.u16(value), read: (r: ByteReader) => r.u16() })),
  fc
    .nat({ max: 0xffff_ffff })
    .map((value) => ({ value, write: (w: ByteWriter) => w.u32(value), read: (r: ByteReader) => r.u32() })),
  fc
    .bigInt({ min: 0n, max: 2n ** 64n - 1n })
    .map((value) => ({ value, write: (w: ByteWriter) => w.u64(value), read: (r: ByteReader) => r.u64() })),
  safeInteger.map((value) => ({ value, write: (w: ByteWriter) => w.int(value), read: (r: ByteReader) => r.int() })),
  fc.double().map((value) => ({ value, write: (w: ByteWriter) => w.f64(value), read: (r: ByteReader) => r.f64() })),
  safeInteger.map((value) => ({
    value,
    write: (w: ByteWriter) => w.varint(value),
    read: (r: ByteReader) => r.varint(),
  })),
  fc
    .integer({ min: -(2 ** 52) + 1, max: 2 ** 52 - 1 })
    .map((value) => ({ value, write: (w: ByteWriter) => w.zigzag(value), read: (r: ByteReader) => r.zigzag() })),
  fc
    .uint8Array({ maxLength: 300 })
    .map((value) => ({ value, write: (w: ByteWriter) => w.blob(value), read: (r: ByteReader) => r.blob(300) })),
  fc
    .string({ unit: "binary", maxLength: 80 })
    .map((value) => ({ value, write: (w: ByteWriter) => w.string(value), read: (r: ByteReader) => r.string(1_000) })),
);

const GETTERS: readonly ((reader: ByteReader, n: number) => unknown)[] = [
  (reader) => reader.u8(),
  (reader) => reader.u16(),
  (reader) => reader.u32(),
  (reader) => reader.u64(),
  (reader) => reader.int(),
  (reader) => reader.f64(),
  (reader) => reader.varint(),
  (reader) => reader.zigzag(),
  (reader, n) => reader.bytes(n),
  (reader, n) => reader.blob(n),
  (reader, n) => reader.string(n),
  (reader, n) => reader.count(n),
  (reader, n) => reader.skip(n),
];

/** The varint that is all of these bytes. */
function read(...bytes: readonly number[]): number | undefined {
  const reader = new ByteReader(Uint8Array.from(bytes));
  const value = reader.varint();
  return reader.complete ? value : undefined;
}

function u64Reader(high: number, low: number): ByteReader {
  return new ByteReader(new ByteWriter().u32(low).u32(high).finish());
}

describe("what is written is read", () => {
  it("for any sequence of fields", () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 30 }), (fields) => {
        const writer = new ByteWriter(1);
        for (const { write } of fields) write(writer);
        const reader = new ByteReader(writer.finish());
        for (const { value, read } of fields) expect(read(reader)).toStrictEqual(value);
        expect(reader.complete).toBe(true);
      }),
    );
  });

  it("W1, W2: golden bytes", () => {
    const writer = new ByteWriter();
    writer.u8(0xab).u16(0x0102).u32(0x0304_0506).u64(0x0708_090a_0b0c_0d0en).int(Number.MAX_SAFE_INTEGER).f64(1.5);
    writer.varint(0).varint(127).varint(128).varint(300).varint(Number.MAX_SAFE_INTEGER).zigzag(-1).zigzag(1);
    writer.blob(Uint8Array.of(9)).string("é");
    expect(hex(writer.finish())).toBe(
      goldenHex(
        "ab 0201 06050403 0e0d0c0b0a090807 ffffffffffff1f00 000000000000f83f",
        "00 7f 8001 ac02 ffffffffffffff0f 01 02",
        "0109 02c3a9",
      ),
    );
  });

  it("a writer is reused, patched and cut", () => {
    const writer = new ByteWriter(1);
    writer.string("something longer").reset();
    writer.skip(13).u8(7).u8(8).truncate(14);
    writer.patchU64(0, 1n);
    writer.patchU32(8, 2);
    writer.patchU8(12, 3);
    expect(hex(writer.view())).toBe(goldenHex("0100000000000000 02000000 03 07"));
    expect(writer.length).toBe(14);
    expect(() => writer.patchU32(11, 0)).toThrow(InvariantError);
    expect(() => writer.truncate(15)).toThrow(InvariantError);
  });

  it.each([-1, 1.5, Number.NaN, Number.MAX_SAFE_INTEGER + 1, Number.POSITIVE_INFINITY])(
    "W2: %s is no integer that a codec writes",
    (value) => {
      const writer = new ByteWriter();
      expect(() => writer.int(value)).toThrow(InvariantError);
      expect(() => writer.varint(value)).toThrow(InvariantError);
      expect(() => writer.u8(value)).toThrow(InvariantError);
      expect(() => writer.u16(value)).toThrow(InvariantError);
      expect(() => writer.u32(value)).toThrow(InvariantError);
    },
  );
});

describe("varints", () => {
  it("have the length that is said", () => {
    fc.assert(
      fc.property(safeInteger, (value) => {
        const writer = new ByteWriter(1);
        writer.varint(value);
        expect(writer.length).toBe(varintLength(value));
        expect(writer.length).toBeLessThanOrEqual(VARINT_BYTES_MAX);
      }),
    );
  });

  it("zigzag is a bijection", () => {
    expect([0, -1, 1, -2, 2].map(toZigzag)).toEqual([0, 1, 2, 3, 4]);
    for (const edge of [2 ** 52 - 1, -(2 ** 52), 2 ** 51, -(2 ** 51)]) expect(fromZigzag(toZigzag(edge))).toBe(edge);
  });

  it("W2: take a safe integer and nothing above", () => {
    expect(read(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)).toBe(Number.MAX_SAFE_INTEGER);
    expect(read(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10)).toBeUndefined();
    expect(read(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)).toBeUndefined();
    expect(read(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)).toBeUndefined();
  });

  it("W2: have one form each", () => {
    expect(read(0x00)).toBe(0);
    expect(read(0x80, 0x00)).toBeUndefined();
    expect(read(0xff, 0x00)).toBeUndefined();
    expect(read(0x80, 0x80, 0x01)).toBe(16_384);
    expect(read(0x81, 0x80, 0x80, 0x00)).toBeUndefined();
  });

  it("do not end in the middle", () => {
    expect(read()).toBeUndefined();
    expect(read(0x80)).toBeUndefined();
    expect(read(0xff, 0xff, 0xff)).toBeUndefined();
  });

  it("W2: a u64 above the safe integers is refused", () => {
    expect(u64Reader(0x1f_ffff, 0xffff_ffff).int()).toBe(Number.MAX_SAFE_INTEGER);
    for (const [high, low] of [
      [0x20_0000, 0],
      [0x20_0000, 1],
      [0xffff_ffff, 0xffff_ffff],
    ] as const) {
      const above = u64Reader(high, low);
      expect(above.int()).toBe(0);
      expect(above.failed).toBe(true);
    }
  });
});

describe("a reader of anything", () => {
  it("the count of allocations counts", () => {
    expect(allocatedBytes(() => new ByteWriter(100))).toBe(100);
  });

  it("W5: never throws, never allocates, stays inside its range", () => {
    const length = fc.oneof(
      fc.nat({ max: 100 }),
      fc.constantFrom(-1, 0.5, Number.NaN, 2 ** 32, Number.MAX_SAFE_INTEGER),
    );
    const steps = fc.array(fc.tuple(fc.nat({ max: GETTERS.length - 1 }), length), { maxLength: 30 });
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.nat(9),
        fc.integer({ min: 8, max: 70 }),
        steps,
        (bytes, start, end, calls) => {
          const allocated = allocatedBytes(() => {
            const reader = new ByteReader(bytes, start, end);
            let position = reader.position;
            for (const [getter, n] of calls) {
              const failed = reader.failed;
              GETTERS[getter]?.(reader, n);
              expect(reader.position).toBeGreaterThanOrEqual(position);
              if (failed) expect(reader.failed && reader.remaining === 0).toBe(true);
              else if (!reader.failed) expect(reader.position).toBeLessThanOrEqual(Math.min(end, bytes.length));
              position = reader.position;
            }
          });
          expect(allocated).toBe(0);
        },
      ),
    );
  });

  it("W5: a claim of 4 GiB, or of 2^53, costs nothing", () => {
    for (const claim of [2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const writer = new ByteWriter();
      const bytes = writer.varint(claim).u8(1).finish();
      expect(
        allocatedBytes(() => {
          expect(new ByteReader(bytes).blob(Number.MAX_SAFE_INTEGER)).toEqual(Uint8Array.of());
          expect(new ByteReader(bytes).string(Number.MAX_SAFE_INTEGER)).toBe("");
          expect(new ByteReader(bytes).count(Number.MAX_SAFE_INTEGER)).toBe(0);
        }),
      ).toBe(0);
    }
  });

  it("bounds what the caller bounds", () => {
    const bytes = new ByteWriter().blob(new Uint8Array(10)).finish();
    const reader = new ByteReader(bytes);
    reader.blob(9);
    expect(reader.failed).toBe(true);
    expect(new ByteReader(bytes).blob(10)).toHaveLength(10);
  });

  it("lends views, not copies", () => {
    const bytes = Uint8Array.of(1, 7, 7);
    expect(new ByteReader(bytes).blob(1).buffer).toBe(bytes.buffer);
  });

  it("reads inside a larger buffer", () => {
    const whole = Uint8Array.of(9, 9, 1, 2, 3, 4, 9);
    const reader = new ByteReader(whole.subarray(2, 6));
    expect(reader.u32()).toBe(0x0403_0201);
    expect(reader.complete).toBe(true);
  });
});
