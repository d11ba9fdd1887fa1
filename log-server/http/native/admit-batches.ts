/**
 * Looks at what a client's own batches hold, before their command is proposed: nobody decodes them again before a
 * reader does. That the batches are sound, and the command one for clients, the frame's decoder has checked.
 */
import { assert, unreachable } from "../../../src/lib/assert.ts";
import { decodeBatch, type DecodedRecord } from "../../../src/record/batch-codec.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import type { AppendCommand, Command, CreateCommand, TransactionOperation } from "../../../src/wire/command.ts";
import { DEFAULT_CONTENT_TYPE, isJson, normalizeContentType } from "../content-type.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { isValidJson } from "../json-mode.ts";

/** The layout of a batch's header (src/record/batch.ts): flags, and of them those that name a compression. */
const FLAGS_PLACE = 13;
const COMPRESSION_MASK = 0b11;

/** The command as it may be proposed. Throws `HttpError` where it may not be. */
export function admitBatches(context: HttpContext, command: Command): Command {
  switch (command.kind) {
    case "create":
    case "append":
    case "delete":
    case "cursor":
      return admitOperation(context, command);
    case "transaction":
      return { ...command, operations: command.operations.map((operation) => admitOperation(context, operation)) };
    default:
      assert(!("batch" in command), "the frame's decoder lets no other command with a batch through");
      return command;
  }
}

function admitOperation(context: HttpContext, operation: TransactionOperation): TransactionOperation {
  switch (operation.kind) {
    case "create":
      return admitCreate(context, operation);
    case "append":
      return admitAppend(context, operation);
    case "delete":
    case "cursor":
      return operation;
    default:
      return unreachable(operation);
  }
}

function admitCreate(context: HttpContext, command: CreateCommand): CreateCommand {
  const { fork, batch } = command;
  if (fork !== undefined && fork.partialBytes !== 0) {
    // Only the server knows how long the source's records are.
    throw new HttpError("invalid-fork", "a part of a record is inherited through the Durable Streams protocol only");
  }
  const contentType = command.contentType === undefined ? undefined : normalized(command.contentType);
  if (batch === undefined) return contentType === undefined ? command : { ...command, contentType };
  const effective = contentType ?? inherited(context, command) ?? DEFAULT_CONTENT_TYPE;
  checkRecords(context, batch, effective);
  // The type that the records were checked against must be the one they get.
  return { ...command, contentType: effective };
}

function inherited(context: HttpContext, { fork }: CreateCommand): string | undefined {
  if (fork === undefined) return undefined;
  const source = context.node.machine.stream(fork.source);
  if (source === undefined) throw new HttpError("stream-not-found", `there is no stream "${fork.source}" to fork from`);
  return source.contentType;
}

function admitAppend(context: HttpContext, command: AppendCommand): AppendCommand {
  const contentType = command.contentType === undefined ? undefined : normalized(command.contentType);
  if (command.batch === undefined) return contentType === undefined ? command : { ...command, contentType };
  const effective = contentType ?? context.node.machine.stream(command.stream)?.contentType;
  if (effective === undefined) throw new HttpError("stream-not-found", `there is no stream "${command.stream}"`);
  checkRecords(context, command.batch, effective);
  return { ...command, contentType: effective };
}

function checkRecords(context: HttpContext, batch: BatchRef, contentType: string): void {
  const { limits, zstd } = context;
  assert(batch.bytes !== undefined, "a request carries its batches");
  if (batch.span > limits.recordsPerBatchMax) {
    throw new HttpError("too-many", `a batch has ${batch.span} records; at most ${limits.recordsPerBatchMax} are allowed`);
  }
  const json = isJson(contentType);
  const compressed = ((batch.bytes[FLAGS_PLACE] ?? 0) & COMPRESSION_MASK) !== 0;
  if (!json && !compressed && batch.length <= limits.recordBytesMax) return;
  const decoded = decodeBatch(batch.bytes, { ...(zstd !== undefined && { zstd }), rawBytesMax: limits.rawBatchBytesMax });
  if (!decoded.ok) throw new HttpError(decoded.error.code, decoded.error.message);
  for (const { offsetDelta, record } of decoded.value.records) {
    const bytes = recordBytes(record);
    if (bytes > limits.recordBytesMax) {
      throw new HttpError("record-too-large", `record ${offsetDelta} has ${bytes} bytes; at most ${limits.recordBytesMax} are allowed`);
    }
    if (json && record.value !== null && !isValidJson(record.value)) {
      throw new HttpError("malformed-json", `record ${offsetDelta} is not valid JSON in UTF-8`);
    }
  }
}

function recordBytes({ key, value, headers }: DecodedRecord["record"]): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, headerValue] of headers ?? []) bytes += name.length + headerValue.length;
  return bytes;
}

function normalized(contentType: string): string {
  const normal = normalizeContentType(contentType);
  if (normal === undefined) throw new HttpError("malformed-header", `"${contentType}" is not a media type`);
  return normal;
}
