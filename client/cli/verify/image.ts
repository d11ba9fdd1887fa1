/** Reads a copy of a data folder's image, in a process by itself. */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Beside us, as source or as built. */
const CHECK = fileURLToPath(new URL(`image-check${extname(import.meta.url)}`, import.meta.url));

/** A sealed segment, by its sparse index: which file of it has the batches, and which index block is its own (`digestOfFacts`). */
export type SealedKnown = {
  readonly sequence: number;
  readonly dataKind: "log" | "compacted";
  readonly block: string;
};

export type ImageReport = {
  /** Why it cannot be used; undefined: it is what was saved, or holds nothing. */
  readonly fault: string | undefined;
  /** Everything up to here was applied, and durable, when it was saved; absent: that cannot be read. */
  readonly position?: number | undefined;
  /** The sealed segments that its sparse index knows of. */
  readonly sealed: readonly SealedKnown[];
};

export async function readImage(file: string): Promise<ImageReport> {
  const copy = mkdtempSync(join(tmpdir(), "tidemark-image-"));
  try {
    cpSync(file, join(copy, basename(file)));
    return await new Promise((resolve) => {
      execFile(process.execPath, [CHECK, copy], (error, said) => {
        if (error === null) resolve(JSON.parse(said) as ImageReport);
        else resolve({ fault: "it cannot be read", sealed: [] });
      });
    });
  } finally {
    rmSync(copy, { recursive: true });
  }
}
