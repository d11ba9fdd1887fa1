/** Rounds of one subject, made into a line: the median, for a busy machine only ever makes a round worse. */
import type { LoadResult } from "./http-load.ts";

export type Measured = {
  readonly name: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refused: number;
  readonly rounds: readonly number[];
};

export function summarize(name: string, results: readonly LoadResult[]): Measured {
  const rounds = results.map(({ requests, seconds }) => requests / seconds);
  return {
    name,
    perSecond: median(rounds),
    p50Ms: median(results.map(({ latencyMs }) => latencyMs.p50)),
    p99Ms: median(results.map(({ latencyMs }) => latencyMs.p99)),
    refused: results.reduce((sum, { refused }) => sum + refused, 0),
    rounds,
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** A table for people; the first line is what the others are compared with. */
export function formatTable(title: string, measured: readonly Measured[]): string {
  const base = measured[0]?.perSecond ?? Number.NaN;
  const rows = measured.map((line) => [
    line.name,
    Math.round(line.perSecond).toLocaleString("en"),
    `${Math.round((100 * line.perSecond) / base)} %`,
    line.p50Ms.toFixed(2),
    line.p99Ms.toFixed(2),
    String(line.refused),
  ]);
  const all = [[title, "per second", "", "p50 ms", "p99 ms", "refused"], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ");
  return `${all.map(line).join("\n")}\n`;
}
