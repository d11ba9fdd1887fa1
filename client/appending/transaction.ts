/**
 * A transaction, gathered step by step and committed whole or not at all (I11): conditions, then operations on any streams
 * and cursors of one log. Nothing is sent before `commit`.
 *
 * Its appends carry a tag (I8), so that one with an append is retried as an append is: it takes effect once. If `commit`
 * fails and the outcome is `unknown`, the same object may be committed again, and then tells or does what the first one did.
 */
import type { Offset } from "../../src/record/offset.ts";
import type { AppOperation } from "../../src/wire/app-command.ts";
import type { CommandResult, Condition, TransactionCommand, TransactionOperation } from "../../src/wire/command.ts";
import { checkStreamName } from "../../src/wire/stream-name.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import { unreachable } from "../../src/lib/assert.ts";
import type { Connection } from "../connection.ts";
import type { CallOptions } from "../deadline.ts";
import { asTidemarkError, TidemarkError } from "../error.ts";
import { isMany, sealBatch, toBytes, toRecord, type BytesInput, type RecordInput } from "./record-input.ts";
import { toAppended, toCreate, toCreated, type Appended, type Created, type CreateOptions } from "../stream.ts";
import type { TransactionTag } from "./transaction-tags.ts";

/** What is done to apps goes by `app.ts`. */
type Operation = Exclude<TransactionOperation, AppOperation>;

/** What an operation of a transaction did; `kind` names the builder's method. */
export type OperationResult =
  | ({ readonly kind: "create"; readonly stream: string } & Created)
  | ({ readonly kind: "append"; readonly stream: string } & Appended)
  | { readonly kind: "close"; readonly stream: string; readonly nextOffset: Offset }
  | { readonly kind: "delete"; readonly stream: string }
  | { readonly kind: "cursor"; readonly name: string };

export type TransactionAppendOptions = {
  /** The first record must get this offset: `offset-mismatch` for all otherwise. */
  readonly expectedOffset?: Offset;
  /** Close the stream with it. */
  readonly close?: boolean;
};

const DEFAULT_CONTENT_TYPE = "application/octet-stream";

export class Transaction {
  readonly #connection: Connection;
  readonly #zstd: Zstd | undefined;
  readonly #conditions: Condition[] = [];
  readonly #operations: Operation[] = [];
  /** Streams that it creates: their type cannot be looked up before. */
  readonly #createdTypes = new Map<string, string>();
  /** Kept while an earlier commit may have taken effect under it. */
  #tag: TransactionTag | undefined;
  #uncertain = false;
  #state: "open" | "committing" | "committed" = "open";

  constructor(connection: Connection, zstd: Zstd | undefined) {
    this.#connection = connection;
    this.#zstd = zstd;
  }

  /** Only if the stream exists and its next record gets this offset: nobody appended since. */
  expectNextOffset(stream: string, offset: Offset): this {
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new TidemarkError("malformed-offset", "an offset is a whole number from 0");
    return this.#expect({ kind: "next-offset", stream: checked(stream), offset });
  }

  /** Only if there is such a stream. */
  expectExists(stream: string): this {
    return this.#expect({ kind: "stream-exists", stream: checked(stream) });
  }

  /** Only if there is none. */
  expectAbsent(stream: string): this {
    return this.#expect({ kind: "stream-absent", stream: checked(stream) });
  }

  /** Only if the cursor's value is this; `null`: only if there is no such cursor. */
  expectCursor(name: string, value: BytesInput | null): this {
    return this.#expect({ kind: "cursor", name, value: value === null ? null : toBytes(value) });
  }

  /** Creates a stream: as `stream.create`. */
  create(stream: string, options: CreateOptions = {}): this {
    const command = toCreate(checked(stream), options);
    this.#createdTypes.set(stream, command.contentType ?? DEFAULT_CONTENT_TYPE);
    return this.#do(command);
  }

  /** Appends a record, or several next to each other. What comes before it in the transaction has happened. */
  append(stream: string, records: RecordInput | readonly RecordInput[], options: TransactionAppendOptions = {}): this {
    const inputs = isMany(records) ? records : [records];
    if (inputs.length === 0) throw new TidemarkError("invalid-argument", "an append has at least one record");
    const { expectedOffset, close = false } = options;
    return this.#do({
      kind: "append",
      stream: checked(stream),
      batch: sealBatch(inputs.map(toRecord), this.#zstd),
      close,
      ...this.#typeOf(stream),
      ...(expectedOffset !== undefined && { expectedOffset }),
    });
  }

  /** Closes a stream: it takes no more records. One that is closed is fine. */
  close(stream: string): this {
    return this.#do({ kind: "append", stream: checked(stream), close: true });
  }

  /** Deletes a stream. Not one that this transaction appended to. */
  delete(stream: string): this {
    // Such an append would leave no trace by which a retry could tell that it took effect.
    if (this.#operations.some((operation) => operation.kind === "append" && operation.stream === stream))
      throw new TidemarkError("invalid-argument", `the transaction appends to "${stream}" and then deletes it`);
    this.#createdTypes.delete(stream);
    return this.#do({ kind: "delete", stream: checked(stream) });
  }

  /** Sets a cursor. */
  setCursor(name: string, value: BytesInput): this {
    return this.#do({ kind: "cursor", name, value: toBytes(value) });
  }

  /** Deletes a cursor; one that does not exist is fine. */
  deleteCursor(name: string): this {
    return this.#do({ kind: "cursor", name });
  }

  /**
   * Commits: resolves, when all is durable, to what each operation did, in their order. The first condition or
   * operation that fails refuses the whole: `condition-failed`, or the operation's own code. Without appends, a
   * transaction that may have taken effect is not retried: the error's `outcome` is then `unknown`.
   */
  async commit(options: CallOptions = {}): Promise<readonly OperationResult[]> {
    this.#checkOpen();
    if (this.#operations.length === 0) throw new TidemarkError("invalid-argument", "the transaction does nothing");
    this.#state = "committing";
    const tag = (this.#tag ??= this.#connection.transactionTags.take());
    try {
      const { results } = await this.#connection.transact(this.#command(tag), this.#uncertain, options);
      this.#state = "committed";
      if (results.length !== this.#operations.length)
        throw new TidemarkError("protocol-error", "a transaction was answered in part", { outcome: "applied" });
      this.#release(tag);
      return this.#operations.map((operation, place) => toResult(operation, results[place] as CommandResult));
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      this.#uncertain = error.outcome === "unknown";
      if (error.outcome === "not-applied") this.#release(tag);
      throw error;
    } finally {
      if (this.#state === "committing") this.#state = "open";
    }
  }

  #release(tag: TransactionTag): void {
    this.#connection.transactionTags.giveBack(tag);
    this.#tag = undefined;
  }

  #command(tag: TransactionTag): TransactionCommand {
    const counts = new Map<string, number>();
    const operations = this.#operations.map((operation): TransactionOperation => {
      // A mere closing is harmless twice, and on a stream that is closed already a tag would be refused.
      if (operation.kind !== "append" || operation.batch === undefined) return operation;
      const count = counts.get(operation.stream) ?? 0;
      counts.set(operation.stream, count + 1);
      // The state before the transaction decides what is new, and there a new epoch begins with sequence 0.
      const id = count === 0 ? tag.id : `${tag.id}.${count}`;
      return { ...operation, producer: { id, epoch: tag.epoch, sequence: 0 } };
    });
    return { kind: "transaction", conditions: this.#conditions, operations };
  }

  #typeOf(stream: string): { readonly contentType?: string } {
    const contentType = this.#createdTypes.get(stream);
    return contentType === undefined ? {} : { contentType };
  }

  #expect(condition: Condition): this {
    this.#checkUnchanged();
    this.#conditions.push(condition);
    return this;
  }

  #do(operation: Operation): this {
    this.#checkUnchanged();
    this.#operations.push(operation);
    return this;
  }

  /** One that may have taken effect stays as it is: changed, it could not be told from the first. */
  #checkUnchanged(): void {
    this.#checkOpen();
    if (this.#uncertain)
      throw new TidemarkError("invalid-argument", "the transaction may have taken effect; commit it again as it is");
  }

  #checkOpen(): void {
    if (this.#state !== "open")
      throw new TidemarkError("invalid-argument", `the transaction is ${this.#state}; begin another`);
  }
}

function checked(stream: string): string {
  const name = checkStreamName(stream);
  if (!name.ok) throw new TidemarkError(name.error.code, name.error.message);
  return stream;
}

function toResult(operation: Operation, result: CommandResult): OperationResult {
  switch (operation.kind) {
    case "create":
      if (result.kind !== "created") break;
      return { kind: "create", stream: operation.stream, ...toCreated(result) };
    case "append": {
      if (result.kind !== "appended") break;
      const { stream, batch } = operation;
      if (batch === undefined) return { kind: "close", stream, nextOffset: result.tail };
      return { kind: "append", stream, ...toAppended(result, batch.span) };
    }
    case "delete":
      return { kind: "delete", stream: operation.stream };
    case "cursor":
      return { kind: "cursor", name: operation.name };
    default:
      return unreachable(operation);
  }
  throw new TidemarkError("protocol-error", `a "${operation.kind}" was answered with "${result.kind}"`, {
    outcome: "applied",
  });
}
