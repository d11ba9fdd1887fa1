/** Damages the files of a stopped server. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Prng } from "../../src/lib/prng.ts";

const SECTOR_BYTES = 512;
const PAGE_BYTES = 4_096;

/** Below a folder, with their paths from there, in order. */
export function filesIn(folder: string, matching: RegExp = /./): string[] {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files
    .map((path) => path.slice(folder.length + 1))
    .filter((path) => matching.test(path))
    .sort();
}

export function flipBit(path: string, at: number, bit: number = 0): void {
  change(path, at, 1, (bytes) => {
    bytes[0] = (bytes[0] as number) ^ (1 << bit);
  });
}

/** Flips a bit in each copy of this text that the file holds, old ones too. */
export function flipWherever(path: string, text: string): void {
  const bytes = readFileSync(path);
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) flipBit(path, at);
}

export function zero(path: string, at: number, length: number): void {
  change(path, at, length, (bytes) => bytes.fill(0));
}

/** A kind and a place that the generator picks; says what it did. */
export function damageSomewhere(path: string, prng: Prng): string {
  const size = readFileSync(path).length;
  const at = prng.below(size);
  const kind = prng.pick(["bit", "sector", "page", "stale", "cut"] as const);
  switch (kind) {
    case "bit":
      flipBit(path, at, prng.below(8));
      break;
    case "sector":
      zero(path, at - (at % SECTOR_BYTES), SECTOR_BYTES);
      break;
    case "page":
      zero(path, at - (at % PAGE_BYTES), PAGE_BYTES);
      break;
    case "stale":
      change(path, at - (at % SECTOR_BYTES), SECTOR_BYTES, (bytes) => bytes.set(prng.bytes(bytes.length)));
      break;
    case "cut":
      truncateSync(path, at);
      break;
  }
  return `${kind} at ${at} of ${size}`;
}

/** The first file, and the place in it, where this text stands. */
export function placeOf(
  folder: string,
  matching: RegExp,
  text: string,
): { readonly path: string; readonly at: number } {
  for (const name of filesIn(folder, matching)) {
    const at = readFileSync(join(folder, name)).indexOf(text);
    if (at >= 0) return { path: join(folder, name), at };
  }
  throw new Error(`${text} is in no file`);
}

/** Not beyond the file's end. */
function change(path: string, at: number, length: number, edit: (bytes: Uint8Array) => void): void {
  const file = openSync(path, "r+");
  try {
    const bytes = new Uint8Array(Math.min(length, fstatSync(file).size - at));
    readSync(file, bytes, 0, bytes.length, at);
    edit(bytes);
    writeSync(file, bytes, 0, bytes.length, at);
  } finally {
    closeSync(file);
  }
}
