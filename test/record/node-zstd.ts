/** Zstandard from Node's own library, behind the port, for tests of the codecs. */
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { zstdBound } from "../../src/lib/zstd-bound.ts";
import type { Zstd } from "../../src/ports/zstd.ts";

export const nodeZstd: Zstd = {
  compress: (bytes) => plain(zstdCompressSync(bytes, { chunkSize: zstdBound(bytes.length) })),
  decompress(bytes, rawLength) {
    try {
      const raw = plain(zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, rawLength) }));
      return raw.length === rawLength ? raw : undefined;
    } catch {
      return undefined;
    }
  },
};

function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
