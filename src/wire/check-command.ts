/**
 * Whether a command has an encoding that decodes to the same command. One that has not must be refused before it is
 * proposed: in the log it could be read by nobody, or mean to followers what it did not mean to the leader (I4, I10).
 * This says nothing of whether the command makes sense; that is decided when it is applied (I9).
 */
import { utf8 } from "../lib/bytes.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { AppendRunCommand, Command } from "./command.ts";
import { WIRE_LIMITS } from "./limits.ts";

export type CommandError = { readonly code: "malformed-command"; readonly message: string };

/** What decoders take at most. The state machine's own limits are tighter, and answer with their own codes. */
export const COMMAND_LIMITS = {
  textBytesMax: 16 * 1_024,
  blobBytesMax: 1_024 * 1_024,
  itemsMax: 65_536,
} as const;

const U64 = 64;

export function checkCommand(command: Command): Result<Command, CommandError> {
  const fault = faultOf(command) ?? (command.kind === "append-run" ? runFault(command) : undefined);
  return fault === undefined ? ok(command) : err({ code: "malformed-command", message: `the command has ${fault}` });
}

/** All commands are made of these few kinds of values, so one walk serves for all. */
function faultOf(value: unknown): string | undefined {
  switch (typeof value) {
    case "string":
      return textFault(value);
    case "number":
      return Number.isSafeInteger(value) && value >= 0 ? undefined : "a number that is no integer from 0 to 2^53 - 1";
    case "object":
      if (value === null) return undefined;
      if (value instanceof Uint8Array)
        return value.length > COMMAND_LIMITS.blobBytesMax ? "a value that is too long" : undefined;
      return Array.isArray(value) ? listFault(value) : fieldsFault(value);
    case "bigint":
      return value === BigInt.asUintN(U64, value) ? undefined : "a number that is no integer from 0 to 2^64 - 1";
    default:
      return undefined;
  }
}

function textFault(text: string): string | undefined {
  const { textBytesMax } = COMMAND_LIMITS;
  // One UTF-16 unit takes at most three bytes.
  if (text.length * 3 > textBytesMax && utf8(text).length > textBytesMax) return "a text that is too long";
  return text.isWellFormed() ? undefined : "a text that is not well-formed Unicode";
}

/** What is wrong with a run's length. */
export function runFault({ batches, producer }: AppendRunCommand): string | undefined {
  const { runBatchesMax } = WIRE_LIMITS;
  if (batches.length === 0 || batches.length > runBatchesMax) return `no batch, or more than ${runBatchesMax}`;
  return Number.isSafeInteger(producer.sequence + batches.length) ? undefined : "more batches than sequences";
}

function listFault(list: readonly unknown[]): string | undefined {
  if (list.length > COMMAND_LIMITS.itemsMax) return "a list that is too long";
  for (const item of list) {
    const fault = faultOf(item);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function fieldsFault(fields: object): string | undefined {
  // Not `Object.entries`: this runs for every command, and arrays of pairs are most of its cost.
  for (const name in fields) {
    // Batches travel beside the command, and have checks of their own.
    if (name === "batch" || name === "batches" || !Object.hasOwn(fields, name)) continue;
    const fault = faultOf(fields[name as keyof typeof fields]);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
