/** The project's own TypeScript files, for the tests that hold rules about the source itself. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

export type SourceFile = {
  /** From the project's root, with `/` between parts. */
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  /** Without comments; line breaks are kept. */
  readonly code: string;
};

export const ROOT: string = join(import.meta.dirname, "..");
const TOP = ["src", "log-server", "client", "bench", "ops", "test"];
const SKIPPED = new Set(["node_modules", "dist"]);

export function sourceFiles(): readonly SourceFile[] {
  return TOP.flatMap((top) => filesUnder(join(ROOT, top))).map(read);
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : filesUnder(path);
    return /\.tsx?$/.test(entry.name) ? [path] : [];
  });
}

function read(absolute: string): SourceFile {
  const path = relative(ROOT, absolute).replaceAll("\\", "/");
  const text = readFileSync(absolute, "utf8");
  return { path, folder: dirname(path), text, code: withoutComments(text) };
}

/** Good enough for rules: a comment's marks inside a string or a pattern end at its line. */
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ""))
    .replace(/(^|[^:"'`\\])\/\/.*$/gm, "$1");
}

/** `… from "x"`, `import "x"`, `import("x")`. */
const IMPORT = /\bfrom\s+["']([^"'\s]+)["']|\bimport\s*\(?\s*["']([^"'\s]+)["']/g;

/** What a file imports, as written. */
export function importsOf(file: SourceFile): readonly string[] {
  return [...file.code.matchAll(IMPORT)].map((match) => (match[1] ?? match[2]) as string);
}
