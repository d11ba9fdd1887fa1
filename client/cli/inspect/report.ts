/** What an inspection found, before it is printed: the same for every kind of file. */
import type { Column } from "../output.ts";

/**
 * `damaged`: surely not what was written. `unproven`: at the end of a file that nothing yet proves was written to its
 * end: torn by a crash, or being written right now.
 */
export type Finding = {
  readonly kind: "damaged" | "unproven";
  /** Where in the file, in bytes; `end` is behind it. */
  readonly place: number;
  readonly end: number;
  readonly what: string;
};

export type Row = { readonly json: Readonly<Record<string, unknown>>; readonly cells: readonly string[] };

/** How far the log went, at least, when a file was written: the highest index and the highest term that it names. */
export type Reach = { readonly index: number; readonly term: number };

export type Report = {
  /** For people, a line each. */
  readonly facts: Readonly<Record<string, string | undefined>>;
  /** The same for programs. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** What was checked: "3 entries and 5 batches". */
  readonly checked: string;
  readonly findings: readonly Finding[];
  /** Absent: it names no entry. */
  readonly reach?: Reach;
};
