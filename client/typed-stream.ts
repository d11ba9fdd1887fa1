/**
 * A stream of JSON values that a schema describes. Values are validated before they are appended and again when they are
 * read, for others may write to the stream without the schema.
 *
 * What is stored is what `append` was given: a schema that transforms does so at each reading, so `append` takes the
 * schema's input and readers get its output.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { TidemarkError } from "./error.ts";
import { isMany, type RecordInput } from "./appending/record-input.ts";
import type {
  Appended,
  AppendOptions,
  Created,
  CreateOptions,
  ReadOptions,
  Stream,
  SubscribeOptions,
} from "./stream.ts";
import { TypedRecordStream, type InvalidPolicy } from "./reading/typed-record-stream.ts";
import { validate } from "./validate.ts";

/** A record with a value of the schema's in `json`, or a tombstone. */
export type TypedInput<Input> =
  | (Omit<Extract<RecordInput, { readonly json: unknown }>, "json"> & { readonly json: Input })
  | (Extract<RecordInput, { readonly value: unknown }> & { readonly value: null });

export type TypedReadOptions = ReadOptions & {
  /** Default `"throw"`. */
  readonly onInvalid?: InvalidPolicy;
};

export type TypedSubscribeOptions = SubscribeOptions & Pick<TypedReadOptions, "onInvalid">;

const JSON_CONTENT_TYPE = "application/json";

export class TypedStream<Input, Output> {
  /** The same stream without the schema: for `describe`, `close`, `trim`, a `producer` and the like. */
  readonly untyped: Stream;
  readonly #schema: StandardSchemaV1<unknown, Output>;

  constructor(untyped: Stream, schema: StandardSchemaV1) {
    this.untyped = untyped;
    this.#schema = schema as StandardSchemaV1<unknown, Output>;
  }

  get name(): string {
    return this.untyped.name;
  }

  /** As `Stream.create`; the content type is `application/json` unless it is given. */
  create(options: CreateOptions = {}): Promise<Created> {
    return this.untyped.create({ contentType: JSON_CONTENT_TYPE, ...options });
  }

  /** As `Stream.append`. Rejects with `schema-mismatch`, nothing being appended, if one of the values is not valid. */
  async append(
    records: TypedInput<Input> | readonly TypedInput<Input>[],
    options: AppendOptions = {},
  ): Promise<Appended> {
    const inputs = isMany(records) ? records : [records];
    return this.untyped.append(await Promise.all(inputs.map((input) => this.encode(input))), options);
  }

  /** The record if it is valid, as a producer or a transaction takes it; `schema-mismatch` otherwise. */
  async encode(record: TypedInput<Input>): Promise<RecordInput> {
    if ("json" in record) await validate(this.#schema, record.json, "the value to append");
    else if (record.value !== null)
      throw new TidemarkError("invalid-argument", "a typed record has `json`, or the value null");
    return record;
  }

  /** As `Stream.read`. */
  read(options: TypedReadOptions = {}): TypedRecordStream<Output> {
    return new TypedRecordStream(this.untyped.read(options), this.#schema, options.onInvalid ?? "throw");
  }

  /** As `Stream.subscribe`. */
  subscribe(options: TypedSubscribeOptions = {}): TypedRecordStream<Output> {
    return new TypedRecordStream(this.untyped.subscribe(options), this.#schema, options.onInvalid ?? "throw");
  }
}
