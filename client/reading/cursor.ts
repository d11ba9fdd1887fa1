/**
 * A named cursor: a small durable value beside the streams, say how far a job has come. It moves by itself here, or
 * with appends and all or nothing in a `Transaction`.
 */
import type { Connection } from "../connection.ts";
import type { CallOptions } from "../deadline.ts";
import { TidemarkError } from "../error.ts";
import { toBytes, type BytesInput } from "../appending/record-input.ts";

export type CursorOptions = CallOptions & {
  /** Only if its value is this; `null`: only if there is none. Otherwise `condition-failed`. */
  readonly expected?: BytesInput | null;
};

export class Cursor {
  readonly name: string;
  readonly #connection: Connection;

  constructor(connection: Connection, name: string) {
    if (name === "") throw new TidemarkError("invalid-argument", "a cursor has a name");
    this.name = name;
    this.#connection = connection;
  }

  /** Its value, as bytes; undefined if there is no such cursor. */
  async get(options: CallOptions = {}): Promise<Uint8Array | undefined> {
    const { value } = await this.#connection.lookUp({ kind: "cursor-get", name: this.name }, options);
    return value;
  }

  /**
   * Sets it. Text is stored as UTF-8. Without `expected` the last one wins, and a retry counts as setting it again.
   * With it a value is set once: where a retry finds that it is no longer what was expected, perhaps because the
   * first attempt took effect, the `condition-failed` has the outcome `unknown`; `get` tells.
   */
  async set(value: BytesInput, options: CursorOptions = {}): Promise<void> {
    await this.#put(toBytes(value), options);
  }

  /** Deletes it; one that does not exist is fine, unless something was `expected`. */
  async delete(options: CursorOptions = {}): Promise<void> {
    await this.#put(undefined, options);
  }

  async #put(value: Uint8Array | undefined, { expected, ...call }: CursorOptions): Promise<void> {
    await this.#connection.execute(
      {
        kind: "cursor",
        name: this.name,
        ...(value !== undefined && { value }),
        ...(expected !== undefined && { expected: expected === null ? null : toBytes(expected) }),
      },
      call,
    );
  }
}
