/** The command line's parts: lines, progress, the Node version, compression. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exitCodeOf } from "../../client/cli/exit-codes.ts";
import { LineTooLongError, splitLines } from "../../client/cli/lines.ts";
import { nodeObjection } from "../../client/cli/node-version.ts";
import { nodeZstd } from "../../client/cli/node-zstd.ts";
import { formatProgress } from "../../client/cli/progress-bar.ts";
import { TidemarkError } from "../../client/error.ts";

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
    const zstd = nodeZstd();
    const raw = Buffer.from("tide ".repeat(1_000));
    const small = zstd?.compress(raw) ?? new Uint8Array();
    expect(small.length).toBeLessThan(100);
    expect(zstd?.decompress(small, raw.length)).toEqual(raw);
    expect(zstd?.decompress(small, raw.length - 1)).toBeUndefined();
    expect(zstd?.decompress(small, raw.length + 1)).toBeUndefined();
    expect(zstd?.decompress(raw, raw.length)).toBeUndefined();
  });
});

describe("exit codes", () => {
  it.each([
    ["stream-not-found", 3],
    ["offset-trimmed", 3],
    ["stream-closed", 4],
    ["producer-fenced", 4],
    ["offset-mismatch", 4],
    ["unavailable", 5],
    ["disk-full", 5],
    ["timeout", 5],
    ["connection-failed", 5],
    ["unauthorized", 6],
    ["malformed-json", 2],
    ["record-too-large", 2],
    ["invalid-argument", 2],
    ["protocol-error", 1],
    ["internal", 1],
    ["damaged", 1],
  ] as const)("%s is %i", (code, status) => {
    expect(exitCodeOf(new TidemarkError(code))).toBe(status);
  });
});
