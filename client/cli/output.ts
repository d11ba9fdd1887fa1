/** How the command line prints for people (aligned tables, safe on a terminal) and for programs (JSON, one value a line). */

const CELL_GAP = "  ";
const UNIT_STEP = 1_024;
const UNITS = ["KiB", "MiB", "GiB", "TiB"] as const;
/** C0 and C1 controls and the marks that turn the direction of text: a terminal would obey them. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001F\u007F-\u009F\u200E\u200F\u2028-\u202E\u2066-\u2069]/g;

export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

export type Column = { readonly title: string; readonly align?: "right" };

/** A line of titles, unless this goes on with an earlier table, then the rows. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  titled: boolean = true,
): string {
  const cells = rows.map((row) => row.map(visible));
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) =>
        columns[at]?.align === "right" ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join(CELL_GAP)
      .trimEnd();
  const titles = titled ? [columns.map(({ title }) => title)] : [];
  return [...titles, ...cells].map((row) => `${line(row)}\n`).join("");
}

/** One thing, a line for each of its fields; those that are undefined are left out. */
export function formatFields(fields: Readonly<Record<string, string | undefined>>): string {
  const shown = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}${CELL_GAP}${visible(value)}\n`).join("");
}

/** Control characters as escapes. */
export function visible(text: string): string {
  return text.replaceAll(CONTROL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function formatBytes(bytes: number): string {
  if (bytes < UNIT_STEP) return `${bytes} B`;
  let value = bytes;
  let unit = -1;
  while (value >= UNIT_STEP && unit < UNITS.length - 1) {
    value /= UNIT_STEP;
    unit += 1;
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** `1 record`, `2 records`. */
export function counted(count: number, noun: string, plural: string = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** To the second where there is nothing finer, in UTC. */
export function formatTime(atMs: number): string {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? `${atMs} ms` : date.toISOString().replace(".000Z", "Z");
}
