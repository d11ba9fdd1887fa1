/**
 * Every role and every message: what happens. The type has a cell for each pair, so none is forgotten; `term-gate.ts` has
 * seen to it that a peer's message is of the own term (or is a pre-vote, or an answer to one).
 */
import { assert } from "../../src/lib/assert.ts";
import { onCampaignNow, onPreVote, onPreVoteAnswer, onVote, onVoteAnswer, refuseVote } from "./election.ts";
import { onAppend, onHeartbeat, onSnapshot } from "./following.ts";
import type { Raft } from "./raft.ts";
import { onRead, onReadAnswer, refuseRead } from "./reads.ts";
import {
  onAppendAccepted,
  onAppendRefused,
  onFetched,
  onHeartbeatAnswer,
  onSnapshotStatus,
  onUnreachable,
} from "./replication.ts";
import type { Role } from "./role.ts";
import { onAppendDone, onApplyDone, onInstallDone, onMended, onTrimmed } from "./storage.ts";
import type { Message } from "./types.ts";

type RoleOf<K extends Role["kind"]> = Extract<Role, { kind: K }>;
type MessageOf<K extends Message["kind"]> = Extract<Message, { kind: K }>;
type Cell<R extends Role["kind"], M extends Message["kind"]> = (
  raft: Raft,
  role: RoleOf<R>,
  message: MessageOf<M>,
) => void;
type StepTable = { readonly [R in Role["kind"]]: { readonly [M in Message["kind"]]: Cell<R, M> } };

/** An answer to what this node asked in another role. */
const stale = (): void => undefined;

/** Only another leader of this very term could have sent it. */
const secondLeader = (): void => assert(false, "I1: there are two leaders in one term");

const appendDone = (raft: Raft, _role: Role, message: MessageOf<"append-done">): void => onAppendDone(raft, message);
const applyDone = (raft: Raft, _role: Role, message: MessageOf<"apply-done">): void => onApplyDone(raft, message);
const installDone = (raft: Raft, _role: Role, message: MessageOf<"install-done">): void => onInstallDone(raft, message);
const trimmed = (raft: Raft, _role: Role, message: MessageOf<"trimmed">): void => onTrimmed(raft, message);
const mended = (raft: Raft, _role: Role, message: MessageOf<"mended">): void => onMended(raft, message);

/** Of the own storage: the same in every role. */
const STORAGE = {
  "append-done": appendDone,
  "apply-done": applyDone,
  "install-done": installDone,
  trimmed,
  mended,
} as const;

/** What only a leader waits for. */
const NOT_LEADING = {
  "append-accepted": stale,
  "append-refused": stale,
  "heartbeat-answer": stale,
  "fetched": stale,
  "unreachable": stale,
  "snapshot-status": stale,
  // The gate has taken what matters of it.
  "outdated": stale,
  "read": refuseRead,
} as const;

export const STEP_TABLE: StepTable = {
  "follower": {
    ...STORAGE,
    ...NOT_LEADING,
    "pre-vote": onPreVote,
    "pre-vote-answer": stale,
    "vote": onVote,
    "vote-answer": stale,
    "append": onAppend,
    "heartbeat": onHeartbeat,
    "snapshot": onSnapshot,
    "campaign-now": onCampaignNow,
    "read-answer": onReadAnswer,
  },
  "pre-candidate": {
    ...STORAGE,
    ...NOT_LEADING,
    "pre-vote": onPreVote,
    "pre-vote-answer": onPreVoteAnswer,
    "vote": onVote,
    "vote-answer": stale,
    "append": onAppend,
    "heartbeat": onHeartbeat,
    "snapshot": onSnapshot,
    // It has given up the leader that says so; an election is on its way.
    "campaign-now": stale,
    "read-answer": stale,
  },
  "candidate": {
    ...STORAGE,
    ...NOT_LEADING,
    "pre-vote": onPreVote,
    "pre-vote-answer": stale,
    "vote": refuseVote,
    "vote-answer": onVoteAnswer,
    "append": onAppend,
    "heartbeat": onHeartbeat,
    "snapshot": onSnapshot,
    "campaign-now": stale,
    "read-answer": stale,
  },
  "leader": {
    ...STORAGE,
    "pre-vote": onPreVote,
    "pre-vote-answer": stale,
    "vote": refuseVote,
    "vote-answer": stale,
    "append": secondLeader,
    "append-accepted": onAppendAccepted,
    "append-refused": onAppendRefused,
    "heartbeat": secondLeader,
    "heartbeat-answer": onHeartbeatAnswer,
    "snapshot": secondLeader,
    // Only a leader of this term may ask for it, and that is this node.
    "campaign-now": stale,
    "outdated": stale,
    "read": onRead,
    "read-answer": stale,
    "fetched": onFetched,
    "unreachable": onUnreachable,
    "snapshot-status": onSnapshotStatus,
  },
};

/** Does what the table says. */
export function dispatch(raft: Raft, message: Message): void {
  const cell = STEP_TABLE[raft.role.kind][message.kind] as (raft: Raft, role: Role, message: Message) => void;
  cell(raft, raft.role, message);
}
