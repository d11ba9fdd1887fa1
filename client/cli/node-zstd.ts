/** Zstandard from Node's own zlib, where it has it (22.15 and newer). */
import * as zlib from "node:zlib";
import type { Zstd } from "../../src/ports/zstd.ts";

export function nodeZstd(): Zstd | undefined {
  if (typeof zlib.zstdDecompressSync !== "function") return undefined;
  return {
    compress: (bytes) => zlib.zstdCompressSync(bytes),
    decompress(bytes, rawLength) {
      try {
        const raw = zlib.zstdDecompressSync(bytes, { maxOutputLength: Math.max(rawLength, 1) });
        return raw.length === rawLength ? raw : undefined;
      } catch {
        return undefined;
      }
    },
  };
}
