/** Clients that work in consumer groups, for a while at each node; a group's own history says what is done. */
import { CALL_MS, type Load, outcomeOf, PAUSE_MS, valueOf } from "./load.ts";
import { pause } from "./pause.ts";

export const MEMBERS = { id: "members", streams: ["by-socket", "pair-a"] } as const;
export const QUEUE = { id: "queue", stream: "by-protocol" } as const;

/** Records that a member processes before it says so. */
const COMMIT_EVERY = 8;
const TAKEN_TOGETHER = 16;
/** Short: whoever is cut off is soon done without. */
const LEASE_MS = 3_000;

export async function createGroups(load: Load): Promise<void> {
  const client = load.connect("http", 0);
  await client.group(MEMBERS.id).create({ mode: "partitions", streams: MEMBERS.streams, leaseMs: LEASE_MS });
  await client.group(QUEUE.id).create({ mode: "queue", streams: [QUEUE.stream], leaseMs: LEASE_MS });
  await client.close();
}

/** A member of the group that shares streams. */
export async function member(load: Load, name: string, scheme: "ws" | "http", first: number): Promise<void> {
  const { journal, over } = load;
  for (let turn = first; !over.aborted; turn += 1) {
    const client = load.connect(scheme, turn);
    const signal = AbortSignal.any([over, AbortSignal.timeout(CALL_MS * 2)]);
    const current = new Map<string, ReturnType<typeof journal.assignment>>();
    try {
      const membership = await client.group(MEMBERS.id).join({
        ack: "manual",
        signal,
        onAssigned: (streams) => {
          for (const { stream, generation, committed: from } of streams)
            current.set(stream, journal.assignment({ member: name, stream, generation, from }));
        },
      });
      try {
        for await (const record of membership) {
          const assignment = current.get(record.stream);
          if (assignment?.generation !== record.generation)
            throw new Error(`I7: ${name} was given ${record.offset} of ${record.stream}, which is not its own`);
          assignment.seen.push({ offset: record.offset, value: valueOf(record.text()) });
          if (record.offset % COMMIT_EVERY !== 0) continue;
          const committed = record.offset + 1;
          void membership.ack(record).then(
            () => (assignment.committed = Math.max(assignment.committed, committed)),
            () => undefined,
          );
        }
      } finally {
        await membership.close();
      }
    } catch {
      // At the next one.
    }
    await client.close().catch(() => undefined);
    await pause(PAUSE_MS);
  }
}

/** A worker at the queue. */
export async function worker(load: Load, name: string, scheme: "ws" | "http", first: number): Promise<void> {
  const { journal, over } = load;
  for (let turn = first; !over.aborted; turn += 1) {
    const client = load.connect(scheme, turn);
    const signal = AbortSignal.any([over, AbortSignal.timeout(CALL_MS)]);
    const settling = new Set<Promise<void>>();
    try {
      for await (const delivery of client.group(QUEUE.id).take({ count: TAKEN_TOGETHER, signal })) {
        const { stream, offset, generation } = delivery;
        const lease = journal.lease({ worker: name, stream, offset, generation, value: valueOf(delivery.text()) });
        const settled = delivery.ack().then(
          () => void (lease.outcome = "acknowledged"),
          (error: unknown) => void (lease.outcome = outcomeOf(error).kind === "refused" ? "open" : "unknown"),
        );
        settling.add(settled);
        void settled.finally(() => settling.delete(settled));
      }
    } catch {
      // At the next one.
    }
    await Promise.all(settling);
    await client.close().catch(() => undefined);
    await pause(PAUSE_MS);
  }
}
