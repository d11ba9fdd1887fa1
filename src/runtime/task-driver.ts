/**
 * Drives a task so that no turn of the loop is long, however much falls due at once: what is done is counted, and once it is enough the rest
 * waits until it was taken. Where the parts end changes nothing in what comes out.
 */
import { assert } from "../lib/assert.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Task, TaskBatch } from "../operators/engine/task.ts";
import type { Poison, TaskInput } from "../operators/engine/task-input.ts";
import { compareRecordPlaces } from "../record/record-place.ts";
import { RUNTIME_LIMITS } from "./limits.ts";

export class TaskDriver {
  readonly #task: Task;
  readonly #onBatch: (batch: TaskBatch) => void;
  /** Log time up to which all that falls due was done. */
  #told = -Infinity;
  /** Inputs, timers and the like since the last take. */
  #steps = 0;

  /** `onBatch` gets what was done, in order. */
  constructor(task: Task, onBatch: (batch: TaskBatch) => void) {
    this.#task = task;
    this.#onBatch = onBatch;
  }

  /** Enough was done for one turn: it is to be taken before anything else is. */
  get full(): boolean {
    const { stepsPerTurnMax, untakenMax, untakenBytesMax } = RUNTIME_LIMITS;
    return (
      this.#steps >= stepsPerTurnMax || this.#task.untaken >= untakenMax || this.#task.untakenBytes >= untakenBytesMax
    );
  }

  /** A record that the task has not taken in yet, with all done that falls due before it. What it makes due may be left. */
  process(input: TaskInput): Result<void, Poison> {
    assert(
      compareRecordPlaces(input.place, this.#task.cursor) > 0,
      "I12: a record is taken in once, in the log's order",
    );
    assert(!this.full, "I15: what was done is taken before it is too much");
    this.#steps += 1;
    return this.#task.process(input, this.#more);
  }

  /** No record that is still to come is older. Does what falls due, and what was left, until it is full; answers whether that is all. */
  advance(logTime: number): Result<boolean, Poison> {
    if (logTime <= this.#told && !this.#task.unfinished) return ok(true);
    const until = Math.max(this.#told, logTime);
    const done = this.#task.advance(until, this.#more);
    if (done.ok && done.value) this.#told = until;
    return done;
  }

  /** Hands over what was done. */
  take(): void {
    this.#steps = 0;
    this.#onBatch(this.#task.take());
  }

  readonly #more = (): boolean => {
    if (this.full) return false;
    this.#steps += 1;
    return true;
  };
}
