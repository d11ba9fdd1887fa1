/** W125: wherever a record is sent as JSON, a number that would become another is refused. */
import { describe, expect, it } from "vitest";
import { InputError, readRecords } from "../../client/cli/append-input.ts";
import { parseTextRequest } from "../../log-server/ws/text-request.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { parseExactJson } from "../../src/record/exact-json.ts";

const INEXACT = ["9007199254740993", "-9007199254740993", "1e400", "-1e400", '[1,{"a":123456789012345678901}]'];
const EXACT = ["9007199254740991", "1e3", "0.1234567890123456789", "1e-400", '"9007199254740993"', "[1,2]"];

describe("W125: numbers that a double does not hold", () => {
  it.each(INEXACT)("refuses %s, and says which", (source) => {
    expect(parseExactJson(source)).toEqual({
      ok: false,
      error: { kind: "inexact", message: expect.stringMatching(/^the number -?\d\S* is past/) },
    });
  });

  it.each(EXACT)("takes %s", (source) => {
    expect(parseExactJson(source)).toEqual({ ok: true, value: JSON.parse(source) as unknown });
  });

  it.each(["", "{", "01", "[".repeat(100_000)])("refuses what is no JSON", (source) => {
    expect(parseExactJson(source)).toMatchObject({ ok: false, error: { kind: "malformed" } });
  });

  it.each(INEXACT)("W110: the text mode does not append %s", (source) => {
    expect(parseTextRequest(`{"append":"s","records":[${source}]}`)).toMatchObject({
      ok: false,
      error: { code: "malformed-json" },
    });
  });

  it.each(INEXACT)("the command line does not append %s as a record in full", async (source) => {
    const options = { format: "records", keyField: undefined, delimiter: ",", json: true } as const;
    const reading = (async () => {
      for await (const record of readRecords(pieces(`{"value":${source}}\n`), options)) expect(record).toBeUndefined();
    })();
    await expect(reading).rejects.toThrow(InputError);
  });
});

async function* pieces(source: string): AsyncGenerator<Uint8Array> {
  yield utf8(source);
}
