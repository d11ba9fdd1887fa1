/** Who noticed: the place that a failure was thrown from, a checker or an assertion of the product, and whether it counts. */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Mutant } from "./mutant.ts";

export type Verdict = {
  /** What was said, in one line. */
  readonly message: string;
  /** The file that said so, from the repository's root; undefined if the stack does not show it. */
  readonly file: string | undefined;
  /** A checker is the tests' own, and knows nothing of how the product works; an assertion is part of it. */
  readonly by: "checker" | "assertion";
};

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PLACE = /(?:\(|at |async )(?:file:\/\/)?(\/[^():]+\.ts)[?:]/;
/** Assertions speak for who calls them. */
const ASSERT = "src/lib/assert.ts";
/** The tests' own, and what users' tests have of them. */
const CHECKERS = ["test/", "client/testing/", "log-server/sim/"];
/** What a checker says that was only told of one. */
const ASSERTED = "InvariantError:";

/** Of the first cause: a node that stopped says why. */
export function verdictOf(thrown: unknown): Verdict {
  let error = thrown;
  while (error instanceof Error && error.cause instanceof Error) error = error.cause;
  if (!(error instanceof Error)) return { message: String(error), file: undefined, by: "assertion" };
  const outer = thrown instanceof Error && thrown !== error ? `${firstLine(thrown.message)}: ` : "";
  const message = outer + firstLine(error.message);
  for (const line of (error.stack ?? "").split("\n")) {
    const path = PLACE.exec(line)?.[1];
    if (path === undefined) continue;
    const file = relative(ROOT, path);
    if (file === ASSERT) continue;
    const isChecker = CHECKERS.some((folder) => file.startsWith(folder)) && !message.includes(ASSERTED);
    return { message, file, by: isChecker ? "checker" : "assertion" };
  }
  return { message, file: undefined, by: "assertion" };
}

/**
 * A patched file that trips over itself proves nothing about the checkers: what is thrown from it, be it an assertion or
 * a mere type error, does not count. That another file asserts it counts only for a mutant that says why no checker sees it.
 * Without a mutant all counts.
 */
export function counts(verdict: Verdict, mutant: Pick<Mutant, "file" | "without" | "assertion"> | undefined): boolean {
  if (mutant === undefined) return true;
  if ([undefined, mutant.file, mutant.without?.file].includes(verdict.file)) return false;
  return verdict.by === "checker" || mutant.assertion !== undefined;
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}
