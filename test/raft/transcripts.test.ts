/** Every file in `transcripts`: what is done, and everything that comes of it. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runTranscript } from "./transcript.ts";

const FOLDER = join(import.meta.dirname, "transcripts");

describe("transcripts", () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));

  it("are there", () => {
    expect(files.length).toBeGreaterThanOrEqual(30);
  });

  it.each(files)("%s", (name) => {
    const path = join(FOLDER, name);
    const text = readFileSync(path, "utf8");
    const happened = runTranscript(text);
    if (process.env["TRANSCRIPTS"] === "write") writeFileSync(path, happened);
    else expect(happened).toBe(text);
  });
});
