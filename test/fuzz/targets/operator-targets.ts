/** Keys and values of operators' state: what is decoded is what would be encoded, byte for byte. */
import fc from "fast-check";
import { equalBytes, utf8 } from "../../../src/lib/bytes.ts";
import type { Zstd } from "../../../src/ports/zstd.ts";
import { decodeKey, encodeKey } from "../../../src/operators/encoding/key-codec.ts";
import { decodeValue, encodeValue } from "../../../src/operators/encoding/value-codec.ts";
import { encodeManifest, decodeManifest } from "../../../src/runtime/snapshots/manifest.ts";
import { encodePiece, joinPiece, type PieceKind, readPieceRecord } from "../../../src/runtime/snapshots/piece.ts";
import { PieceRows, readRows } from "../../../src/runtime/snapshots/piece-rows.ts";
import { arbitraryKey, arbitraryValue } from "../../operators/arbitrary-data.ts";
import { cheap, demand, type Target } from "../target.ts";
import { SAMPLE_SEED } from "./samples.ts";

const SAMPLES = { seed: SAMPLE_SEED, numRuns: 60 };

/** Zstandard itself is the platform's; record targets try it. */
const STORED: Zstd = {
  compress: (bytes) => bytes,
  decompress: (bytes, length) => (bytes.length === length ? bytes : undefined),
};

function sampleRows(): Uint8Array {
  const rows = new PieceRows();
  for (let key = 0; key < 20; key += 1)
    rows.add(utf8(`key ${key + 10}`), key % 5 === 0 ? undefined : utf8(`value ${key}`));
  return rows.take().slice();
}

function storedPiece(kind: PieceKind, content: Uint8Array): Uint8Array[] {
  return encodePiece(kind, content, STORED.compress(content));
}

const MANIFEST = encodeManifest({
  replica: "r",
  born: 1,
  point: { records: 9, logTime: 20_000, state: 5n, outputs: 6n },
  place: { cursor: { position: 7, ordinal: 0, index: 1 }, outputs: 4 },
  totals: { digest: 5n, rows: 3, bytes: 90 },
  slices: [
    { from: new Uint8Array(0), offset: 3, parts: 1, bytes: 50 },
    { from: utf8("key"), offset: 1, parts: 1, bytes: 40 },
  ],
  deltas: [{ offset: 2, parts: 1, bytes: 10 }],
});

export const OPERATOR_TARGETS: readonly Target[] = [
  cheap({
    name: "key of state",
    samples: fc.sample(arbitraryKey, SAMPLES).map(encodeKey),
    check: (bytes) => {
      const decoded = decodeKey(bytes);
      if (!decoded.ok) return "refused";
      demand(equalBytes(encodeKey(decoded.value), bytes), "a key has one encoding");
      return "accepted";
    },
  }),
  cheap({
    name: "value of state",
    samples: fc.sample(arbitraryValue, SAMPLES).map(encodeValue),
    check: (bytes) => {
      const decoded = decodeValue(bytes);
      if (!decoded.ok) return "refused";
      demand(equalBytes(encodeValue(decoded.value), bytes), "a value has one encoding");
      return "accepted";
    },
  }),
  cheap({
    name: "record of a snapshot",
    samples: [storedPiece("delta", sampleRows()), storedPiece("manifest", MANIFEST)].flat(),
    check: (bytes) => {
      const record = readPieceRecord(bytes);
      if (!record.ok) return "refused";
      const content = joinPiece([record.value.bytes], STORED);
      return content.ok ? "accepted" : "refused";
    },
  }),
  cheap({
    name: "rows of a snapshot",
    samples: [sampleRows()],
    check: (bytes) => {
      const rows = readRows(bytes);
      if (!rows.ok) return "refused";
      const again = new PieceRows();
      for (const { key, value } of rows.value) again.add(key, value);
      demand(equalBytes(again.take(), bytes), "rows have one encoding");
      return "accepted";
    },
  }),
  cheap({
    name: "manifest of a snapshot",
    samples: [MANIFEST],
    check: (bytes) => {
      const manifest = decodeManifest(bytes);
      if (!manifest.ok) return "refused";
      demand(equalBytes(encodeManifest(manifest.value), bytes), "a manifest has one encoding");
      return "accepted";
    },
  }),
];
