/**
 * A cluster on simulated hardware, its supervisor, and the way of clients to it: production nodes with their WebSocket face, the
 * production SDK, one clock that moves when nothing else can happen, one seed. Processes that end are started again, as a
 * supervisor would. Faults befall it as they are told; what goes wrong without excuse is a violation.
 */
import { InvariantError, unreachable } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Lane } from "../../src/ports/link.ts";
import type { CrashChoice } from "../../src/sim/disk.ts";
import type { GatedClock } from "../../src/sim/gated-clock.ts";
import { CALM, type NetworkFaults } from "../../src/sim/network.ts";
import type { Consistency } from "../../src/wire/consistency.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { faceOf } from "../../log-server/sim/face.ts";
import {
  Killed,
  type Member,
  SimCluster,
  type SimClusterOptions,
  whileRunning,
} from "../../log-server/sim/sim-cluster.ts";
import { type Listener, Sockets } from "../../log-server/sim/sockets.ts";
import { FEATURE_LEVEL_NEWEST } from "../../log-server/streams/feature-level.ts";
import { Addresses } from "../addresses.ts";
import { type Client, connect } from "../client.ts";
import { Diagnostics } from "../diagnostics.ts";
import type { Environment } from "../environment.ts";
import { Session } from "../transport/session.ts";
import { WebSocketTransport } from "../transport/web-socket-transport.ts";
import type { ClusterFault, Keep, Target } from "./cluster-faults.ts";

/** Unless a fault says otherwise, a process that ended is started again after so long at most. */
const RESTART_MS_MAX = 1_500;
const DISK_MS_MAX = 2;
const DELAY_MS_MAX = 2;
/** Of new connections, those to the leader beyond its share. */
const TO_LEADER = 0.3;

export type SupervisedClusterOptions = Omit<
  SimClusterOptions,
  "seed" | "faults" | "diskMsMax" | "onEvent" | "onSend" | "onLife" | "onOpened"
> & {
  readonly seed: number;
  readonly note: (line: string) => void;
};

export class SupervisedCluster {
  readonly cluster: SimCluster;
  readonly sockets: Sockets;
  /** What really happened, and how often. */
  readonly counts = new Map<string, number>();
  protected readonly prng: Prng;
  readonly #note: (line: string) => void;
  readonly #violations: Error[] = [];
  /** What ends a fault that lasts, by the fault. */
  readonly #lasting = new Map<object, () => void>();
  /** By node: how long its next rest is, where a fault has said so. */
  readonly #downMs = new Map<string, number>();
  #healed = false;

  constructor(options: SupervisedClusterOptions) {
    this.prng = new Prng(options.seed).fork("world");
    this.#note = options.note;
    this.cluster = new SimCluster({
      ...options,
      faults: { ...CALM, delayMsMax: DELAY_MS_MAX },
      diskMsMax: DISK_MS_MAX,
      onEvent: (name, code) => this.told(name, code),
      onSend: (from, lane, pieces) => this.sent(from, lane, pieces),
      onLife: (member) => this.#watch(member),
      onOpened: (member, node) => this.opened(member, node),
    });
    this.sockets = new Sockets(this.cluster.clock, this.prng.fork("sockets"));
  }

  get clock(): Clock {
    return this.cluster.clock;
  }

  /** Those that are to run. */
  get members(): readonly Member[] {
    return this.cluster.members.filter(({ name }) => this.employs(name));
  }

  get names(): readonly string[] {
    return this.members.map(({ name }) => name);
  }

  async found(): Promise<void> {
    for (const name of this.names) this.start(name);
    await this.cluster.elected();
  }

  /** What founding does for others: where all are members from the beginning, the log says nothing of what they support. */
  async raiseLevel(): Promise<void> {
    const { cluster } = this;
    const { name } = await cluster.elected();
    await cluster.until(() => cluster.node(name).phase === "serving", "the leader serves");
    await cluster.settle(cluster.propose(name, { kind: "feature-level", level: FEATURE_LEVEL_NEWEST }));
  }

  /** A client of its own, with a connection of its own; in a process, if it has one that may stand still. */
  connect(name: string, consistency: Consistency = "linearizable", process?: GatedClock): Client {
    const prng = this.prng.fork(name);
    const clock = process ?? this.clock;
    const environment: Environment = { clock, entropy: { bytes: (length) => prng.bytes(length) } };
    const baseUrl = new URL("ws://cluster");
    const diagnostics = new Diagnostics(environment, baseUrl);
    const webSocket = this.sockets.constructorFor(
      name,
      () => this.#dial(),
      process && ((work) => process.gate.pass(work)),
    );
    const addresses = new Addresses([baseUrl]);
    const options = {
      addresses,
      session: new Session(consistency),
      token: undefined,
      fetch: unreachableFetch,
      clock,
      webSocket,
    };
    return connect(baseUrl, { environment, transport: new WebSocketTransport(options, environment, diagnostics) });
  }

  /** Its connection breaks; its next one may be to another node. */
  hangUp(name: string): void {
    this.sockets.breakWhere((client) => client === name);
  }

  count(what: string, times = 1): void {
    if (times > 0) this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  note(line: string): void {
    this.#note(`${this.clock.monotonic().toFixed(2)} ${line}`);
  }

  /** A node does what no fault excuses. */
  protected broken(what: string, cause?: unknown): void {
    this.violated(new Error(what, { cause }));
  }

  violated(error: unknown): void {
    this.#violations.push(error instanceof Error ? error : new Error(String(error)));
  }

  /** Throws what was found so far. */
  check(): void {
    const [violation] = this.#violations;
    if (violation !== undefined) throw violation;
  }

  /** Answers whether it could be done. */
  inflict(fault: ClusterFault): boolean {
    this.note(`fault ${JSON.stringify(fault)}`);
    const isDone = this.apply(fault);
    if (isDone) this.count(`fault: ${fault.kind}`);
    return isDone;
  }

  /** Nothing is broken any more, and everybody who is down starts. */
  heal(): void {
    this.note("healed");
    this.#healed = true;
    for (const end of [...this.#lasting.values()]) end();
    this.cluster.network.healAll();
    for (const { name, life } of this.cluster.members) if (life.paused) this.cluster.resume(name);
  }

  /** A node says something of itself. */
  protected told(_name: string, code: string): void {
    this.count(`event: ${code}`);
  }

  /** A node sends another a message, whatever becomes of it. */
  protected sent(_from: string, _lane: Lane, _pieces: readonly Uint8Array[]): void {
    // Only who checks what nodes say listens.
  }

  /** Whether this machine is to run a node. */
  protected employs(_name: string): boolean {
    return true;
  }

  /** Whether nobody may lose anything now. */
  protected get fragile(): boolean {
    return false;
  }

  protected apply(fault: ClusterFault): boolean {
    const { cluster } = this;
    switch (fault.kind) {
      case "kill":
        return this.kill(this.target(fault.node), this.fragile ? "all" : fault.keep, fault.downMs);
      case "kill-all":
        for (const name of this.names) this.kill(name, this.fragile ? "all" : fault.keep, fault.downMs);
        return true;
      case "pause":
        return this.withRunning(fault.node, ({ name, life }) => {
          cluster.pause(name);
          this.lasts(fault, fault.forMs, () => {
            if (cluster.member(name).life === life) cluster.resume(name);
          });
        });
      case "isolate":
      case "deafen":
      case "mute":
        return this.#cut(fault, this.target(fault.node), fault.kind !== "mute", fault.kind !== "deafen");
      case "cut-one-way": {
        const [from, to] = [this.target(fault.from), this.target(fault.to)];
        if (from === undefined || to === undefined || from === to) return false;
        cluster.network.cut(from, to);
        this.lasts(fault, fault.forMs, () => cluster.network.heal(from, to));
        return true;
      }
      case "reset":
        return this.withRunning(fault.node, ({ name }) => {
          for (const other of this.names) if (other !== name) cluster.network.reset(name, other);
        });
      case "rough":
        this.#rough(fault.faults);
        this.lasts(fault, fault.forMs, () => this.#rough({ ...CALM, delayMsMax: DELAY_MS_MAX }));
        return true;
      case "hold-disk":
        return this.withRunning(fault.node, ({ name, held }) => {
          if (held !== undefined) return;
          cluster.holdDisk(name);
          this.lasts(fault, fault.forMs, () => cluster.releaseDisk(name));
        });
      case "break-clients":
        return this.withRunning(fault.node, ({ name }) => this.sockets.breakWhere((_client, node) => node === name));
      case "silence-clients":
        return this.withRunning(fault.node, ({ name }) => {
          this.sockets.silence(name);
          this.lasts(fault, fault.forMs, () => this.sockets.unsilence(name));
        });
      default:
        return unreachable(fault);
    }
  }

  /** Until then, or until all heals. Answers what ends it sooner. */
  protected lasts(fault: object, forMs: number, end: () => void): () => void {
    const over = (): void => {
      if (!this.#lasting.delete(fault)) return;
      this.note(`over ${JSON.stringify(fault)}`);
      end();
    };
    this.#lasting.set(fault, over);
    this.clock.schedule(forMs, over);
    return over;
  }

  protected target(target: Target): string | undefined {
    const leader = this.cluster.leader?.name;
    if (target === "leader") return leader;
    if (target === "follower") return this.prng.pick(this.names.filter((name) => name !== leader));
    // By the machine, whoever else is there.
    const name = this.cluster.members[target]?.name;
    return name === undefined || !this.employs(name) ? undefined : name;
  }

  protected withRunning(target: Target, act: (member: Member) => void): boolean {
    const name = this.target(target);
    if (name === undefined) return false;
    const member = this.cluster.member(name);
    if (member.node === undefined || member.life.over) return false;
    act(member);
    return true;
  }

  protected kill(name: string | undefined, keep: Keep, downMs: number): boolean {
    if (name === undefined || this.cluster.member(name).life.over) return false;
    this.#downMs.set(name, downMs);
    const choice: CrashChoice = keep === "random" ? { kind: "random", prng: this.prng } : { kind: keep };
    this.cluster.kill(name, choice);
    return true;
  }

  #cut(
    fault: Extract<ClusterFault, { readonly forMs: number }>,
    name: string | undefined,
    to: boolean,
    from: boolean,
  ): boolean {
    if (name === undefined) return false;
    const { network } = this.cluster;
    const others = this.names.filter((other) => other !== name);
    for (const other of others) {
      if (to) network.cut(other, name);
      if (from) network.cut(name, other);
    }
    this.lasts(fault, fault.forMs, () => {
      for (const other of others) {
        if (to) network.heal(other, name);
        if (from) network.heal(name, other);
      }
    });
    return true;
  }

  #rough(faults: NetworkFaults): void {
    for (const from of this.names)
      for (const to of this.names) if (from !== to) this.cluster.network.setFaults(from, to, faults);
  }

  /** When a life has ended, there is a next one. */
  #watch({ name, life }: Member): void {
    life.ended.catch(() => {
      this.note(`${name} is down`);
      const downMs = this.#healed ? 0 : (this.#downMs.get(name) ?? this.prng.below(RESTART_MS_MAX));
      this.#downMs.delete(name);
      this.clock.schedule(downMs, () => {
        if (this.employs(name) && this.cluster.member(name).life === life) this.start(name);
      });
    });
  }

  protected start(name: string): void {
    const { cluster } = this;
    const started = cluster.start(name);
    const member = cluster.member(name);
    const { life, disk } = member;
    const harmedBefore = errorsOf(member);
    started.then(
      () => this.note(`${name} serves`),
      (error: unknown) => {
        if (error instanceof Killed || life.over || disk.plugPulled) return;
        if (isBug(error) || errorsOf(member) === harmedBefore)
          this.broken(`${name} does not start, and nothing was in its way`, error);
        this.count("start failed");
        // The process exits.
        cluster.kill(name, { kind: "all" });
      },
    );
  }

  /** It begins to serve soon. */
  protected opened(member: Member, node: LogNode): void {
    const { name, life, disk } = member;
    const harmedBefore = errorsOf(member);
    const listener: Listener = {
      node: name,
      listens: () => node.phase === "serving",
      accept: faceOf(node, (what) => {
        // Without power nothing is said any more.
        if (!life.over && !disk.plugPulled) this.broken(`${name}: ${what}`);
      }),
      run: (work) => whileRunning(life, work),
    };
    this.sockets.listen(listener);
    life.ended.catch(() => this.sockets.end(listener));
    node.onFailure((error) => {
      if (life.over || member.disk.plugPulled) return;
      // The cluster opens it anew.
      if (node.startsAnew) return this.count("node started anew");
      if (isBug(error) || errorsOf(member) === harmedBefore)
        this.broken(`${name} failed, and nothing was in its way`, error);
      this.count("node failed");
      // The process exits, and what the system had not written is not lost, but for what a failed sync dropped.
      this.clock.schedule(1, () => {
        if (!life.over) this.kill(name, "all", this.prng.below(RESTART_MS_MAX));
      });
    });
  }

  /** Where a client's connection ends: any node takes what clients ask, and more so do those that lead. */
  #dial(): string {
    const leader = this.cluster.leader?.name;
    return leader !== undefined && this.prng.chance(TO_LEADER) ? leader : this.prng.pick(this.names);
  }
}

/** No fault of the hardware is an excuse for a broken invariant. */
function isBug(error: unknown): boolean {
  return error instanceof Error && (error instanceof InvariantError || isBug(error.cause));
}

/** Errors that the member's disk was told to have, and had. */
export function errorsOf({ disk }: Member): number {
  let errors = 0;
  for (const [kind, count] of disk.faultsInjected) if (/error|no-space/.test(kind)) errors += count;
  return errors;
}

function unreachableFetch(): Promise<Response> {
  return Promise.reject(new Error("unreachable"));
}
