/**
 * How large a record may be (src/wire/SPEC.md, W33): what its author put into it counts, and nothing of how it travels or
 * is stored, so that every face has the same bound. Not for buffers, where a record costs more than its bytes.
 */
import { utf8 } from "../lib/bytes.ts";
import { RECORD_LIMITS } from "./limits.ts";
import type { StreamRecord } from "./record.ts";

/** The bytes of its key and value, and of its headers' names and values. */
export function recordBytes({ key, value, headers }: StreamRecord): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  if (headers !== undefined) for (const [name, held] of headers) bytes += utf8(name).length + held.length;
  return bytes;
}

/** Why a record of this size is refused as `record-too-large`; undefined if it is not. */
export function sizeFault(bytes: number, headers: number, bytesMax: number): string | undefined {
  if (bytes > bytesMax)
    return `the key, value and headers of a record have ${bytes} bytes; at most ${bytesMax} are allowed`;
  // Each costs a reader memory, however short it is.
  if (headers > RECORD_LIMITS.headersMax)
    return `a record has ${headers} headers; at most ${RECORD_LIMITS.headersMax} are allowed`;
  return undefined;
}
