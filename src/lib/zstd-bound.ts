/**
 * Room for whatever zstd makes of so many bytes, and more: its own bound (`ZSTD_compressBound`) is a 256th of them and 64 bytes at most.
 * Node gives compressed bytes out in chunks, and where they end exactly with one it asks zstd once more, which begins another frame:
 * nine bytes that are nobody's, for which the batch is refused as malformed. What has room in one chunk does not end with it.
 */
const MORE_BYTES = 128;

export function zstdBound(length: number): number {
  return length + Math.ceil(length / 256) + MORE_BYTES;
}
