/**
 * The batch that small calls made together share, until those who make them have come to rest (`gathering.ts`). Their
 * records are encoded at once, so that callers may use their memory again. What becomes of it is `append-session.ts`'s.
 */
import type { Zstd } from "../../src/ports/zstd.ts";
import type { BatchEncoder } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import type { Caller } from "./append-entry.ts";
import type { BatchMemory } from "./batch-memory.ts";
import type { Deadline } from "../deadline.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { toBatchRef } from "./record-input.ts";

export class OpenBatch {
  /** Of the first call; the others come microtasks later. */
  readonly deadline: Deadline;
  /** In the order of their records. */
  readonly callers: Caller[] = [];
  readonly #memory: BatchMemory;
  readonly #encoder: BatchEncoder;

  constructor(memory: BatchMemory, deadline: Deadline) {
    this.deadline = deadline;
    this.#memory = memory;
    this.#encoder = memory.takeEncoder();
  }

  /** So far. */
  get bytes(): number {
    return this.#encoder.length;
  }

  hasRoom(records: number, bytes: number): boolean {
    const { batchRecordsMax, runAppendsMax, runBytesMax } = CLIENT_LIMITS;
    return (
      this.callers.length < runAppendsMax &&
      this.#encoder.count + records <= batchRecordsMax &&
      this.#encoder.length + bytes <= runBytesMax
    );
  }

  add(records: readonly StreamRecord[], caller: Caller): void {
    for (const record of records) this.#encoder.add(record);
    this.callers.push(caller);
  }

  /** The batch. Nothing is added any more. */
  seal(zstd: Zstd | undefined): BatchRef {
    const encoder = this.#encoder;
    const bytes = encoder.finish({ ...(zstd !== undefined && { zstd }), allocate: this.#memory.take });
    const batch = toBatchRef(bytes, encoder.count);
    this.#memory.giveEncoderBack(encoder);
    return batch;
  }
}
