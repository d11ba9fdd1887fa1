/** Options of tests, checked: one that is misspelt, or makes no sense, would be a test of something else. Throws `invalid-argument`. */
import { TidemarkError } from "../error.ts";

/** It has no others than these. */
export function checkNames(what: string, given: object, known: readonly string[]): void {
  if (typeof given !== "object" || given === null) throw invalid(`${what} is an object with ${known.join(", ")}`);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalid(`${what} has no "${unknown}"; it has ${known.join(", ")}`);
}

export function checkWhole(what: string, value: number, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `a whole number from ${least} on` : `${least} to ${most}`;
  throw invalid(`${what} is ${range}, and was ${String(value)}`);
}

export function checkOneOf<T extends string>(what: string, value: T, known: readonly T[]): T {
  if (known.includes(value)) return value;
  throw invalid(`${what} is ${known.join(" or ")}, and was ${value}`);
}

export function invalid(message: string): TidemarkError {
  return new TidemarkError("invalid-argument", message);
}
