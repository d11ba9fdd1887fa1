/** The command line's parts: lines, progress, the Node version, compression. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatDuration, parseDuration } from "../../client/cli/durations.ts";
import { LineTooLongError, splitLines } from "../../client/cli/lines.ts";
import { nodeObjection } from "../../client/cli/node-version.ts";
import { PLATFORM_ZSTD } from "../../client/reading/platform-zstd.ts";
import { formatBytes, formatTable } from "../../client/cli/output.ts";
import { parseWhere } from "../../client/cli/places.ts";
import { formatProgress } from "../../client/cli/progress-bar.ts";

// oxlint-disable-next-line typescript/require-await
async function* chunksOf(parts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function lines(parts: readonly string[], max = 1_000): Promise<string[]> {
  const found: string[] = [];
  for await (const line of splitLines(chunksOf(parts), max)) found.push(Buffer.from(line).toString());
  return found;
}

describe("lines", () => {
  it("are the same however the input is cut", async () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "\n", "\r"), maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(60), { maxLength: 6 }), async (whole, cuts) => {
        const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).toSorted((a, b) => a - b), whole.length];
        const parts = places.slice(1).map((end, at) => whole.slice(places[at], end));
        const expected = whole.split("\n").map((line) => line.replace(/\r$/, ""));
        if (whole === "" || whole.endsWith("\n")) expected.pop();
        expect(await lines(parts)).toEqual(expected);
      }),
    );
  });

  it("a line that is too long is refused before it is held whole", async () => {
    await expect(lines(["x".repeat(60), "x".repeat(60)], 100)).rejects.toThrow(LineTooLongError);
  });
});

describe("progress", () => {
  it.each([
    [{ phase: "append", done: 0, total: 100 }, "append [----------------------------]   0%"],
    [
      { phase: "append", done: 50, total: 100, note: "5 records" },
      "append [##############--------------]  50%  5 records  10 s left",
    ],
    [{ phase: "append", done: 100, total: 100 }, "append [############################] 100%"],
    [{ phase: "append", done: 7, note: "7 records" }, "append  7 records"],
  ])("%j", (progress, line) => {
    expect(formatProgress(progress, 10)).toBe(line);
  });
});

describe("node version", () => {
  it.each([
    ["20.19.0", true],
    ["22.17.1", true],
    ["22.18.0", false],
    ["24.21.0", false],
  ])("%s is too old: %s", (version, tooOld) => {
    expect(nodeObjection(version) !== undefined).toBe(tooOld);
  });
});

describe("zstd", () => {
  it("gives back what it took, and undefined for anything else", () => {
    const zstd = PLATFORM_ZSTD;
    const raw = Buffer.from("tide ".repeat(1_000));
    const small = zstd?.compress(raw) ?? new Uint8Array();
    expect(small.length).toBeLessThan(100);
    expect(zstd?.decompress(small, raw.length)).toEqual(raw);
    expect(zstd?.decompress(small, raw.length - 1)).toBeUndefined();
    expect(zstd?.decompress(small, raw.length + 1)).toBeUndefined();
    expect(zstd?.decompress(raw, raw.length)).toBeUndefined();
  });
});

describe("durations", () => {
  it.each([
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["7d", 604_800_000],
    ["5ms", 5],
    ["0s", 0],
  ])("%s", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(["", "5", "s", "-5s", "1.5h", "5 m", "5y", "9".repeat(13) + "d", "999999999999d"])("%j is none", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it("are read as they are shown", () => {
    fc.assert(
      fc.property(fc.nat(10 ** 12), (milliseconds) => {
        expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds);
      }),
    );
  });
});

describe("places", () => {
  it.each([
    ["start", { kind: "place", place: "start" }],
    ["12", { kind: "place", place: 12 }],
    ["0000000000000001_0000000000000002", { kind: "place", place: "0000000000000001_0000000000000002" }],
    ["15m", { kind: "time", atMs: 100_000 }],
    ["1970-01-01T00:00:05Z", { kind: "time", atMs: 5_000 }],
    ["99999999999999999", undefined],
    ["yesterday", undefined],
    ["2026-13-45", undefined],
    ["", undefined],
  ])("%s", (text, where) => {
    expect(parseWhere(text, 1_000_000)).toEqual(where);
  });
});

describe("tables", () => {
  it("align, and never let a name speak to the terminal", () => {
    const table = formatTable([{ title: "NAME" }, { title: "N", align: "right" }], [["a\u001B[2J\u202E", "7"]]);
    expect(table).toBe("NAME              N\na\\u001b[2J\\u202e  7\n");
  });

  it("sizes", () => {
    expect([0, 1_023, 1_024, 10 * 2 ** 30].map(formatBytes)).toEqual(["0 B", "1023 B", "1.0 KiB", "10.0 GiB"]);
  });
});
