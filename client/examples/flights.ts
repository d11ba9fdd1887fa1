/** The demo's data: 20,000 real flights of 2001, sorted by time, and the table that is computed from them. */
import { readFileSync } from "node:fs";

export type Flight = {
  readonly date: string;
  /** Minutes; negative: early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
};

export function loadFlights(): readonly Flight[] {
  const file = new URL("../data/flights-20k.json", import.meta.resolve("vega-datasets"));
  return JSON.parse(readFileSync(file, "utf8")) as Flight[];
}

export type OriginRow = { readonly origin: string; readonly flights: number; readonly delayMinutes: number };

/** Flights and their delays, by the airport they left from. */
export class OriginTable {
  readonly #rows = new Map<string, { flights: number; delayMinutes: number }>();

  add(flight: Flight): void {
    const row = this.#rows.get(flight.origin);
    if (row === undefined) {
      this.#rows.set(flight.origin, { flights: 1, delayMinutes: flight.delay });
      return;
    }
    row.flights += 1;
    row.delayMinutes += flight.delay;
  }

  /** The busiest first. */
  rows(): readonly OriginRow[] {
    return [...this.#rows]
      .map(([origin, { flights, delayMinutes }]) => ({ origin, flights, delayMinutes }))
      .toSorted((a, b) => b.flights - a.flights || (a.origin < b.origin ? -1 : 1));
  }

  /** Where two tables differ, in words; empty if they are the same. */
  differences(other: OriginTable): readonly string[] {
    const mine = new Map(this.rows().map((row) => [row.origin, row]));
    const theirs = new Map(other.rows().map((row) => [row.origin, row]));
    return [...new Set([...mine.keys(), ...theirs.keys()])]
      .filter((origin) => JSON.stringify(mine.get(origin)) !== JSON.stringify(theirs.get(origin)))
      .map((origin) => `${origin}: ${JSON.stringify(mine.get(origin))} against ${JSON.stringify(theirs.get(origin))}`);
  }
}

export function formatRows(rows: readonly OriginRow[]): string {
  const lines = rows.map(({ origin, flights, delayMinutes }) =>
    [
      `  ${origin.padEnd(6)}`,
      String(flights).padStart(8),
      String(delayMinutes).padStart(14),
      (delayMinutes / flights).toFixed(1).padStart(12),
    ].join(""),
  );
  return [
    `  ${"origin".padEnd(6)}${"flights".padStart(8)}${"delay, min".padStart(14)}${"mean, min".padStart(12)}`,
    ...lines,
  ].join("\n");
}
