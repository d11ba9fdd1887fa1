/**
 * `append-run`: appends of one producer, one behind the other, each decided as if it had come alone (I8, I9). So a run may
 * take effect in part: what of it was applied before gets the answer it got then, and of what follows an append that is
 * refused nothing is applied, for it misses a sequence. Neighbours that fared alike are answered as one.
 */
import type { BatchRef } from "../../src/record/batch.ts";
import type {
  AppendCommand,
  AppendedResult,
  AppendedRunResult,
  AppendRunCommand,
  Rejection,
} from "../../src/wire/command.ts";
import { appendRecords } from "./append-records.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";

type Answer = AppendedResult | Rejection;
type Alike = {
  count: number;
  readonly first: Answer;
  last: Answer;
  /** Each has as many offsets as the batch that was sent for it: of a duplicate the first answer decides. */
  readonly asSent: boolean;
};

export function appendRun(state: State, step: Step, run: AppendRunCommand): AppendedRunResult {
  const parts: Alike[] = [];
  let part: Alike | undefined;
  // One for all of them: nobody keeps it, and one for each would be a good part of what a small append costs.
  const command: Appending = { ...firstOf(run), producer: { ...run.producer } };
  for (let place = 0; place < run.batches.length; place += 1) {
    const batch = run.batches[place] as BatchRef;
    command.batch = batch;
    command.producer.sequence = run.producer.sequence + place;
    const answer = appendRecords(state, step, command);
    step.settle(batch);
    const asSent = hasOffsetsOf(batch, answer);
    if (part !== undefined && part.asSent && asSent && isAlike(part.last, answer)) {
      part.count += 1;
      part.last = answer;
    } else {
      part = { count: 1, first: answer, last: answer, asSent };
      parts.push(part);
    }
  }
  return {
    kind: "appended-run",
    parts: parts.map(({ count, first, last }) => ({ count, result: together(first, last) })),
  };
}

/** The command that the run's append at hand would have come as alone. */
type Appending = Omit<AppendCommand, "batch" | "producer"> & {
  batch?: BatchRef;
  readonly producer: { readonly id: string; readonly epoch: number; sequence: number };
};

function firstOf({ stream, incarnation, contentType }: AppendRunCommand): Omit<AppendCommand, "batch" | "producer"> {
  return {
    kind: "append",
    stream,
    close: false,
    ...(incarnation !== undefined && { incarnation }),
    ...(contentType !== undefined && { contentType }),
  };
}

function hasOffsetsOf(batch: BatchRef, answer: Answer): boolean {
  if (answer.kind === "rejected" || answer.firstOffset === undefined) return true;
  return answer.nextOffset === answer.firstOffset + batch.span;
}

/** A refusal changes nothing, so the same one has the same details, but for what its message says of the sequence. */
function isAlike(before: Answer, answer: Answer): boolean {
  if (before.kind === "rejected" || answer.kind === "rejected")
    return before.kind === "rejected" && answer.kind === "rejected" && before.code === answer.code;
  return before.duplicate === answer.duplicate && before.nextOffset === answer.firstOffset;
}

function together(first: Answer, last: Answer): Answer {
  if (first.kind === "rejected" || last.kind === "rejected" || first.firstOffset === undefined) return first;
  return { ...last, firstOffset: first.firstOffset };
}
