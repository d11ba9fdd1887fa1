/**
 * What the apps of `apps.ts` must have put out, by hand: plain loops over what is in their inputs, which know nothing of operators,
 * engines or the runtime. `batch-answer.ts` says where each output stands and which digest goes with it, by the production engine;
 * this says that the engine is right, too.
 */
import type { LogView } from "../../client/testing/batch-answer.ts";
import { deadLetterStream } from "../../src/wire/app-streams.ts";
import { type APPS, SILENT_MS } from "./apps.ts";
import { pairs, visits, windows } from "./plain-event-time.ts";
import { lanes } from "./plain-lanes.ts";
import { type Answer, eventOf, inAnyOrder, inLogOrder, type Line, line, type Lines, linesOf } from "./plain-lines.ts";

const ANSWERS: { readonly [App in keyof typeof APPS]: (log: LogView) => Answer } = {
  counts,
  windows,
  silences,
  pairs,
  visits,
  repartitioned,
  lanes,
};

/** What is wrong with what came out, once all has; undefined: it is what a plain loop makes of the inputs. */
export function plainFault(app: string, log: LogView): string | undefined {
  for (const [stream, { order, lines }] of Object.entries(ANSWERS[app as keyof typeof APPS](log))) {
    const [expected, actual] = [sorted(lines, order), sorted(linesOf(log.of(stream)), order)];
    const at = Array.from({ length: Math.max(expected.length, actual.length) }, (_, place) => place).find(
      (place) => expected[place]?.shown !== actual[place]?.shown,
    );
    if (at !== undefined)
      return `I12: by hand "${stream}" has ${expected[at]?.shown ?? "no more"} as number ${at}, and not ${actual[at]?.shown ?? "nothing"}`;
  }
  return undefined;
}

function counts(log: LogView): Answer {
  const counted = new Map<string, number>();
  const [out, copies, dead]: [Line[], Line[], Line[]] = [[], [], []];
  for (const record of log.of("in")) {
    const { key, n } = eventOf(record);
    if (n < 0) {
      dead.push({ key: "", shown: `in@${record.offset}` });
      continue;
    }
    const count = (counted.get(key) ?? 0) + 1;
    counted.set(key, count);
    out.push(line(key, count, record.timestamp));
    for (let copy = 0; copy < count % 4; copy += 1) copies.push(line(key, `${count}.${copy}`, record.timestamp));
  }
  return { out: inLogOrder(out), copies: inLogOrder(copies), [deadLetterStream("counts")]: inLogOrder(dead) };
}

function silences(log: LogView): Answer {
  const timers = new Map<string, { readonly due: number; readonly n: number }>();
  const [out, dead]: [Line[], Line[]] = [[], []];
  const fire = (until: number): void => {
    for (const [key, { due, n }] of timers) {
      if (due > until) continue;
      if (n < 0) dead.push({ key: "", shown: `timer ${due}` });
      else out.push(line(key, `silent at ${due}`, due));
      timers.delete(key);
    }
  };
  for (const record of log.of("in")) {
    const { key, n } = eventOf(record);
    // What falls due in its millisecond comes behind it.
    fire(record.logTime - 1);
    timers.set(key, { due: record.logTime + SILENT_MS, n });
  }
  fire(log.logTime - 1);
  return { out: inAnyOrder(out), [deadLetterStream("silences")]: inAnyOrder(dead) };
}

function repartitioned(log: LogView): Answer {
  const counted = new Map<string, number>();
  const out: Line[] = [];
  for (const record of [...log.of("in/0"), ...log.of("in/1")]) {
    const { key } = eventOf(record);
    const count = (counted.get(key) ?? 0) + 1;
    counted.set(key, count);
    // When each was counted hangs on which task was first.
    out.push(line(key, count, undefined));
  }
  return { out: { order: "key", lines: out } };
}

function sorted(lines: readonly Line[], order: Lines["order"]): readonly Line[] {
  if (order === "log") return lines;
  if (order === "any") return lines.toSorted((a, b) => compare(a.shown, b.shown));
  const timeless = lines.map(({ key, shown }) => ({ key, shown: shown.replace(/ of \S+$| of some time$/, "") }));
  return timeless.toSorted((a, b) => compare(a.key, b.key));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
