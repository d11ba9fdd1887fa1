/**
 * A server's connections to the other nodes, and the cluster that it belongs to: found with them, or known from its
 * folder. What is wrong with addresses or certificates is told in one line.
 */
import { err, ok, type Result } from "../src/lib/result.ts";
import type { ServerConfig } from "./config/config.ts";
import { formatHostPort, type PeerAddress } from "./config/values.ts";
import type { DataDirectory } from "./log/data-directory.ts";
import { joinCluster, type NodeIdentity } from "./log/node-identity.ts";
import { findCluster } from "./node/cluster/founding.ts";
import { NODE_LIMITS } from "./node/limits.ts";
import type { ClusterParts, MembersView } from "./node/node-parts.ts";
import type { NodeObserver } from "./node/observer.ts";
import type { Refusal } from "./peer/hello.ts";
import type { KnownPeer } from "./peer/judge-hello.ts";
import { PEER_LIMITS } from "./peer/limits.ts";
import type { PeerStatus } from "./peer/peer.ts";
import { Peers } from "./peer/peers.ts";
import { type PeerTlsPaths, readTlsFiles, TlsFiles } from "./peer/tls-files.ts";
import { FEATURE_LEVEL_NEWEST } from "./streams/feature-level.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY } from "./system.ts";

export type OpenPeersError = { readonly code: string; readonly message: string };

export type OpenPeersParts = {
  readonly config: ServerConfig;
  readonly folder: DataDirectory;
  readonly logId: number;
  readonly observer: NodeObserver;
  /** Why the address cannot be listened on. */
  readonly whyNot: (error: NodeJS.ErrnoException) => string;
  /** There are connections from now on; whoever measures them asks. */
  readonly onPeers: (statuses: () => readonly PeerStatus[]) => void;
  readonly onClose: (close: () => Promise<void>) => void;
};

export type Belonging = { readonly identity: NodeIdentity; readonly cluster: ClusterParts | undefined };

/** Waits for as long as it takes to have a cluster. */
export async function openPeers(parts: OpenPeersParts): Promise<Result<Belonging, OpenPeersError>> {
  const { config, folder, logId, observer, whyNot, onPeers, onClose } = parts;
  const { peers: addresses, peerListen } = config;
  if (addresses === undefined || peerListen === undefined) {
    if (folder.founders === undefined) return ok({ identity: folder, cluster: undefined });
    const message = `${folder.path} is of a node of a cluster: it needs --peers and --peer-listen`;
    return err({ code: "needs-peers", message });
  }
  const tlsPaths = tlsPathsOf(config);
  const tls = tlsPaths && (await readTlsFiles(tlsPaths));
  if (tls?.ok === false) return err({ code: "peer-tls", message: tls.error });
  const { nodeName, diskId, clusterId } = folder;
  const peers = new Peers({
    self: { node: nodeName, disk: diskId, cluster: clusterId, featureLevel: FEATURE_LEVEL_NEWEST, logs: [logId] },
    clock: SYSTEM_CLOCK,
    entropy: SYSTEM_ENTROPY,
    observer: {
      connected: (peer) => observer.event("peer-connected", { peer }),
      disconnected: (peer, reason) => observer.event("peer-disconnected", { peer, reason }),
      refused: (peer, by, refusal: Refusal) => observer.event("peer-refused", { peer, by, ...refusal }),
    },
    tls: tls?.value,
  });
  onClose(() => peers.close());
  onPeers(() => peers.statuses());
  try {
    await peers.open(peerListen.host, peerListen.port);
  } catch (error) {
    const message = `--peer-listen ${formatHostPort(peerListen)} ${whyNot(error as NodeJS.ErrnoException)}`;
    return err({ code: "cannot-listen", message });
  }
  if (tlsPaths !== undefined && tls?.ok === true) {
    const files = new TlsFiles(
      {
        node: nodeName,
        paths: tlsPaths,
        clock: SYSTEM_CLOCK,
        everyMs: PEER_LIMITS.certificatesEveryMs,
        renewed: (renewed) => peers.renewTls(renewed),
        event: (code, detail) => observer.event(code, detail),
      },
      tls.value,
    );
    files.start();
    onClose(() => files.stop());
  }
  peers.know(toldOf(addresses));
  let identity: NodeIdentity = folder;
  if (clusterId === "") {
    const origin = await findCluster({
      nodeName,
      diskId,
      logId,
      peers: addresses,
      link: peers,
      clock: SYSTEM_CLOCK,
      entropy: SYSTEM_ENTROPY,
      limits: NODE_LIMITS,
      observer,
    });
    identity = await joinCluster(folder.disk, folder, origin);
    observer.event("cluster-joined", { cluster: origin.clusterId, founders: origin.founders.map(({ node }) => node) });
    peers.joined(origin.clusterId);
  }
  // Who began alone is the one that founded, and the others come to it.
  const own = addresses.filter(({ node }) => node === nodeName).map((address) => ({ ...address, disk: diskId }));
  const founders = identity.founders ?? own;
  const voters = founders.map(({ node }) => node);
  const knowing: ClusterParts["know"] = (view) => peers.know(knownOf(view, addresses), view);
  const cluster = { voters, founders, link: peers, know: knowing, removed: () => peers.removed };
  return ok({ identity, cluster });
}

/** Of what a server is told at its start. Whose disk is whose the state knows: a founder may have been replaced since. */
export function toldOf(told: readonly PeerAddress[]): readonly KnownPeer[] {
  return told.map(({ node, host, port }) => ({ node, host, port, disk: undefined }));
}

/** An empty disk is that of whoever comes first. Who is not up to date may know old disks, and not all members. */
export function knownOf({ members, upToDate }: MembersView, told: readonly PeerAddress[]): readonly KnownPeer[] {
  if (upToDate) return members.map((member) => ({ ...member, disk: member.disk === "" ? undefined : member.disk }));
  const others = told.filter(({ node }) => !members.some((member) => member.node === node));
  return toldOf([...members, ...others]);
}

function tlsPathsOf({ peerTlsCa: ca, peerTlsCert: cert, peerTlsKey: key }: ServerConfig): PeerTlsPaths | undefined {
  return ca === undefined || cert === undefined || key === undefined ? undefined : { ca, cert, key };
}
