/** Cuts bytes into lines, without their ends, and without decoding them: a line need not be text. */
import { concat } from "../../src/lib/bytes.ts";

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** A line longer than the bound: it would have to be held in memory whole. */
export class LineTooLongError extends Error {
  override readonly name = "LineTooLongError";
}

/** Lines end with LF or CRLF; the last need not end. */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, lineBytesMax: number): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const tail = chunk.subarray(start, end);
      yield trimmed(parts.length === 0 ? tail : concat([...parts, tail]));
      parts = [];
      length = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > lineBytesMax) throw new LineTooLongError(`a line is longer than ${lineBytesMax} bytes`);
  }
  if (length > 0) yield trimmed(concat(parts));
}

/** A copy: what was read into may be reused. */
function trimmed(line: Uint8Array): Uint8Array {
  return line.slice(0, line.at(-1) === RETURN ? -1 : undefined);
}
