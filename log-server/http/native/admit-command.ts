/**
 * Looks at a command that a client has encoded itself, before it is proposed: whether clients may give it at all, its
 * names and content types, and the records in its batches, which nobody decodes again before a reader does. All that
 * depends on state is decided when it is applied (I9); what the bytes alone decide is decided here.
 */
import { assert, unreachable } from "../../../src/lib/assert.ts";
import { decodeBatch, verifyRecords } from "../../../src/record/batch-codec.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import type {
  AppendCommand,
  AppendRunCommand,
  Command,
  CreateCommand,
  StreamName,
  TransactionOperation,
} from "../../../src/wire/command.ts";
import { checkStreamName } from "../../../src/wire/stream-name.ts";
import { checkJsonEncoding, DEFAULT_CONTENT_TYPE, isJson, normalizeContentType } from "../content-type.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { isValidJson } from "../json-mode.ts";
import { memoized } from "../memo.ts";

/** Names that were found to be such, as most of the next ones are. */
const KNOWN_NAMES_MAX = 1_024;

/** The command as it may be proposed. Throws `HttpError` where it may not be. */
export function admitCommand(context: HttpContext, command: Command): Command {
  switch (command.kind) {
    case "create":
    case "append":
    case "delete":
    case "cursor":
      return admitOperation(context, command);
    case "append-run":
      return admitRun(context, command);
    case "settings":
    case "trim":
      checkName(command.stream);
      return command;
    case "transaction":
      for (const condition of command.conditions) if (condition.kind !== "cursor") checkName(condition.stream);
      return { ...command, operations: command.operations.map((operation) => admitOperation(context, operation)) };
    // Of what they name, only what exists is looked for; what is made by it is checked as it is applied.
    case "group-create":
    case "group-delete":
    case "group-join":
    case "group-leave":
    case "group-heartbeat":
    case "group-ack":
    case "group-take":
    case "group-settle":
    case "group-reset":
      return command;
    case "app-put":
    case "app-state":
    case "app-reset":
    case "app-delete":
    case "task-commit":
    case "task-snapshot":
    case "task-trimmed":
    case "task-statement":
    case "task-trim":
      return command;
    // What a leader decides or a face checks: wakes, expiry, where webhooks may go.
    case "touch":
    case "tick":
    case "subscription-create":
    case "subscription-delete":
    case "subscription-link":
    case "subscription-unlink":
    case "subscription-wake":
    case "subscription-claim":
    case "subscription-ack":
    case "subscription-release":
    case "subscription-failed":
    case "compact":
    case "member-set":
    case "member-remove":
    case "feature-level":
    case "group-dead-letter":
      throw new HttpError("malformed-command", `"${command.kind}" does not come in a frame`);
    default:
      return unreachable(command);
  }
}

function admitOperation(context: HttpContext, operation: TransactionOperation): TransactionOperation {
  switch (operation.kind) {
    case "create":
      return admitCreate(context, operation);
    case "append":
      return admitAppend(context, operation);
    case "delete":
      checkName(operation.stream);
      return operation;
    case "cursor":
    // What they name is looked for, or checked, as they are applied.
    case "app-put":
    case "app-state":
    case "app-reset":
    case "app-delete":
    case "task-commit":
    case "task-snapshot":
    case "task-trimmed":
    case "task-statement":
      return operation;
    default:
      return unreachable(operation);
  }
}

function admitCreate(context: HttpContext, command: CreateCommand): CreateCommand {
  const { stream, fork, batch } = command;
  checkName(stream);
  if (fork !== undefined) checkName(fork.source);
  if (fork !== undefined && fork.partialBytes !== 0) {
    // Only the server knows how long the source's records are.
    throw new HttpError("invalid-fork", "a part of a record is inherited through the Durable Streams protocol only");
  }
  const contentType = normalized(command.contentType);
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
  checkName(command.stream);
  const contentType = normalized(command.contentType);
  if (command.batch === undefined) {
    if (!command.close) throw new HttpError("empty-body", "there is no record to append");
    return contentType === undefined ? command : { ...command, contentType };
  }
  const effective = contentType ?? context.node.machine.contentTypeOf(command.stream);
  if (effective === undefined) throw new HttpError("stream-not-found", `there is no stream "${command.stream}"`);
  checkRecords(context, command.batch, effective);
  return { ...command, contentType: effective };
}

/** A run is let in whole: whoever sent it can send its appends one by one. */
function admitRun(context: HttpContext, command: AppendRunCommand): AppendRunCommand {
  checkName(command.stream);
  const contentType = normalized(command.contentType) ?? context.node.machine.contentTypeOf(command.stream);
  if (contentType === undefined) throw new HttpError("stream-not-found", `there is no stream "${command.stream}"`);
  for (const batch of command.batches) checkRecords(context, batch, contentType);
  return { ...command, contentType };
}

function checkRecords(context: HttpContext, batch: BatchRef, contentType: string): void {
  assert(batch.bytes !== undefined, "a request carries its batches");
  const { limits } = context;
  if (batch.span > limits.recordsPerBatchMax) {
    throw new HttpError(
      "too-many",
      `a batch has ${batch.span} records; at most ${limits.recordsPerBatchMax} are allowed`,
    );
  }
  const options = verifyOptions(context);
  const verified = verifyRecords(batch.bytes, options);
  if (!verified.ok) throw new HttpError(verified.error.code, verified.error.message);
  if (!isJson(contentType)) return;
  const decoded = decodeBatch(batch.bytes, options);
  if (!decoded.ok) throw new HttpError(decoded.error.code, decoded.error.message);
  for (const { offsetDelta, record } of decoded.value.records) {
    if (record.value !== null && !isValidJson(record.value)) {
      throw new HttpError("malformed-json", `record ${offsetDelta} is not valid JSON in UTF-8`);
    }
  }
}

type VerifyOptions = Parameters<typeof verifyRecords>[1];

/** Made once for each server: every batch is looked at with them. */
const verifyOptionsOf = new WeakMap<HttpContext, VerifyOptions>();

function verifyOptions(context: HttpContext): VerifyOptions {
  const known = verifyOptionsOf.get(context);
  if (known !== undefined) return known;
  const { limits, zstd } = context;
  const options = {
    ...(zstd !== undefined && { zstd }),
    rawBytesMax: limits.rawBatchBytesMax,
    recordBytesMax: limits.recordBytesMax,
  };
  verifyOptionsOf.set(context, options);
  return options;
}

const checkName: (name: string) => StreamName = memoized((name) => {
  const checked = checkStreamName(name);
  if (!checked.ok) throw new HttpError(checked.error.code, checked.error.message);
  return checked.value;
}, KNOWN_NAMES_MAX);

function normalized(contentType: string | undefined): string | undefined {
  if (contentType === undefined) return undefined;
  const normal = normalizeContentType(contentType);
  if (normal === undefined) throw new HttpError("malformed-command", `"${contentType}" is not a media type`);
  checkJsonEncoding(normal);
  return normal;
}
