/**
 * Reads a stream of a server whose disk was damaged. Records may be refused as `damaged`; none may be wrong, missing
 * without a word, or where another one belongs.
 */
import { expect } from "vitest";
import { formatOffset, parseOffset } from "../../src/record/offset.ts";
import { describe, head, nextOffset, readOnce } from "./http.ts";

export type HonestRead = {
  /** Offsets of records that were refused. */
  readonly refused: readonly number[];
  /** The end of the stream was shown: what `HEAD` says, and `Stream-Up-To-Date`. */
  readonly tailShown: boolean;
};

/** `expected`: the JSON texts of all its records. */
export async function readHonestly(url: string, name: string, expected: readonly string[]): Promise<HonestRead> {
  const refused: number[] = [];
  let incarnation: number | undefined;
  let at = 0;
  let from = "-1";
  // Each answer is either refused or moves on; one more shows the tail.
  for (let answers = 0; answers <= expected.length + 1; answers += 1) {
    const answer = await readOnce(url, name, from);
    if (answer.status === 200) {
      const records = (JSON.parse(Buffer.from(answer.body).toString()) as unknown[]).map((record) =>
        JSON.stringify(record),
      );
      expect(records, `${name} from ${at} on`).toEqual(expected.slice(at, at + records.length));
      at += records.length;
      from = answer.headers.get("stream-next-offset") ?? "";
      expect(nextOffset(answer)).toBe(at);
      const token = parseOffset(from);
      incarnation = token.ok ? token.value.incarnation : undefined;
      if (answer.headers.get("stream-up-to-date") === "true") {
        expect(at, `${name} ends`).toBe(expected.length);
        return { refused, tailShown: true };
      }
      continue;
    }
    expect(answer.code, `${name} at ${at}: ${describe(answer)}`).toBe("damaged");
    expect(answer.status).toBe(500);
    incarnation ??= await incarnationOf(url, name);
    if (incarnation === undefined || at === expected.length) return { refused, tailShown: false };
    refused.push(at);
    at += 1;
    from = formatOffset(incarnation, at);
  }
  throw new Error(`${name}: reading does not end`);
}

async function incarnationOf(url: string, name: string): Promise<number | undefined> {
  const token = parseOffset((await head(url, name)).headers.get("stream-next-offset") ?? "");
  return token.ok ? token.value.incarnation : undefined;
}
