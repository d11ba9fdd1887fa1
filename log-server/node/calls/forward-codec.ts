/**
 * Commands on their way to the leader, and what came of them, as the bodies of `forward` calls (`peer-calls.ts`).
 *
 *     request  varint run, varint sequence, blob head, varint batches, ×(u64 hash, u32 length, u32 span), their bytes
 *     answer   u8 status; where it is 1, done: varint position, varint count, ×outcome
 *     outcome  u8 0, blob result; or u8 1, text code, text message
 *
 * Heads are `encodeCommands`', results `encodeResult`'s. Statuses: 2 not-leader, 3 out-of-order, 4 malformed; with
 * these nothing was done.
 */
import { assert } from "../../../src/lib/assert.ts";
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import { decodeCommands, encodeCommands } from "../../../src/wire/command-codec.ts";
import { decodeResult, encodeResult } from "../../../src/wire/result-codec.ts";
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import { type ErrorCode, ERRORS } from "../../../src/wire/errors.ts";
import { WIRE_LIMITS } from "../../../src/wire/limits.ts";
import { batchIsIntact } from "../../log/segments/segment-scan.ts";
import { NodeError } from "../node-error.ts";

/** Which place these commands have among those of their sender: runs begin at 0 and have no holes. */
export type ForwardPlace = { readonly run: number; readonly sequence: number };

export type ForwardRequest = ForwardPlace & { readonly commands: readonly Command[] };

export type ForwardOutcome = Result<CommandResult, NodeError>;

export type ForwardAnswer =
  /** Everything up to `position` was applied at the leader: the commands that took effect, too. */
  | { readonly status: "done"; readonly position: LogIndex; readonly outcomes: readonly ForwardOutcome[] }
  | { readonly status: "not-leader" | "out-of-order" | "malformed" };

/** Never renumber: other versions of nodes read these. */
const STATUSES = [undefined, "done", "not-leader", "out-of-order", "malformed"] as const;

/** In pieces: all but the first are the batches' own bytes. */
export function encodeForward({ run, sequence }: ForwardPlace, commands: readonly Command[]): readonly Uint8Array[] {
  const { head, batches } = encodeCommands(commands);
  const writer = new ByteWriter(head.length + 64).varint(run).varint(sequence).blob(head).varint(batches.length);
  const pieces: Uint8Array[] = [];
  for (const { hash, length, span, bytes } of batches) {
    writer.u64(hash).u32(length).u32(span);
    assert(bytes?.length === length, "a batch that is sent has its bytes");
    pieces.push(bytes);
  }
  return [writer.finish(), ...pieces];
}

/** Takes any bytes; undefined where they are none that a node could have sent, or a batch is damaged (I13). */
export function decodeForward(bytes: Uint8Array): ForwardRequest | undefined {
  const reader = new ByteReader(bytes);
  const run = reader.varint();
  const sequence = reader.varint();
  const head = reader.blob(reader.remaining);
  const refs: Omit<BatchRef, "bytes">[] = [];
  for (let left = reader.count(WIRE_LIMITS.commandBatchesMax); left > 0; left -= 1)
    refs.push({ hash: reader.u64(), length: reader.u32(), span: reader.u32() });
  const batches = refs.map((ref) => ({ ...ref, bytes: reader.bytes(ref.length) }));
  if (!reader.complete || !batches.every((batch) => batchIsIntact(batch.bytes, batch))) return undefined;
  const commands = decodeCommands(head, batches);
  return commands.ok ? { run, sequence, commands: commands.value } : undefined;
}

export function encodeForwardAnswer(answer: ForwardAnswer): Uint8Array {
  const writer = new ByteWriter().u8(STATUSES.indexOf(answer.status));
  if (answer.status !== "done") return writer.finish();
  writer.varint(answer.position).varint(answer.outcomes.length);
  for (const outcome of answer.outcomes) {
    if (outcome.ok) writer.u8(0).blob(encodeResult(outcome.value));
    else writer.u8(1).string(outcome.error.code).string(outcome.error.message.slice(0, MESSAGE_CHARACTERS_MAX));
  }
  return writer.finish();
}

/** Takes any bytes. */
export function decodeForwardAnswer(bytes: Uint8Array): ForwardAnswer | undefined {
  const reader = new ByteReader(bytes);
  const status = STATUSES[reader.u8()];
  if (status !== "done") return status !== undefined && reader.complete ? { status } : undefined;
  const position = reader.varint();
  const outcomes: ForwardOutcome[] = [];
  for (let left = reader.count(Number.MAX_SAFE_INTEGER); left > 0; left -= 1) {
    const outcome = readOutcome(reader);
    if (outcome === undefined) return undefined;
    outcomes.push(outcome);
  }
  return reader.complete ? { status, position, outcomes } : undefined;
}

/** An error's message fits its bound whatever characters it has. */
const MESSAGE_CHARACTERS_MAX = WIRE_LIMITS.textBytesMax / 4;

function readOutcome(reader: ByteReader): ForwardOutcome | undefined {
  if (reader.u8() === 0) {
    const result = decodeResult(reader.blob(reader.remaining));
    return result.ok ? ok(result.value) : undefined;
  }
  const code = reader.string(WIRE_LIMITS.textBytesMax);
  const message = reader.string(WIRE_LIMITS.textBytesMax);
  return reader.failed ? undefined : err(new NodeError(isCode(code) ? code : "internal", message));
}

/** One that a newer version invented is none here. */
function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}
