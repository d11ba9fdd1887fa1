/** The bytes of batches, written down: stored logs and other clients depend on every one of them. */
import { describe, expect, it } from "vitest";
import { hex, utf8 } from "../../src/lib/bytes.ts";
import { decodeBatch, encodeBatch, encodeSparseBatch } from "../../src/record/batch-codec.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { goldenBytes } from "../lib/golden.ts";
import { nodeZstd } from "./node-zstd.ts";

const OPTIONS = { rawBytesMax: 1_000 };

describe("golden batches", () => {
  it("W20, W27: two plain records", () => {
    const records = [{ value: utf8("hello") }, { value: utf8("") }];
    const golden = goldenBytes(
      "a33cb0e78c9b911b", // xxh64
      "2d000000 01 00 0000", // length 45, version, flags
      "02000000 02000000 09000000", // count, span, rawLength
      "0000000000000000", // baseTime
      "06 00 68656c6c6f 01 00", // length, attributes, value
    );
    expect(hex(encodeBatch(records))).toBe(hex(golden));
    const decoded = decodeBatch(golden, OPTIONS);
    expect(decoded).toEqual({
      ok: true,
      value: { count: 2, span: 2, records: records.map((record, offsetDelta) => ({ offsetDelta, record })) },
    });
  });

  it("W27, W28, W29: keys, headers, timestamps and a tombstone", () => {
    const records: StreamRecord[] = [
      {
        key: utf8("k"),
        value: utf8("v"),
        headers: [
          ["n", utf8("h")],
          ["é", utf8("")],
        ],
        timestamp: 1_700_000_000_000,
      },
      { key: utf8("k"), value: null, timestamp: 1_699_999_999_999 },
    ];
    const golden = goldenBytes(
      "a16abff9695713fa 38000000 01 00 0000",
      "02000000 02000000 14000000",
      "0068e5cf8b010000", // 1,700,000,000,000
      "0e 07 00 016b 02 016e 0168 02c3a9 00 76", // length, attributes, time +0, key, 2 headers, value
      "04 0d 01 016b", // length, attributes, time -1, key
    );
    expect(hex(encodeBatch(records))).toBe(hex(golden));
    expect(decodeBatch(golden, OPTIONS)).toEqual({
      ok: true,
      value: { count: 2, span: 2, records: records.map((record, offsetDelta) => ({ offsetDelta, record })) },
    });
  });

  it("W29: a time before the epoch", () => {
    const golden = goldenBytes(
      "48123691 8f9d4bb0 28000000 01 00 0000 01000000 01000000 04000000",
      "fbffffffffffffff",
      "03 04 00 78",
    );
    expect(hex(encodeBatch([{ value: utf8("x"), timestamp: -5 }]))).toBe(hex(golden));
  });

  it("W30: survivors of compaction", () => {
    const survivors = [
      { offsetDelta: 1, record: { value: utf8("b") } },
      { offsetDelta: 300, record: { key: utf8("k"), value: null } },
    ];
    const golden = goldenBytes(
      "1e5d1f45cec6ddfd 2e000000 01 04 0000",
      "02000000 90010000 0a000000 0000000000000000", // two records over 400 offsets
      "03 00 01 62 05 09 ac02 016b",
    );
    expect(hex(encodeSparseBatch(survivors, 400))).toBe(hex(golden));
    expect(decodeBatch(golden, OPTIONS)).toEqual({ ok: true, value: { count: 2, span: 400, records: survivors } });
  });

  it("W30: nothing survived", () => {
    const golden = goldenBytes("4000fc81da18bf05 24000000 01 04 0000 00000000 03000000 00000000 0000000000000000");
    expect(hex(encodeSparseBatch([], 3))).toBe(hex(golden));
    expect(decodeBatch(golden, OPTIONS)).toEqual({ ok: true, value: { count: 0, span: 3, records: [] } });
  });

  it("W26: compressed by some zstd; ours may find other bytes, but must read these", () => {
    const golden = goldenBytes(
      "3111953ba4b232223900000001010000040000000400000080000000000000000000000028b52ffd2080650000181f006102003dd4046e3004",
    );
    const decoded = decodeBatch(golden, { ...OPTIONS, zstd: nodeZstd });
    expect(decoded).toEqual({
      ok: true,
      value: {
        count: 4,
        span: 4,
        records: [0, 1, 2, 3].map((offsetDelta) => ({ offsetDelta, record: { value: new Uint8Array(30).fill(97) } })),
      },
    });
  });
});
