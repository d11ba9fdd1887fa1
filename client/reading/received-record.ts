/**
 * A record as readers get it: what was appended, where it stands, and helpers to read its value.
 */
import { text } from "../../src/lib/bytes.ts";
import { formatOffset, type Incarnation, type Offset } from "../../src/record/offset.ts";
import type { RecordHeader, StreamRecord } from "../../src/record/record.ts";
import { TidemarkError } from "../error.ts";

/** A class for the sake of its lazy parts: most readers of a million records never look at most of them. */
export class ReceivedRecord {
  /** Its place in the stream. */
  readonly offset: Offset;
  /** When the log took it, milliseconds since the Unix epoch; never goes back along the stream. */
  readonly logTime: number;
  readonly #incarnation: Incarnation;
  readonly #record: StreamRecord;

  constructor(record: StreamRecord, offset: Offset, logTime: number, incarnation: Incarnation) {
    this.offset = offset;
    this.logTime = logTime;
    this.#record = record;
    this.#incarnation = incarnation;
  }

  /** Its place as text. It sorts as text, and never fits a stream that was deleted and made anew. */
  get token(): string {
    return formatOffset(this.#incarnation, this.offset);
  }

  /** The token of the next record: what a Durable Streams client continues from. */
  get nextToken(): string {
    return formatOffset(this.#incarnation, this.offset + 1);
  }

  get key(): Uint8Array | undefined {
    return this.#record.key;
  }

  /** `null` for a tombstone. */
  get value(): Uint8Array | null {
    return this.#record.value;
  }

  get headers(): readonly RecordHeader[] {
    return this.#record.headers ?? [];
  }

  /** Event time: the writer's if it gave one, else the log's. */
  get timestamp(): number {
    return this.#record.timestamp ?? this.logTime;
  }

  /** The key as UTF-8 text. */
  keyText(): string | undefined {
    return this.key === undefined ? undefined : this.#decode(this.key, "key");
  }

  /** The value; a tombstone's is empty. */
  bytes(): Uint8Array {
    return this.value ?? new Uint8Array();
  }

  /** The value as UTF-8 text; a tombstone's is empty. Throws if it is not UTF-8. */
  text(): string {
    return this.value === null ? "" : this.#decode(this.value, "value");
  }

  /** The value as JSON; a tombstone's is `null`. Throws if it is not JSON. The type is the caller's claim. */
  json<T = unknown>(): T {
    if (this.value === null) return null as T;
    const source = this.text();
    try {
      return JSON.parse(source) as T;
    } catch (cause) {
      throw new TidemarkError("malformed-json", `the value at offset ${this.offset} is not JSON`, { cause });
    }
  }

  #decode(bytes: Uint8Array, what: string): string {
    const decoded = text(bytes);
    if (decoded === undefined) throw new TidemarkError("not-text", `the ${what} at offset ${this.offset} is not UTF-8`);
    return decoded;
  }
}
