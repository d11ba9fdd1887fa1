/**
 * What a message's term means, before its content does: a later term ends this one, an earlier one is over. Then only
 * messages of the own term, and pre-votes, go on to the step table.
 */
import { unreachable } from "../../src/lib/assert.ts";
import type { PeerMessage } from "./message.ts";
import type { Raft } from "./raft.ts";

/** True if the message is to be taken. */
export function admits(raft: Raft, message: PeerMessage): boolean {
  if (message.to !== raft.id || message.from === raft.id) return false;
  if (message.term > raft.term) return admitsLater(raft, message);
  if (message.term === raft.term) return !(message.kind === "pre-vote" && hearsLeader(raft));
  answerEarlier(raft, message);
  return false;
}

function admitsLater(raft: Raft, message: PeerMessage): boolean {
  switch (message.kind) {
    case "pre-vote":
      // Its term is only a question.
      return !hearsLeader(raft);
    case "vote":
      // While a leader is heard nobody else is elected, but who it hands over to (P11).
      if (hearsLeader(raft) && !message.transfer) return false;
      raft.becomeFollower(message.term, undefined);
      return true;
    case "pre-vote-answer":
      // Granted, it is about the term that was asked for; refused, about the voter's own.
      if (!message.granted) raft.becomeFollower(message.term, undefined);
      return true;
    case "append":
    case "heartbeat":
    case "snapshot":
      raft.becomeFollower(message.term, message.from);
      return true;
    case "vote-answer":
    case "append-accepted":
    case "append-refused":
    case "heartbeat-answer":
    case "campaign-now":
    case "outdated":
    case "read":
    case "read-answer":
      raft.becomeFollower(message.term, undefined);
      return true;
    default:
      return unreachable(message);
  }
}

/**
 * Who is behind is told so, where it would otherwise go on for ever (P10). What is committed stays so in every term: an
 * answer that comes too late to count may still be the only word of it (P18).
 */
function answerEarlier(raft: Raft, message: PeerMessage): void {
  const { from: to } = message;
  const { term } = raft;
  switch (message.kind) {
    case "pre-vote":
      raft.learnCommitted(message.committed);
      raft.send({ kind: "pre-vote-answer", to, term, granted: false, committed: raft.committedPoint });
      return;
    case "vote":
    case "pre-vote-answer":
    case "vote-answer":
      raft.learnCommitted(message.committed);
      return;
    case "append":
    case "heartbeat":
    case "snapshot":
      raft.send({ kind: "outdated", to, term });
      return;
    case "read":
      raft.send({
        kind: "read-answer",
        to,
        term,
        session: message.session,
        context: message.context,
        index: undefined,
      });
      return;
    case "append-accepted":
    case "append-refused":
    case "heartbeat-answer":
    case "campaign-now":
    case "outdated":
    case "read-answer":
      return;
    default:
      unreachable(message);
  }
}

/** A leader was heard within the shortest election time-out; a leader hears itself, and steps down if no quorum hears it. */
function hearsLeader(raft: Raft): boolean {
  const role = raft.role;
  switch (role.kind) {
    case "leader":
      return true;
    case "follower":
      return role.leader !== undefined && role.elapsedTicks < raft.options.electionTicks;
    case "pre-candidate":
    case "candidate":
      return false;
  }
}
