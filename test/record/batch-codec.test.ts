/** What is encoded is decoded, compressed or not, dense or compacted. */
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/lib/assert.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { type Result } from "../../src/lib/result.ts";
import {
  checkBatch,
  decodeBatch,
  encodeBatch,
  encodeSparseBatch,
  verifyRecords,
} from "../../src/record/batch-codec.ts";
import { BATCH_RECORDS_MAX } from "../../src/record/batch.ts";
import { RECORD_LIMITS } from "../../src/record/limits.ts";
import { type StreamRecord, TIMESTAMP_MAX_MS } from "../../src/record/record.ts";
import { arbitraryRecord, arbitraryRecords } from "./arbitrary-records.ts";
import { nodeZstd } from "./node-zstd.ts";

const LIMITS = { batchBytesMax: 1_000_000, rawBytesMax: 1_000_000, recordBytesMax: 1_000_000, zstd: nodeZstd };

function valueOf<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

function nulls(count: number): StreamRecord[] {
  return Array.from({ length: count }, () => ({ value: null }));
}

describe("encodeBatch and decodeBatch", () => {
  it("W20 to W29: any records come back, dense from 0", () => {
    fc.assert(
      fc.property(arbitraryRecords, fc.boolean(), (records, compressed) => {
        const bytes = encodeBatch(records, compressed ? { zstd: nodeZstd } : {});
        const decoded = valueOf(decodeBatch(bytes, LIMITS));
        expect(decoded).toEqual({
          count: records.length,
          span: records.length,
          records: records.map((record, offsetDelta) => ({ offsetDelta, record })),
        });
        const { hash, length, span, count, sparse } = valueOf(checkBatch(bytes, LIMITS));
        expect({ length, span, count, sparse }).toEqual({
          length: bytes.length,
          span: records.length,
          count: records.length,
          sparse: false,
        });
        expect(hash).toBe(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
        expect(verifyRecords(bytes, LIMITS)).toEqual({ ok: true, value: undefined });
      }),
    );
  });

  it("W30: survivors keep their places", () => {
    const survivors = fc
      .array(fc.tuple(fc.nat({ max: 999 }), arbitraryRecord), { maxLength: 20 })
      .map((drawn) =>
        [...new Map(drawn).entries()]
          .toSorted(([a], [b]) => a - b)
          .map(([offsetDelta, record]) => ({ offsetDelta, record })),
      );
    fc.assert(
      fc.property(survivors, fc.boolean(), (records, compressed) => {
        const bytes = encodeSparseBatch(records, 1_000, compressed ? { zstd: nodeZstd } : {});
        expect(valueOf(checkBatch(bytes, LIMITS)).sparse).toBe(true);
        expect(valueOf(decodeBatch(bytes, LIMITS))).toEqual({ count: records.length, span: 1_000, records });
      }),
    );
  });

  it("I10: the same records give the same bytes, whatever was encoded before", () => {
    fc.assert(
      fc.property(arbitraryRecords, arbitraryRecords, (records, others) => {
        const first = encodeBatch(records);
        encodeBatch(others);
        expect(encodeBatch(records)).toEqual(first);
      }),
    );
  });

  it("hands out bytes that later encoding does not touch", () => {
    const bytes = encodeBatch([{ value: utf8("first") }]);
    const copy = bytes.slice();
    encodeBatch([{ value: utf8("other") }]);
    expect(bytes).toEqual(copy);
  });

  it("lends views of the batch, not copies", () => {
    const bytes = encodeBatch([{ key: utf8("k"), value: utf8("v") }]);
    const [first] = valueOf(decodeBatch(bytes, LIMITS)).records;
    expect(first?.record.value?.buffer).toBe(bytes.buffer);
    expect(first?.record.key?.buffer).toBe(bytes.buffer);
  });

  it("reads a batch that lies inside other bytes", () => {
    const batch = encodeBatch([{ value: utf8("x") }]);
    const whole = new Uint8Array(batch.length + 7);
    whole.set(batch, 3);
    expect(valueOf(decodeBatch(whole.subarray(3, 3 + batch.length), LIMITS)).count).toBe(1);
  });

  it("does not compress what would grow", () => {
    const noise = [{ value: randomBytes(2 * RECORD_LIMITS.compressedBytesMin) }];
    expect(encodeBatch(noise, { zstd: nodeZstd })).toEqual(encodeBatch(noise));
  });

  it("compresses only what is worth it", () => {
    const zeros = (length: number): StreamRecord[] => [{ value: new Uint8Array(length) }];
    const { compressedBytesMin } = RECORD_LIMITS;
    const [few, many] = [zeros(compressedBytesMin / 2), zeros(compressedBytesMin)];
    expect(encodeBatch(few, { zstd: nodeZstd })).toEqual(encodeBatch(few));
    const compressed = encodeBatch(many, { zstd: nodeZstd });
    expect(compressed.length).toBeLessThan(100);
    expect(valueOf(decodeBatch(compressed, LIMITS)).records.map(({ record }) => record)).toMatchObject(many);
  });

  it("headers that are none are not written", () => {
    expect(encodeBatch([{ value: utf8("v"), headers: [] }])).toEqual(encodeBatch([{ value: utf8("v") }]));
  });

  it("W29: timestamps to the edge, relative to any base", () => {
    const edges = [TIMESTAMP_MAX_MS, -TIMESTAMP_MAX_MS, 0];
    for (const baseTime of edges) {
      const bytes = encodeBatch(
        edges.map((timestamp): StreamRecord => ({ value: null, timestamp })),
        { baseTime },
      );
      expect(valueOf(decodeBatch(bytes, LIMITS)).records.map(({ record }) => record.timestamp)).toEqual(edges);
    }
  });

  it("as many records as a batch may hold", () => {
    const records = nulls(BATCH_RECORDS_MAX);
    const bytes = encodeBatch(records);
    expect(valueOf(decodeBatch(bytes, LIMITS)).count).toBe(BATCH_RECORDS_MAX);
  });

  it.each<[string, () => unknown]>([
    ["I7: no record", () => encodeBatch([])],
    ["I7: no offset", () => encodeSparseBatch([], 0)],
    ["I15: too many records", () => encodeBatch(nulls(BATCH_RECORDS_MAX + 1))],
    ["I7: a survivor outside its batch", () => encodeSparseBatch([{ offsetDelta: 1, record: { value: null } }], 1)],
    [
      "I7: survivors out of order",
      () =>
        encodeSparseBatch(
          [1, 1].map((offsetDelta) => ({ offsetDelta, record: { value: null } })),
          5,
        ),
    ],
    ["half a millisecond", () => encodeBatch([{ value: null, timestamp: 0.5 }])],
    ["no time", () => encodeBatch([{ value: null, timestamp: Number.NaN }])],
    ["a time out of range", () => encodeBatch([{ value: null, timestamp: TIMESTAMP_MAX_MS + 1 }])],
    ["a base out of range", () => encodeBatch([{ value: null }], { baseTime: -TIMESTAMP_MAX_MS - 1 })],
  ])("an encoder refuses %s", (_what, encode) => {
    expect(encode).toThrow(InvariantError);
  });
});
