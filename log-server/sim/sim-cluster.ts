/**
 * Several nodes of one log, each on a simulated disk and store of its own, under one virtual clock and one simulated
 * network. Nodes are killed, cut off, paused, and their disks held, by name; time moves only when nothing else can happen.
 */
import { LOG_LIMITS } from "../log/limits.ts";
import type { ClusterOrigin } from "../log/node-identity.ts";
import { NODE_LIMITS, type NodeLimits } from "../node/limits.ts";
import type { NodeObserver } from "../node/observer.ts";
import type { LogNode } from "../node/log-node.ts";
import { findCluster } from "../node/cluster/founding.ts";
import type { ClusterParts, MembersView } from "../node/node-parts.ts";
import { openNode } from "../node/open-node.ts";
import { knownOf, toldOf } from "../open-peers.ts";
import { decodeHello, encodeHello, type Hello, type Refusal, VERSION_NEWEST, VERSION_OLDEST } from "../peer/hello.ts";
import { type ClusterRules, judgeHello, type KnownPeer, NO_RULES } from "../peer/judge-hello.ts";
import { PEER_LIMITS } from "../peer/limits.ts";
import { FEATURE_LEVEL_NEWEST } from "../streams/feature-level.ts";
import { STREAMS_LIMITS } from "../streams/limits.ts";
import { concat } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Lane, Link, LinkListener } from "../../src/ports/link.ts";
import type { Disk } from "../../src/ports/disk.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { type CrashChoice, SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { type NetworkFaults, SimNetwork } from "../../src/sim/network.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import { endOfTurn } from "./turn.ts";

/** Of one process: what it had set or awaited ends with it, and stands still while it is paused. */
type Life = { over: boolean; paused: boolean; readonly backlog: (() => void)[]; readonly ended: Promise<never> };

/** What a process finds when it starts. */
export type Machine = {
  disk: SimDisk;
  kv: SimKv;
  /** A disk that was lost and made anew has another. */
  diskId: string;
  /** Of its cluster, once it has one: on its disk. */
  origin: ClusterOrigin | undefined;
};

export type Member = Machine & {
  readonly name: string;
  /** It runs a build that is newer than this one, as far as it tells others: another version of the protocol beside today's. */
  newer: boolean;
  /** Whom it talks to, where members change. */
  known: readonly KnownPeer[];
  rules: ClusterRules;
  /** Who has said, when last asked, that this node's disk was a member's and is none's now. */
  saysRemoved: Set<string>;
  /** Undefined: it is down. */
  node: LogNode | undefined;
  link: Link | undefined;
  life: Life;
  end: (error: Error) => void;
  /** Its disk answers nothing before this resolves. */
  held: { readonly promise: Promise<void>; readonly release: () => void } | undefined;
  /** Its wall clock is ahead by this. */
  aheadMs: number;
  /** Its power goes at this call of its disk that changes something, counted down. */
  cutIn: number;
};

export type SimClusterOptions = {
  readonly nodes?: number;
  /**
   * More nodes, of which none is a member at first. With it, whoever comes without a cluster asks the others for theirs, and
   * who is no member, or has another disk than was known, is not talked to: as behind the production handshake.
   */
  readonly spares?: number;
  readonly seed?: number;
  readonly limits?: Partial<NodeLimits>;
  readonly segmentBytes?: number;
  readonly faults?: NetworkFaults;
  /** What each disk has room for. Default: whatever comes. */
  readonly capacityBytes?: number;
  /** Every call of a disk takes up to this long. */
  readonly diskMsMax?: number;
  readonly note?: (line: string) => void;
  /** What a node said of itself, each time. */
  readonly onEvent?: (name: string, code: string) => void;
  /** A new life, from its first moment; one that starts anew has another. */
  readonly onLife?: (member: Member) => void;
  /** What a node knows of the cluster, each time it is told. */
  readonly onKnow?: (name: string, view: MembersView) => void;
  /** Another node would refuse its connection, for it was removed. */
  readonly saysRemoved?: (name: string) => boolean;
  /** A new life, before it has begun to serve. */
  readonly onOpened?: (member: Member, node: LogNode) => void;
  /** A node sends another a message, whatever becomes of it. */
  readonly onSend?: (from: string, lane: Lane, pieces: readonly Uint8Array[]) => void;
  /** What its log lives on; default: the member's disk. For disks that do not keep their word. */
  readonly diskOf?: (member: Member) => Disk;
};

/** What a client sees of a node that was killed. */
export class Killed extends Error {
  override readonly name = "Killed";
}

const TURNS_MAX = 1_000_000;
const CLUSTER_ID = "test-cluster";
const LOG_ID = 0;
const PORT = 4438;

export class SimCluster {
  readonly clock: SimClock = new SimClock();
  readonly network: SimNetwork;
  readonly members: readonly Member[];
  /** Nodes that could not go on, though nobody killed them. */
  readonly failures: Error[] = [];
  readonly #prng: Prng;
  readonly #options: SimClusterOptions;
  #wipes = 0;

  constructor(options: SimClusterOptions = {}) {
    this.#options = options;
    this.#prng = new Prng(options.seed ?? 1);
    const { faults } = options;
    this.network = new SimNetwork({
      clock: this.clock,
      prng: this.#prng.fork("network"),
      ...(faults && { faults }),
      ...(options.spares !== undefined && { admits: (one: string, other: string) => this.#admit(one, other) }),
    });
    const { nodes = 3, spares = 0 } = options;
    const names = Array.from({ length: nodes + spares }, (_, place) => `n${place + 1}`);
    const founders = names.slice(0, nodes).map((node) => ({ ...this.addressOf(node), node, disk: firstDiskOf(node) }));
    const origin: ClusterOrigin = { clusterId: CLUSTER_ID, founders };
    this.members = names.map((name, place) => {
      const member: Member = {
        name,
        disk: new SimDisk(),
        kv: new SimKv(),
        diskId: firstDiskOf(name),
        origin: place < nodes ? origin : undefined,
        newer: false,
        known: [],
        rules: NO_RULES,
        saysRemoved: new Set(),
        node: undefined,
        link: undefined,
        held: undefined,
        aheadMs: 0,
        cutIn: Number.POSITIVE_INFINITY,
        ...newLife(),
      };
      member.disk = new SimDisk(this.#diskOptions(member));
      return member;
    });
    for (const member of this.members) member.known = this.#told;
  }

  addressOf(name: string): { readonly host: string; readonly port: number } {
    return { host: name, port: PORT };
  }

  static async started(options: SimClusterOptions = {}): Promise<SimCluster> {
    const cluster = new SimCluster(options);
    const founders = cluster.members.filter(({ origin }) => origin !== undefined);
    await cluster.settle(Promise.all(founders.map(({ name }) => cluster.start(name))));
    return cluster;
  }

  member(name: string): Member {
    const member = this.members.find((one) => one.name === name);
    if (member === undefined) throw new Error(`no node ${name}`);
    return member;
  }

  node(name: string): LogNode {
    const { node } = this.member(name);
    if (node === undefined) throw new Error(`${name} is down`);
    return node;
  }

  get up(): readonly Member[] {
    return this.members.filter(({ node }) => node !== undefined);
  }

  /** The node that leads, of the newest term if an old one does not know yet. */
  get leader(): Member | undefined {
    const leading = this.up.filter(({ node, life }) => node?.leads === true && !life.paused);
    return leading.toSorted((a, b) => (b.node?.status().term ?? 0) - (a.node?.status().term ?? 0))[0];
  }

  /** Lets time pass until there is a leader, other than `not` if given. */
  async elected(not?: string): Promise<Member> {
    await this.until(() => this.leader !== undefined && this.leader.name !== not, "a leader is elected");
    return this.leader as Member;
  }

  /** A new life on what the disk has. Resolves when the node serves. */
  async start(name: string): Promise<LogNode> {
    const member = this.member(name);
    Object.assign(member, newLife());
    this.#options.onLife?.(member);
    const { life } = member;
    const prng = this.#prng.fork(name);
    const joined = this.network.join(name);
    member.link = joined;
    const link = this.#heard(name, pausable(joined, life));
    const cluster = this.#options.spares === undefined ? this.#allOf(name, link) : await this.#belong(member, link);
    const opened = await openNode({
      disk: this.#options.diskOf?.(member) ?? member.disk,
      kv: member.kv,
      clock: this.#clockOf(member),
      entropy: { bytes: (length) => prng.bytes(length) },
      zstd: undefined,
      logId: LOG_ID,
      clusterId: CLUSTER_ID,
      nodeName: name,
      diskId: member.diskId,
      limits: {
        node: { ...NODE_LIMITS, lowWaterBytes: 0, ...this.#options.limits },
        log: { ...LOG_LIMITS, segmentBytes: this.#options.segmentBytes ?? 16 * 1024, allocationStepBytes: 8 * 1024 },
        streams: STREAMS_LIMITS,
      },
      observer: this.#observerOf(name),
      cluster,
      ...(member.origin?.since !== undefined && { since: member.origin.since }),
    });
    if (life.over) throw new Killed(`${name} was killed while it started`);
    if (!opened.ok) throw new Error(`${name}: ${opened.error.kind}: ${opened.error.message}`);
    member.node = opened.value;
    this.#options.onOpened?.(member, opened.value);
    const node = opened.value;
    let again: Promise<LogNode> | undefined;
    node.onFailure((error) => {
      if (life.over || member.disk.plugPulled) return;
      if (node.startsAnew) again = this.#startAnew(member, node);
      else this.failures.push(new Error(`${name} failed`, { cause: error }));
    });
    try {
      await Promise.race([node.start(), life.ended]);
    } catch (error) {
      if (again === undefined) throw error;
      return await again;
    }
    return node;
  }

  get #names(): readonly string[] {
    return this.members.map(({ name }) => name);
  }

  #observerOf(name: string): NodeObserver {
    return {
      proposed: () => undefined,
      synced: () => undefined,
      event: (code, detail) => {
        this.#options.onEvent?.(name, code);
        this.#note(
          `${name} ${code} ${JSON.stringify(detail, (_, value: unknown) => (typeof value === "bigint" ? `${value}` : value))}`,
        );
      },
    };
  }

  /** Where all are members from the beginning. */
  #allOf(name: string, link: Link): ClusterParts {
    return {
      voters: this.#names,
      link,
      know: (view) => this.#options.onKnow?.(name, view),
      removed: () => this.#options.saysRemoved?.(name) === true,
    };
  }

  /** As a server does: whoever has no cluster yet asks the others for theirs. */
  async #belong(member: Member, link: Link): Promise<ClusterParts> {
    const { name, life, diskId } = member;
    member.saysRemoved = new Set();
    const peers = this.#names.map((node) => ({ ...this.addressOf(node), node }));
    const prng = this.#prng.fork(`founding ${name}`);
    const parts = {
      nodeName: name,
      logId: LOG_ID,
      clock: this.#clockOf(member),
      entropy: { bytes: (length: number) => prng.bytes(length) },
      limits: { ...NODE_LIMITS, ...this.#options.limits },
      observer: this.#observerOf(name),
      diskId,
      peers,
      link,
    };
    if (member.origin === undefined) {
      member.origin = await Promise.race([findCluster(parts), life.ended]);
      // Whoever is connected did not know it, and may be of another.
      for (const other of this.#names) this.network.hangUp(name, other);
    }
    const { founders } = member.origin;
    const voters = founders.map(({ node }) => node);
    const know: ClusterParts["know"] = (view) => {
      if (life.over) return;
      member.known = knownOf(view, peers);
      member.rules = view;
      queueMicrotask(() => this.#judgeAgain(member));
    };
    const removed = (): boolean => member.known.some(({ node }) => member.saysRemoved.has(node));
    return { voters, founders, link, know, removed };
  }

  /** By its command line. */
  get #told(): readonly KnownPeer[] {
    return toldOf(this.#names.map((node) => ({ ...this.addressOf(node), node })));
  }

  /** The handshake of the production link: each judges the other. */
  #admit(one: string, other: string): boolean {
    const [a, b] = [this.member(one), this.member(other)];
    const refusals = [refusalSaid(a, b), refusalSaid(b, a)];
    return refusals.every((refusal) => refusal === undefined);
  }

  /** As the production link does when it knows more: who is no member has a last word, who is another goes at once. */
  #judgeAgain(member: Member): void {
    const { name, life } = member;
    if (life.over) return;
    const isKnown = (other: string): boolean => member.known.some(({ node }) => node === other);
    for (const other of this.members) {
      if (other === member || !this.network.connected(name, other.name)) continue;
      if (isKnown(other.name)) {
        if (judged(member, other) !== undefined) this.network.hangUp(name, other.name);
        continue;
      }
      this.clock.schedule(PEER_LIMITS.farewellMs, () => {
        if (!life.over && !isKnown(other.name)) this.network.hangUp(name, other.name);
      });
    }
  }

  /** The disk is lost, and there is another: of a node that is down. Answers with what was lost. */
  wipe(name: string): Machine {
    const member = this.member(name);
    this.#wipes += 1;
    const machine: Machine = {
      disk: new SimDisk(this.#diskOptions(member)),
      kv: new SimKv(),
      diskId: `${firstDiskOf(name)} anew, ${this.#wipes}`,
      origin: undefined,
    };
    return this.swap(name, machine);
  }

  /** Another machine takes the place of a node that is down, with the disk that it has. Answers with the one before. */
  swap(name: string, machine: Machine): Machine {
    const member = this.member(name);
    const { disk, kv, diskId, origin } = member;
    Object.assign(member, machine);
    member.known = this.#told;
    member.rules = NO_RULES;
    return { disk, kv, diskId, origin };
  }

  /** As a server does that has received a snapshot. */
  #startAnew(member: Member, node: LogNode): Promise<LogNode> {
    const { life, name, disk } = member;
    member.node = undefined;
    const started = Promise.race([node.stop(), life.ended]).then(() => {
      life.over = true;
      return this.start(name);
    });
    started.catch((error: unknown) => {
      if (!(error instanceof Killed || disk.plugPulled))
        this.failures.push(new Error(`${name} did not start anew`, { cause: error }));
    });
    return started;
  }

  /** The process ends, and the power with it: what was not synced is gone, as `choice` says. */
  kill(name: string, choice: CrashChoice = { kind: "none" }): void {
    const member = this.member(name);
    member.life.over = true;
    this.network.leave(name);
    member.node = undefined;
    member.held?.release();
    member.held = undefined;
    member.cutIn = Number.POSITIVE_INFINITY;
    member.disk = member.disk.crash(choice, this.#diskOptions(member));
    member.kv = member.kv.crash();
    member.end(new Killed(`${name} was killed`));
  }

  /** The power goes at the `calls`-th call of its disk that changes something, from now on. */
  killAt(name: string, calls: number): void {
    this.member(name).cutIn = calls;
  }

  /** Nobody hears it and it hears nobody. */
  isolate(name: string): void {
    for (const other of this.members) {
      if (other.name === name) continue;
      this.network.cut(name, other.name);
      this.network.cut(other.name, name);
    }
  }

  pause(name: string): void {
    this.member(name).life.paused = true;
  }

  /** Goes on; what came in the meantime waits until the caller awaits something. */
  resume(name: string): void {
    const { life } = this.member(name);
    life.paused = false;
    void Promise.resolve().then(() => {
      for (const run of life.backlog.splice(0)) if (!life.over) run();
    });
  }

  holdDisk(name: string): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.member(name).held = { promise, release: resolve };
  }

  releaseDisk(name: string): void {
    const member = this.member(name);
    member.held?.release();
    member.held = undefined;
  }

  /** As a client would: rejects with `Killed` when the node goes. */
  propose(name: string, command: Command): Promise<CommandResult> {
    return Promise.race([this.node(name).propose(command), this.member(name).life.ended]);
  }

  barrier(name: string): Promise<void> {
    return Promise.race([this.node(name).barrier(), this.member(name).life.ended]);
  }

  /** Runs until the promise is settled; moves time only when nothing else can happen. */
  async settle<T>(promise: Promise<T>, withinMs: number = Number.POSITIVE_INFINITY): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    const end = this.clock.monotonic() + withinMs;
    for (let turns = 0; ; turns += 1) {
      await endOfTurn();
      if (settled) return promise;
      if (this.clock.monotonic() > end) throw new Error(`not settled within ${withinMs} ms`);
      if (turns > TURNS_MAX || !this.clock.advanceToNext()) throw new Error("nothing can happen any more");
    }
  }

  /** Lets time pass, timer by timer, until it is so. */
  async until(isSo: () => boolean, what: string, withinMs = 60_000): Promise<void> {
    const end = this.clock.monotonic() + withinMs;
    for (;;) {
      await endOfTurn();
      if (isSo()) return;
      if (this.clock.monotonic() > end || !this.clock.advanceToNext())
        throw new Error(`not within ${withinMs} ms: ${what}`);
    }
  }

  async pass(milliseconds: number): Promise<void> {
    const end = this.clock.monotonic() + milliseconds;
    await endOfTurn();
    for (let next = this.clock.nextDueMs; next !== undefined && next <= end; next = this.clock.nextDueMs) {
      this.clock.advanceToNext();
      await endOfTurn();
    }
    this.clock.advance(Math.max(0, end - this.clock.monotonic()));
  }

  /** All that are up have applied the same entries, to the end of the leader's log. */
  async agreed(): Promise<void> {
    await this.until(() => {
      const end = this.leader?.node?.status().lastIndex;
      return end !== undefined && this.up.every(({ node }) => node?.position === end);
    }, "all nodes have applied everything");
  }

  #diskOptions(member: Member): ConstructorParameters<typeof SimDisk>[0] {
    const prng = this.#prng.fork(`disk of ${member.name}`);
    const { diskMsMax = 0, capacityBytes } = this.#options;
    return {
      ...(capacityBytes !== undefined && { capacityBytes }),
      onMutation: () => {
        member.cutIn -= 1;
        if (member.cutIn > 0 || member.disk.plugPulled) return;
        member.disk.pullPlug();
        member.kv.pullPlug();
        this.clock.schedule(0, () => this.kill(member.name, { kind: "random", prng }));
      },
      pace: async () => {
        while (member.held !== undefined) await member.held.promise;
        if (diskMsMax > 0)
          await new Promise<void>((resolve) => void this.clock.schedule(prng.float() * diskMsMax, resolve));
      },
    };
  }

  #clockOf(member: Member): Clock {
    const { clock } = this;
    const { life } = member;
    return {
      now: () => Math.floor(clock.now()) + member.aheadMs,
      monotonic: () => clock.monotonic(),
      schedule: (delayMs, run) => clock.schedule(delayMs, () => whileRunning(life, run)),
      defer: (run) => clock.defer(() => whileRunning(life, run)),
    };
  }

  /** Before it is lost, or not. */
  #heard(name: string, link: Link): Link {
    const { onSend } = this.#options;
    if (onSend === undefined) return link;
    return {
      listen: (listener) => link.listen(listener),
      send: (to, lane, pieces, proven) => {
        onSend(name, lane, pieces);
        return link.send(to, lane, pieces, proven);
      },
      close: () => link.close(),
    };
  }

  #note(line: string): void {
    this.#options.note?.(`${this.clock.monotonic().toFixed(2)} ${line}`);
  }
}

function firstDiskOf(name: string): string {
  return `disk-of-${name}`;
}

/** What `one` says to `other`'s hello. */
function judged(one: Member, other: Member): Refusal | undefined {
  const peer = one.known.find(({ node }) => node === other.name);
  // As it comes over the wire: what a newer build has added at the end is passed over.
  const said = decodeHello(concat([encodeHello(helloOf(other, one)), new Uint8Array(other.newer ? 3 : 0)]));
  if (said === undefined) return { code: "not-a-hello", detail: "" };
  return judgeHello(helloOf(one, other), peer, one.rules, said, undefined);
}

/** The same, and `other` keeps in mind whether it was told that it is a member no more. */
function refusalSaid(one: Member, other: Member): Refusal | undefined {
  const refusal = judged(one, other);
  if (refusal?.code === "removed") other.saysRemoved.add(one.name);
  else other.saysRemoved.delete(one.name);
  return refusal;
}

function helloOf({ name, diskId, origin, newer }: Member, to: Member): Hello {
  return {
    node: name,
    disk: diskId,
    cluster: origin?.clusterId ?? "",
    featureLevel: FEATURE_LEVEL_NEWEST + (newer ? 1 : 0),
    logs: [LOG_ID],
    versionOldest: VERSION_OLDEST,
    versionNewest: VERSION_NEWEST + (newer ? 1 : 0),
    to: to.name,
    life: "",
  };
}

function newLife(): Pick<Member, "life" | "end"> {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  return { life: { over: false, paused: false, backlog: [], ended: promise }, end: reject };
}

/** Now, or when the process goes on; never, if it is over. */
export function whileRunning(life: Life, run: () => void): void {
  if (life.over) return;
  if (life.paused) life.backlog.push(run);
  else run();
}

/** What is sent or heard by a process that stands still waits, or is for nobody. */
function pausable(link: Link, life: Life): Link {
  return {
    listen: (listener: LinkListener) =>
      link.listen({
        message: (from, lane, bytes) => whileRunning(life, () => listener.message(from, lane, bytes)),
        reachable: (peer) => whileRunning(life, () => listener.reachable(peer)),
        unreachable: (peer) => whileRunning(life, () => listener.unreachable(peer)),
        room: (peer) => whileRunning(life, () => listener.room(peer)),
      }),
    send: (to, lane, pieces, proven) => !life.over && link.send(to, lane, pieces, proven),
    close: () => link.close(),
  };
}
