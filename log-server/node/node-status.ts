/** How a node is: what health checks, metrics and people look at. */
import type { LogIndex } from "../../src/wire/entry.ts";
import type { GroupTotals } from "../../src/wire/group-look-up.ts";
import type { Damage } from "../log/repair/damage.ts";
import type { FollowerStatus, NodeStatus as RaftStatus } from "../raft/node-status.ts";
import type { ShippingTotals } from "./catch-up/catch-up.ts";
import type { StandBackReason } from "./cluster/stand-back.ts";
import type { CompactionStatus } from "./compaction/compactor.ts";
import type { DigestStatus } from "./repair/digest-exchange.ts";
import type { RenewalStatus } from "./repair/renewer.ts";
import type { RepairStatus } from "./repair/repairer.ts";
import type { ReceivingStatus } from "./catch-up/snapshot-receiver.ts";
import type { SendingStatus, WaitingFollower } from "./catch-up/snapshot-sender.ts";
import type { ForwardStatus } from "./calls/forwarder.ts";
import type { ScrubStatus } from "./repair/scrub.ts";
import type { AppTotals } from "../streams/apps/app-views.ts";

/** `removed`: it was a member of its cluster, and waits, serving nothing, to become one again. */
export type NodePhase = "recovering" | "removed" | "serving" | "stopping" | "stopped" | "failed";

export type NodeStatus = {
  readonly phase: NodePhase;
  /** While recovering: log positions applied again, of how many. */
  readonly progress: { readonly phase: string; readonly done: number; readonly total: number };
  readonly hasLeader: boolean;
  readonly role: RaftStatus["role"];
  /** The node that leads, as far as is known here. */
  readonly leader: string | undefined;
  /** A leader's view of the others. */
  readonly followers: readonly FollowerStatus[];
  /** Of other nodes: damaged, or not meant for this log on this node. */
  readonly refusedMessages: number;
  readonly term: number;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly damage: readonly Damage[];
  /** What is in the way of applying anything more: reads that are to be up to date are refused, and commands. */
  readonly blocked: Damage | undefined;
  /** Undefined: there are no others to mend from. */
  readonly repair: RepairStatus | undefined;
  /** The same. */
  readonly renewal: RenewalStatus | undefined;
  readonly scrub: ScrubStatus;
  /** Why this node is not to lead; empty: it may. */
  readonly standsBack: readonly StandBackReason[];
  /** How far its clock is ahead of the voters' median. */
  readonly clockOffMs: number;
  /** Undefined: there are no others to compare with. */
  readonly digests: DigestStatus | undefined;
  /** Snapshots on their way to followers. */
  readonly sending: readonly SendingStatus[];
  /** Followers that need one, and since when nothing of it came to them. */
  readonly waitingForSnapshots: readonly WaitingFollower[];
  /** A snapshot on its way to this node, or what came of one. */
  readonly receiving: ReceivingStatus | undefined;
  /** Undefined: there are no others to ship to, or from. */
  readonly shipping: ShippingTotals | undefined;
  readonly freeBytes: number;
  readonly diskFull: boolean;
  readonly waitingProposals: number;
  /** Commands that came here and were for another node to propose. */
  readonly forwards: ForwardStatus;
  /** For a change of what they follow. */
  readonly waitingReaders: number;
  /** Linearizable reads, for their point. */
  readonly waitingBarriers: number;
  readonly streams: number;
  /** How many, and sums over all of them, in records. Worked out when called, now. */
  readonly groups: () => GroupTotals & { readonly count: number };
  /** Sums over all apps. Worked out when called, now. */
  readonly apps: () => AppTotals;
  readonly snapshotPosition: LogIndex;
  readonly compaction: CompactionStatus;
};
