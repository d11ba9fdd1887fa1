/**
 * A transaction as JSON (src/wire/SPEC.md, W129), made into one of the SDK. Strict: what is not known, or is of another type, is
 * refused with the place where it stands, before anything is sent.
 */
import { holdsJson, parseJsonBytes, parseJsonRecord, recordOfJson } from "../../src/record/record-json.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import type { Retention } from "../../src/wire/command.ts";
import type { Client } from "../client.ts";
import { TidemarkError } from "../error.ts";
import type { CreateOptions } from "../stream.ts";
import type { Transaction } from "../appending/transaction.ts";

type Fields = Readonly<Record<string, unknown>>;

const DEFAULT_CONTENT_TYPE = "application/octet-stream";

export async function buildTransaction(client: Client, written: unknown): Promise<Transaction> {
  const { conditions = [], operations = [] } = object(written, "the transaction", ["conditions", "operations"]);
  const transaction = client.transaction();
  for (const [at, condition] of list(conditions, "conditions").entries())
    addCondition(transaction, condition, `condition ${at}`);
  const types = new Types(client);
  for (const [at, operation] of list(operations, "operations").entries())
    await addOperation(transaction, operation, `operation ${at}`, types);
  return transaction;
}

function addCondition(transaction: Transaction, condition: unknown, where: string): void {
  const fields = object(condition, where, ["stream", "exists", "next", "cursor", "value"]);
  if ("cursor" in fields) {
    only(fields, where, ["cursor", "value"]);
    transaction.expectCursor(string(fields, "cursor", where), bytesOrNull(fields, "value", where));
    return;
  }
  const stream = string(fields, "stream", where);
  if ("exists" in fields) {
    only(fields, where, ["stream", "exists"]);
    if (boolean(fields, "exists", where)) transaction.expectExists(stream);
    else transaction.expectAbsent(stream);
    return;
  }
  only(fields, where, ["stream", "next"]);
  transaction.expectNextOffset(stream, count(fields, "next", where));
}

async function addOperation(transaction: Transaction, operation: unknown, where: string, types: Types): Promise<void> {
  const fields = object(operation, where, undefined);
  if ("create" in fields) {
    const stream = string(fields, "create", where);
    const options = createOptions(fields, where);
    types.created(stream, options.contentType ?? DEFAULT_CONTENT_TYPE);
    transaction.create(stream, options);
  } else if ("append" in fields) await addAppend(transaction, fields, where, types);
  else if ("delete" in fields) {
    only(fields, where, ["delete"]);
    transaction.delete(string(fields, "delete", where));
  } else if ("cursor" in fields) {
    only(fields, where, ["cursor", "value"]);
    const name = string(fields, "cursor", where);
    const value = bytesOrNull(fields, "value", where);
    if (value === null) transaction.deleteCursor(name);
    else transaction.setCursor(name, value);
  } else throw wrong(where, "has none of create, append, delete and cursor");
}

async function addAppend(transaction: Transaction, fields: Fields, where: string, types: Types): Promise<void> {
  only(fields, where, ["append", "records", "close", "expectedOffset"]);
  const stream = string(fields, "append", where);
  const close = fields["close"] !== undefined && boolean(fields, "close", where);
  const written = fields["records"] === undefined ? [] : list(fields["records"], `${where}: records`);
  if (written.length === 0) {
    if (!close) throw new TidemarkError("empty-body", `${where} has no records to append`);
    if (fields["expectedOffset"] !== undefined) throw wrong(where, "has no records for its expectedOffset");
    transaction.close(stream);
    return;
  }
  const json = holdsJson(await types.of(stream));
  const records = written.map((record, at): StreamRecord => {
    const parsed = parseJsonRecord(record);
    if (!parsed.ok) throw wrong(`${where}, record ${at}`, parsed.error.message);
    return recordOfJson(parsed.value, json);
  });
  const expected = fields["expectedOffset"] === undefined ? undefined : count(fields, "expectedOffset", where);
  transaction.append(stream, records, { close, ...(expected !== undefined && { expectedOffset: expected }) });
}

function createOptions(fields: Fields, where: string): CreateOptions {
  only(fields, where, ["create", "contentType", "ttlSeconds", "expiresAt", "retention"]);
  const { contentType, ttlSeconds, expiresAt, retention } = fields;
  return {
    ...(contentType !== undefined && { contentType: string(fields, "contentType", where) }),
    ...(ttlSeconds !== undefined && { ttlSeconds: count(fields, "ttlSeconds", where) }),
    ...(expiresAt !== undefined && { expiresAt: time(fields, "expiresAt", where) }),
    ...(retention !== undefined && { retention: retentionOf(retention, `${where}: retention`) }),
  };
}

function retentionOf(written: unknown, where: string): Retention {
  const fields = object(written, where, ["maxAgeMs", "maxBytes", "compaction"]);
  const { maxAgeMs, maxBytes, compaction } = fields;
  return {
    ...(maxAgeMs !== undefined && { maxAgeMs: count(fields, "maxAgeMs", where) }),
    ...(maxBytes !== undefined && { maxBytes: count(fields, "maxBytes", where) }),
    ...(compaction !== undefined && {
      compaction: {
        tombstoneMs: count(object(compaction, `${where}: compaction`, ["tombstoneMs"]), "tombstoneMs", where),
      },
    }),
  };
}

/** The content types of the streams that are appended to: created before it in the transaction, or asked for once. */
class Types {
  readonly #client: Client;
  readonly #known = new Map<string, string>();

  constructor(client: Client) {
    this.#client = client;
  }

  created(stream: string, contentType: string): void {
    this.#known.set(stream, contentType);
  }

  async of(stream: string): Promise<string> {
    const known = this.#known.get(stream) ?? (await this.#client.stream(stream).describe()).contentType;
    this.#known.set(stream, known);
    return known;
  }
}

/** `keys`: all that it may have; undefined: looked at later. */
function object(value: unknown, where: string, keys: readonly string[] | undefined): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(where, "must be an object");
  if (keys !== undefined) only(value as Fields, where, keys);
  return value as Fields;
}

function only(fields: Fields, where: string, keys: readonly string[]): void {
  const unknown = Object.keys(fields).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw wrong(where, `has ${keys.join(", ")}, not "${unknown}"`);
}

function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(where, "must be a list");
  return value as readonly unknown[];
}

function string(fields: Fields, key: string, where: string): string {
  const value = fields[key];
  if (typeof value !== "string") throw wrong(where, `needs "${key}", a text`);
  return value;
}

function boolean(fields: Fields, key: string, where: string): boolean {
  const value = fields[key];
  if (typeof value !== "boolean") throw wrong(where, `needs "${key}", true or false`);
  return value;
}

function count(fields: Fields, key: string, where: string): number {
  const value = fields[key];
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw wrong(where, `needs "${key}", a whole number from 0`);
  return value as number;
}

function time(fields: Fields, key: string, where: string): Date {
  const value = fields[key];
  const date = typeof value === "string" || typeof value === "number" ? new Date(value) : undefined;
  if (date === undefined || Number.isNaN(date.getTime())) throw wrong(where, `needs "${key}", a time`);
  return date;
}

function bytesOrNull(fields: Fields, key: string, where: string): Uint8Array | null {
  const value = fields[key];
  if (value === null) return null;
  const bytes = parseJsonBytes(value);
  if (bytes === null) throw wrong(where, `needs "${key}", a text, {"base64": …} or null`);
  return bytes;
}

function wrong(where: string, what: string): TidemarkError {
  return new TidemarkError("malformed-request", `${where} ${what}`);
}
