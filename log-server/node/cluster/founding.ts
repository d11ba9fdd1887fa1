/**
 * How a node without a cluster comes to one. It asks all nodes that it was told of, again and again:
 *
 *     one belongs to a cluster that was founded with this node, on this disk   → that is its cluster
 *     one belongs to a cluster that has made it a member since             → likewise, and the log tells who votes
 *     one belongs to a cluster otherwise                                       → it waits, and says so
 *     all are empty, and were told of the same nodes, and its name is first    → it founds
 *
 * So one node draws the id, once, when nobody can have anything to lose; the others hear of it only by asking, when the
 * founder has it on its disk. Whoever crashes meanwhile finds on its disk either nothing, and asks again, or the cluster.
 * A node that lost its disk is empty, but is not whom the cluster was founded with: it founds nothing, and does not vote.
 */
import { type Member, newClusterId, type ClusterOrigin } from "../../log/node-identity.ts";
import type { Link } from "../../../src/ports/link.ts";
import {
  type ClusterAnswer,
  decodeClusterAnswer,
  encodeClusterAnswer,
  encodeClusterQuestion,
} from "./founding-codec.ts";
import type { NodeParts } from "../node-parts.ts";
import { PeerCalls } from "../calls/peer-calls.ts";

export type FoundingParts = Pick<NodeParts, "nodeName" | "logId" | "clock" | "entropy" | "limits" | "observer"> & {
  readonly diskId: string;
  /** Those that are to found the cluster, this node among them. */
  readonly peers: readonly Omit<Member, "disk">[];
  readonly link: Link;
};

type Answers = ReadonlyMap<string, ClusterAnswer | undefined>;
type Verdict = { readonly origin: ClusterOrigin } | { readonly waits: string; readonly nodes: readonly string[] };

/** Resolves when the node has a cluster; it has to be made durable before anything else is done. The link is free again. */
export async function findCluster(parts: FoundingParts): Promise<ClusterOrigin> {
  const { nodeName, diskId, peers, link, clock, limits, observer } = parts;
  const calls = new PeerCalls(parts);
  const names = peers.map(({ node }) => node).sort();
  calls.handle("cluster-of", () => Promise.resolve([encodeClusterAnswer({ kind: "empty", disk: diskId, names })]));
  link.listen({
    // Of Raft there is nothing here to take part yet.
    message: (from, lane, bytes) => (lane === "requests" ? calls.message(from, bytes) : undefined),
    reachable: () => undefined,
    unreachable: (node) => calls.unreachable(node),
    room: () => undefined,
  });
  const others = names.filter((name) => name !== nodeName);
  let told = "";
  for (;;) {
    const answers = await askAll(calls, others, diskId, limits.foundingCallMs);
    const verdict = judge(parts, names, answers);
    if ("origin" in verdict) {
      calls.stop();
      return verdict.origin;
    }
    const said = `${verdict.waits} ${verdict.nodes.join(" ")}`;
    if (said !== told) observer.event("founding-waits", { reason: verdict.waits, nodes: verdict.nodes });
    told = said;
    await new Promise<void>((resolve) => void clock.schedule(limits.foundingRetryMs, resolve));
  }
}

async function askAll(
  calls: PeerCalls,
  others: readonly string[],
  diskId: string,
  timeoutMs: number,
): Promise<Answers> {
  const question = encodeClusterQuestion(diskId);
  const asked = others.map(async (name) => {
    const called = await calls.call(name, "cluster-of", [question], timeoutMs);
    return [name, called.ok ? decodeClusterAnswer(called.value) : undefined] as const;
  });
  return new Map(await Promise.all(asked));
}

function judge(parts: FoundingParts, names: readonly string[], answers: Answers): Verdict {
  const { nodeName, diskId, entropy, peers } = parts;
  const strange: string[] = [];
  for (const [name, answer] of answers) {
    if (answer?.kind !== "founded") continue;
    const { cluster: clusterId, founders, position } = answer;
    if (founders.some(({ node, disk }) => node === nodeName && disk === diskId))
      return { origin: { clusterId, founders } };
    if (answer.member) return { origin: { clusterId, founders: [], since: { kind: "joined", position } } };
    strange.push(name);
  }
  if (strange.length > 0) return { waits: "they have a cluster, of which this node is no member", nodes: strange };
  const silent = [...answers].filter(([, answer]) => answer === undefined).map(([name]) => name);
  if (silent.length > 0) return { waits: "they do not answer, and could have a cluster already", nodes: silent };
  const disks = new Map([[nodeName, diskId]]);
  for (const [name, answer] of answers) {
    if (answer?.kind !== "empty") continue;
    if (answer.names.join() !== names.join()) return { waits: "it was told of other peers", nodes: [name] };
    disks.set(name, answer.disk);
  }
  const [first = nodeName] = names;
  if (first !== nodeName) return { waits: "it founds the cluster, for its name is first", nodes: [first] };
  const founders = peers.map((peer): Member => ({ ...peer, disk: disks.get(peer.node) ?? "" }));
  return { origin: { clusterId: newClusterId(entropy), founders } };
}
