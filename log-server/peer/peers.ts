/**
 * The link to the other nodes over TCP: a listener, the peers that are to be known, and messages between them. Raft's
 * messages and transfers pass through as bytes; who is a member the driver says with `know`.
 */
import net, { type AddressInfo, type Server, type Socket } from "node:net";
import { Server as TlsServer, TLSSocket } from "node:tls";
import { assert } from "../../src/lib/assert.ts";
import { hex } from "../../src/lib/bytes.ts";
import type { Clock, Timer } from "../../src/ports/clock.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import type { Lane, Link, LinkListener } from "../../src/ports/link.ts";
import { Connection, type ConnectionOwner, type End } from "./connection.ts";
import { type Hello, type Refusal, type Self, VERSION_NEWEST, VERSION_OLDEST } from "./hello.ts";
import { type ClusterRules, judgeHello, type KnownPeer, NO_RULES } from "./judge-hello.ts";
import { PEER_LIMITS, type PeerLimits } from "./limits.ts";
import { Peer, type PeerStatus } from "./peer.ts";
import { certificateNames, createTlsServer, dialTls, type PeerTls, renewTlsServer, tlsRefusal } from "./tls.ts";

const LIFE_BYTES = 8;

/** What is worth a line in the log. Each is told when it changes, not each time it is seen. */
export interface PeerObserver {
  connected(peer: string): void;
  disconnected(peer: string, reason: string): void;
  /** `peer` is undefined where it did not come to say its name. */
  refused(peer: string | undefined, by: "us" | "them", refusal: Refusal): void;
}

export type PeersOptions = {
  readonly self: Self;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly observer: PeerObserver;
  /** Undefined: in the clear, for networks that are trusted. */
  readonly tls?: PeerTls | undefined;
  readonly limits?: PeerLimits;
};

export class Peers implements Link, ConnectionOwner {
  readonly #clock: Clock;
  readonly #entropy: Entropy;
  readonly #observer: PeerObserver;
  #tls: PeerTls | undefined;
  readonly #limits: PeerLimits;
  readonly #life: string;
  #self: Self;
  readonly #peers = new Map<string, Peer>();
  /** All that are not over, strangers among them. */
  readonly #connections = new Set<Connection>();
  readonly #sockets = new Set<Socket>();
  /** Codes of refusals that were told, by peer, since it was last connected; "" for strangers. */
  readonly #told = new Map<string, Set<string>>();
  /** No members any more: what they are owed is still sent. */
  readonly #leaving = new Map<string, { readonly peer: Peer; readonly timer: Timer }>();
  #rules: ClusterRules = NO_RULES;
  #server: Server | undefined;
  #listener: LinkListener | undefined;
  #closed = false;

  constructor(options: PeersOptions) {
    this.#self = options.self;
    this.#clock = options.clock;
    this.#entropy = options.entropy;
    this.#observer = options.observer;
    this.#tls = options.tls;
    this.#limits = options.limits ?? PEER_LIMITS;
    this.#life = hex(options.entropy.bytes(LIFE_BYTES));
  }

  /** Accepts peers at an address of this machine; port 0 takes any. Rejects where the address cannot be had. */
  async open(host: string, port: number): Promise<AddressInfo> {
    assert(this.#server === undefined && !this.#closed, "a node listens for peers once");
    // No delay: what is small here is urgent.
    const server =
      this.#tls === undefined
        ? net.createServer({ noDelay: true }, (socket) => this.#accept(socket))
        : createTlsServer(this.#tls, {
            handshakeMs: this.#limits.handshakeMs,
            accept: (socket) => this.#accept(socket),
            failed: (refusal) => this.#tellTlsRefusal(undefined, refusal),
          });
    this.#server = server;
    server.maxConnections = this.#limits.strangersMax + 2 * this.#limits.peersMax;
    server.on("connection", (socket: Socket) => this.#track(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    // An accept that fails (no descriptors left) concerns the one who called.
    server.on("error", () => undefined);
    return server.address() as AddressInfo;
  }

  /** Other certificates, for connections from now on. Those that are open stay: who is trusted no more is let go by being removed. */
  renewTls(parts: PeerTls): void {
    assert(this.#tls !== undefined, "a node does not begin or cease to trust certificates while it runs");
    if (this.#server instanceof TlsServer) renewTlsServer(this.#server, parts);
    this.#tls = parts;
    // What is refused now is refused for another reason.
    this.#told.clear();
  }

  listen(listener: LinkListener): void {
    this.#listener = listener;
  }

  /**
   * The members, this node left out or not. Who is new is dialled, who is gone is closed, and a new address is for the next call. Who
   * is connected, and would be refused by what is known now, is closed, too.
   */
  know(members: readonly KnownPeer[], rules: ClusterRules = NO_RULES): void {
    assert(members.length <= this.#limits.peersMax, "I15: peers have a bound");
    this.#rules = rules;
    const others = members.filter(({ node }) => node !== this.#self.node);
    const names = new Set(others.map(({ node }) => node));
    for (const [name, peer] of this.#peers) {
      if (names.has(name)) continue;
      this.#peers.delete(name);
      this.#told.delete(name);
      this.#leave(name, peer);
    }
    for (const known of others) {
      const peer = this.#peers.get(known.node);
      if (peer !== undefined) {
        peer.known = known;
      } else if (!this.#closed) {
        this.#endLeaving(known.node);
        this.#peers.set(
          known.node,
          new Peer(known, {
            self: this.#self.node,
            owner: { dial: (whom) => this.#dial(whom) },
            clock: this.#clock,
            entropy: this.#entropy,
            limits: this.#limits,
          }),
        );
      }
    }
    this.#later(() => this.#judgeAgain());
  }

  /** Who said hello under other rules is not who was meant by these. */
  #judgeAgain(): void {
    for (const { current } of this.#peers.values()) {
      if (current?.hello === undefined) continue;
      const refusal = this.judge(current.hello, current);
      if (refusal !== undefined) current.close({ kind: "closed", detail: refusal.detail });
    }
  }

  /** A peer that is up to date says that this node's disk was a member's and is none's now. */
  get removed(): boolean {
    return [...this.#peers.values()].some((peer) => peer.saysRemoved);
  }

  /** Who is let go is told why, and has the last answers, before its connection ends; it gets no other. */
  #leave(name: string, peer: Peer): void {
    this.#endLeaving(name);
    peer.retire();
    const timer = this.#clock.schedule(this.#limits.farewellMs, () => this.#endLeaving(name));
    this.#leaving.set(name, { peer, timer });
  }

  #endLeaving(name: string): void {
    const leaving = this.#leaving.get(name);
    if (leaving === undefined) return;
    this.#leaving.delete(name);
    leaving.timer.cancel();
    leaving.peer.stop("no longer a member");
  }

  /**
   * This node belongs to a cluster now, and tells so from here on. Whoever is connected did not know it, and may be of
   * another: they are judged anew.
   */
  joined(cluster: string): void {
    assert(this.#self.cluster === "", "a node belongs to one cluster, for good");
    this.#self = { ...this.#self, cluster };
    const detail = "this node joined a cluster";
    for (const connection of [...this.#connections]) connection.close({ kind: "closed", detail });
  }

  send(to: string, lane: Lane, pieces: readonly Uint8Array[], proven = 0): boolean {
    const peer = this.#peers.get(to) ?? this.#leaving.get(to)?.peer;
    if (peer === undefined) return false;
    const connection = peer.current;
    if (connection === undefined) {
      peer.dropped += 1;
      return false;
    }
    const { accepted, dropped } = connection.queue.push(lane, pieces, proven);
    if (lane === "bulk" && !accepted) {
      // Nothing is lost: whoever sends bulk keeps what was refused.
      peer.owesRoom = true;
    } else if (dropped > 0) {
      peer.dropped += dropped;
    }
    connection.wake();
    return accepted;
  }

  /** One for each peer, in the order they were named. */
  statuses(): PeerStatus[] {
    return [...this.#peers.values()].map((peer) => peer.status());
  }

  async close(): Promise<void> {
    this.#closed = true;
    const server = this.#server;
    const closing = server === undefined ? undefined : new Promise<void>((resolve) => server.close(() => resolve()));
    for (const name of this.#leaving.keys()) this.#endLeaving(name);
    for (const peer of this.#peers.values()) peer.stop("this node is stopping");
    for (const connection of this.#connections) {
      connection.close({ kind: "closed", detail: "this node is stopping" });
    }
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.schedule(this.#limits.closeGraceMs, resolve);
    const sockets = [...this.#sockets];
    const ended = sockets.map((socket) => new Promise<void>((done) => socket.once("close", () => done())));
    await Promise.race([Promise.all(ended), gone]);
    timer.cancel();
    for (const socket of sockets) socket.destroy();
    await closing;
  }

  /* For connections. */

  helloFor(peer: string): Hello {
    return {
      ...this.#self,
      versionOldest: VERSION_OLDEST,
      versionNewest: VERSION_NEWEST,
      to: peer,
      life: this.#life,
    };
  }

  judge(hello: Hello, connection: Connection): Refusal | undefined {
    const { socket } = connection;
    const names = socket instanceof TLSSocket ? certificateNames(socket) : undefined;
    return judgeHello(this.#self, this.#peers.get(hello.node)?.known, this.#rules, hello, names);
  }

  opened(connection: Connection, hello: Hello): void {
    const peer = this.#peers.get(hello.node);
    // It was judged when it said hello, and things may have changed since.
    const refusal = this.judge(hello, connection);
    if (peer === undefined || refusal !== undefined) {
      connection.close({ kind: "closed", detail: refusal?.detail ?? "no longer a member" });
      return;
    }
    const connected = peer.current !== undefined;
    if (!peer.adopt(connection, hello)) return;
    // One that replaces another begins anew: what the other had queued is lost.
    if (connected) this.#listener?.unreachable(hello.node);
    else this.#observer.connected(hello.node);
    this.#told.delete(hello.node);
    peer.owesRoom = false;
    this.#listener?.reachable(hello.node);
  }

  message(connection: Connection, lane: Lane, bytes: Uint8Array): void {
    const from = connection.hello?.node;
    if (from !== undefined) this.#listener?.message(from, lane, bytes);
  }

  sent(connection: Connection, lane: Lane): void {
    const name = connection.hello?.node;
    const peer = name === undefined ? undefined : this.#peers.get(name);
    if (name === undefined || peer?.current !== connection || lane !== "bulk" || !peer.owesRoom) return;
    peer.owesRoom = false;
    this.#later(() => this.#listener?.room(name));
  }

  ended(connection: Connection, end: End): void {
    this.#connections.delete(connection);
    const name = connection.hello?.node ?? connection.dialled;
    if (end.kind === "refused") this.#tellRefusal(name ?? connection.claimed, end.by, end.refusal);
    const peer = name === undefined ? undefined : this.#peers.get(name);
    if (name === undefined || peer === undefined) return;
    if (!peer.onEnded(connection, end)) return;
    this.#observer.disconnected(name, end.kind === "closed" ? end.detail : end.kind);
    this.#listener?.unreachable(name);
  }

  /** The same reason is told once until the peer was connected: it may try for days. */
  #tellRefusal(peer: string | undefined, by: "us" | "them", refusal: Refusal): void {
    // Names that nobody knows could be anything: they share one place.
    const key = peer !== undefined && this.#peers.has(peer) ? peer : "";
    const told = this.#told.get(key) ?? new Set<string>();
    const what = `${by} ${refusal.code}`;
    if (told.has(what)) return;
    told.add(what);
    this.#told.set(key, told);
    this.#observer.refused(peer, by, refusal);
  }

  /** An operator would see nothing else of a wrong certificate than a node that does not come. */
  #tellTlsRefusal(peer: string | undefined, refusal: Refusal | undefined): void {
    if (refusal !== undefined) this.#tellRefusal(peer, "us", refusal);
  }

  #accept(socket: Socket): void {
    const strangers = [...this.#connections].filter((each) => each.dialled === undefined && !each.open).length;
    if (this.#closed || strangers >= this.#limits.strangersMax) {
      socket.destroy();
      return;
    }
    this.#connection(socket, undefined);
  }

  /** Until it is closed: under TLS a socket is there before its connection is. */
  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #dial(known: KnownPeer): Connection {
    const socket =
      this.#tls === undefined
        ? net.connect({ host: known.host, port: known.port, noDelay: true })
        : dialTls(known.host, known.port, this.#tls);
    const connection = this.#connection(socket, known.node);
    this.#track(socket);
    socket.on("error", (error) => this.#tellTlsRefusal(known.node, tlsRefusal(error)));
    socket.once(this.#tls === undefined ? "connect" : "secureConnect", () => {
      socket.setNoDelay(true);
      connection.begin();
    });
    return connection;
  }

  #connection(socket: Socket, dialled: string | undefined): Connection {
    const connection = new Connection(socket, dialled, { owner: this, clock: this.#clock, limits: this.#limits });
    this.#connections.add(connection);
    return connection;
  }

  /** A listener is never called from within its own call. */
  #later(run: () => void): void {
    queueMicrotask(run);
  }
}
