/**
 * Drives a task so that every replica does the same, however its input arrived: one instant of log time at once, so that what bounds
 * an input means the same everywhere; poison replaced by a dead letter at its own place.
 */
import { assert } from "../lib/assert.ts";
import { hex } from "../lib/bytes.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Task, TaskBatch } from "../operators/engine/task.ts";
import type { Poison, TaskInput } from "../operators/engine/task-input.ts";
import { compareRecordPlaces } from "../record/record-place.ts";
import { type DeadLetterOrigin, deadLetter } from "./dead-letter.ts";
import { RUNTIME_LIMITS } from "./limits.ts";

export class TaskDriver {
  readonly #task: Task;
  /** Without it, poison is an error. */
  readonly #deadLetters: DeadLetterOrigin | undefined;
  readonly #onBatch: (batch: TaskBatch) => void;
  /** Log time that the task was told of. */
  #told = -Infinity;
  #poisoned = 0;

  /** `onBatch` gets what was done, in order: at `take`, or before it is too much. */
  constructor(task: Task, deadLetters: DeadLetterOrigin | undefined, onBatch: (batch: TaskBatch) => void) {
    this.#task = task;
    this.#deadLetters = deadLetters;
    this.#onBatch = onBatch;
  }

  /** How often poison was replaced by this replica. */
  get poisoned(): number {
    return this.#poisoned;
  }

  /** A record that the task has not taken in yet. Throws where it fails however it is taken in, as when the store does. */
  process(input: TaskInput): Result<void, Poison> {
    assert(
      compareRecordPlaces(input.place, this.#task.cursor) > 0,
      "I12: a record is taken in once, in the log's order",
    );
    const told = this.advance(input.logTime);
    return told.ok ? this.#attempt(() => this.#task.process(input), input) : told;
  }

  /** No record that is still to come is older. */
  advance(logTime: number): Result<void, Poison> {
    if (logTime <= this.#told) return ok(undefined);
    for (let due = this.#task.nextDue; due !== undefined && due < logTime; due = this.#task.nextDue) {
      const done = this.#step(Math.min(Math.floor(due) + 1, logTime));
      if (!done.ok) return done;
    }
    const done = this.#step(logTime);
    if (done.ok) this.#told = logTime;
    return done;
  }

  /** Hands over what was done. */
  take(): void {
    this.#onBatch(this.#task.take());
  }

  #step(logTime: number): Result<void, Poison> {
    return this.#attempt(() => this.#task.advance(logTime), undefined);
  }

  /** Each time around, one thing more has been replaced. */
  #attempt(run: () => Result<void, Poison>, input: TaskInput | undefined): Result<void, Poison> {
    if (this.#task.untaken >= RUNTIME_LIMITS.untakenMax) this.take();
    let next = run;
    const replaced = new Set<string>();
    for (;;) {
      const done = next();
      if (done.ok) return done;
      const poison = done.error;
      if (this.#deadLetters === undefined) return err(poison);
      const what = poison.at.kind === "timer" ? hex(poison.at.row) : "record";
      // It was not the operators', then: nothing that goes out in its place would help.
      if (replaced.has(what))
        throw new Error("what was passed over as poison fails all the same", { cause: poison.error });
      replaced.add(what);
      this.#poisoned += 1;
      if (poison.at.kind === "timer") this.#task.replaceTimer(poison.at.row, deadLetter(this.#deadLetters, poison));
      else {
        assert(input !== undefined, "only a record is passed over");
        const letter = deadLetter(this.#deadLetters, poison, input);
        next = () => this.#task.passOver(input, letter);
      }
    }
  }
}
