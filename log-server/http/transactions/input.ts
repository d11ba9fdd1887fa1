/** A transaction as JSON: the key that names an operation has the stream, or the cursor, that it is about. */
import { type Static, Type } from "typebox";
import { parseJsonBytes } from "../../../src/record/record-json.ts";
import { DEFAULT_CONTENT_TYPE } from "../content-type.ts";
import { COMMAND_LIMITS } from "../../../src/wire/check-command.ts";
import type { Condition, StreamName, TransactionCommand, TransactionOperation } from "../../../src/wire/command.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { parsePlace } from "../places.ts";
import { batchOfJson } from "../records/body.ts";
import { Bytes, Count, Place } from "../schemas.ts";
import { CREATE_FIELDS, createCommand } from "../streams/create-input.ts";

const STRICT = { additionalProperties: false } as const;
const BytesOrNull = Type.Union([Bytes, Type.Null()]);
const Records = Type.Array(Type.Unknown({ description: "as in a POST of records" }));

const StreamExists = Type.Object(
  { stream: Type.String(), exists: Type.Boolean() },
  { ...STRICT, description: "the stream is there, or is not" },
);
const StreamEnd = Type.Object(
  { stream: Type.String(), next: Place },
  { ...STRICT, description: "the stream ends there" },
);
const CursorIs = Type.Object(
  { cursor: Type.String(), value: BytesOrNull },
  { ...STRICT, description: "the cursor has this value; null: there is none" },
);

const Create = Type.Object({ create: Type.String(), ...CREATE_FIELDS }, STRICT);
const Append = Type.Object(
  {
    append: Type.String(),
    records: Type.Optional(Records),
    close: Type.Optional(Type.Boolean()),
    expectedOffset: Type.Optional(Place),
    producer: Type.Optional(
      Type.Object({ id: Type.String({ minLength: 1, maxLength: 256 }), epoch: Count, sequence: Count }, STRICT),
    ),
  },
  STRICT,
);
const Delete = Type.Object({ delete: Type.String() }, STRICT);
const SetCursor = Type.Object(
  { cursor: Type.String(), value: BytesOrNull, expected: Type.Optional(BytesOrNull) },
  { ...STRICT, description: "null: deletes it; expected null: there must be none" },
);

export const TransactionBody = Type.Object(
  {
    conditions: Type.Optional(Type.Array(Type.Union([StreamExists, StreamEnd, CursorIs]))),
    operations: Type.Array(Type.Union([Create, Append, Delete, SetCursor]), { minItems: 1 }),
  },
  STRICT,
);

type ConditionInput = NonNullable<Static<typeof TransactionBody>["conditions"]>[number];
type OperationInput = Static<typeof TransactionBody>["operations"][number];

export async function transactionCommand(
  context: HttpContext,
  { conditions = [], operations }: Static<typeof TransactionBody>,
): Promise<TransactionCommand> {
  const itemsMax = COMMAND_LIMITS.itemsMax;
  if (conditions.length > itemsMax || operations.length > itemsMax)
    throw new HttpError("too-many", `a transaction has at most ${itemsMax} conditions and operations`);
  // What appends are checked against: streams as they are now, and those that this creates itself.
  const created = new Map<StreamName, string>();
  const made: TransactionOperation[] = [];
  for (const [place, operation] of operations.entries()) {
    try {
      made.push(await operationOf(context, operation, created));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      throw new HttpError(error.code, `operation ${place}: ${error.message}`, error.headers, error.members);
    }
  }
  return { kind: "transaction", conditions: conditions.flatMap(conditionsOf), operations: made };
}

function conditionsOf(condition: ConditionInput): readonly Condition[] {
  if ("cursor" in condition) {
    const value = condition.value === null ? null : bytesOf(condition.value);
    return [{ kind: "cursor", name: condition.cursor, value }];
  }
  const { stream } = condition;
  if ("exists" in condition) return [{ kind: condition.exists ? "stream-exists" : "stream-absent", stream }];
  const { offset, incarnation } = parsePlace(condition.next);
  const end: Condition = { kind: "next-offset", stream, offset };
  return incarnation === undefined ? [end] : [{ kind: "stream-exists", stream, incarnation }, end];
}

async function operationOf(
  context: HttpContext,
  operation: OperationInput,
  created: Map<StreamName, string>,
): Promise<TransactionOperation> {
  if ("create" in operation) {
    const { create: stream, ...fields } = operation;
    const command = await createCommand(context, stream, fields);
    const source = command.fork === undefined ? undefined : context.node.machine.stream(command.fork.source);
    created.set(stream, command.contentType ?? source?.contentType ?? DEFAULT_CONTENT_TYPE);
    return command;
  }
  if ("append" in operation) return appendOf(context, operation, created);
  if ("delete" in operation) return { kind: "delete", stream: operation.delete };
  const { cursor: name, value, expected } = operation;
  return {
    kind: "cursor",
    name,
    ...(value !== null && { value: bytesOf(value) }),
    ...(expected !== undefined && { expected: expected === null ? null : bytesOf(expected) }),
  };
}

function appendOf(
  context: HttpContext,
  { append: stream, records = [], close = false, expectedOffset, producer }: Static<typeof Append>,
  created: ReadonlyMap<StreamName, string>,
): TransactionOperation {
  const contentType = created.get(stream) ?? context.node.machine.contentTypeOf(stream);
  if (contentType === undefined)
    throw new HttpError("stream-not-found", `there is no stream "${stream.toWellFormed()}"`);
  const batch = batchOfJson(context, records, contentType, "record");
  const expected = expectedOffset === undefined ? undefined : parsePlace(expectedOffset);
  return {
    kind: "append",
    stream,
    contentType,
    close,
    ...(batch !== undefined && { batch }),
    ...(expected !== undefined && { expectedOffset: expected.offset }),
    ...(expected?.incarnation !== undefined && { incarnation: expected.incarnation }),
    ...(producer !== undefined && { producer }),
  };
}

function bytesOf(shown: Static<typeof Bytes>): Uint8Array {
  const bytes = parseJsonBytes(shown);
  if (bytes === null) throw new HttpError("malformed-request", "bytes are a text, or well-formed base64");
  return bytes;
}
