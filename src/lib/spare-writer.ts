/**
 * A writer for short encodings, the same one again and again: to make one takes longer than to fill it. Who takes it while it is taken,
 * as an encoding within an encoding may, gets another.
 */
import { ByteWriter } from "./byte-writer.ts";

/** One that grew longer is let go of. */
const KEPT_LENGTH_MAX = 64 * 1024;

let spare: ByteWriter | undefined;

/** Whoever does not give it back, because of an error, say, does no harm. */
export function takeWriter(): ByteWriter {
  const writer = spare ?? new ByteWriter();
  spare = undefined;
  writer.reset();
  return writer;
}

export function giveBack(writer: ByteWriter): void {
  if (writer.length <= KEPT_LENGTH_MAX) spare = writer;
}
