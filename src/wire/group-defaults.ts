/** What a group is where its maker does not say: the same for every face. Not what is allowed; that is the state machine's. */
import { err, ok, type Result } from "../lib/result.ts";
import type { StreamName } from "./command.ts";
import type { GroupConfig, GroupId, GroupMode, GroupStart } from "./group-command.ts";

export const GROUP_DEFAULTS = {
  from: "start",
  leaseMs: 30_000,
  retryDelayMs: 1_000,
  /** With a dead-letter stream. Without one a record has as many attempts as it takes, for after the last it would be lost. */
  attemptsMax: 5,
} as const;

/** A configuration as people write it: flat, and with whatever they care about. */
export type GroupInput = {
  readonly mode: GroupMode["kind"];
  readonly streams?: readonly StreamName[];
  readonly pattern?: string;
  readonly from?: GroupStart;
  readonly leaseMs?: number;
  readonly attemptsMax?: number;
  readonly retryDelayMs?: number;
  readonly deadLetter?: StreamName;
};

/** A text: why it cannot be meant. */
export function completeGroup(id: GroupId, input: GroupInput): Result<GroupConfig, string> {
  const { streams = [], pattern, from = GROUP_DEFAULTS.from, leaseMs = GROUP_DEFAULTS.leaseMs } = input;
  const mode = completeMode(input);
  if (!mode.ok) return mode;
  return ok({ id, mode: mode.value, streams, ...(pattern !== undefined && { pattern }), from, leaseMs });
}

function completeMode({ mode, attemptsMax, retryDelayMs, deadLetter }: GroupInput): Result<GroupMode, string> {
  if (mode === "partitions") {
    return attemptsMax === undefined && retryDelayMs === undefined && deadLetter === undefined
      ? ok({ kind: "partitions" })
      : err("attempts, their delay and a dead-letter stream are a queue's");
  }
  return ok({
    kind: "queue",
    attemptsMax: attemptsMax ?? (deadLetter === undefined ? 0 : GROUP_DEFAULTS.attemptsMax),
    retryDelayMs: retryDelayMs ?? GROUP_DEFAULTS.retryDelayMs,
    ...(deadLetter !== undefined && { deadLetter }),
  });
}
