/**
 * The answers that a producer's newest commands got (I8), kept as runs: commands that follow each other in the stream
 * with batches of one size, as nearly all do, are one run however many. Where a run ends depends only on two
 * neighbours, never on history, so that equal answers have equal rows.
 */
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import type { ByteWriter } from "../../src/lib/byte-writer.ts";
import type { Offset } from "../../src/record/offset.ts";

/** `span` 0: the command closed the stream and appended nothing. */
export type Answer = { readonly firstOffset: Offset; readonly span: number };

/** Numbers of a run: how many answers, the first one's offset, the span of each. */
const RUN_WIDTH = 3;

export class Answers {
  /** Oldest run first. */
  #runs: number[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(firstOffset: Offset, span: number, max: number): void {
    const runs = this.#runs;
    const last = runs.length - RUN_WIDTH;
    const follows =
      last >= 0 &&
      runs[last + 2] === span &&
      firstOffset === (runs[last + 1] as number) + (runs[last] as number) * span;
    if (follows) runs[last] = (runs[last] as number) + 1;
    else runs.push(1, firstOffset, span);
    this.#count += 1;
    if (this.#count > max) this.#dropOldest();
  }

  /** The answer `back` commands before the newest, if it is still kept. */
  find(back: number): Answer | undefined {
    if (back >= this.#count) return undefined;
    let skipped = 0;
    for (let place = this.#runs.length - RUN_WIDTH; place >= 0; place -= RUN_WIDTH) {
      const [count, firstOffset, span] = this.#run(place);
      if (back < skipped + count) return { firstOffset: firstOffset + (count - 1 - (back - skipped)) * span, span };
      skipped += count;
    }
    return undefined;
  }

  copy(): Answers {
    const copy = new Answers();
    copy.#runs = this.#runs.slice();
    copy.#count = this.#count;
    return copy;
  }

  /** Runs in order; of each the gap between the end of the one before and its start. */
  write(writer: ByteWriter): void {
    writer.varint(this.#runs.length / RUN_WIDTH);
    let end = 0;
    for (let place = 0; place < this.#runs.length; place += RUN_WIDTH) {
      const [count, firstOffset, span] = this.#run(place);
      writer
        .varint(count)
        .varint(firstOffset - end)
        .varint(span);
      end = firstOffset + count * span;
    }
  }

  static read(reader: ByteReader, max: number): Answers {
    const answers = new Answers();
    const runs = reader.count(max);
    let end = 0;
    for (let run = 0; run < runs && !reader.failed; run += 1) {
      const count = reader.varint();
      const gap = reader.varint();
      const firstOffset = end + gap;
      const span = reader.varint();
      const before = answers.#runs.at(-1);
      answers.#runs.push(count, firstOffset, span);
      answers.#count += count;
      end = firstOffset + count * span;
      const sameRun = gap === 0 && span === before;
      if (count === 0 || sameRun || answers.#count > max || !Number.isSafeInteger(end)) reader.fail();
    }
    return answers;
  }

  #run(place: number): [count: number, firstOffset: Offset, span: number] {
    const runs = this.#runs;
    return [runs[place] as number, runs[place + 1] as number, runs[place + 2] as number];
  }

  #dropOldest(): void {
    const [count, firstOffset, span] = this.#run(0);
    if (count === 1) {
      this.#runs.splice(0, RUN_WIDTH);
    } else {
      this.#runs[0] = count - 1;
      this.#runs[1] = firstOffset + span;
    }
    this.#count -= 1;
  }
}
