/** A hash over all outputs so far, each linked to those before it: equal only if all were equal, in the same order. */
import { ByteWriter } from "../../lib/byte-writer.ts";
import { xxh64 } from "../../record/checksum.ts";
import type { TaskOutput } from "./task-input.ts";

const ABSENT = 0;
const PRESENT = 1;

/** Reused. */
const WRITER = new ByteWriter(256);

export function chained(chain: bigint, { stream, key, value, timestamp, headers = [] }: TaskOutput): bigint {
  WRITER.reset();
  WRITER.u64(chain).string(stream).f64(timestamp);
  for (const bytes of [key, value]) {
    if (bytes === undefined || bytes === null) WRITER.u8(ABSENT);
    else WRITER.u8(PRESENT).blob(bytes);
  }
  WRITER.varint(headers.length);
  for (const [name, bytes] of headers) WRITER.string(name).blob(bytes);
  return xxh64(WRITER.view());
}
