/**
 * The bare floor's protocol, over TCP. A client sends `u32 length · batch`, a batch being for each record
 * `u32 length · bytes`. The server writes `u64 xxh64 of the batch · batch` and answers each, in order, with one byte once
 * it is synced.
 */

export const LENGTH_BYTES = 4;
export const ACKNOWLEDGED = 1;

/** One batch of these records, with its length before it. */
export function encodeFloorBatch(records: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const record of records) length += LENGTH_BYTES + record.length;
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + length);
  frame.writeUInt32LE(length, 0);
  let at = LENGTH_BYTES;
  for (const record of records) {
    at = frame.writeUInt32LE(record.length, at);
    frame.set(record, at);
    at += record.length;
  }
  return frame;
}
