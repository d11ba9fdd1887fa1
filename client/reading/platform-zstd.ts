/**
 * The platform's own Zstandard: Node's (22.15 and newer); browsers have none. Whatever a client itself writes, it reads what others
 * compressed, as the command line and the workers of apps do.
 */
import { zstdBound } from "../../src/lib/zstd-bound.ts";
import type { Zstd } from "../../src/ports/zstd.ts";

type NodeZlib = {
  readonly zstdCompressSync?: (bytes: Uint8Array, options: { readonly chunkSize: number }) => Uint8Array;
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array;
};
type NodeProcess = { readonly getBuiltinModule?: (id: "node:zlib") => NodeZlib };

/** Undefined where there is none. */
export const PLATFORM_ZSTD: Zstd | undefined = nodeZstd();

/** Asked for at run time, for an import would keep the SDK from loading in browsers. */
function nodeZstd(): Zstd | undefined {
  const { process } = globalThis as { readonly process?: NodeProcess };
  const { zstdCompressSync: compress, zstdDecompressSync: decompress } = process?.getBuiltinModule?.("node:zlib") ?? {};
  if (compress === undefined || decompress === undefined) return undefined;
  return {
    compress: (bytes) => compress(bytes, { chunkSize: zstdBound(bytes.length) }),
    decompress(bytes, rawLength) {
      try {
        const raw = decompress(bytes, { maxOutputLength: Math.max(rawLength, 1) });
        return raw.length === rawLength ? raw : undefined;
      } catch {
        return undefined;
      }
    },
  };
}
