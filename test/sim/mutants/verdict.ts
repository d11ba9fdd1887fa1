/** Who noticed: the place that a failure was thrown from, and whether it counts. */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

export type Verdict = {
  /** What was said, in one line. */
  readonly message: string;
  /** The file that said so, from the repository's root; undefined if the stack does not show it. */
  readonly file: string | undefined;
};

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PLACE = /(?:\(|at |async )(?:file:\/\/)?(\/[^():]+\.ts)[?:]/;
/** Assertions speak for who calls them. */
const ASSERT = "src/lib/assert.ts";

/** Of the first cause: a node that stopped says why. */
export function verdictOf(thrown: unknown): Verdict {
  let error = thrown;
  while (error instanceof Error && error.cause instanceof Error) error = error.cause;
  if (!(error instanceof Error)) return { message: String(error), file: undefined };
  const outer = thrown instanceof Error && thrown !== error ? `${firstLine(thrown.message)}: ` : "";
  const message = outer + firstLine(error.message);
  for (const line of (error.stack ?? "").split("\n")) {
    const path = PLACE.exec(line)?.[1];
    if (path === undefined) continue;
    const file = relative(ROOT, path);
    if (file !== ASSERT) return { message, file };
  }
  return { message, file: undefined };
}

/**
 * A patched file that trips over itself proves nothing about the checkers: what is thrown from it, be it an assertion or
 * a mere type error, does not count.
 */
export function counts(verdict: Verdict, patchedFile: string | undefined): boolean {
  return verdict.file !== undefined && verdict.file !== patchedFile;
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}
