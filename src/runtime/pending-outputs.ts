/**
 * What a replica has put out and no commit is known to cover: kept until one is, by this replica or another. Outputs are numbered
 * from the task's beginning, so a commit covers the same ones wherever it was made (I12).
 *
 * The chain after each output is kept until a commit was compared with it, covered or not.
 */
import { assert } from "../lib/assert.ts";
import type { TaskBatch } from "../operators/engine/task.ts";
import type { TaskOutput } from "../operators/engine/task-input.ts";
import { recordBytes } from "../record/record-size.ts";
import { compareTaskPlaces, type TaskPlace } from "../record/task-place.ts";
import { RUNTIME_LIMITS } from "./limits.ts";
import { NumberedQueue } from "./numbered-queue.ts";

/** What one commit takes along. */
export type CommitPart = { readonly to: TaskPlace; readonly chain: bigint; readonly outputs: readonly TaskOutput[] };

export class PendingOutputs {
  #outputs: NumberedQueue<TaskOutput>;
  /** After each output; from the last place that was compared on, which has its own. */
  #chains: NumberedQueue<bigint>;
  /** Behind which outputs a commit may end. */
  #cuts: TaskPlace[] = [];
  /** How far the task has come. */
  #place: TaskPlace;
  /** How far it is committed, as far as is known: perhaps further than this replica has come. */
  #committed: TaskPlace;
  #bytes = 0;

  /** The task stands at `place`, with this chain; `committed`: how far it is known to be committed. */
  constructor(place: TaskPlace, chain: bigint, committed: TaskPlace) {
    this.#place = place;
    this.#committed = committed;
    this.#outputs = new NumberedQueue(place.outputs);
    this.#chains = new NumberedQueue(place.outputs);
    this.#chains.push(chain);
  }

  get place(): TaskPlace {
    return this.#place;
  }

  get committed(): TaskPlace {
    return this.#committed;
  }

  /** How many. */
  get size(): number {
    return this.#outputs.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** As much as one commit takes along, or more: to wait for still more is of no use. */
  get fillsCommit(): boolean {
    const { commitOutputsMax, commitBytesMax } = RUNTIME_LIMITS;
    return this.size >= commitOutputsMax || this.#bytes >= commitBytesMax;
  }

  get full(): boolean {
    const { pendingOutputsMax, pendingBytesMax } = RUNTIME_LIMITS;
    return this.size >= pendingOutputsMax || this.#bytes >= pendingBytesMax;
  }

  /** What the task did, in order. */
  add({ from, to, outputs, chains, cuts }: TaskBatch): void {
    assert(from.outputs === this.#place.outputs, "I12: outputs are numbered without a gap");
    for (const output of outputs) {
      this.#outputs.push(output);
      this.#bytes += sizeOf(output);
    }
    for (const chain of chains) this.#chains.push(chain);
    for (const cut of cuts) this.#cuts.push(cut);
    this.#place = to;
    this.#dropCovered();
    // That of what is not committed is kept in any case.
    const { chainsMax } = RUNTIME_LIMITS;
    while (this.#chains.size > chainsMax && this.#chains.first < this.#outputs.first) this.#chains.shift();
  }

  /** The task goes on from here, whatever it did before: nothing of that is to be committed. */
  goOnFrom(place: TaskPlace, chain: bigint): void {
    this.#place = place;
    this.#outputs = new NumberedQueue(place.outputs);
    this.#chains = new NumberedQueue(place.outputs);
    this.#chains.push(chain);
    this.#cuts = [];
    this.#bytes = 0;
  }

  /** So far it is committed. What was known before may be more. */
  cover(place: TaskPlace): void {
    if (compareTaskPlaces(this.#committed, place) >= 0) return;
    this.#committed = place;
    this.#dropCovered();
  }

  /** The chain after so many outputs, if it is still, or already, known. */
  chainAt(outputs: number): bigint | undefined {
    return this.#chains.at(outputs);
  }

  /** Nobody asks for the chain at less outputs any more. */
  forgetChains(outputs: number): void {
    while (this.#chains.first < outputs && this.#chains.size > 1) this.#chains.shift();
  }

  /** What the next commit takes along: as much as it may, whole records and timers. Perhaps nothing but the place. */
  part(): CommitPart {
    assert(compareTaskPlaces(this.#place, this.#committed) >= 0, "who is behind has nothing to commit");
    const to = this.#end();
    const chain = this.chainAt(to.outputs);
    assert(chain !== undefined, "the chain at what is not committed is kept");
    return { to, chain, outputs: this.#outputs.slice(this.#outputs.first, to.outputs) };
  }

  #end(): TaskPlace {
    const { commitOutputsMax, commitBytesMax, commitStreamsMax } = RUNTIME_LIMITS;
    const streams = new Set<string>();
    let bytes = 0;
    let number = this.#outputs.first;
    const begin = number;
    let end: TaskPlace | undefined;
    for (const cut of this.#cuts) {
      for (; number < cut.outputs; number += 1) {
        const output = this.#outputs.at(number) as TaskOutput;
        bytes += sizeOf(output);
        streams.add(output.stream);
      }
      const tooMuch = number - begin > commitOutputsMax || bytes > commitBytesMax || streams.size > commitStreamsMax;
      if (tooMuch && end !== undefined) return end;
      end = cut;
    }
    // Behind the last output the task may have come further.
    return this.#place;
  }

  #dropCovered(): void {
    const { outputs } = this.#committed;
    while (this.#outputs.size > 0 && this.#outputs.first < outputs)
      this.#bytes -= sizeOf(this.#outputs.shift() as TaskOutput);
    const left = this.#cuts.findIndex((cut) => cut.outputs > outputs);
    if (left !== 0) this.#cuts = left < 0 ? [] : this.#cuts.slice(left);
  }
}

/** What holding it costs, nearly. */
function sizeOf(output: TaskOutput): number {
  return RUNTIME_LIMITS.outputOverheadBytes + recordBytes(output);
}
