/**
 * A whole cluster and its clients on simulated hardware: production nodes with their WebSocket face, the production SDK,
 * one clock that moves when nothing else can happen, one seed. Processes that end are started again, as a supervisor
 * would. What goes wrong without excuse is a violation.
 */
import { Addresses } from "../../../client/addresses.ts";
import { type Client, connect } from "../../../client/client.ts";
import { Diagnostics } from "../../../client/diagnostics.ts";
import type { Environment } from "../../../client/environment.ts";
import { Session } from "../../../client/session.ts";
import { WebSocketTransport } from "../../../client/web-socket-transport.ts";
import type { NodeLimits } from "../../../log-server/node/limits.ts";
import type { LogNode } from "../../../log-server/node/log-node.ts";
import { InvariantError } from "../../../src/lib/assert.ts";
import { Prng } from "../../../src/lib/prng.ts";
import type { Clock } from "../../../src/ports/clock.ts";
import type { Disk, DiskFile } from "../../../src/ports/disk.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import { SECTOR_LENGTH } from "../../../src/sim/disk-state.ts";
import type { CrashChoice } from "../../../src/sim/disk.ts";
import { CALM, type NetworkFaults } from "../../../src/sim/network.ts";
import { Killed, type Machine, type Member, SimCluster, whileRunning } from "../../../log-server/sim/sim-cluster.ts";
import { Violation } from "../history.ts";
import type { Surroundings } from "./clients.ts";
import { CounterHistory } from "./counter-history.ts";
import { EntryHistory } from "./entry-history.ts";
import { faceOf } from "../../../log-server/sim/face.ts";
import type { Fault, Keep, Stage, Target } from "./faults.ts";
import { Operator, type Site } from "./operator.ts";
import { type Listener, Sockets } from "../../../log-server/sim/sockets.ts";
import { StreamHistory } from "./stream-history.ts";

const KIB = 1024;
const BITS = 8;
const COUNTER = "counter";
/** Unless a fault says otherwise, a process that ended is started again after so long at most. */
const RESTART_MS_MAX = 1_500;
const DISK_MS_MAX = 2;

/** Small, so that segments roll, images are written and old proposals are given up within one run. */
const LIMITS = {
  lowWaterBytes: 0,
  unsettledMsMax: 2_000,
  imageEveryBytes: 24 * KIB,
  imageEveryMs: 2_000,
  housekeepingEveryMs: 1_000,
  replayBytesMax: 16 * KIB,
  entryBytesMax: 16 * KIB,
};

/** What a node says of itself then. */
const STAGE_EVENTS = {
  sending: "snapshot-sending",
  receiving: "snapshot-receiving",
  received: "snapshot-received",
} as const satisfies Record<Stage, string>;

type OldMachine = { readonly name: string; readonly machine: Machine };

export type WorldOptions = {
  readonly seed: number;
  readonly nodes: number;
  /** Machines that may run more nodes; undefined: members do not change. */
  readonly spares: number | undefined;
  /** Disks whose syncs do nothing and say they did: a canary, whose broken promises must be found. */
  readonly lyingSyncs: boolean;
  readonly limits: Partial<NodeLimits>;
  readonly segmentBytes: number;
  readonly note: (line: string) => void;
};

export class World implements Surroundings, Site {
  readonly cluster: SimCluster;
  readonly sockets: Sockets;
  readonly entries: EntryHistory;
  readonly counter: CounterHistory = new CounterHistory(COUNTER);
  readonly counts = new Map<string, number>();
  readonly operator: Operator;
  finishing = false;
  readonly #options: WorldOptions;
  readonly #prng: Prng;
  readonly #histories = new Map<string, StreamHistory>();
  readonly #violations: Error[] = [];
  /** What ends a fault that lasts, by the fault. */
  readonly #lasting = new Map<Fault, () => void>();
  /** By node: how long its next rest is, where a fault has said so. */
  readonly #downMs = new Map<string, number>();
  /** By what a node says of itself: how many mutating calls of its disk later its power goes. */
  readonly #ambushes = new Map<string, number>();
  /** Machines that run nothing. */
  readonly #idle = new Set<string>();
  /** Of nodes that were replaced or removed: by now others may have acknowledged what these do not have (P33). */
  readonly #old: OldMachine[] = [];
  /** In whose place an old one runs now, and what puts an end to it. */
  readonly #returned = new Map<string, () => void>();
  #healed = false;
  #rotten = false;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#prng = new Prng(options.seed).fork("world");
    this.entries = new EntryHistory((violation) => this.violated(violation));
    this.cluster = new SimCluster({
      seed: options.seed,
      nodes: options.nodes,
      ...(options.spares !== undefined && { spares: options.spares }),
      faults: { ...CALM, delayMsMax: 2 },
      diskMsMax: DISK_MS_MAX,
      limits: { ...LIMITS, ...options.limits },
      segmentBytes: options.segmentBytes,
      note: options.note,
      onEvent: (name, code) => this.#told(name, code),
      onSend: (from, lane, pieces) => this.entries.sent(from, lane, pieces),
      onLife: (member) => this.#watch(member),
      onOpened: (member, node) => this.#opened(member, node),
      ...(options.lyingSyncs && { diskOf: ({ disk }) => withoutSyncs(disk) }),
    });
    this.sockets = new Sockets(this.cluster.clock, this.#prng.fork("sockets"));
    this.operator = new Operator(this, this.#prng.fork("operator"));
    for (const { name, origin } of this.cluster.members) if (origin === undefined) this.#idle.add(name);
  }

  /** A disk was damaged, or has dropped what it failed to write. */
  get damaged(): boolean {
    return this.#rotten || this.cluster.members.some((member) => errorsOf(member) > 0);
  }

  get clock(): Clock {
    return this.cluster.clock;
  }

  get names(): readonly string[] {
    return this.members.map(({ name }) => name);
  }

  /** Those that are to run. */
  get members(): readonly Member[] {
    return this.cluster.members.filter(({ name }) => !this.#idle.has(name));
  }

  get spare(): string | undefined {
    return this.cluster.members.find(({ name }) => this.#idle.has(name))?.name;
  }

  employ(name: string): void {
    this.#returned.get(name)?.();
    this.note(`${name} is set up`);
    this.#idle.delete(name);
    this.#start(name);
  }

  dismiss(name: string): void {
    this.#returned.get(name)?.();
    this.note(`${name} is taken away`);
    this.#idle.add(name);
    this.cluster.kill(name);
    this.#keepOld(name, this.cluster.wipe(name));
  }

  loseDisk(name: string): void {
    this.note(`${name} loses its disk`);
    // From here on nobody else may lose anything: what had been laid before is taken away.
    this.#ambushes.clear();
    for (const member of this.cluster.members) {
      member.disk.disarm();
      member.cutIn = Number.POSITIVE_INFINITY;
    }
    this.#returned.get(name)?.();
    this.cluster.kill(name);
    this.#keepOld(name, this.cluster.wipe(name));
  }

  hasJoined(name: string): boolean {
    return !this.#returned.has(name) && this.cluster.member(name).origin !== undefined;
  }

  /** One that never came to belong to the cluster is as good as empty. */
  #keepOld(name: string, machine: Machine): void {
    if (machine.origin !== undefined) this.#old.push({ name, machine });
  }

  async found(): Promise<void> {
    const { cluster } = this;
    for (const name of this.names) this.#start(name);
    await cluster.elected();
  }

  history(stream: string): StreamHistory {
    const known = this.#histories.get(stream);
    if (known !== undefined) return known;
    const made = new StreamHistory(stream);
    this.#histories.set(stream, made);
    return made;
  }

  get histories(): Iterable<StreamHistory> {
    return this.#histories.values();
  }

  connect(name: string, consistency: Consistency = "linearizable"): Client {
    const prng = this.#prng.fork(name);
    const environment: Environment = { clock: this.clock, entropy: { bytes: (length) => prng.bytes(length) } };
    const baseUrl = new URL("ws://cluster");
    const diagnostics = new Diagnostics(environment, baseUrl);
    const webSocket = this.sockets.constructorFor(name, () => this.#dial());
    const addresses = new Addresses([baseUrl]);
    const { clock } = this;
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

  hangUp(name: string): void {
    this.sockets.breakWhere((client) => client === name);
  }

  count(what: string, times = 1): void {
    if (times > 0) this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  note(line: string): void {
    this.#options.note(`${this.clock.monotonic().toFixed(2)} ${line}`);
  }

  violated(error: unknown): void {
    this.#violations.push(error instanceof Error ? error : new Error(String(error)));
  }

  /** Throws what was found so far. */
  check(): void {
    const [violation] = this.#violations;
    if (violation !== undefined) throw violation;
  }

  inflict(fault: Fault): void {
    this.note(`fault ${JSON.stringify(fault)}`);
    if (this.#apply(fault)) this.count(`fault: ${fault.kind}`);
  }

  /** Nothing is broken any more, and everybody who is down starts. */
  heal(): void {
    this.note("healed");
    this.#healed = true;
    this.#ambushes.clear();
    for (const end of [...this.#lasting.values()]) end();
    this.cluster.network.healAll();
    for (const { name, life } of this.cluster.members) {
      this.cluster.member(name).cutIn = Number.POSITIVE_INFINITY;
      this.cluster.member(name).disk.disarm();
      if (life.paused) this.cluster.resume(name);
    }
  }

  /** Answers whether it could be done. */
  #apply(fault: Fault): boolean {
    const { cluster } = this;
    // Of three disks one is gone: what a second one loses may be nowhere else.
    const { fragile } = this.operator;
    switch (fault.kind) {
      case "kill":
        return this.#kill(this.#target(fault.node), fragile ? "all" : fault.keep, fault.downMs);
      case "kill-all":
        for (const name of this.names) this.#kill(name, fragile ? "all" : fault.keep, fault.downMs);
        return true;
      case "cut-power":
        if (fragile) return false;
        return this.#withRunning(fault.node, ({ name }) => cluster.killAt(name, fault.calls));
      case "pause":
        return this.#withRunning(fault.node, ({ name, life }) => {
          cluster.pause(name);
          this.#lasts(fault, fault.forMs, () => {
            if (cluster.member(name).life === life) cluster.resume(name);
          });
        });
      case "isolate":
      case "deafen":
      case "mute":
        return this.#cut(fault, this.#target(fault.node), fault.kind !== "mute", fault.kind !== "deafen");
      case "cut-one-way": {
        const [from, to] = [this.#target(fault.from), this.#target(fault.to)];
        if (from === undefined || to === undefined || from === to) return false;
        cluster.network.cut(from, to);
        this.#lasts(fault, fault.forMs, () => cluster.network.heal(from, to));
        return true;
      }
      case "reset":
        return this.#withRunning(fault.node, ({ name }) => {
          for (const other of this.names) if (other !== name) cluster.network.reset(name, other);
        });
      case "rough":
        this.#rough(fault.faults);
        this.#lasts(fault, fault.forMs, () => this.#rough({ ...CALM, delayMsMax: 2 }));
        return true;
      case "hold-disk":
        return this.#withRunning(fault.node, ({ name, held }) => {
          if (held !== undefined) return;
          cluster.holdDisk(name);
          this.#lasts(fault, fault.forMs, () => cluster.releaseDisk(name));
        });
      case "disk-error":
        if (fragile) return false;
        return this.#withRunning(fault.node, ({ disk }) => disk.arm(fault.fault));
      case "damage":
        return this.#damage(fault);
      case "upgrade": {
        const name = this.#target(fault.node);
        if (name === undefined || !this.#kill(name, "all", fault.downMs)) return false;
        cluster.member(name).newer = !cluster.member(name).newer;
        if (new Set(this.members.map(({ newer }) => newer)).size > 1) this.count("versions mixed");
        return true;
      }
      case "add":
      case "promote":
        return this.operator.ask(fault);
      case "remove":
      case "replace":
      case "transfer":
        return this.operator.ask({ kind: fault.kind, node: this.#target(fault.node) });
      case "leave-behind":
        return this.#kill(this.#target(fault.node), "all", fault.downMs);
      case "ambush":
        if (fragile) return false;
        this.#ambushes.set(STAGE_EVENTS[fault.stage], fault.calls);
        return true;
      case "return-disk":
        return this.#return(fault);
      case "skew":
        return this.#withRunning(fault.node, (member) => {
          member.aheadMs = fault.aheadMs;
        });
      case "break-clients":
        return this.#withRunning(fault.node, ({ name }) => this.sockets.breakWhere((_client, node) => node === name));
      case "silence-clients":
        return this.#withRunning(fault.node, ({ name }) => {
          this.sockets.silence(name);
          this.#lasts(fault, fault.forMs, () => this.sockets.unsilence(name));
        });
    }
  }

  /**
   * In the place of who has its name now: two of one name would find each other by neither's address. One at a time: a majority
   * of old machines is a cluster, as far as anybody can tell.
   */
  #return(fault: Extract<Fault, { readonly kind: "return-disk" }>): boolean {
    const { cluster } = this;
    const at = Math.floor(fault.which * this.#old.length);
    const old = this.#old[at];
    if (old === undefined || this.#returned.size > 0) return false;
    const { name, machine } = old;
    const isIdle = this.#idle.has(name);
    this.#old.splice(at, 1);
    cluster.kill(name, { kind: "all" });
    const current = cluster.swap(name, machine);
    this.note(`${name} is the machine with ${machine.diskId} again`);
    this.#returned.set(name, () => this.#lasting.get(fault)?.());
    this.#start(name);
    this.#lasts(fault, fault.forMs, () => {
      this.#returned.delete(name);
      cluster.kill(name, { kind: "all" });
      this.#old.push({ name, machine: cluster.swap(name, current) });
      if (!isIdle) this.#start(name);
    });
    return true;
  }

  #told(name: string, code: string): void {
    this.count(`event: ${code}`);
    const calls = this.#ambushes.get(code);
    if (calls === undefined) return;
    this.#ambushes.delete(code);
    this.count(`ambushed: ${code}`);
    this.cluster.killAt(name, calls);
  }

  #lasts(fault: Fault, forMs: number, end: () => void): void {
    const over = (): void => {
      if (!this.#lasting.delete(fault)) return;
      this.note(`over ${JSON.stringify(fault)}`);
      end();
    };
    this.#lasting.set(fault, over);
    this.clock.schedule(forMs, over);
  }

  /** On the medium, whether or not anybody runs on it. Without its hard state it would be another node's disk. */
  #damage({ node, how, file, place }: Extract<Fault, { readonly kind: "damage" }>): boolean {
    const { disk } = this.cluster.member(this.names[node] as string);
    const files = disk.files().filter((path) => !path.includes("hard-state") && disk.bytes(path).length > 0);
    const path = files[Math.floor(file * files.length)];
    if (path === undefined) return false;
    const at = Math.floor(place * disk.bytes(path).length);
    const sector = Math.floor(at / SECTOR_LENGTH);
    this.note(`damage ${path} at ${at}`);
    this.#rotten = true;
    if (how === "zero") return disk.zeroSector(path, sector);
    if (how === "stale") return disk.staleSector(path, sector);
    disk.flip(path, at, at % BITS);
    return true;
  }

  #cut(
    fault: Extract<Fault, { readonly forMs: number }>,
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
    this.#lasts(fault, fault.forMs, () => {
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

  #target(target: Target): string | undefined {
    const leader = this.cluster.leader?.name;
    if (target === "leader") return leader;
    if (target === "follower") return this.#prng.pick(this.names.filter((name) => name !== leader));
    // By the machine, whoever else is there.
    const name = this.cluster.members[target]?.name;
    return name === undefined || this.#idle.has(name) ? undefined : name;
  }

  #withRunning(target: Target, act: (member: Member) => void): boolean {
    const name = this.#target(target);
    if (name === undefined) return false;
    const member = this.cluster.member(name);
    if (member.node === undefined || member.life.over) return false;
    act(member);
    return true;
  }

  #kill(name: string | undefined, keep: Keep, downMs: number): boolean {
    if (name === undefined || this.cluster.member(name).life.over) return false;
    this.#downMs.set(name, downMs);
    const choice: CrashChoice = keep === "random" ? { kind: "random", prng: this.#prng } : { kind: keep };
    this.cluster.kill(name, choice);
    return true;
  }

  /** When a life has ended, there is a next one. */
  #watch({ name, life }: Member): void {
    life.ended.catch(() => {
      this.note(`${name} is down`);
      const downMs = this.#healed ? 0 : (this.#downMs.get(name) ?? this.#prng.below(RESTART_MS_MAX));
      this.#downMs.delete(name);
      this.clock.schedule(downMs, () => {
        if (!this.#idle.has(name) && this.cluster.member(name).life === life) this.#start(name);
      });
    });
  }

  #start(name: string): void {
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
          this.violated(new Violation(`${name} does not start, and nothing was in its way`, { cause: error }));
        this.count("start failed");
        // The process exits.
        cluster.kill(name, { kind: "all" });
      },
    );
  }

  #opened(member: Member, node: LogNode): void {
    const { name, life, disk } = member;
    const harmedBefore = errorsOf(member);
    this.entries.watch(name, node);
    const listener: Listener = {
      node: name,
      listens: () => node.phase === "serving",
      accept: faceOf(node, (what) => {
        // Without power nothing is said any more.
        if (!life.over && !disk.plugPulled) this.violated(new Violation(`${name}: ${what}`));
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
        this.violated(new Violation(`${name} failed, and nothing was in its way`, { cause: error }));
      this.count("node failed");
      // The process exits, and what the system had not written is not lost, but for what a failed sync dropped.
      this.clock.schedule(1, () => {
        if (!life.over) this.#kill(name, "all", this.#prng.below(RESTART_MS_MAX));
      });
    });
  }

  /** Where a client's connection ends: any node takes what clients ask, and more so do those that lead. */
  #dial(): string {
    const leader = this.cluster.leader?.name;
    return leader !== undefined && this.#prng.chance(0.3) ? leader : this.#prng.pick(this.names);
  }
}

/** No fault of the hardware is an excuse for a broken invariant. */
function isBug(error: unknown): boolean {
  return error instanceof Error && (error instanceof InvariantError || isBug(error.cause));
}

/** Errors that the member's disk was told to have, and had. */
function errorsOf({ disk }: Member): number {
  let errors = 0;
  for (const [kind, count] of disk.faultsInjected) if (/error|no-space/.test(kind)) errors += count;
  return errors;
}

function unreachableFetch(): Promise<Response> {
  return Promise.reject(new Error("unreachable"));
}

function withoutSyncs(disk: Disk): Disk {
  const lying = (file: DiskFile): DiskFile => ({
    path: file.path,
    size: () => file.size(),
    read: (position, target) => file.read(position, target),
    write: (position, chunks) => file.write(position, chunks),
    writeSynced: (position, chunks) => file.write(position, chunks),
    sync: async () => undefined,
    allocate: (size) => file.allocate(size),
    close: () => file.close(),
  });
  return {
    open: async (path, mode) => lying(await disk.open(path, mode)),
    list: (directory) => disk.list(directory),
    createDirectory: (directory) => disk.createDirectory(directory),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (directory) => disk.syncDirectory(directory),
    freeBytes: () => disk.freeBytes(),
  };
}
