/**
 * A take for whoever has nothing but HTTP: it waits until there is something, and shows the records themselves. What
 * compaction has removed meanwhile is acknowledged here, for there is nothing to do about it.
 */
import type { FastifyReply } from "fastify";
import type { Offset } from "../../../src/record/offset.ts";
import type { GroupLease, GroupSettlement, GroupTakenResult } from "../../../src/wire/group-command.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { outlineOf, waitForRecords } from "../native/answer-groups.ts";
import { countRead, readPiece, type ShownRecord, showRecords } from "../records/piece.ts";
import { rejectionError } from "../rejection-answer.ts";
import { unexpectedResult } from "../unexpected-result.ts";

export type TakenRecord = ShownRecord & { readonly lease: GroupLease };

export type Taken = Pick<GroupTakenResult, "generation" | "untilMs" | "leases"> & {
  /** In order; absent where nobody wanted to see them. */
  readonly records?: readonly TakenRecord[];
};

const NOTHING: Taken = { generation: 0, untilMs: 0, leases: [] };

export type TakeInput = {
  readonly id: string;
  readonly member: string;
  readonly count: number;
  readonly waitMs: number;
  readonly records: boolean;
};

/** Undefined: whoever asked has gone, and nothing was taken for it. */
export async function take(context: HttpContext, reply: FastifyReply, input: TakeInput): Promise<Taken | undefined> {
  const { node, live, limits } = context;
  const untilMs = node.clock.monotonic() + input.waitMs;
  let taken: Taken = NOTHING;
  for (let tries = 0; tries < limits.takeTriesMax; tries += 1) {
    const leftMs = Math.ceil(untilMs - node.clock.monotonic());
    if (leftMs > 0) await waitForAny(context, reply, input.id, leftMs);
    if (reply.raw.destroyed) return undefined;
    const result = await takeOnce(context, input);
    taken = input.records ? await showTaken(context, input.id, result) : result;
    // All that was taken is gone: there may be more behind it. Nothing was taken: others were faster.
    const isOver = result.leases.length === 0 && (live.closing || node.clock.monotonic() >= untilMs);
    if (taken.leases.length > 0 || isOver) break;
  }
  return taken;
}

async function waitForAny(context: HttpContext, reply: FastifyReply, id: string, waitMs: number): Promise<void> {
  await context.node.barrier();
  if (outlineOf(context, id).config.mode.kind !== "queue") return;
  await waitForRecords(context, id, waitMs, (milliseconds) => context.live.open(reply.raw, milliseconds));
}

async function takeOnce({ node }: HttpContext, { id, member, count }: TakeInput): Promise<GroupTakenResult> {
  const result = await node.propose({ kind: "group-take", id, member, count });
  if (result.kind === "rejected") throw rejectionError(result);
  if (result.kind !== "group-taken") throw unexpectedResult(result);
  return result;
}

/** With the records, as far as they fit, and without what is gone. */
async function showTaken(context: HttpContext, id: string, taken: GroupTakenResult): Promise<Taken> {
  const { generation } = taken;
  const records: TakenRecord[] = [];
  const leases: GroupLease[] = [];
  const gone: GroupSettlement[] = [];
  let room = context.limits.takenBytesMax;
  for (const lease of taken.leases) {
    const { found, to, bytes } = await readLease(context, lease, room);
    room -= bytes;
    for (const record of found) records.push({ ...record, lease });
    for (const { from, to: until, isThere } of runsOf(found, lease.offset, to)) {
      const part = { ...lease, offset: from, count: until - from };
      if (isThere) leases.push(part);
      else gone.push({ ...part, generation, outcome: { kind: "ack" } });
    }
    const end = lease.offset + lease.count;
    if (to < end) leases.push({ ...lease, offset: to, count: end - to });
  }
  if (gone.length > 0) await settleGone(context, id, gone);
  return { ...taken, leases, records };
}

/** The records up to `to`: the lease's end, or where there was no more room. */
async function readLease(
  context: HttpContext,
  lease: GroupLease,
  room: number,
): Promise<{ readonly found: readonly ShownRecord[]; readonly to: Offset; readonly bytes: number }> {
  const { node, limits } = context;
  const end = lease.offset + lease.count;
  const found: ShownRecord[] = [];
  let bytes = 0;
  let at = lease.offset;
  while (at < end && bytes < room) {
    const stream = node.machine.stream(lease.stream);
    // Deleted meanwhile, and its leases with it.
    if (stream === undefined || stream.deleted || stream.incarnation !== lease.incarnation)
      return { found, to: end, bytes };
    at = Math.max(at, stream.firstOffset);
    if (at >= end) break;
    const piece = await readPiece(context, stream, at, Math.min(room - bytes, limits.readBytesMax)).catch(ifTrimmed);
    if (piece === undefined) continue;
    const shown = showRecords(context, piece, end - at);
    const inside = shown.records.filter(({ offset }) => offset < end);
    countRead(context, inside.length, piece);
    for (const record of inside) bytes += record.text.length;
    found.push(...inside);
    at = Math.min(shown.nextOffset, end);
  }
  return { found, to: Math.min(at, end), bytes };
}

/** A trim was faster: the stream is looked at again. */
function ifTrimmed(error: unknown): undefined {
  if (error instanceof HttpError && error.code === "offset-trimmed") return undefined;
  throw error;
}

type OffsetRun = { readonly from: Offset; readonly to: Offset; readonly isThere: boolean };

/** `[from, to)` in runs of offsets that have a record, and that have none. */
function runsOf(found: readonly ShownRecord[], from: Offset, to: Offset): readonly OffsetRun[] {
  const runs: { from: Offset; to: Offset; isThere: boolean }[] = [];
  const add = (start: Offset, end: Offset, isThere: boolean): void => {
    if (start >= end) return;
    const last = runs.at(-1);
    if (last?.isThere === isThere) last.to = end;
    else runs.push({ from: start, to: end, isThere });
  };
  let next = from;
  for (const { offset } of found) {
    add(next, offset, false);
    add(offset, offset + 1, true);
    next = offset + 1;
  }
  add(next, to, false);
  return runs;
}

/** Fenced: trimmed or reset, and nothing is left to acknowledge. */
async function settleGone({ node }: HttpContext, id: string, settlements: readonly GroupSettlement[]): Promise<void> {
  const result = await node.propose({ kind: "group-settle", id, settlements });
  if (result.kind === "rejected" && result.code !== "fenced") throw rejectionError(result);
}
