/** A replica's outputs until they were compared with what was committed, and the records that they came of. */
import type { InputMark, TaskBatch } from "../operators/engine/task.ts";
import type { TaskOutput } from "../operators/engine/task-input.ts";
import { recordBytes } from "../record/record-size.ts";
import { RUNTIME_LIMITS } from "./limits.ts";

/** An output by its number, and the last record that was taken in by then. */
export type MadeOutput = {
  readonly number: number;
  readonly output: TaskOutput;
  readonly input: InputMark | undefined;
};

type Made = Pick<TaskBatch, "from" | "to" | "outputs" | "inputs"> & { readonly bytes: number };

export class MadeOutputs {
  #made: Made[] = [];
  #bytes = 0;

  add({ from, to, outputs, inputs }: TaskBatch): void {
    if (outputs.length === 0) return;
    let bytes = RUNTIME_LIMITS.outputOverheadBytes * outputs.length;
    for (const output of outputs) bytes += recordBytes(output);
    this.#made.push({ from, to, outputs, inputs, bytes });
    this.#bytes += bytes;
    // While they are pending they are in memory in any case.
    this.#drop((oldest) => this.#bytes > RUNTIME_LIMITS.pendingBytesMax && oldest.to.outputs < to.outputs);
  }

  /** So many were compared. */
  forget(outputs: number): void {
    this.#drop((oldest) => oldest.to.outputs <= outputs);
  }

  /** From one number up to, not including, another; undefined if not all of them are here. */
  between(from: number, to: number): readonly MadeOutput[] | undefined {
    const made = this.#made.flatMap(({ from: begin, outputs, inputs }) =>
      outputs.flatMap((output, place): MadeOutput[] => {
        const number = begin.outputs + place;
        if (number < from || number >= to) return [];
        return [{ number, output, input: inputs.findLast((mark) => mark.outputs <= place) }];
      }),
    );
    return made.length === to - from ? made : undefined;
  }

  #drop(isOver: (oldest: Made) => boolean): void {
    let dropped = 0;
    for (const made of this.#made) {
      if (!isOver(made)) break;
      this.#bytes -= made.bytes;
      dropped += 1;
    }
    if (dropped > 0) this.#made = this.#made.slice(dropped);
  }
}
