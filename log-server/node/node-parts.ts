/** What a node is put together from: `open-node.ts` brings it up, the node's parts take what they need. */
import type { Clock } from "../../src/ports/clock.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import type { Link } from "../../src/ports/link.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { LogIndex } from "../../src/wire/entry.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { HardStateFile } from "../log/hard-state.ts";
import type { Member, Since } from "../log/node-identity.ts";
import type { Damage } from "../log/repair/damage.ts";
import type { Incoming } from "../log/snapshots/incoming.ts";
import type { SegmentedLog } from "../log/segmented-log.ts";
import type { PendingConfiguration } from "../raft/raft-log.ts";
import type { NodeId } from "../raft/types.ts";
import type { StreamsMachine } from "../streams/machine.ts";
import type { NodeLimits } from "./limits.ts";
import type { NodeObserver } from "./observer.ts";

/** What a node knows of the cluster. */
export type MembersView = {
  readonly members: readonly Member[];
  /** Until this node is up to date it may know what is no longer so: nobody is to be turned away for its members' sake. */
  readonly upToDate: boolean;
  readonly featureLevel: number;
  readonly isFormerDisk: (disk: string) => boolean;
};

/** Whom the log is shared with. */
export type ClusterParts = {
  /** Of the log's founding, this node perhaps among them; what was changed since is in the log. */
  readonly voters: readonly NodeId[];
  /** Told of the members, their disks and addresses, whenever they have changed: those to connect to. */
  readonly know?: (view: MembersView) => void;
  /** One of them says that this node is none of them any more. */
  readonly removed?: () => boolean;
  /** They, with their disks and addresses: told to those of them that do not know yet that there is a cluster. */
  readonly founders?: readonly Member[];
  /** To the other nodes; whoever made it closes it. */
  readonly link: Link;
};

export type NodeParts = {
  readonly clusterId: string;
  readonly nodeName: string;
  readonly logId: number;
  /** The random id of the disk that the log is on. */
  readonly diskId: string;
  readonly disk: Disk;
  readonly log: SegmentedLog;
  /** What is shipped here to take the log's place. */
  readonly incoming: Incoming;
  readonly hardState: HardStateFile;
  readonly machine: StreamsMachine;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly zstd: Zstd | undefined;
  readonly limits: NodeLimits;
  readonly observer: NodeObserver;
  /** Of the image that the machine was restored from; 0 without one: the next save must then bring every row. */
  readonly imagePosition: LogIndex;
  readonly snapshotPosition: LogIndex;
  /** Undefined: this node is the only one. */
  readonly cluster: ClusterParts | undefined;
  /** From where on the log says who votes. */
  readonly since: Since | undefined;
  /** In the entries that the machine has yet to apply. */
  readonly configurations: readonly PendingConfiguration[];
  /** Damage hides some of these entries. */
  readonly hidden: boolean;
  /** This life began with a log that the leader had shipped. */
  readonly installed: boolean;
  /** Why the state cannot be known from this disk: it has to come from the leader. Undefined: it can. */
  readonly bereft: Damage | undefined;
};
