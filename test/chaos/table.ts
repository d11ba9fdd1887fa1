/** Totals as people read them: lines, and the table that the documents have. */
import { faultCount, percentile, type Totals } from "./totals.ts";

const SECONDS_DIGITS = 2;
/** Events worth a word: what the faults led to. */
const TOLD = {
  "segment-mended": "segments mended",
  "log-end-settled": "doubtful ends settled",
  "image-discarded": "images thrown away",
  "snapshot": "snapshots",
  "snapshot-installed": "snapshots received and put in place",
  "segments-rewritten": "rewritings of segments",
} as const;

/** A few sentences. */
export function summary(totals: Totals): readonly string[] {
  const runs = Object.entries(totals.runs).map(([nodes, count]) => `${count} with ${nodes} nodes`);
  const { acknowledged, refused, inDoubt, readRecords, looks, events, uncheckedFaults, violations } = totals;
  return [
    `${faultCount(totals)} faults in ${Math.round(totals.minutes)} min (runs: ${runs.join(", ")}), ` +
      `${uncheckedFaults} of them in runs that were cut off before their check`,
    `${acknowledged} appends acknowledged, ${refused} refused, ${inDoubt} in doubt; ${readRecords} records read, ` +
      `${looks} looks at where a stream ends; ${violations.length} violations`,
    `at the nodes: ${Object.entries(TOLD)
      .map(([event, what]) => `${events[event] ?? 0} ${what}`)
      .join(", ")}`,
  ];
}

/** In Markdown: each fault, how often it was done, and seconds without an acknowledged append. */
export function table(totals: Totals): readonly string[] {
  const rows = Object.keys(totals.faults).map((name) => row(name, totals, name));
  return [
    "| fault | times | p50 s | p99 s | longest s |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    row("all", totals),
  ];
}

function row(label: string, totals: Totals, name?: string): string {
  const seconds = [0.5, 0.99, 1].map((part) => (percentile(totals, part, name) / 1_000).toFixed(SECONDS_DIGITS));
  return `| ${[label, faultCount(totals, name), ...seconds].join(" | ")} |`;
}
