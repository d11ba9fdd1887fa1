/** Outputs that wait for a commit: numbered, parted between records, dropped when covered (I12). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chained } from "../../src/operators/engine/output-chain.ts";
import type { TaskBatch } from "../../src/operators/engine/task.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import { RUNTIME_LIMITS } from "../../src/runtime/limits.ts";
import { PendingOutputs } from "../../src/runtime/pending-outputs.ts";

function place(position: number, outputs: number): TaskPlace {
  return { cursor: { position, ordinal: 0, index: 0 }, outputs };
}

function output(number: number, bytes = 1, stream = "out"): TaskOutput {
  return { stream, value: new Uint8Array(bytes).fill(number), timestamp: number };
}

/** Makes batches as a task does: of each record so many outputs. */
class Source {
  outputs: TaskOutput[] = [];
  chains: bigint[] = [0n];
  #position = 0;

  batch(counts: readonly number[], make: (number: number) => TaskOutput = output): TaskBatch {
    const from = place(this.#position, this.outputs.length);
    const first = this.outputs.length;
    const cuts: TaskPlace[] = [];
    for (const count of counts) {
      this.#position += 1;
      for (let made = 0; made < count; made += 1) {
        const next = make(this.outputs.length);
        this.outputs.push(next);
        this.chains.push(chained(this.chains.at(-1) as bigint, next));
      }
      if (count > 0) cuts.push(place(this.#position, this.outputs.length));
    }
    const to = place(this.#position, this.outputs.length);
    const [outputs, chains] = [this.outputs.slice(first), this.chains.slice(first + 1)];
    const rest = { digests: [], digestedAt: [], changes: [], inputs: [], captures: [], nextDue: undefined };
    return { from, to, outputs, chains, cuts, ...rest };
  }
}

const START = place(0, 0);

describe("pending outputs", () => {
  it("go out each once, in order, behind what is covered, whoever covers it", () => {
    const counts = fc.array(fc.nat(4), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(fc.tuple(counts, fc.boolean(), fc.nat(20))), (steps) => {
        const source = new Source();
        const [own, other] = [new PendingOutputs(START, 0n, START), new PendingOutputs(START, 0n, START)];
        const out: TaskOutput[] = [];
        for (const [records, ownCommits, forget] of steps) {
          const batch = source.batch(records);
          own.add(batch);
          other.add(batch);
          const committing = ownCommits ? own : other;
          const { to, chain, outputs } = committing.part();
          expect(committing.chainAt(to.outputs)).toBe(chain);
          expect(chain).toBe(source.chains[to.outputs]);
          out.push(...outputs);
          expect(to.outputs).toBe(out.length);
          own.cover(to);
          other.cover(to);
          // What was known before says nothing.
          own.cover(START);
          own.forgetChains(Math.min(forget, to.outputs));
          expect([own.size, own.bytes, own.committed]).toEqual([0, 0, to]);
        }
        expect(out).toEqual(source.outputs);
      }),
    );
  });

  it("are dropped as they come, where the task is committed further than it has come", () => {
    const source = new Source();
    const pending = new PendingOutputs(START, 0n, place(3, 5));
    pending.add(source.batch([2, 1]));
    expect([pending.size, pending.chainAt(2)]).toEqual([0, source.chains[2]]);
    pending.add(source.batch([2, 3]));
    expect(pending.part()).toEqual({ to: place(4, 8), chain: source.chains[8], outputs: source.outputs.slice(5) });
  });

  it.each([
    ["outputs", RUNTIME_LIMITS.commitOutputsMax / 2, 1, (): string => "out"],
    ["bytes", 4, RUNTIME_LIMITS.commitBytesMax / 8 - RUNTIME_LIMITS.outputOverheadBytes, (): string => "out"],
    ["streams", RUNTIME_LIMITS.commitStreamsMax / 2, 1, (number: number): string => `out/${number}`],
  ])("are parted between records where a commit would take too many %s", (_, count, bytes, stream) => {
    const source = new Source();
    const pending = new PendingOutputs(START, 0n, START);
    pending.add(source.batch([count, count, count], (number) => output(number, bytes, stream(number))));
    expect(pending.part().to).toEqual(place(2, 2 * count));
    pending.cover(place(2, 2 * count));
    expect(pending.part()).toMatchObject({ to: place(3, 3 * count), outputs: { length: count } });
  });

  it("of one record are never parted", () => {
    const source = new Source();
    const pending = new PendingOutputs(START, 0n, START);
    pending.add(source.batch([RUNTIME_LIMITS.commitOutputsMax + 1, 1]));
    expect(pending.part().to).toEqual(place(1, RUNTIME_LIMITS.commitOutputsMax + 1));
  });

  it("keep the chain of what is not committed, and of no more than a bound of the rest", () => {
    const source = new Source();
    const pending = new PendingOutputs(START, 0n, START);
    const many = RUNTIME_LIMITS.chainsMax + 10;
    pending.add(source.batch([many, 0]));
    expect(pending.chainAt(0)).toBe(0n);
    pending.cover(place(2, many));
    pending.add(source.batch([1]));
    expect([pending.chainAt(0), pending.chainAt(many)]).toEqual([undefined, source.chains[many]]);
  });
});
