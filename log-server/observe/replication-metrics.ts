/** What is measured of a node among others: Raft, the connections, what is forwarded, and snapshots on their way. */
import { NODE_LIMITS } from "../node/limits.ts";
import type { NodeStatus } from "../node/node-status.ts";
import type { MetricSet } from "./metric-set.ts";

export type PeerFacts = {
  readonly node: string;
  readonly connected: boolean;
  /** Of the last ping; undefined before the first answer. */
  readonly rttMs: number | undefined;
  /** Messages that found no connection, or no room. */
  readonly dropped: number;
};

export type ReplicationSources = {
  /** Undefined until the log is open. */
  readonly status: () => NodeStatus | undefined;
  /** The connections to the other nodes. */
  readonly peers: () => readonly PeerFacts[];
};

const MS_PER_SECOND = 1_000;

export function addReplicationMetrics(set: MetricSet, sources: ReplicationSources): void {
  addRaft(set, sources);
  addForwards(set, sources);
  addPeers(set, sources);
  addShipping(set, sources);
}

/** The leader shows each of its followers, by name; another node none. */
function addRaft(set: MetricSet, { status }: ReplicationSources): void {
  set.gauge("raft_is_leader", "Whether this node leads the log", () => {
    const role = status()?.role;
    return role === undefined ? undefined : Number(role === "leader");
  });
  set.counter(
    "raft_refused_messages_total",
    "Messages of other nodes that were damaged, or not meant for this log on this node",
    () => status()?.refusedMessages ?? 0,
  );
  set.gaugeBy(
    "raft_follower_lag_entries",
    "Entries of the leader that this follower is not known to have synced",
    "follower",
    () => {
      const { followers = [], lastIndex = 0 } = status() ?? {};
      return followers.map(({ id, match }) => [id, Math.max(0, lastIndex - match)]);
    },
  );
  set.gaugeBy("raft_follower_silent_seconds", "Since this follower was last heard by the leader", "follower", () =>
    (status()?.followers ?? []).map(({ id, silentTicks }) => [id, seconds(silentTicks * NODE_LIMITS.tickMs)]),
  );
}

function addForwards(set: MetricSet, { status }: ReplicationSources): void {
  set.gauge(
    "forwarded_commands",
    "Commands that came here, went to the leader, and are not answered yet",
    () => status()?.forwards.underWay,
  );
  set.counterBy(
    "forwarded_commands_total",
    "Of these, what came of them: answered, refused with nothing done, or unknown",
    "outcome",
    () => {
      const { answered = 0, refused = 0, unknown = 0 } = status()?.forwards ?? {};
      return Object.entries({ answered, refused, unknown });
    },
  );
  set.counter(
    "forwarded_commands_repeated_total",
    "Times that one was sent again, since its producer's sequence allows that",
    () => status()?.forwards.repeated ?? 0,
  );
}

function addPeers(set: MetricSet, { peers }: ReplicationSources): void {
  set.gaugeBy("peer_connected", "Whether there is a connection to this node", "peer", () =>
    peers().map(({ node, connected }) => [node, Number(connected)]),
  );
  set.gaugeBy("peer_round_trip_seconds", "Of the last ping to this node", "peer", () =>
    peers().flatMap(({ node, rttMs }) => (rttMs === undefined ? [] : [[node, seconds(rttMs)] as const])),
  );
  set.gaugeBy(
    "peer_dropped_messages",
    "Messages to this node that found no connection, or no room, since it is known",
    "peer",
    () => peers().map(({ node, dropped }) => [node, dropped]),
  );
}

/** At the leader by follower; at the one that is shipped to about itself. */
function addShipping(set: MetricSet, { status }: ReplicationSources): void {
  set.gaugeBy("snapshot_waiting_seconds", "Since this follower needs a snapshot, and has none yet", "follower", () =>
    (status()?.waitingForSnapshots ?? []).map(({ node, waitingMs }) => [node, seconds(waitingMs)]),
  );
  set.gaugeBy(
    "snapshot_idle_seconds",
    "Since a follower that needs a snapshot took something of one, or began to wait",
    "follower",
    () => (status()?.waitingForSnapshots ?? []).map(({ node, idleMs }) => [node, seconds(idleMs)]),
  );
  set.gaugeBy("snapshot_sending_bytes", "Of the snapshot on its way to this follower, in all", "follower", () =>
    (status()?.sending ?? []).map(({ node, bytes }) => [node, bytes]),
  );
  set.gaugeBy("snapshot_sent_bytes", "Of these, with the follower", "follower", () =>
    (status()?.sending ?? []).map(({ node, sentBytes }) => [node, sentBytes]),
  );
  set.counter(
    "snapshot_sent_bytes_total",
    "Of snapshots, taken by followers",
    () => status()?.shipping?.sentBytes ?? 0,
  );
  set.counterBy("snapshot_shipments_total", "Shipments of a snapshot to a follower, by outcome", "outcome", () => {
    const { sent = 0, failed = 0 } = status()?.shipping ?? {};
    return Object.entries({ sent, failed });
  });
  set.gauge("snapshot_receiving_bytes", "Of the snapshot on its way to this node, in all", () => {
    return status()?.receiving?.bytes;
  });
  set.gauge("snapshot_received_bytes", "Of these, on this node's disk", () => status()?.receiving?.receivedBytes);
  set.gauge("snapshot_receiving_idle_seconds", "Since something of it was taken", () => {
    const idleMs = status()?.receiving?.idleMs;
    return idleMs === undefined ? undefined : seconds(idleMs);
  });
  set.counter(
    "snapshot_received_bytes_total",
    "Of snapshots of other nodes, taken",
    () => status()?.shipping?.receivedBytes ?? 0,
  );
}

function seconds(milliseconds: number): number {
  return milliseconds / MS_PER_SECOND;
}
