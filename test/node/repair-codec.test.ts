/** What nodes ask each other about damage, as bytes: what was said comes back, and any bytes are taken for what they are. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeLogEnd, encodeLogEnd } from "../../log-server/node/repair/log-end-codec.ts";
import {
  decodeRanges,
  decodeRangesRequest,
  encodeRanges,
  encodeRangesRequest,
} from "../../log-server/node/repair/range-codec.ts";
import {
  decodeBatchesRequest,
  decodeEntriesRequest,
  decodeKept,
  decodeOffered,
  decodePlacements,
  encodeBatchesRequest,
  encodeEntriesRequest,
  encodeKept,
  encodeOffered,
  encodePlacements,
} from "../../log-server/node/repair/repair-codec.ts";
import { concat } from "../../src/lib/bytes.ts";

const whole = fc.nat({ max: 1_000_000 });
const hash = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bytes = fc.uint8Array({ minLength: 8, maxLength: 40 }).map((array) => Uint8Array.from(array));
const batch = fc.record({ hash, span: whole, bytes, isHere: fc.boolean() }).map(({ isHere, ...one }) => {
  const ref = { hash: one.hash, length: one.bytes.length, span: one.span };
  return isHere ? { ...ref, bytes: one.bytes } : ref;
});
const entry = fc.record({
  term: whole,
  kind: fc.constantFrom("noop" as const, "commands" as const, "configuration" as const),
  logTime: whole,
  head: bytes,
  batches: fc.array(batch, { maxLength: 3 }),
});
const placement = fc.oneof(
  fc.constant({ accepted: false } as const),
  fc.record({
    accepted: fc.constant(true as const),
    streamId: whole,
    incarnation: whole,
    firstOffset: whole,
    span: whole,
  }),
);

describe("what nodes ask each other about damage", () => {
  it("comes back as it was said", () => {
    fc.assert(
      fc.property(hash, whole, fc.array(entry, { maxLength: 4 }), (previousHash, first, parts) => {
        const entries = parts.map((one, at) => ({ index: first + at, ...one }));
        expect(decodeOffered(concat(encodeOffered({ previousHash, entries })))).toEqual({ previousHash, entries });
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.array(fc.record({ hash, placement }), { maxLength: 3 })), whole, (lists, from) => {
        const placed = lists.map((batches, at) => ({ index: from + at, batches }));
        expect(decodePlacements(encodePlacements(placed), from)).toEqual(placed);
      }),
    );
    const kept = fc.option(fc.record({ bytes, identity: hash, wasCompressed: fc.boolean() }), { nil: undefined });
    fc.assert(
      fc.property(fc.array(kept), (batches) => {
        expect(decodeKept(concat(encodeKept(batches)))).toEqual(batches);
      }),
    );
    const wanted = fc.record({ streamId: whole, firstOffset: whole, hash });
    fc.assert(
      fc.property(fc.array(wanted), (list) => {
        expect(decodeBatchesRequest(encodeBatchesRequest(list))).toEqual(list);
      }),
    );
    const range = fc.record({ streamId: whole, from: whole, span: fc.integer({ min: 1, max: 1_000 }) });
    fc.assert(
      fc.property(fc.array(range), (list) => {
        const ranges = list.map(({ streamId, from, span }) => ({ streamId, from, to: from + span }));
        expect(decodeRangesRequest(encodeRangesRequest(ranges))).toEqual(ranges);
      }),
    );
    const rangeBatch = fc.record({
      firstOffset: whole,
      span: whole,
      position: whole,
      ordinal: whole,
      logTime: whole,
      identity: hash,
      hash,
      wasCompressed: fc.boolean(),
      bytes,
    });
    const told = fc.record({
      incarnation: whole,
      next: whole,
      damaged: fc.boolean(),
      batches: fc.array(rangeBatch, { maxLength: 3 }),
    });
    fc.assert(
      fc.property(whole, whole, fc.array(told, { maxLength: 3 }), (position, rewrittenTo, ranges) => {
        const answer = { position, rewrittenTo, ranges };
        expect(decodeRanges(concat(encodeRanges(answer)))).toEqual(answer);
        expect(decodeRanges(concat([...encodeRanges(answer), Uint8Array.of(0)]))).toBeUndefined();
      }),
    );
    expect(decodeRangesRequest(encodeRangesRequest([{ streamId: 1, from: 9, to: 9 }]))).toBeUndefined();
    expect(decodeEntriesRequest(encodeEntriesRequest({ from: 3, to: 9 }))).toEqual({ from: 3, to: 9 });
    expect(decodeEntriesRequest(encodeEntriesRequest({ from: 9, to: 3 }))).toBeUndefined();
    const end = { last: { index: 7, term: 2 }, mending: true, applied: 5, voters: ["n1", "n2"] };
    expect(decodeLogEnd(encodeLogEnd(end))).toEqual(end);
  });

  it("may be any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (any) => {
        for (const decode of [decodeOffered, decodeKept, decodeBatchesRequest, decodeEntriesRequest, decodeLogEnd])
          expect(() => decode(any)).not.toThrow();
        for (const decode of [decodeRanges, decodeRangesRequest]) expect(() => decode(any)).not.toThrow();
        expect(() => decodePlacements(any, 1)).not.toThrow();
      }),
    );
  });
});
