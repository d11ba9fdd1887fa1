/**
 * `transaction`: conditions and operations, all or nothing, at one position (I11). Operations run like single commands,
 * each seeing what those before it did; the first refusal undoes them.
 *
 * A retry is told by its tagged appends, before anything else (I8): if they are duplicates, the transaction took effect
 * before, as a whole, and is answered without doing any of it again.
 */
import { unreachable } from "../../src/lib/assert.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type {
  CommandResult,
  Condition,
  Rejection,
  TransactionCommand,
  TransactionOperation,
} from "../../src/wire/command.ts";
import { answerFrom, appended, appendRecords, standingFor } from "./append-records.ts";
import { createStream, described } from "./create-stream.ts";
import { Journal } from "./journal.ts";
import { reject, tooMany } from "./rejections.ts";
import { runAppCommand } from "./apps/run-app-command.ts";
import { isValue, setCursor } from "./set-cursor.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";
import { findStream } from "./stream-lifecycle.ts";
import { deleteStream } from "./stream-upkeep.ts";

export function runTransaction(state: State, step: Step, command: TransactionCommand): CommandResult {
  const { conditions, operations } = command;
  const answer =
    sizeRefusal(state, command) ?? retryAnswer(state, step, operations) ?? conditionRefusal(state, step, conditions);
  if (answer === undefined) return runOperations(state, step, operations);
  for (const operation of operations) step.settle(batchOf(operation));
  return answer;
}

export function batchOf(operation: TransactionOperation): BatchRef | undefined {
  return operation.kind === "create" || operation.kind === "append" ? operation.batch : undefined;
}

function runOperations(state: State, step: Step, operations: readonly TransactionOperation[]): CommandResult {
  const firstPlacement = step.placements.length;
  const changedBefore = step.changed.size;
  const journal = new Journal(operations);
  step.journal = journal;
  const results: CommandResult[] = [];
  let refusal: Rejection | undefined;
  for (const operation of operations) {
    const result = runOperation(state, step, operation);
    step.settle(batchOf(operation));
    refusal = refusalFrom(result, results.length);
    if (refusal !== undefined) break;
    results.push(result);
  }
  step.journal = undefined;
  if (refusal === undefined) return { kind: "transaction", results };
  journal.rollBack();
  step.retract(
    firstPlacement,
    operations.filter((operation) => batchOf(operation) !== undefined).length,
    changedBefore,
  );
  return refusal;
}

function runOperation(state: State, step: Step, operation: TransactionOperation): CommandResult {
  switch (operation.kind) {
    case "create":
      return createStream(state, step, operation);
    case "append":
      return appendRecords(state, step, operation);
    case "delete":
      return deleteStream(state, step, operation);
    case "cursor":
      return setCursor(state, step, operation);
    case "app-put":
    case "app-state":
    case "app-reset":
    case "app-delete":
    case "task-commit":
    case "task-snapshot":
    case "task-trimmed":
    case "task-statement":
      return runAppCommand(state, step, operation);
    default:
      return unreachable(operation);
  }
}

function refusalFrom(result: CommandResult, place: number): Rejection | undefined {
  if (result.kind === "rejected") return { ...result, message: `operation ${place}: ${result.message}` };
  if (result.kind !== "appended" || !result.duplicate) return undefined;
  return reject("invalid-producer", `operation ${place}: its sequence is used twice in the transaction`);
}

function sizeRefusal(state: State, { conditions, operations }: TransactionCommand): Rejection | undefined {
  const { transactionConditionsMax, transactionOperationsMax } = state.limits;
  if (conditions.length > transactionConditionsMax) return tooMany("conditions", transactionConditionsMax);
  if (operations.length > transactionOperationsMax) return tooMany("operations", transactionOperationsMax);
  return undefined;
}

/** What the producers' state before the transaction decides; undefined: it is new. */
function retryAnswer(state: State, step: Step, operations: readonly TransactionOperation[]): CommandResult | undefined {
  const answers = new Map<TransactionOperation, CommandResult>();
  let tagged = 0;
  for (const operation of operations) {
    if (operation.kind !== "append" || operation.producer === undefined) continue;
    tagged += 1;
    const stream = findStream(state, step, operation.stream);
    if (stream === undefined || stream.deleted) continue;
    if (operation.incarnation !== undefined && operation.incarnation !== stream.incarnation) continue;
    const standing = standingFor(state, step, stream, operation.producer);
    // Not a retry. An operation before it may begin this epoch: whether one does is seen when they run.
    if (standing.kind === "bad-start") continue;
    const answer = answerFrom(stream, operation.producer, standing);
    if (answer?.kind === "rejected") return answer;
    if (answer !== undefined) answers.set(operation, answer);
  }
  if (answers.size === 0) return undefined;
  if (answers.size < tagged) return reject("invalid-producer", "only some of the transaction's sequences are new");
  const results = operations.map((operation) => answers.get(operation) ?? answerNow(state, operation));
  return { kind: "transaction", results };
}

/** For an operation that took effect before and left no answer: how things stand now. */
function answerNow(state: State, operation: TransactionOperation): CommandResult {
  if (operation.kind !== "create" && operation.kind !== "append") return { kind: "done" };
  const stream = state.names.get(operation.stream);
  if (stream === undefined) return { kind: "done" };
  if (operation.kind === "create") return described(stream, false);
  return { ...appended(stream, undefined, undefined), duplicate: true };
}

function conditionRefusal(state: State, step: Step, conditions: readonly Condition[]): Rejection | undefined {
  const failed = conditions.findIndex((condition) => !holds(state, step, condition));
  if (failed < 0) return undefined;
  return reject("condition-failed", `condition ${failed} (${conditions[failed]?.kind}) does not hold`);
}

function holds(state: State, step: Step, condition: Condition): boolean {
  if (condition.kind === "cursor") return isValue(state.cursors.get(condition.name), condition.value);
  const stream = findStream(state, step, condition.stream);
  switch (condition.kind) {
    case "stream-exists":
      if (stream === undefined || stream.deleted) return false;
      return condition.incarnation === undefined || condition.incarnation === stream.incarnation;
    case "stream-absent":
      // The name of a soft-deleted stream is not free.
      return stream === undefined;
    case "next-offset":
      return stream !== undefined && !stream.deleted && stream.nextOffset === condition.offset;
    default:
      return unreachable(condition);
  }
}
