/**
 * The ports' real implementations that are a few lines each: this machine's clock, its randomness, its zstd. Disk and
 * store have files of their own in `log`.
 */
import { randomFillSync } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress, zstdCompressSync, zstdDecompressSync, type ZstdOptions } from "node:zlib";
import { zstdBound } from "../src/lib/zstd-bound.ts";
import type { Clock } from "../src/ports/clock.ts";
import type { Entropy } from "../src/ports/entropy.ts";
import type { Zstd } from "../src/ports/zstd.ts";

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  // Runs behind the input that this turn of the loop has found.
  defer: (run) => void setImmediate(run),
};

export const SYSTEM_ENTROPY: Entropy = { bytes: (length) => randomFillSync(new Uint8Array(length)) };

/** What decoders must support by the format's own specification; a frame that asks for more memory is refused. */
const WINDOW_LOG_MAX = 23;
const COMPRESSION_LEVEL = 3;

/** With `info`, the input that was used is told too. */
type Decompressed = { readonly buffer: Uint8Array; readonly engine: { readonly bytesWritten: number } };

export const SYSTEM_ZSTD: Zstd = {
  compress: (bytes) => zstdCompressSync(bytes, compressionOf(bytes)),
  decompress(bytes, rawLength) {
    try {
      const options = {
        params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
        maxOutputLength: Math.max(1, rawLength),
        info: true,
      };
      const { buffer, engine } = zstdDecompressSync(bytes, options) as unknown as Decompressed;
      // What follows the frame is not part of it: a batch has one encoding.
      return buffer.length === rawLength && engine.bytesWritten === bytes.length ? buffer : undefined;
    } catch {
      return undefined;
    }
  },
};

const compressAside = promisify(zstdCompress);

/** For processes that are not simulated: when another thread is done, nobody knows before. */
export const THREADED_ZSTD: Zstd = {
  ...SYSTEM_ZSTD,
  compressAside: (bytes) => compressAside(bytes, compressionOf(bytes)),
};

function compressionOf({ length }: Uint8Array): ZstdOptions {
  const params = { [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL };
  return { params, pledgedSrcSize: length, chunkSize: zstdBound(length) };
}
