/** What the bench measures: one number with a name that stays, and how it is shown. */
import { median, ratios } from "./rounds.ts";

export type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it was measured beside, in the same run, and how many times its value this is. */
  readonly versus?: string;
  readonly ratio?: number;
  /** The worst and best round: of the ratio if there is one, else of the value. Only for people. */
  readonly spread?: readonly [least: number, most: number];
};

/**
 * What a figure should reach: of one with a ratio the ratio, else the value. `orWithin`: or else no more than the spread of this
 * figure, which is two rounds of the same beside each other: what is no worse than that is not told from chance.
 */
type Target = { readonly atLeast: number } | { readonly atMost: number; readonly orWithin?: string };

const TARGETS: Readonly<Record<string, Target>> = {
  "append.http.vs-fastify": { atLeast: 0.5 },
  "append.http.vs-ds-server": { atLeast: 12 },
  "append.ws.b1.vs-floor": { atLeast: 0.5 },
  "append.ws.b100.vs-floor": { atLeast: 0.5 },
  "append.ws.b1000.vs-floor": { atLeast: 0.5 },
  "append.ws.p50.vs-floor": { atMost: 2 },
  "read.ws.records-per-second": { atLeast: 1_500_000 },
  "read.http.bytes-per-second": { atLeast: 400_000_000 },
  "tail.p50-ms": { atMost: 1.5 },
  "tail.p99-ms": { atMost: 10 },
  "streams.per-second": { atLeast: 10_000 },
  "streams.rss-bytes": { atMost: 500_000_000 },
  "streams.restart-s": { atMost: 3 },
  "restart.clean-s": { atMost: 2 },
  "restart.kill-s": { atMost: 5 },
  "cluster.ws.b1.vs-floor": { atLeast: 0.5 },
  "cluster.ws.b10.vs-floor": { atLeast: 0.5 },
  "cluster.ws.b100.vs-floor": { atLeast: 0.5 },
  "cluster.ws.b1000.vs-floor": { atLeast: 0.5 },
  "cluster.ws.p50.vs-floor": { atMost: 2 },
  "cluster.http.per-second": { atLeast: 12_000 },
  "cluster.failover.max.vs-election-timeout": { atMost: 2 },
  "cluster.catch-up.append-ratio": { atLeast: 0.8 },
  "operators.latency.p50-ms": { atMost: 10 },
  "operators.latency.p99-ms": { atMost: 50 },
  "operators.snapshot.standby.p99-ratio": { atMost: 1.1, orWithin: "operators.snapshot.standby.a-against-a" },
  "operators.snapshot.alone.p99-ratio": { atMost: 1.3 },
  "operators.failover.max-ms": { atMost: 150 },
  "operators.restore-100mb-s": { atMost: 2 },
};

const UNITS_OF_ONE = 100;

/** What rounds of ours came to, beside the same rounds of another. */
export function besideFigure(
  name: string,
  unit: string,
  values: readonly number[],
  versus: string,
  beside: readonly number[],
): Figure {
  const { value: ratio, least, most } = ratios(values, beside);
  return { name, value: median(values), unit, versus, ratio, spread: [least, most] };
}

/** A table for people. A target that is missed is shown, and nothing more: machines differ. */
export function formatFigures(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    `${readable(figure.value)} ${figure.unit}`,
    figure.ratio === undefined ? "" : `${figure.ratio.toFixed(2)} × ${figure.versus}`,
    figure.spread === undefined ? "" : figure.spread.map(readable).join(" – "),
    targetOf(figure, figures),
  ]);
  const all = [["figure", "value", "versus", "spread", "target"], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 1 ? cell.padStart(widths[1] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return `${all.map(line).join("\n")}\n`;
}

/** What `--json` writes. */
export function toJson(figures: readonly Figure[]): string {
  const known = figures.map(({ name, value, unit, versus, ratio }) => ({ name, value, unit, versus, ratio }));
  return `${JSON.stringify(known, undefined, 2)}\n`;
}

function targetOf(figure: Figure, all: readonly Figure[]): string {
  const target = TARGETS[figure.name];
  if (target === undefined) return "";
  const measured = figure.ratio ?? figure.value;
  if ("atLeast" in target) return judged(measured >= target.atLeast, `at least ${readable(target.atLeast)}`);
  const text = `at most ${readable(target.atMost)}`;
  const spread = all.find(({ name }) => name === target.orWithin)?.spread;
  if (measured <= target.atMost || spread === undefined) return judged(measured <= target.atMost, text);
  return judged(measured <= spread[1], `${text}, or within ${target.orWithin}`);
}

function judged(met: boolean, text: string): string {
  return `${text}: ${met ? "met" : "missed"}`;
}

function readable(value: number): string {
  if (Math.abs(value) >= UNITS_OF_ONE) return Math.round(value).toLocaleString("en");
  return String(Math.round(value * 1_000) / 1_000);
}
