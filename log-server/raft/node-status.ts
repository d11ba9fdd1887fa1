/** What people and metrics are shown of the core. */
import type { LogIndex, Term } from "../../src/wire/entry.ts";
import type { Configuration } from "./configuration.ts";
import { isChanging } from "./membership.ts";
import type { Flow } from "./progress.ts";
import type { Raft } from "./raft.ts";
import type { Role } from "./role.ts";
import type { NodeId } from "./types.ts";

export type FollowerStatus = {
  readonly id: NodeId;
  readonly flow: Flow["kind"];
  readonly match: LogIndex;
  /** Ticks since it was last heard. */
  readonly silentTicks: number;
  readonly standsBack: boolean;
};

export type NodeStatus = {
  readonly role: Role["kind"];
  readonly term: Term;
  readonly leader: NodeId | undefined;
  readonly configuration: Configuration;
  /** A change of who votes is under way: until it is over, those that vote then may not do without this leader. */
  readonly changing: boolean;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly stable: LogIndex;
  readonly committed: LogIndex;
  readonly applied: LogIndex;
  readonly transferringTo: NodeId | undefined;
  readonly standsBack: boolean;
  /** A leader's view of the others. */
  readonly followers: readonly FollowerStatus[];
};

export function statusOf(raft: Raft): NodeStatus {
  const { role, term, leader, configuration, log, standsBack } = raft;
  const { firstIndex, lastIndex, stable, committed, applied } = log;
  const followers = role.kind === "leader" ? [...role.followers.values()] : [];
  return {
    role: role.kind,
    term,
    leader,
    configuration,
    changing: isChanging(raft),
    firstIndex,
    lastIndex,
    stable,
    committed,
    applied,
    standsBack,
    transferringTo: role.kind === "leader" ? role.transfer?.to : undefined,
    followers: followers.map((one) => ({
      id: one.id,
      flow: one.flow.kind,
      match: one.match,
      silentTicks: one.silentTicks,
      standsBack: one.standsBack,
    })),
  };
}
