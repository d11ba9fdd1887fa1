/** What came out of an app of `apps.ts`, or must have, as lines: what of it counts, and in which order. */
import { text } from "../../src/lib/bytes.ts";
import type { FeedRecord } from "../../src/runtime/task-log.ts";
import type { Event } from "./apps.ts";

/** A record as a line. `key`: of one key all are in this order; `any`: what falls due together comes in any. */
export type Lines = { readonly order: "log" | "key" | "any"; readonly lines: readonly Line[] };
export type Line = { readonly key: string; readonly shown: string };
/** By stream. */
export type Answer = Readonly<Record<string, Lines>>;

export function eventOf({ value }: FeedRecord): Event {
  return JSON.parse(text(value ?? new Uint8Array()) ?? "") as Event;
}

export function line(key: string, value: unknown, timestamp: number | undefined): Line {
  return { key, shown: `${key} = ${JSON.stringify(value)} of ${timestamp ?? "some time"}` };
}

export function inLogOrder(lines: readonly Line[]): Lines {
  return { order: "log", lines };
}

export function inAnyOrder(lines: readonly Line[]): Lines {
  return { order: "any", lines };
}

export function linesOf(records: readonly FeedRecord[]): readonly Line[] {
  return records.map(lineOf);
}

/** A dead letter by what it is of. */
function lineOf({ key, value, timestamp, headers = [] }: FeedRecord): Line {
  const told = new Map(headers.map(([name, bytes]) => [name, text(bytes)]));
  const timer = told.get("tidemark-timer");
  if (timer !== undefined) return { key: "", shown: `timer ${timer}` };
  const offset = told.get("tidemark-offset");
  if (offset !== undefined) return { key: "", shown: `${told.get("tidemark-stream")}@${offset}` };
  const name = text(key ?? new Uint8Array()) ?? "";
  return { key: name, shown: `${name} = ${text(value ?? new Uint8Array())} of ${timestamp}` };
}
