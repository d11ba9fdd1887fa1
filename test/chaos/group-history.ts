/**
 * What consumer groups gave out and were told is done, and whether a log can explain it: in mode `partitions` each stream
 * in order, by one assignment after the other, none of which begins before what is committed or behind what nobody
 * processed; in mode `queue` each record until it is acknowledged, and never after.
 *
 * Generations are drawn from the log: of two assignments, or leases, the later one has the greater.
 */
import type { Seen } from "./history.ts";

/** A stream that was a member's from an offset on, and what it was given of it. */
export type Assignment = {
  readonly member: string;
  readonly stream: string;
  readonly generation: number;
  readonly from: number;
  readonly seen: readonly Seen[];
  /** Everything before this is processed, and the group has said so to this member. */
  readonly committed: number;
};

/** A record of a queue in somebody's hand. `acknowledged`: the group has said that it is done; `unknown`: perhaps. */
export type Lease = Seen & {
  readonly worker: string;
  readonly stream: string;
  readonly generation: number;
  readonly outcome: "acknowledged" | "unknown" | "open";
};

export type GroupHistory = { readonly assignments: readonly Assignment[]; readonly leases: readonly Lease[] };

/** What is wrong, each in a sentence. `contents`: what the streams hold that the groups follow, from offset 0 on. */
export function groupViolationsIn(
  { assignments, leases }: GroupHistory,
  contents: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const violations: string[] = [];
  for (const [stream, values] of contents) {
    const assigned = assignments.filter((assignment) => assignment.stream === stream);
    const leased = leases.filter((lease) => lease.stream === stream);
    if (assigned.length > 0) violations.push(...misassigned(stream, assigned, values));
    if (leased.length > 0) violations.push(...misleased(stream, leased, values));
  }
  return violations;
}

function misassigned(stream: string, assignments: readonly Assignment[], values: readonly string[]): string[] {
  const violations: string[] = [];
  let committed = 0;
  let processed = 0;
  for (const { member, generation, from, seen, committed: own } of inOrder(assignments)) {
    const who = `${member} (generation ${generation})`;
    if (from < committed)
      violations.push(`processed again: ${who} began ${stream} at ${from}, after ${committed} (I12)`);
    if (from > processed)
      violations.push(`passed over: ${who} began ${stream} at ${from}, and not at ${processed} (I7)`);
    const wrong = seen.findIndex(({ offset, value }, at) => offset !== from + at || values[offset] !== value);
    const found = seen[wrong];
    if (found !== undefined)
      violations.push(
        `misread: ${who} was given ${found.value} at ${found.offset} of ${stream} as its ${wrong}th (I7)`,
      );
    committed = Math.max(committed, own);
    processed = Math.max(processed, from + seen.length);
  }
  if (processed < values.length)
    violations.push(`passed over: members were given ${processed} of ${values.length} of ${stream} (I7)`);
  return violations;
}

function misleased(stream: string, leases: readonly Lease[], values: readonly string[]): string[] {
  const violations: string[] = [];
  const done = new Map<number, Lease>();
  const settled = new Set<number>();
  for (const lease of inOrder(leases)) {
    const { worker, offset, value, generation, outcome } = lease;
    if (values[offset] !== value)
      violations.push(
        `misread: ${worker} was given ${value} at ${offset} of ${stream}, which is ${values[offset]} (I6)`,
      );
    const before = done.get(offset);
    if (before !== undefined)
      violations.push(
        `given again: ${worker} was given ${offset} of ${stream} (generation ${generation}), which was done in ${before.generation}`,
      );
    if (outcome === "acknowledged") done.set(offset, lease);
    if (outcome !== "open") settled.add(offset);
  }
  const missing = values.findIndex((_, offset) => !settled.has(offset));
  if (missing >= 0)
    violations.push(
      `never done: ${values.length - settled.size} of ${values.length} of ${stream}, the first of them ${missing} (I7)`,
    );
  return violations;
}

function inOrder<Ordered extends { readonly generation: number }>(all: readonly Ordered[]): readonly Ordered[] {
  return all.toSorted((a, b) => a.generation - b.generation);
}
