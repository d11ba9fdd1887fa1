/** The bytes of snapshots: what they are, and that whatever else is read is refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, hex, utf8 } from "../../src/lib/bytes.ts";
import { err } from "../../src/lib/result.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import { decodeManifest, encodeManifest, firstNeeded, type Manifest } from "../../src/runtime/snapshots/manifest.ts";
import { encodePiece, joinPiece, readPieceRecord } from "../../src/runtime/snapshots/piece.ts";
import { PieceRows, readRows } from "../../src/runtime/snapshots/piece-rows.ts";
import { nodeZstd } from "../record/node-zstd.ts";

/** So that the bytes do not depend on a version of zstd. */
const PLAIN: Zstd = {
  compress: (bytes) => bytes,
  decompress: (bytes, length) => (bytes.length === length ? bytes : undefined),
};

const MANIFEST: Manifest = {
  born: 2,
  replica: "r",
  point: { records: 1_024, logTime: 1_700_000_000_000, state: 0x0123456789abcdefn, outputs: 7n },
  place: { cursor: { position: 500, ordinal: 1, index: 3 }, outputs: 300 },
  totals: { digest: 0x0123456789abcdefn, rows: 9, bytes: 400 },
  slices: [
    { from: new Uint8Array(0), offset: 12, parts: 1, bytes: 200 },
    { from: Uint8Array.of(1, 0, 9), offset: 7, parts: 2, bytes: 300 },
  ],
  deltas: [
    { offset: 9, parts: 1, bytes: 20 },
    { offset: 11, parts: 1, bytes: 30 },
  ],
};

describe("the bytes of snapshots", () => {
  it("are these (golden)", () => {
    const rows = new PieceRows();
    rows.add(Uint8Array.of(1, 2), utf8("abc"));
    rows.add(Uint8Array.of(1, 3), undefined);
    rows.add(Uint8Array.of(2), new Uint8Array(0));
    const content = rows.take();
    expect(encodePiece("delta", content, PLAIN.compress(content)).map(hex)).toMatchInlineSnapshot(`
      [
        "010200010e000000cb951b84863e2ee50201020461626302010300010201",
      ]
    `);
    expect(hex(encodeManifest(MANIFEST))).toMatchInlineSnapshot(
      `"02000000000000000172000400000000000000008056febc7842efcdab89674523010700000000000000f40100000000000001032c01000000000000efcdab89674523010900000000000000900100000000000002000c01c801030100090702ac02020901140b011e"`,
    );
  });

  it("are read back as they were written: rows", () => {
    const row = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 5 }), fc.option(fc.uint8Array({ maxLength: 9 })));
    fc.assert(
      fc.property(fc.uniqueArray(row, { selector: ([key]) => hex(key) }), (unsorted) => {
        const rows = unsorted.toSorted(([a], [b]) => compareBytes(a, b));
        const piece = new PieceRows();
        for (const [key, value] of rows) piece.add(key, value ?? undefined);
        const raw = piece.take();
        const records = encodePiece("slice", raw, nodeZstd.compress(raw)).map((record) => readPieceRecord(record));
        const parts = records.map((record) => (record.ok ? record.value.bytes : new Uint8Array(0)));
        const content = joinPiece(parts, nodeZstd);
        expect(content.ok && readRows(content.value)).toEqual({
          ok: true,
          value: rows.map(([key, value]) => ({ key, value: value ?? undefined })),
        });
      }),
    );
  });

  it("are read back as they were written: a manifest", () => {
    expect(decodeManifest(encodeManifest(MANIFEST))).toEqual({ ok: true, value: MANIFEST });
    expect(firstNeeded(MANIFEST, 20)).toBe(7);
  });

  it.each([
    ["slices out of order", { slices: MANIFEST.slices.toReversed() }, "do not follow"],
    ["no slice", { slices: [] }, "do not follow"],
    ["deltas out of order", { deltas: MANIFEST.deltas.toReversed() }, "do not follow"],
    ["a digest of other rows", { totals: { ...MANIFEST.totals, digest: 1n } }, "contradicts itself"],
    ["a piece of no parts", { deltas: [{ offset: 1, parts: 0, bytes: 1 }] }, "not valid"],
  ])("of a manifest with %s are refused", (_, wrong, reason) => {
    expect(decodeManifest(encodeManifest({ ...MANIFEST, ...wrong }))).toEqual({
      ok: false,
      error: expect.stringContaining(reason) as string,
    });
  });

  it.each([
    ["another version", [2, 1, 0, 1], "version 2"],
    ["an unknown kind", [1, 9, 0, 1], "no piece"],
    ["a part that is none", [1, 1, 1, 1], "no piece"],
    ["too little", [1, 1], "cut short"],
  ])("with %s are refused", (_, bytes, reason) => {
    expect(readPieceRecord(Uint8Array.from(bytes))).toEqual({
      ok: false,
      error: expect.stringContaining(reason) as string,
    });
  });

  it("with rows that do not follow one another are refused", () => {
    const piece = new PieceRows();
    piece.add(Uint8Array.of(2), utf8("a"));
    piece.add(Uint8Array.of(2), utf8("b"));
    expect(readRows(piece.take())).toEqual({ ok: false, error: "row 1 is not valid" });
  });

  it("with any bit turned are refused, unless it is one that zstd makes nothing of", () => {
    const rows = new PieceRows();
    for (let key = 0; key < 40; key += 1) rows.add(Uint8Array.of(key), utf8(`value ${key}`));
    const content = rows.take();
    const [record] = encodePiece("slice", content, nodeZstd.compress(content)) as [Uint8Array];
    for (let bit = 0; bit < record.length * 8; bit += 1) {
      const turned = record.slice();
      turned.set([(turned[bit >> 3] as number) ^ (1 << (bit & 7))], bit >> 3);
      const read = readPieceRecord(turned);
      const same = read.ok && read.value.kind === "slice" && read.value.part === 0 && read.value.parts === 1;
      const joined = same ? joinPiece([read.value.bytes], nodeZstd) : err("another piece");
      if (joined.ok) expect(joined.value, `bit ${bit}`).toEqual(content);
    }
  });
});
