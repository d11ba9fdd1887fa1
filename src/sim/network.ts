/**
 * A network in memory, between nodes that join it by name: messages are delayed, lost, repeated, reordered and, where they prove
 * themselves, damaged by a seed, directions are cut, connections reset. What happens depends on nothing but the seed, the clock and the calls.
 *
 * A pair is connected while both are here, neither refuses the other, and neither direction has been cut for long, as with
 * TCP: what is under way when the connection ends is lost. Loss, repetition and reordering within a connection are more than
 * TCP would do.
 */
import { assert } from "../lib/assert.ts";
import { concat } from "../lib/bytes.ts";
import type { Prng } from "../lib/prng.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import { type Lane, type Link, type LinkListener, LINK_LIMITS } from "../ports/link.ts";

/** Of one direction. Chances are per message, from 0 to 1. */
export type NetworkFaults = {
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  readonly lossChance: number;
  readonly duplicateChance: number;
  /** Of being held back, so that later ones overtake it. */
  readonly reorderChance: number;
  /** How much longer such a one takes at most. */
  readonly reorderMsMax: number;
  /** Of a wrong bit in what proves itself, of a message that has such. */
  readonly damageChance: number;
  readonly bytesPerSecond: number;
};

export const CALM: NetworkFaults = {
  delayMsMin: 0.2,
  delayMsMax: 0.2,
  lossChance: 0,
  duplicateChance: 0,
  reorderChance: 0,
  reorderMsMax: 0,
  damageChance: 0,
  bytesPerSecond: 1_000_000_000,
};

/** What really happened, so that a run can tell whether it tried anything (P46). */
export type NetworkCounts = {
  sent: number;
  delivered: number;
  /** By chance, by a cut, or with their connection. */
  lost: number;
  duplicated: number;
  reordered: number;
  damaged: number;
  /** Sent into a direction that was cut. */
  cut: number;
  resets: number;
  refused: number;
  /** Handshakes after which one of the two did not want the other. */
  unwelcome: number;
};

export type SimNetworkOptions = {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly faults?: NetworkFaults;
  /** From a cut until both sides give the connection up; from then, or from a reset, until they try again. */
  readonly silenceMs?: number;
  readonly redialMs?: number;
  /** Each handshake: whether both want the connection. If not they try again, later. Default: they do. */
  readonly admits?: (one: string, other: string) => boolean;
  readonly unwelcomeRedialMs?: number;
  /** Bytes under way in one lane of one direction, beyond which it refuses. */
  readonly laneBytesMax?: Readonly<Record<Lane, number>>;
};

const SILENCE_MS = 1_000;
const REDIAL_MS = 50;
const UNWELCOME_REDIAL_MS = 500;
const LANE_BYTES_MAX: Readonly<Record<Lane, number>> = {
  control: 1024 * 1024,
  entries: 32 * 1024 * 1024,
  requests: 32 * 1024 * 1024,
  bulk: 4 * 1024 * 1024,
};
const MS_PER_SECOND = 1_000;

type Sent = { atMs: number; timer: Timer; readonly arrive: () => void };

/** Of one direction and lane. */
type LaneState = {
  bytes: number;
  freeAtMs: number;
  lastAtMs: number;
  owesRoom: boolean;
  /** In the order in which they were sent. */
  readonly underWay: Set<Sent>;
};

type Direction = {
  faults: NetworkFaults;
  cut: boolean;
  readonly lanes: Readonly<Record<Lane, LaneState>>;
};

type Pair = {
  readonly a: string;
  readonly b: string;
  connected: boolean;
  /** Grows with each end of a connection: what was sent before does not arrive. */
  epoch: number;
  /** Grows with each cut and each healing: a timer that was set before is void. */
  changes: number;
  /** They will try again, after one did not want the other. */
  trying: boolean;
};

export class SimNetwork {
  readonly counts: NetworkCounts = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    damaged: 0,
    cut: 0,
    resets: 0,
    refused: 0,
    unwelcome: 0,
  };
  readonly #clock: Clock;
  readonly #prng: Prng;
  readonly #faults: NetworkFaults;
  readonly #silenceMs: number;
  readonly #redialMs: number;
  readonly #admits: (one: string, other: string) => boolean;
  readonly #unwelcomeRedialMs: number;
  readonly #laneBytesMax: Readonly<Record<Lane, number>>;
  readonly #nodes = new Map<string, SimLink>();
  readonly #directions = new Map<string, Direction>();
  readonly #pairs = new Map<string, Pair>();

  constructor(options: SimNetworkOptions) {
    this.#clock = options.clock;
    this.#prng = options.prng;
    this.#faults = options.faults ?? CALM;
    this.#silenceMs = options.silenceMs ?? SILENCE_MS;
    this.#redialMs = options.redialMs ?? REDIAL_MS;
    this.#admits = options.admits ?? ((): boolean => true);
    this.#unwelcomeRedialMs = options.unwelcomeRedialMs ?? UNWELCOME_REDIAL_MS;
    this.#laneBytesMax = options.laneBytesMax ?? LANE_BYTES_MAX;
  }

  /** A node starts, and meets all that are here. One that is here already under this name was killed before. */
  join(node: string): Link {
    this.leave(node);
    const link = new SimLink(this, node);
    this.#nodes.set(node, link);
    for (const other of this.#nodes.keys()) if (other !== node) this.#connectLater(this.#pair(node, other), 0);
    return link;
  }

  /** A node stops or is killed: for the others it is the same. */
  leave(node: string): void {
    if (!this.#nodes.delete(node)) return;
    for (const pair of this.#pairs.values()) if (pair.a === node || pair.b === node) this.#disconnect(pair);
  }

  /** For `SimLink`: a later life under its name stays. */
  leaveAs(link: SimLink): void {
    if (this.#nodes.get(link.node) === link) this.leave(link.node);
  }

  /** Nothing arrives from one at the other; the way back is another direction. */
  cut(from: string, to: string): void {
    const direction = this.#direction(from, to);
    if (direction.cut) return;
    direction.cut = true;
    const pair = this.#pair(from, to);
    pair.changes += 1;
    const { changes } = pair;
    this.#clock.schedule(this.#silenceMs, () => {
      if (pair.changes === changes) this.#disconnect(pair);
    });
  }

  heal(from: string, to: string): void {
    const direction = this.#direction(from, to);
    if (!direction.cut) return;
    direction.cut = false;
    const pair = this.#pair(from, to);
    pair.changes += 1;
    if (!pair.connected) this.#connectLater(pair, this.#redialMs);
  }

  healAll(): void {
    for (const [key, direction] of this.#directions) {
      const [from = "", to = ""] = key.split("\n");
      if (direction.cut) this.heal(from, to);
    }
  }

  /** The connection breaks, and is made again. */
  reset(a: string, b: string): void {
    if (!this.connected(a, b)) return;
    this.counts.resets += 1;
    this.hangUp(a, b);
  }

  /** One of the two ends the connection; whether there is another the next handshake tells. */
  hangUp(a: string, b: string): void {
    const pair = this.#pair(a, b);
    if (!pair.connected) return;
    this.#disconnect(pair);
    this.#connectLater(pair, this.#redialMs);
  }

  /** From the next message on; what is under way goes on as fast as is possible now. */
  setFaults(from: string, to: string, faults: NetworkFaults): void {
    const direction = this.#direction(from, to);
    const slower = direction.faults.bytesPerSecond / faults.bytesPerSecond;
    direction.faults = faults;
    if (slower === 1) return;
    const now = this.#clock.monotonic();
    const moved = (atMs: number): number => now + Math.max(0, atMs - now) * slower;
    for (const lane of Object.values(direction.lanes)) {
      lane.freeAtMs = moved(lane.freeAtMs);
      lane.lastAtMs = moved(lane.lastAtMs);
      for (const sent of lane.underWay) {
        sent.timer.cancel();
        sent.atMs = moved(sent.atMs);
        sent.timer = this.#clock.schedule(sent.atMs - now, sent.arrive);
      }
    }
  }

  connected(a: string, b: string): boolean {
    return this.#pair(a, b).connected;
  }

  /** For `SimLink`. */
  carry(link: SimLink, to: string, lane: Lane, pieces: readonly Uint8Array[], proven: number): boolean {
    const from = link.node;
    if (this.#nodes.get(from) !== link || !this.#nodes.has(to)) return false;
    const pair = this.#pair(from, to);
    if (!pair.connected) return false;
    const direction = this.#direction(from, to);
    const bytes = concat(pieces);
    assert(bytes.length <= LINK_LIMITS.messageBytesMax[lane], `I15: a message of ${lane} has a bound`);
    const state = direction.lanes[lane];
    if (state.bytes > 0 && state.bytes + bytes.length > this.#laneBytesMax[lane]) {
      this.counts.refused += 1;
      if (lane === "bulk") state.owesRoom = true;
      return false;
    }
    this.counts.sent += 1;
    if (direction.cut) {
      this.counts.cut += 1;
      this.counts.lost += 1;
      return true;
    }
    const { damageChance } = direction.faults;
    if (proven > 0 && damageChance > 0 && this.#prng.chance(damageChance)) {
      this.counts.damaged += 1;
      const place = bytes.length - 1 - this.#prng.below(proven);
      bytes[place] = (bytes[place] as number) ^ (1 << this.#prng.below(8));
    }
    this.#post(pair, from, to, lane, bytes, direction);
    if (this.#prng.chance(direction.faults.duplicateChance)) {
      this.counts.duplicated += 1;
      this.#post(pair, from, to, lane, bytes.slice(), direction);
    }
    return true;
  }

  #post(pair: Pair, from: string, to: string, lane: Lane, bytes: Uint8Array, direction: Direction): void {
    const { faults } = direction;
    const state = direction.lanes[lane];
    const lost = this.#prng.chance(faults.lossChance);
    const now = this.#clock.monotonic();
    const { epoch } = pair;
    state.bytes += bytes.length;
    state.freeAtMs = Math.max(now, state.freeAtMs) + (bytes.length * MS_PER_SECOND) / faults.bytesPerSecond;
    const delayMs = faults.delayMsMin + this.#prng.float() * (faults.delayMsMax - faults.delayMsMin);
    let atMs = Math.max(state.freeAtMs + delayMs, state.lastAtMs);
    if (this.#prng.chance(faults.reorderChance)) {
      this.counts.reordered += 1;
      // Those behind it do not wait for it.
      atMs += this.#prng.float() * faults.reorderMsMax;
    } else {
      state.lastAtMs = atMs;
    }
    const arrive = (): void => {
      state.underWay.delete(sent);
      if (pair.epoch !== epoch) {
        this.counts.lost += 1;
        return;
      }
      state.bytes -= bytes.length;
      const receiver = this.#nodes.get(to);
      if (lost || direction.cut || receiver === undefined) {
        this.counts.lost += 1;
      } else {
        this.counts.delivered += 1;
        receiver.listener?.message(from, lane, bytes);
      }
      if (state.owesRoom && pair.epoch === epoch) {
        state.owesRoom = false;
        this.#nodes.get(from)?.listener?.room(to);
      }
    };
    const sent: Sent = { atMs, timer: this.#clock.schedule(atMs - now, arrive), arrive };
    state.underWay.add(sent);
  }

  #connectLater(pair: Pair, afterMs: number): void {
    this.#clock.schedule(afterMs + this.#faults.delayMsMin, () => {
      const [a, b] = [this.#nodes.get(pair.a), this.#nodes.get(pair.b)];
      if (pair.connected || a === undefined || b === undefined) return;
      // A handshake needs both ways; healing tries again.
      if (this.#direction(pair.a, pair.b).cut || this.#direction(pair.b, pair.a).cut) return;
      if (!this.#admits(pair.a, pair.b)) {
        this.counts.unwelcome += 1;
        this.#tryAgain(pair);
        return;
      }
      pair.connected = true;
      a.listener?.reachable(pair.b);
      b.listener?.reachable(pair.a);
    });
  }

  #tryAgain(pair: Pair): void {
    if (pair.trying) return;
    pair.trying = true;
    this.#clock.schedule(this.#unwelcomeRedialMs, () => {
      pair.trying = false;
      this.#connectLater(pair, 0);
    });
  }

  #disconnect(pair: Pair): void {
    if (!pair.connected) return;
    pair.connected = false;
    pair.epoch += 1;
    for (const direction of [this.#direction(pair.a, pair.b), this.#direction(pair.b, pair.a)]) {
      for (const lane of Object.values(direction.lanes)) {
        lane.bytes = 0;
        lane.freeAtMs = 0;
        lane.lastAtMs = 0;
        lane.owesRoom = false;
      }
    }
    this.#nodes.get(pair.a)?.listener?.unreachable(pair.b);
    this.#nodes.get(pair.b)?.listener?.unreachable(pair.a);
  }

  #direction(from: string, to: string): Direction {
    const key = `${from}\n${to}`;
    let direction = this.#directions.get(key);
    if (direction === undefined) {
      const lanes = { control: newLane(), entries: newLane(), requests: newLane(), bulk: newLane() };
      direction = { faults: this.#faults, cut: false, lanes };
      this.#directions.set(key, direction);
    }
    return direction;
  }

  #pair(one: string, other: string): Pair {
    const [a, b] = one < other ? [one, other] : [other, one];
    const key = `${a}\n${b}`;
    let pair = this.#pairs.get(key);
    if (pair === undefined) {
      pair = { a, b, connected: false, epoch: 0, changes: 0, trying: false };
      this.#pairs.set(key, pair);
    }
    return pair;
  }
}

class SimLink implements Link {
  readonly node: string;
  listener: LinkListener | undefined;
  readonly #network: SimNetwork;

  constructor(network: SimNetwork, node: string) {
    this.#network = network;
    this.node = node;
  }

  listen(listener: LinkListener): void {
    this.listener = listener;
  }

  send(to: string, lane: Lane, pieces: readonly Uint8Array[], proven = 0): boolean {
    return this.#network.carry(this, to, lane, pieces, proven);
  }

  close(): Promise<void> {
    this.#network.leaveAs(this);
    return Promise.resolve();
  }
}

function newLane(): LaneState {
  return { bytes: 0, freeAtMs: 0, lastAtMs: 0, owesRoom: false, underWay: new Set() };
}
