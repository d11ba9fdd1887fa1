/** The cluster for people, as one node sees it: who belongs to it, in which role, and, at the leader, how far they are. */
import type { LogIndex, Term } from "../../../src/wire/entry.ts";
import { membersOf } from "../../raft/configuration.ts";
import type { NodeStatus as RaftStatus } from "../../raft/node-status.ts";
import type { SendingStatus } from "../catch-up/snapshot-sender.ts";
import { FEATURE_LEVEL_NEWEST, FEATURE_LEVEL_OLDEST } from "../../streams/feature-level.ts";
import type { Belonging } from "./belonging.ts";
import type { StandBackReason } from "./stand-back.ts";
import type { NodeParts } from "../node-parts.ts";

export type SnapshotUnderWay = {
  readonly bytes: number;
  /** Of these, with the follower. */
  readonly sentBytes: number;
};

export type ClusterMemberStatus = {
  readonly node: string;
  /** `joining`: it is to vote, and does so once it has caught up. `leaving`: until the change ends. */
  readonly role: "voter" | "learner" | "joining" | "leaving";
  readonly leads: boolean;
  /** Undefined: it is told nobody, for the node is alone. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  /** At the leader, of the others: entries that it is not known to have synced, and milliseconds since it was heard. */
  readonly lag: number | undefined;
  readonly silentMs: number | undefined;
  /** At the leader: a snapshot is on its way to it. */
  readonly snapshot: SnapshotUnderWay | undefined;
  /** It is not to lead; at the leader of all, else of the node itself. */
  readonly standsBack: boolean | undefined;
  /** Its clock is ahead of this node's by so much, as measured lately. */
  readonly clockAheadMs: number | undefined;
  /** The newest feature level that it knows; undefined where it does not answer. */
  readonly supports: number | undefined;
};

export type ClusterStatus = {
  readonly cluster: string;
  /** Whose view this is. */
  readonly node: string;
  readonly leader: string | undefined;
  readonly term: Term;
  readonly committed: LogIndex;
  readonly applied: LogIndex;
  /** Why this node is not to lead; empty: it may. */
  readonly standsBack: readonly StandBackReason[];
  readonly featureLevel: number;
  /** A change of who votes is under way. */
  readonly changing: boolean;
  readonly members: readonly ClusterMemberStatus[];
};

export function clusterStatus(
  { clusterId, nodeName, machine, limits }: Pick<NodeParts, "clusterId" | "nodeName" | "machine" | "limits">,
  { configuration, changing, leader, term, committed, applied, lastIndex, followers }: RaftStatus,
  belonging: Belonging,
  sending: readonly SendingStatus[],
): ClusterStatus {
  const standsBack = belonging.standBack.reasons;
  const role = (node: string): ClusterMemberStatus["role"] => {
    if (configuration.voters.includes(node)) return "voter";
    const learner = configuration.learners.find(({ id }) => id === node);
    if (learner === undefined) return "leaving";
    return learner.wanted === "voter" ? "joining" : "learner";
  };
  const members = membersOf(configuration).map((node): ClusterMemberStatus => {
    const follower = followers.find(({ id }) => id === node);
    const sent = sending.find((one) => one.node === node);
    const known = machine.members.find((member) => member.node === node);
    return {
      node,
      role: role(node),
      leads: node === leader,
      host: known?.host,
      port: known?.port,
      lag: follower && Math.max(0, lastIndex - follower.match),
      silentMs: follower && follower.silentTicks * limits.tickMs,
      snapshot: sent && { bytes: sent.bytes, sentBytes: sent.sentBytes },
      standsBack: node === nodeName ? standsBack.length > 0 : follower?.standsBack,
      clockAheadMs: roundedMs(belonging.aheadMs(node)),
      supports: node === nodeName ? FEATURE_LEVEL_NEWEST : belonging.levelOf(node),
    };
  });
  const featureLevel = Math.max(FEATURE_LEVEL_OLDEST, machine.featureLevel);
  return {
    cluster: clusterId,
    node: nodeName,
    leader,
    term,
    committed,
    applied,
    standsBack,
    featureLevel,
    changing,
    members,
  };
}

function roundedMs(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.round(milliseconds);
}
