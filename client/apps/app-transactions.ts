/** How an app is reset or deleted together with streams: in one transaction, or where they are too many for that, in several. */
import type { AppDeleteCommand, AppResetCommand } from "../../src/wire/app-command.ts";
import type { StreamName, TransactionOperation } from "../../src/wire/command.ts";
import { CLIENT_LIMITS } from "../limits.ts";

type Operations = readonly TransactionOperation[];

/**
 * In the first of several it is paused and reset, or nobody could delete snapshots that it needs; in the last the command takes effect
 * on what is left by then, so whatever fails on the way, all of it may be done again. Nothing is committed in between. It is reset
 * once more then, for whoever runs it has made its streams again before all of them were deleted. `paused`: it is to stay so.
 */
export function appTransactions(
  command: AppResetCommand | AppDeleteCommand,
  streams: readonly StreamName[],
  paused: boolean,
  operationsMax: number = CLIENT_LIMITS.transactionOperationsMax,
): readonly Operations[] {
  const deletions = streams.map((stream) => ({ kind: "delete", stream }) as const);
  if (deletions.length < operationsMax) return [[command, ...deletions]];
  const { app } = command;
  const begin: Operations = [
    { kind: "app-state", app, paused: true },
    { kind: "app-reset", app, tasks: command.kind === "app-reset" ? command.tasks : [] },
  ];
  const end: Operations =
    command.kind === "app-delete" || paused ? [command] : [command, { kind: "app-state", app, paused: false }];
  const all = [...begin, ...deletions];
  const whole = Array.from({ length: Math.floor(all.length / operationsMax) }, (_, at) =>
    all.slice(at * operationsMax, (at + 1) * operationsMax),
  );
  const rest = all.slice(whole.length * operationsMax);
  return rest.length + end.length <= operationsMax ? [...whole, [...rest, ...end]] : [...whole, rest, end];
}
