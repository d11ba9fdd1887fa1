/**
 * Batches that nobody honest made. A decoder answers each with an error value, never with a throw, and asks for no memory
 * that the input does not pay for. Where the attack is behind the checksum, the checksum is made good first.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import {
  type BatchErrorCode,
  checkBatch,
  decodeBatch,
  encodeBatch,
  encodeSparseBatch,
  verifyRecords,
} from "../../src/record/batch-codec.ts";
import { BATCH_HEADER_LENGTH, BATCH_RECORDS_MAX } from "../../src/record/batch.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import { recordBytes } from "../../src/record/record-size.ts";
import { type RecordHeader, TIMESTAMP_MAX_MS } from "../../src/record/record.ts";
import { allocatedBytes } from "../lib/allocation.ts";
import { arbitraryRecord, arbitraryRecords } from "./arbitrary-records.ts";
import { nodeZstd } from "./node-zstd.ts";

const LIMITS = { batchBytesMax: 100_000, rawBytesMax: 100_000, recordBytesMax: 100_000, zstd: nodeZstd };

type Header = {
  readonly version?: number;
  readonly flags?: number;
  readonly reserved?: number;
  readonly length?: number;
  readonly count?: number;
  readonly span?: number;
  readonly rawLength?: number;
  readonly baseTime?: bigint;
};

/** A batch with a good checksum and anything else. */
function forge(body: Uint8Array, header: Header): Uint8Array {
  const writer = new ByteWriter();
  writer.u64(0n).u32(header.length ?? BATCH_HEADER_LENGTH + body.length);
  writer
    .u8(header.version ?? 1)
    .u8(header.flags ?? 0)
    .u16(header.reserved ?? 0);
  writer
    .u32(header.count ?? 1)
    .u32(header.span ?? header.count ?? 1)
    .u32(header.rawLength ?? body.length);
  writer.u64(BigInt.asUintN(64, header.baseTime ?? 0n)).bytes(body);
  writer.patchU64(0, xxh64(writer.view().subarray(8)));
  return writer.finish();
}

function seal(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(0, xxh64(bytes.subarray(8)), true);
  return bytes;
}

function body(...records: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from(records.flatMap((record) => [record.length, ...record]));
}

function codeOf(bytes: Uint8Array, limits = LIMITS): BatchErrorCode | "ok" {
  const decoded = decodeBatch(bytes, limits);
  return decoded.ok ? "ok" : decoded.error.code;
}

const SPARSE = 0b100;
const PLAIN = body([0, 65]);
const VALID = encodeBatch([
  { key: utf8("key"), value: utf8("value"), headers: [["name", utf8("h")]], timestamp: 5 },
  { value: null },
]);

describe("a header that lies", () => {
  it.each<[string, BatchErrorCode, Header]>([
    ["W6: another version", "unsupported-version", { version: 2 }],
    ["W6: version 0", "unsupported-version", { version: 0 }],
    ["W23: an unknown flag", "malformed-batch", { flags: 0b1000 }],
    ["W23: a reserved field", "malformed-batch", { reserved: 1 }],
    ["W23: an unknown compression", "unsupported-compression", { flags: 0b010 }],
    ["W22: a length too short", "malformed-batch", { length: 38 }],
    ["W22: a length of 4 GiB", "malformed-batch", { length: 2 ** 32 - 1 }],
    ["W24: no offsets", "malformed-batch", { count: 0, span: 0 }],
    ["W24: a dense batch over more offsets than records", "malformed-batch", { count: 1, span: 2 }],
    ["W24: a sparse batch with more records than offsets", "malformed-batch", { count: 2, span: 1, flags: SPARSE }],
    ["W25: four billion records", "batch-too-large", { count: 2 ** 32 - 1 }],
    ["W25: four billion offsets", "batch-too-large", { count: 0, span: 2 ** 32 - 1, flags: SPARSE }],
    ["W25: more records than bytes", "malformed-batch", { count: 2 }],
    ["W25: a raw length that is not the body's", "malformed-batch", { rawLength: 4 }],
    ["W25: a raw length of 4 GiB", "malformed-batch", { rawLength: 2 ** 32 - 1 }],
    ["W29: a base time past the range", "malformed-batch", { baseTime: BigInt(TIMESTAMP_MAX_MS) + 1n }],
    ["W29: the least base time there is", "malformed-batch", { baseTime: -(2n ** 63n) }],
  ])("%s", (_what, code, header) => {
    const forged = forge(PLAIN, header);
    const allocated = allocatedBytes(() => expect(codeOf(forged)).toBe(code));
    expect(allocated).toBe(0);
    // A batch that is only stored is never decoded: what its header claims is settled by checking it.
    if (header.baseTime === undefined) expect(checkBatch(forged, LIMITS)).toMatchObject({ ok: false, error: { code } });
  });

  it("W21: one flipped bit anywhere", () => {
    for (let bit = 0; bit < VALID.length * 8; bit += 1) {
      const flipped = VALID.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(codeOf(flipped)).not.toBe("ok");
    }
  });

  it("W22: cut at every byte, or with one more", () => {
    for (let length = 0; length < VALID.length; length += 1)
      expect(codeOf(VALID.slice(0, length))).toBe("malformed-batch");
    const longer = new Uint8Array(VALID.length + 1);
    longer.set(VALID);
    expect(codeOf(longer)).toBe("malformed-batch");
  });

  it("a batch over the bound is refused before it is hashed", () => {
    const checked = checkBatch(VALID, { batchBytesMax: VALID.length - 1 });
    expect(checked).toMatchObject({ ok: false, error: { code: "batch-too-large" } });
    expect(checkBatch(VALID, { batchBytesMax: VALID.length }).ok).toBe(true);
  });
});

describe("a record that lies", () => {
  it.each<[string, Uint8Array, Header]>([
    ["W27: longer than the body", Uint8Array.of(5, 0, 65), {}],
    ["W27: a length of 2^53 - 1", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0), {}],
    ["W27: a length past the safe integers", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0), {}],
    ["W27: no room for its attributes", Uint8Array.of(0, 0), {}],
    ["W27: bytes behind the last record", Uint8Array.of(1, 0, 0), {}],
    ["W27: bytes without records", PLAIN, { count: 0, span: 1, flags: SPARSE }],
    ["W28: unknown attributes", body([16, 65]), {}],
    ["W28: a null value with bytes", body([8, 65]), {}],
    ["W28: a key longer than its record", Uint8Array.of(3, 1, 5, 65, 1, 0), { count: 2 }],
    ["W28: a key of 4 GiB", body([1, 0xff, 0xff, 0xff, 0xff, 0x0f]), {}],
    ["W28: headers that are none", body([2, 0]), {}],
    ["W28: more headers than bytes", body([2, 0xff, 0xff, 0xff, 0xff, 0x0f]), {}],
    ["W28: a header's value past its record", Uint8Array.of(5, 2, 1, 1, 65, 9, 1, 0), { count: 2 }],
    ["W4: a header's name that is not UTF-8", body([2, 1, 1, 0xff, 0]), {}],
    ["W29: a timestamp past the range", body([4, 2]), { baseTime: BigInt(TIMESTAMP_MAX_MS) }],
    ["W29: a timestamp before the range", body([4, 1]), { baseTime: -BigInt(TIMESTAMP_MAX_MS) }],
    ["W30: a delta at its batch's end", body([0, 3]), { flags: SPARSE, span: 3 }],
    ["W30: deltas that repeat", body([0, 1], [0, 1]), { flags: SPARSE, count: 2, span: 3 }],
    ["W30: deltas that go back", body([0, 2], [0, 1]), { flags: SPARSE, count: 2, span: 3 }],
  ])("%s", (_what, bytes, header) => {
    const forged = forge(bytes, header);
    expect(checkBatch(forged, LIMITS).ok).toBe(true);
    const allocated = allocatedBytes(() => expect(codeOf(forged)).toBe("malformed-batch"));
    expect(allocated).toBe(0);
    expect(verifyRecords(forged, LIMITS)).toMatchObject({ ok: false, error: { code: "malformed-batch" } });
  });

  it("W31: nobody appends a compacted batch", () => {
    const sparse = encodeSparseBatch([{ offsetDelta: 0, record: { value: null } }], 1);
    expect(decodeBatch(sparse, LIMITS).ok).toBe(true);
    expect(verifyRecords(sparse, LIMITS)).toMatchObject({ ok: false, error: { code: "malformed-batch" } });
  });

  it("is refused where it is larger than allowed", () => {
    const bytes = encodeBatch([{ value: new Uint8Array(10) }, { value: new Uint8Array(100) }]);
    expect(verifyRecords(bytes, { ...LIMITS, recordBytesMax: 100 }).ok).toBe(true);
    expect(verifyRecords(bytes, { ...LIMITS, recordBytesMax: 99 })).toMatchObject({
      ok: false,
      error: { code: "record-too-large" },
    });
  });

  it("W33: what its author put into it counts, by the same measure before and behind the encoder", () => {
    fc.assert(
      fc.property(arbitraryRecord, (record) => {
        const bytes = encodeBatch([record]);
        const size = recordBytes(record);
        expect(verifyRecords(bytes, { ...LIMITS, recordBytesMax: size }).ok).toBe(true);
        if (size > 0) expect(verifyRecords(bytes, { ...LIMITS, recordBytesMax: size - 1 }).ok).toBe(false);
      }),
    );
  });

  it("W33: headers are counted, however short they are", () => {
    const headers = Array.from({ length: 1_025 }, (): RecordHeader => ["", new Uint8Array()]);
    const accepted = encodeBatch([{ value: null, headers: headers.slice(1) }]);
    expect(verifyRecords(accepted, LIMITS).ok).toBe(true);
    expect(verifyRecords(encodeBatch([{ value: null, headers }]), LIMITS)).toMatchObject({
      ok: false,
      error: { code: "record-too-large" },
    });
  });
});

describe("W26: compression that lies", () => {
  const ZSTD = 1;
  const megabytes = nodeZstd.compress(new Uint8Array(64 * 1024 * 1024));

  it("a bomb over the bound is not decompressed", () => {
    const bomb = forge(megabytes, { flags: ZSTD, rawLength: 64 * 1024 * 1024 });
    expect(bomb.length).toBeLessThan(LIMITS.batchBytesMax);
    let asked = 0;
    const zstd = { ...nodeZstd, decompress: () => ((asked += 1), undefined) };
    expect(codeOf(bomb, { ...LIMITS, zstd })).toBe("batch-too-large");
    expect(asked).toBe(0);
  });

  it("a bomb that claims to be small stays small", () => {
    const before = process.memoryUsage().arrayBuffers;
    expect(codeOf(forge(megabytes, { flags: ZSTD, rawLength: 1_000 }))).toBe("malformed-batch");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
  });

  it("a bomb of tiny records is refused by their number", () => {
    const tiny = new Uint8Array((BATCH_RECORDS_MAX + 1) * 2).map((_, place) => 1 - (place % 2));
    const bomb = forge(nodeZstd.compress(tiny), { flags: ZSTD, count: BATCH_RECORDS_MAX + 1, rawLength: tiny.length });
    expect(bomb.length).toBeLessThan(1_000);
    expect(codeOf(bomb, { ...LIMITS, rawBytesMax: 2 ** 30 })).toBe("batch-too-large");
  });

  it.each<[string, Uint8Array, number]>([
    ["shorter than claimed", nodeZstd.compress(PLAIN), 4],
    ["longer than claimed", nodeZstd.compress(new Uint8Array(100)), 99],
    ["no zstd at all", Uint8Array.of(1, 2, 3), 3],
    ["cut short", nodeZstd.compress(new Uint8Array(1_000)).slice(0, -3), 1_000],
    ["nothing", new Uint8Array(), 2],
  ])("%s", (_what, compressed, rawLength) => {
    expect(codeOf(forge(compressed, { flags: ZSTD, rawLength }))).toBe("malformed-batch");
  });

  it("where there is no zstd, the code says so", () => {
    const bytes = forge(nodeZstd.compress(PLAIN), { flags: ZSTD, rawLength: PLAIN.length });
    expect(decodeBatch(bytes, { rawBytesMax: 100 })).toMatchObject({
      ok: false,
      error: { code: "unsupported-compression" },
    });
    expect(codeOf(bytes)).toBe("ok");
  });

  it("a port that breaks its word is not believed", () => {
    const bytes = forge(nodeZstd.compress(PLAIN), { flags: ZSTD, rawLength: PLAIN.length });
    const zstd = { ...nodeZstd, decompress: () => body([0, 65, 65]) };
    expect(codeOf(bytes, { ...LIMITS, zstd })).toBe("malformed-batch");
  });
});

describe("W5: any bytes", () => {
  it("are answered with a value, and cost nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        const allocated = allocatedBytes(() => expect(codeOf(bytes)).not.toBe("ok"));
        expect(allocated).toBe(0);
      }),
    );
  });

  it("as a body behind a good checksum, likewise; verifying and decoding agree", () => {
    const records = fc.array(fc.array(fc.oneof(fc.nat(15), fc.nat(255)), { maxLength: 12 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(records, fc.boolean(), (drawn, sparse) => {
        const bytes = forge(body(...drawn), {
          count: drawn.length,
          span: sparse ? 20 : drawn.length,
          flags: sparse ? SPARSE : 0,
        });
        if (!checkBatch(bytes, LIMITS).ok) return;
        const decoded = decodeBatch(bytes, LIMITS);
        if (sparse) return;
        expect(verifyRecords(bytes, LIMITS).ok).toBe(decoded.ok);
      }),
      { numRuns: 2_000 },
    );
  });

  it("a valid batch with bytes changed and the checksum made good: an error, or a batch that encodes to itself", () => {
    const change = fc.tuple(fc.nat(), fc.nat(255));
    fc.assert(
      fc.property(arbitraryRecords, fc.array(change, { minLength: 1, maxLength: 4 }), (records, changes) => {
        const bytes = encodeBatch(records);
        for (const [place, value] of changes) bytes[8 + (place % (bytes.length - 8))] = value;
        const decoded = decodeBatch(seal(bytes), LIMITS);
        if (!decoded.ok) return;
        const again = encodeSparseBatch(decoded.value.records, decoded.value.span);
        expect(decodeBatch(again, LIMITS)).toEqual(decoded);
      }),
      { numRuns: 2_000 },
    );
  });
});
