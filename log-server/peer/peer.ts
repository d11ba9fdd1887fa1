/**
 * One peer: the connection that counts, if there is one, and dialling until there is. Both nodes dial; of two
 * connections of a pair the one that was dialled by the node whose name sorts first is kept, so both keep the same. One
 * of another life of the peer replaces what an earlier life has left.
 */
import type { Clock, Timer } from "../../src/ports/clock.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import type { Connection, End } from "./connection.ts";
import type { Hello, RefusalCode } from "./hello.ts";
import type { KnownPeer } from "./judge-hello.ts";
import type { PeerLimits } from "./limits.ts";
import { Redial } from "./redial.ts";

/** Counted since the peer was named. */
export type PeerCounters = {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly dropped: number;
  /** Times that it was dialled from here, and that a connection came to count, whoever dialled. */
  readonly dials: number;
  readonly connections: number;
};

export type PeerStatus = PeerCounters & {
  readonly node: string;
  readonly connected: boolean;
  /** Of the last ping; undefined before the first answer. */
  readonly rttMs: number | undefined;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly featureLevel: number | undefined;
  /** Why it is not connected, if it was refused, by either side. */
  readonly refused: RefusalCode | undefined;
};

export interface PeerOwner {
  /** A new connection to the peer, which begins by itself. */
  dial(known: KnownPeer): Connection;
}

export class Peer {
  known: KnownPeer;
  /** The connection that counts. */
  current: Connection | undefined;
  /** `bulk` refused something since it last had room. */
  owesRoom = false;
  dropped = 0;
  refused: RefusalCode | undefined;
  /** It has said that this node was removed, and has not taken it in since. */
  saysRemoved = false;

  readonly #limits: PeerLimits;
  readonly #self: string;
  readonly #owner: PeerOwner;
  readonly #clock: Clock;
  readonly #redial: Redial;
  #dialling: Connection | undefined;
  #timer: Timer | undefined;
  #stopped = false;
  /** Of connections that are over. */
  readonly #past = { bytesIn: 0, bytesOut: 0, messagesIn: 0, messagesOut: 0 };
  #dials = 0;
  #connections = 0;

  constructor(
    known: KnownPeer,
    parts: {
      readonly self: string;
      readonly owner: PeerOwner;
      readonly clock: Clock;
      readonly entropy: Entropy;
      readonly limits: PeerLimits;
    },
  ) {
    this.known = known;
    this.#self = parts.self;
    this.#owner = parts.owner;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#redial = new Redial(parts.limits, parts.entropy);
    this.#dialAfter(0);
  }

  /** True if the connection counts from now on; the one that it replaces is closed. */
  adopt(connection: Connection, hello: Hello): boolean {
    if (connection === this.#dialling) this.#dialling = undefined;
    const old = this.current;
    if (this.#stopped || (old !== undefined && !this.#better(connection, hello, old))) {
      connection.close({ kind: "duplicate" });
      return false;
    }
    this.current = connection;
    this.#connections += 1;
    this.refused = undefined;
    this.saysRemoved = false;
    this.#redial.succeeded();
    this.#timer?.cancel();
    this.#timer = undefined;
    old?.close({ kind: "duplicate" });
    return true;
  }

  /** True if it was the one that counted. */
  onEnded(connection: Connection, end: End): boolean {
    for (const key of ["bytesIn", "bytesOut", "messagesIn", "messagesOut"] as const) {
      this.#past[key] += connection.traffic[key];
    }
    if (end.kind === "refused") {
      this.refused = end.refusal.code;
      this.saysRemoved = end.by === "them" && end.refusal.code === "removed";
    }
    if (connection === this.#dialling) this.#dialling = undefined;
    const counted = connection === this.current;
    if (counted) this.current = undefined;
    if (this.current === undefined && this.#dialling === undefined)
      this.#dialAfter(this.saysRemoved ? this.#limits.redialRemovedMs : this.#redial.nextMs());
    return counted;
  }

  /** No more dialling. */
  retire(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#dialling?.close({ kind: "closed", detail: "no longer a member" });
  }

  /** No more dialling; what is open is closed. */
  stop(detail: string): void {
    this.retire();
    this.current?.close({ kind: "closed", detail });
  }

  status(): PeerStatus {
    const { current } = this;
    const now = current?.traffic;
    return {
      node: this.known.node,
      connected: current !== undefined,
      bytesIn: this.#past.bytesIn + (now?.bytesIn ?? 0),
      bytesOut: this.#past.bytesOut + (now?.bytesOut ?? 0),
      messagesIn: this.#past.messagesIn + (now?.messagesIn ?? 0),
      messagesOut: this.#past.messagesOut + (now?.messagesOut ?? 0),
      dropped: this.dropped,
      dials: this.#dials,
      connections: this.#connections,
      rttMs: current?.rttMs,
      queuedMessages: current?.queue.messages ?? 0,
      queuedBytes: current?.queue.bytes ?? 0,
      featureLevel: current?.hello?.featureLevel,
      refused: this.refused,
    };
  }

  #better(connection: Connection, hello: Hello, old: Connection): boolean {
    if (old.hello?.life !== hello.life) return true;
    const first = this.#self < this.known.node;
    const dialledByFirst = (connection.dialled !== undefined) === first;
    const oldDialledByFirst = (old.dialled !== undefined) === first;
    // Of two by the same side the newer: its dialler knew the older one to be over.
    return dialledByFirst || !oldDialledByFirst;
  }

  #dialAfter(delayMs: number): void {
    if (this.#stopped || this.#timer !== undefined) return;
    this.#timer = this.#clock.schedule(delayMs, () => {
      this.#timer = undefined;
      if (this.#stopped || this.current !== undefined || this.#dialling !== undefined) return;
      this.#dials += 1;
      this.#dialling = this.#owner.dial(this.known);
    });
  }
}
