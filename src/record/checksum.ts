/**
 * The one checksum: xxh64. The WebAssembly module loads asynchronously; that is confined to this file's top-level
 * await, so that everything that imports it hashes synchronously.
 *
 * The module has one memory, shared by all calls. Each call copies its input to the start of it and runs to its end,
 * so calls cannot mix: nothing here can be entered twice. The memory grows to the largest input ever hashed and never
 * shrinks; that is bounded by the largest batch, so hash nothing whole that is larger (files are hashed in parts).
 */
import xxhash from "xxhash-wasm";

const hasher = await xxhash();

/** xxHash64 (https://xxhash.com, XXH64) of the bytes. */
export function xxh64(bytes: Uint8Array, seed?: bigint): bigint {
  return hasher.h64Raw(bytes, seed);
}

/** Of the parts as if they stood one behind the other. Dearer for each call, so not for what is in one piece anyway. */
export function xxh64OfParts(parts: readonly Uint8Array[]): bigint {
  const state = hasher.create64();
  for (const part of parts) state.update(part);
  return state.digest();
}
