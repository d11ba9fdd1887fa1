/** A run's answer, shared out: each append gets what it would have got alone. */
import type { BatchRef } from "../../src/record/batch.ts";
import type { AppendedResult, AppendedRunResult, Rejection } from "../../src/wire/command.ts";

/** One for each batch, in order; undefined if the answer does not fit them. */
export function shareOut(
  { parts }: AppendedRunResult,
  batches: readonly BatchRef[],
): readonly (AppendedResult | Rejection)[] | undefined {
  const answers: (AppendedResult | Rejection)[] = [];
  for (const { count, result } of parts) {
    const end = answers.length + count;
    if (end > batches.length) return undefined;
    if (result.kind === "rejected" || result.firstOffset === undefined || count === 1) {
      while (answers.length < end) answers.push(result);
      continue;
    }
    let firstOffset = result.firstOffset;
    while (answers.length < end) {
      const nextOffset = firstOffset + (batches[answers.length] as BatchRef).span;
      answers.push({ ...result, firstOffset, nextOffset });
      firstOffset = nextOffset;
    }
    if (firstOffset !== result.nextOffset) return undefined;
  }
  return answers.length === batches.length ? answers : undefined;
}
