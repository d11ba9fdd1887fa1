/** Small words for consumer groups, on top of `driver.ts`. */
import type { CommandResult } from "../../src/wire/command.ts";
import type {
  GroupAssignedResult,
  GroupConfig,
  GroupCreateCommand,
  GroupLease,
  GroupOutcome,
  GroupSettledResult,
  GroupSettlement,
  GroupTakenResult,
} from "../../src/wire/group-command.ts";
import type { GroupStreamView, GroupView } from "../../log-server/streams/groups/group-views.ts";
import type { Driver } from "./driver.ts";

export const LEASE_MS = 1_000;

export function partitions(id: string, more: Partial<GroupConfig> = {}): GroupCreateCommand {
  return {
    kind: "group-create",
    id,
    mode: { kind: "partitions" },
    streams: [],
    from: "start",
    leaseMs: LEASE_MS,
    ...more,
  };
}

type QueueConfig = Partial<GroupConfig> & {
  readonly attemptsMax?: number;
  readonly retryDelayMs?: number;
  readonly deadLetter?: string;
};

export function queue(
  id: string,
  { attemptsMax = 0, retryDelayMs = 0, deadLetter, ...more }: QueueConfig = {},
): GroupCreateCommand {
  const mode = { kind: "queue", attemptsMax, retryDelayMs, ...(deadLetter !== undefined && { deadLetter }) } as const;
  return { kind: "group-create", id, mode, streams: [], from: "start", leaseMs: LEASE_MS, ...more };
}

function expected<K extends CommandResult["kind"]>(
  result: CommandResult,
  kind: K,
): Extract<CommandResult, { readonly kind: K }> {
  if (result.kind !== kind) throw new Error(`not ${kind}: ${JSON.stringify(result)}`);
  return result as Extract<CommandResult, { readonly kind: K }>;
}

export function join(driver: Driver, id: string, member: string): GroupAssignedResult {
  return expected(driver.run({ kind: "group-join", id, member }), "group-assigned");
}

export function heartbeat(driver: Driver, id: string, member: string, session: number): GroupAssignedResult {
  return expected(driver.run({ kind: "group-heartbeat", id, member, session }), "group-assigned");
}

export function take(driver: Driver, id: string, count = 1, member = "m"): GroupTakenResult {
  return expected(driver.run({ kind: "group-take", id, member, count }), "group-taken");
}

/** All of a lease. */
export function settlement(lease: GroupLease, generation: number, outcome: GroupOutcome): GroupSettlement {
  const { stream, incarnation, offset, count } = lease;
  return { stream, incarnation, offset, count, generation, outcome };
}

export function settle(driver: Driver, id: string, ...settlements: readonly GroupSettlement[]): GroupSettledResult {
  return expected(driver.run({ kind: "group-settle", id, settlements }), "group-settled");
}

/** Everything that a take got. */
export function settleAll(
  driver: Driver,
  id: string,
  taken: GroupTakenResult,
  outcome: GroupOutcome,
): GroupSettledResult {
  return settle(driver, id, ...taken.leases.map((lease) => settlement(lease, taken.generation, outcome)));
}

export function viewOf(driver: Driver, id: string): GroupView {
  const view = driver.machine.group(id);
  if (view === undefined) throw new Error(`there is no group ${id}`);
  return view;
}

export function partOf(driver: Driver, id: string, stream: string): GroupStreamView {
  const part = viewOf(driver, id)
    .streams()
    .find((one) => one.stream === stream);
  if (part === undefined) throw new Error(`${id} does not follow ${stream}`);
  return part;
}

/** "stream@offset×count" of each lease. */
export function leasesIn(taken: GroupTakenResult): readonly string[] {
  return taken.leases.map(({ stream, offset, count, attempt }) => `${stream}@${offset}×${count} #${attempt}`);
}
