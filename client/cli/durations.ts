/** Lengths of time as people write them: `90s`, `15m`, `36h`, `7d`, `1h30m`. */
import { InvalidArgumentError } from "commander";

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const WHOLE = /^(?:\d{1,12}(?:ms|s|m|h|d))+$/;
const PART = /(\d+)(ms|s|m|h|d)/g;

/** Milliseconds; undefined: it is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!WHOLE.test(text)) return undefined;
  let total = 0;
  for (const [, count, unit] of text.matchAll(PART)) total += Number(count) * (UNITS_MS[unit as string] as number);
  return Number.isSafeInteger(total) ? total : undefined;
}

/** In the largest units that show it whole: what `parseDuration` reads as the same. */
export function formatDuration(milliseconds: number): string {
  let left = milliseconds;
  let shown = "";
  for (const [unit, unitMs] of Object.entries(UNITS_MS).toReversed()) {
    const count = Math.floor(left / unitMs);
    if (count > 0) shown += `${count}${unit}`;
    left -= count * unitMs;
  }
  return shown === "" ? "0s" : shown;
}

/** For options. */
export function durationArgument(text: string): number {
  const duration = parseDuration(text);
  if (duration === undefined) throw new InvalidArgumentError("It must be a duration such as 90s, 15m, 36h or 7d.");
  return duration;
}
