/**
 * JSON whose numbers are what was written (src/wire/SPEC.md, W125): a double stands for each, and an integer past 2^53
 * would become another, what is past all doubles nothing. Neither is to happen unseen.
 */
import { err, ok, type Result } from "../lib/result.ts";

/** What may be a number that a double does not hold. */
const LONG_NUMBER = /[0-9]{16}|[0-9][eE]/;
const INTEGER = /^-?[0-9]+$/;
const SHOWN_DIGITS_MAX = 40;

/** `malformed`: it is no JSON; the message is the platform's. */
export type ExactJsonError = { readonly kind: "malformed" | "inexact"; readonly message: string };

/** Thrown and caught in this file only. */
class InexactNumber extends Error {}

export function parseExactJson(source: string): Result<unknown, ExactJsonError> {
  try {
    return ok(LONG_NUMBER.test(source) ? JSON.parse(source, exactNumber) : JSON.parse(source));
  } catch (error) {
    return err({ kind: error instanceof InexactNumber ? "inexact" : "malformed", message: (error as Error).message });
  }
}

function exactNumber(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number") return value;
  const { source = "" } = context ?? {};
  if (Number.isSafeInteger(value) || (Number.isFinite(value) && !INTEGER.test(source))) return value;
  const shown = source.slice(0, SHOWN_DIGITS_MAX);
  throw new InexactNumber(`the number ${shown} is past what JSON holds here; records may be sent as bytes`);
}
