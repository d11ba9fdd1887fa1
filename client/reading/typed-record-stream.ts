/**
 * Reading a stream whose records a schema describes: as `RecordStream`, with each value parsed and validated. It holds no
 * records of its own.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Offset } from "../../src/record/offset.ts";
import { asTidemarkError, TidemarkError } from "../error.ts";
import type { ReceivedRecord } from "./received-record.ts";
import type { RecordStream } from "./record-stream.ts";
import { validate } from "../validate.ts";

/**
 * What becomes of a record that is no JSON or not what the schema allows. `"throw"`: the reading ends with an error that has
 * its `offset` and, for the latter, `issues`. `"skip"`: it is passed over. A function is told the error, then it is passed over.
 */
export type InvalidPolicy = "throw" | "skip" | ((error: TidemarkError) => void);

/** A record whose value was validated. */
export type TypedRecord<Output> = {
  /** The value as the schema makes it. */
  readonly data: Output;
  readonly offset: Offset;
  /** The record as it came: key, headers, times, token, bytes. */
  readonly record: ReceivedRecord;
};

const DONE = { done: true, value: undefined } as const;

export class TypedRecordStream<Output> implements AsyncIterableIterator<TypedRecord<Output>, undefined> {
  /** The same reading without the schema. What is taken from it directly is missing here. */
  readonly records: RecordStream;
  readonly #schema: StandardSchemaV1<unknown, Output>;
  readonly #onInvalid: InvalidPolicy;
  /** Calls of `next` in their order: validation may take its time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(records: RecordStream, schema: StandardSchemaV1<unknown, Output>, onInvalid: InvalidPolicy) {
    this.records = records;
    this.#schema = schema;
    this.#onInvalid = onInvalid;
  }

  next(): Promise<IteratorResult<TypedRecord<Output>, undefined>> {
    const taken = this.#turn.then(() => this.#next());
    this.#turn = taken.catch(() => undefined);
    return taken;
  }

  async #next(): Promise<IteratorResult<TypedRecord<Output>, undefined>> {
    for (;;) {
      const { done, value: record } = await this.records.next();
      if (done === true) return DONE;
      try {
        return { done: false, value: { data: await this.#parse(record), offset: record.offset, record } };
      } catch (thrown) {
        const error = asTidemarkError(thrown);
        if (this.#onInvalid === "throw") {
          this.close();
          throw error;
        }
        if (this.#onInvalid !== "skip") this.#onInvalid(error);
      }
    }
  }

  /** A tombstone is `null`, which the schema may allow. */
  #parse(record: ReceivedRecord): Promise<Output> {
    const { offset } = record;
    let value: unknown;
    try {
      value = record.json();
    } catch (thrown) {
      const { code, message } = asTidemarkError(thrown);
      throw new TidemarkError(code, message, { offset, cause: thrown });
    }
    return validate(this.#schema, value, `the record at offset ${offset}`, offset);
  }

  /** Ends the reading; a pending `next` ends with it. */
  close(): void {
    this.records.close();
  }

  return(): Promise<IteratorResult<TypedRecord<Output>, undefined>> {
    this.close();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.records[Symbol.asyncDispose]();
  }
}
