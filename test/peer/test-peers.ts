/** Peers on loopback for tests: named nodes with short limits, and everything that they heard. */
import type { AddressInfo } from "node:net";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY } from "../../log-server/system.ts";
import type { Refusal, Self } from "../../log-server/peer/hello.ts";
import type { KnownPeer } from "../../log-server/peer/judge-hello.ts";
import { PEER_LIMITS, type PeerLimits } from "../../log-server/peer/limits.ts";
import type { PeerStatus } from "../../log-server/peer/peer.ts";
import { Peers } from "../../log-server/peer/peers.ts";
import type { PeerTls } from "../../log-server/peer/tls.ts";
import { Heard } from "./heard.ts";

export const QUICK: PeerLimits = {
  ...PEER_LIMITS,
  redialMsMin: 5,
  redialMsMax: 50,
  pingEveryMs: 20,
  closeGraceMs: 200,
  farewellMs: 100,
};

export type RefusalHeard = { readonly peer: string | undefined; readonly by: "us" | "them" } & Refusal;

export class TestPeer {
  readonly node: string;
  readonly peers: Peers;
  readonly heard: Heard;
  readonly refusals: RefusalHeard[] = [];
  readonly connects: string[] = [];
  readonly disconnects: string[] = [];
  address: AddressInfo | undefined;

  constructor(self: Partial<Self> & { readonly node: string }, parts: { tls?: PeerTls; limits?: PeerLimits } = {}) {
    this.node = self.node;
    this.heard = new Heard();
    this.peers = new Peers({
      self: { disk: `disk-${self.node}`, cluster: "c1", featureLevel: 1, logs: [0], ...self },
      clock: SYSTEM_CLOCK,
      entropy: SYSTEM_ENTROPY,
      tls: parts.tls,
      limits: parts.limits ?? QUICK,
      observer: {
        connected: (peer) => void this.connects.push(peer),
        disconnected: (peer, reason) => void this.disconnects.push(`${peer}: ${reason}`),
        refused: (peer, by, refusal) => {
          this.refusals.push({ peer, by, ...refusal });
          this.heard.notify();
        },
      },
    });
    this.peers.listen(this.heard);
  }

  async open(): Promise<this> {
    this.address = await this.peers.open("127.0.0.1", 0);
    return this;
  }

  as(changes: Partial<KnownPeer> = {}): KnownPeer {
    return { node: this.node, host: "127.0.0.1", port: this.address?.port ?? 0, disk: undefined, ...changes };
  }

  status(peer: string): PeerStatus {
    const found = this.peers.statuses().find(({ node }) => node === peer);
    if (found === undefined) throw new Error(`${this.node} does not know ${peer}`);
    return found;
  }
}

/** Opened, and each knows all. */
export async function connectAll(...nodes: readonly TestPeer[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.open()));
  for (const node of nodes) node.peers.know(nodes.map((each) => each.as()));
  await Promise.all(
    nodes.flatMap((node) =>
      nodes.filter((other) => other !== node).map((other) => node.heard.until(() => node.heard.reaches(other.node))),
    ),
  );
}
