/** Linearizable reads: a leader confirms them by heartbeats, a follower asks the leader. See `read-index.ts` for the rule. */
import { err, ok, type Result } from "../../src/lib/result.ts";
import { assert } from "../../src/lib/assert.ts";
import { jointReached } from "./joint-quorum.ts";
import type { Read, ReadAnswer } from "./message.ts";
import type { Raft } from "./raft.ts";
import type { Reader } from "./read-index.ts";
import type { Follower, Leader, Role } from "./role.ts";
import type { ReadError } from "./types.ts";

/** Of this node. The answer comes with `Ready`, as a read or as a refused one. */
export function requestRead(raft: Raft, context: number): Result<undefined, ReadError> {
  const role = raft.role;
  switch (role.kind) {
    case "leader":
      if (role.reads.count >= raft.limits.readsMax) return err("reads-full");
      role.reads.add({ kind: "own", context });
      return ok(undefined);
    case "follower": {
      if (role.leader === undefined) return err("no-leader");
      if (role.reads.size >= raft.limits.readsMax) return err("reads-full");
      assert(!role.reads.has(context), "P14: a read's context is used once");
      role.reads.set(context, 0);
      raft.send({ kind: "read", to: role.leader, term: raft.term, session: raft.session, context });
      return ok(undefined);
    }
    case "pre-candidate":
    case "candidate":
      return err("no-leader");
  }
}

/** A follower asks its leader. */
export function onRead(raft: Raft, leader: Leader, { from, session, context }: Read): void {
  if (leader.reads.count >= raft.limits.readsMax)
    answer(raft, { kind: "peer", node: from, session, context }, undefined);
  else leader.reads.add({ kind: "peer", node: from, session, context });
}

/** Whoever asked took this node for its leader: better told than left waiting (P13). */
export function refuseRead(raft: Raft, _role: Role, { from, session, context }: Read): void {
  answer(raft, { kind: "peer", node: from, session, context }, undefined);
}

export function onReadAnswer(raft: Raft, follower: Follower, { session, context, index }: ReadAnswer): void {
  // Of an earlier life, or given up already (P14).
  if (session !== raft.session || !follower.reads.delete(context)) return;
  if (index === undefined) raft.refusedReads.push(context);
  else raft.reads.push({ context, index });
}

/** Begins a round for the reads that wait, if that is allowed yet; true if heartbeats have to carry it. */
export function beginReads(raft: Raft, leader: Leader): boolean {
  // Before its first commit a leader cannot know what is committed (P13).
  if (!leader.reads.due || raft.log.committed < leader.termStart) return false;
  leader.reads.begin(raft.log.committed);
  confirmReads(raft, leader);
  return leader.reads.count > 0;
}

/** Answers what a quorum has confirmed. */
export function confirmReads(raft: Raft, leader: Leader): void {
  if (leader.reads.count === 0) return;
  const reached = jointReached(raft.configuration, (id) =>
    id === raft.id ? Number.POSITIVE_INFINITY : (leader.followers.get(id)?.round ?? 0),
  );
  for (const { reader, index } of leader.reads.confirm(reached)) answer(raft, reader, index);
}

/** Reads that the leader has not answered for an election time-out are refused: nobody waits for ever. */
export function expireReads(raft: Raft, follower: Follower): void {
  for (const [context, ticks] of follower.reads) {
    if (ticks + 1 < raft.options.electionTicks) follower.reads.set(context, ticks + 1);
    else {
      follower.reads.delete(context);
      raft.refusedReads.push(context);
    }
  }
}

function answer(raft: Raft, reader: Reader, index: number | undefined): void {
  if (reader.kind === "peer") {
    const { node: to, session, context } = reader;
    raft.send({ kind: "read-answer", to, term: raft.term, session, context, index });
  } else if (index === undefined) {
    raft.refusedReads.push(reader.context);
  } else {
    raft.reads.push({ context: reader.context, index });
  }
}
