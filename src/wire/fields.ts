/** Fields of encoded commands and results: announced by flags, or many of one kind. */
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import { COMMAND_LIMITS } from "./check-command.ts";

/** Announces which optional fields follow: bit n for the n-th. */
export function writeFlags(writer: ByteWriter, ...present: readonly boolean[]): void {
  let flags = 0;
  present.forEach((is, bit) => {
    if (is) flags |= 1 << bit;
  });
  writer.u8(flags);
}

export function readFlags(reader: ByteReader, bits: number): (bit: number) => boolean {
  const flags = reader.u8();
  if (flags >> bits !== 0) reader.fail();
  return (bit) => ((flags >> bit) & 1) === 1;
}

export function readItems<T>(reader: ByteReader, read: () => T): T[] {
  const count = reader.count(COMMAND_LIMITS.itemsMax);
  const items: T[] = [];
  for (let place = 0; place < count && !reader.failed; place += 1) items.push(read());
  return items;
}
