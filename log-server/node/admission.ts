/** What is known of a command before it is proposed: its size, and whether a full disk may still take it. */
import type { BatchRef } from "../../src/record/batch.ts";
import type { Command } from "../../src/wire/command.ts";

const OVERHEAD_BYTES = 96;

/** Roughly what a command takes in an entry: its batches, and a little for the rest. */
export function commandBytes(command: Command): number {
  switch (command.kind) {
    case "create":
    case "append":
    case "subscription-wake":
    case "group-dead-letter":
      return OVERHEAD_BYTES + (command.batch?.length ?? 0);
    case "append-run":
      return batchesBytes(command.batches);
    case "transaction": {
      let bytes = OVERHEAD_BYTES;
      for (const operation of command.operations) bytes += commandBytes(operation);
      return bytes;
    }
    case "cursor":
      return OVERHEAD_BYTES + (command.value?.length ?? 0);
    case "group-create":
      return OVERHEAD_BYTES * (1 + command.streams.length);
    case "group-ack":
      return OVERHEAD_BYTES * (1 + command.acks.length);
    case "group-settle":
      return OVERHEAD_BYTES * (1 + command.settlements.length);
    case "group-reset":
      return OVERHEAD_BYTES * (1 + command.positions.length);
    case "app-put":
      return OVERHEAD_BYTES * (1 + command.tasks.length) + command.description.length + command.options.length;
    case "app-reset":
      return OVERHEAD_BYTES * (1 + command.tasks.length);
    case "task-commit":
      return OVERHEAD_BYTES * (2 + command.digests.length);
    case "touch":
      return OVERHEAD_BYTES * (1 + command.streams.length);
    default:
      return OVERHEAD_BYTES;
  }
}

/** As much as its appends would each. */
function batchesBytes(batches: readonly BatchRef[]): number {
  let bytes = 0;
  for (const batch of batches) bytes += OVERHEAD_BYTES + batch.length;
  return bytes;
}

/** The length of a batch that is longer than allowed, or undefined where none is. */
export function oversizedBatch(command: Command, bytesMax: number): number | undefined {
  if (command.kind === "transaction") {
    for (const operation of command.operations) {
      const oversized = oversizedBatch(operation, bytesMax);
      if (oversized !== undefined) return oversized;
    }
    return undefined;
  }
  if (command.kind === "append-run") return command.batches.find(({ length }) => length > bytesMax)?.length;
  const length = "batch" in command ? (command.batch?.length ?? 0) : 0;
  return length > bytesMax ? length : undefined;
}

/** With a full disk, what frees space or moves log time still goes on; what adds data does not. */
export function growsTheLog(command: Command): boolean {
  switch (command.kind) {
    case "create":
    case "append":
    case "append-run":
    case "cursor":
    case "transaction":
    case "subscription-create":
    case "subscription-link":
    case "subscription-wake":
    case "group-create":
    case "group-dead-letter":
    // What has begun may end; nothing new begins.
    case "group-join":
    case "group-take":
    case "app-put":
      return true;
    default:
      return false;
  }
}
