/**
 * The one checksum: xxh64. The WebAssembly module loads asynchronously; that is confined to this file's top-level
 * await, so that everything that imports it hashes synchronously.
 */
import xxhash from "xxhash-wasm";

const { h64Raw } = await xxhash();

/** xxHash64 (https://xxhash.com, XXH64) of the bytes. */
export function xxh64(bytes: Uint8Array, seed?: bigint): bigint {
  return h64Raw(bytes, seed);
}
