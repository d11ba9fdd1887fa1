/** Reads a copy of a data folder's image, in a process by itself. */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Beside us, as source or as built. */
const CHECK = fileURLToPath(new URL(`image-check${extname(import.meta.url)}`, import.meta.url));

/** Why it cannot be used; undefined: it is what was saved, or holds nothing. */
export async function imageFault(file: string): Promise<string | undefined> {
  const copy = mkdtempSync(join(tmpdir(), "tidemark-image-"));
  try {
    cpSync(file, join(copy, basename(file)));
    return await new Promise((resolve) => {
      execFile(process.execPath, [CHECK, copy], (error, said) => {
        if (error === null) resolve(said === "" ? undefined : said);
        else resolve("it cannot be read");
      });
    });
  } finally {
    rmSync(copy, { recursive: true });
  }
}
