/** Groups as the command line shows them. In JSON they have the fields that the native HTTP interface gives them. */
import type { GroupDescription, GroupInfo, GroupMemberInfo, GroupProgress } from "../../groups/group-description.ts";
import type { ResetMove } from "../../groups/group-reset.ts";
import { formatDuration } from "../durations.ts";
import { counted, formatFields, formatTable, formatTime, type Column } from "../output.ts";

export const GROUP_COLUMNS: readonly Column[] = [
  { title: "GROUP" },
  { title: "MODE" },
  { title: "MEMBERS", align: "right" },
  { title: "STREAMS", align: "right" },
  { title: "LAG", align: "right" },
  { title: "IN FLIGHT", align: "right" },
  { title: "RESTING", align: "right" },
  { title: "DEAD", align: "right" },
];

const LAG_COLUMNS: readonly Column[] = [
  { title: "STREAM" },
  { title: "OWNER" },
  { title: "COMMITTED", align: "right" },
  { title: "TAIL", align: "right" },
  { title: "LAG", align: "right" },
  { title: "BEHIND", align: "right" },
  { title: "IN FLIGHT", align: "right" },
];

const MEMBER_COLUMNS: readonly Column[] = [{ title: "MEMBER" }, { title: "HOLDS", align: "right" }, { title: "UNTIL" }];

const MOVE_COLUMNS: readonly Column[] = [
  { title: "STREAM" },
  { title: "FROM", align: "right" },
  { title: "TO", align: "right" },
  { title: "CHANGE", align: "right" },
];

const MS_PER_SECOND = 1_000;

export function groupCells({ id, mode, members, streams, lag, inFlight, resting, dead }: GroupInfo): readonly string[] {
  return [id, mode, ...[members, streams, lag, inFlight, resting, dead].map(String)];
}

export function groupJson(group: GroupDescription): object {
  const { createdAt, members, ...rest } = group;
  return { ...rest, createdAtMs: createdAt.getTime(), members: members.map(memberJson) };
}

function memberJson({ name, until, holds }: GroupMemberInfo): object {
  return { name, untilMs: until.getTime(), holds };
}

export function groupText(group: GroupDescription): string {
  const { id, mode, streams, pattern, from, leaseMs, attemptsMax, retryDelayMs, deadLetter, createdAt } = group;
  const { lag, inFlight, resting, dead, deadLettered, dropped, unlinked, members, progress } = group;
  const fields = formatFields({
    "group": id,
    "mode": mode,
    "follows": [...streams, ...(pattern === undefined ? [] : [`pattern ${pattern}`])].join(", "),
    "from": from,
    "lease": formatDuration(leaseMs),
    "attempts": attemptsMax === undefined ? undefined : attemptsText(attemptsMax),
    "retried": retryDelayMs === undefined ? undefined : `after ${formatDuration(retryDelayMs)}`,
    "dead letters": deadLetter === undefined ? undefined : `to ${deadLetter}: ${deadLettered} so far`,
    "dropped": dropped === 0 ? undefined : counted(dropped, "record"),
    "not followed": unlinked === 0 ? undefined : `${counted(unlinked, "stream")}: too many`,
    "created": formatTime(createdAt.getTime()),
    "lag": `${counted(lag, "record")}${mode === "queue" ? ` (${inFlight} in flight, ${resting} resting, ${dead} dead)` : ""}`,
  });
  const shownMembers = members.length === 0 ? "" : `\n${formatTable(MEMBER_COLUMNS, members.map(memberCells))}`;
  return `${fields}${shownMembers}${progress.length === 0 ? "" : `\n${lagText(progress)}`}`;
}

function attemptsText(attemptsMax: number): string {
  return attemptsMax === 0 ? "any number" : `at most ${attemptsMax}`;
}

function memberCells({ name, holds, until }: GroupMemberInfo): readonly string[] {
  return [name, String(holds), formatTime(until.getTime())];
}

export function lagText(progress: readonly GroupProgress[]): string {
  return formatTable(LAG_COLUMNS, progress.map(lagCells));
}

function lagCells({ stream, owner, committed, tail, lag, lagMs, inFlight }: GroupProgress): readonly string[] {
  // To the second: nobody reads lags more finely.
  const behind = lagMs === undefined ? "?" : formatDuration(Math.round(lagMs / MS_PER_SECOND) * MS_PER_SECOND);
  return [stream, owner ?? "-", String(committed), String(tail), String(lag), behind, String(inFlight)];
}

export function movesText(moves: readonly ResetMove[]): string {
  return formatTable(MOVE_COLUMNS, moves.map(moveCells));
}

function moveCells({ stream, from, to }: ResetMove): readonly string[] {
  const change = to - from;
  return [stream, String(from), String(to), change > 0 ? `+${change}` : String(change)];
}
