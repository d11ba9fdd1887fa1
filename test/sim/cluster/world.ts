/**
 * A whole cluster and its clients on simulated hardware, as users' tests have it, with more that may befall it: disks that fail or rot,
 * members that change, machines of old that come back. Its promises are the project's: what goes wrong without excuse is a violation.
 */
import type { ClusterFault } from "../../../client/testing/cluster-faults.ts";
import { errorsOf, SupervisedCluster } from "../../../client/testing/supervised-cluster.ts";
import { NODE_LIMITS, type NodeLimits } from "../../../log-server/node/limits.ts";
import type { LogNode } from "../../../log-server/node/log-node.ts";
import type { Machine, Member } from "../../../log-server/sim/sim-cluster.ts";
import type { Lane } from "../../../src/ports/link.ts";
import { SECTOR_LENGTH } from "../../../src/sim/disk-state.ts";
import { withoutSyncs } from "../flawed-disk.ts";
import { Violation } from "../history.ts";
import { boundedIn } from "./bounds.ts";
import type { Surroundings } from "./clients.ts";
import { CounterHistory } from "./counter-history.ts";
import { EntryHistory } from "./entry-history.ts";
import type { Fault, Stage } from "./faults.ts";
import { Operator, type Site } from "./operator.ts";
import { StreamHistory } from "./stream-history.ts";

const KIB = 1024;
const BITS = 8;
const COUNTER = "counter";
/** A write that gets lost is one of the next so many. */
const WRITES_UNTIL_LOST = 20;

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

export class World extends SupervisedCluster implements Surroundings, Site {
  readonly entries: EntryHistory;
  readonly counter: CounterHistory = new CounterHistory(COUNTER);
  readonly operator: Operator;
  finishing = false;
  readonly #histories = new Map<string, StreamHistory>();
  /** By what a node says of itself: how many mutating calls of its disk later its power goes. */
  readonly #ambushes = new Map<string, number>();
  /** Machines that run nothing. */
  readonly #idle = new Set<string>();
  /** Of nodes that were replaced or removed: by now others may have acknowledged what these do not have (P33). */
  readonly #old: OldMachine[] = [];
  /** In whose place an old one runs now, and what puts an end to it. */
  readonly #returned = new Map<string, () => void>();
  /** Nodes that do not know where their logs end. */
  readonly #inDoubt = new Set<string>();
  readonly #limits: NodeLimits;
  #rotten = false;

  constructor({ seed, nodes, spares, lyingSyncs, limits, segmentBytes, note }: WorldOptions) {
    super({
      seed,
      nodes,
      ...(spares !== undefined && { spares }),
      limits: { ...LIMITS, ...limits },
      segmentBytes,
      note,
      ...(lyingSyncs && { diskOf: ({ disk }) => withoutSyncs(disk) }),
    });
    this.#limits = { ...NODE_LIMITS, ...LIMITS, ...limits };
    this.entries = new EntryHistory(
      (violation) => this.violated(violation),
      (line) => this.note(line),
    );
    this.operator = new Operator(this, this.prng.fork("operator"));
    for (const { name, origin } of this.cluster.members) if (origin === undefined) this.#idle.add(name);
  }

  /** A disk was damaged, or has dropped what it failed to write. */
  get damaged(): boolean {
    return this.#rotten || this.cluster.members.some((member) => errorsOf(member) > 0);
  }

  /** Of some node it is not settled where its log ends: that may take every voter. */
  get inDoubt(): boolean {
    return this.names.some((name) => this.#inDoubt.has(name));
  }

  get spare(): string | undefined {
    return this.cluster.members.find(({ name }) => this.#idle.has(name))?.name;
  }

  employ(name: string): void {
    this.#returned.get(name)?.();
    this.note(`${name} is set up`);
    this.#idle.delete(name);
    this.start(name);
  }

  dismiss(name: string): void {
    this.#returned.get(name)?.();
    this.note(`${name} is taken away`);
    this.#idle.add(name);
    this.cluster.kill(name);
    this.#keepOld(name, this.cluster.wipe(name));
  }

  /** It is down until it is employed again. */
  takeDown(name: string): void {
    this.note(`${name} is taken down`);
    this.#idle.add(name);
    this.cluster.kill(name, { kind: "all" });
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

  history(stream: string): StreamHistory {
    const known = this.#histories.get(stream);
    if (known !== undefined) return known;
    const made = new StreamHistory(stream, (line) => this.note(line));
    this.#histories.set(stream, made);
    return made;
  }

  get histories(): Iterable<StreamHistory> {
    return this.#histories.values();
  }

  /** More kinds than there are without this class, and all by `apply`. */
  override inflict(fault: Fault): boolean {
    return super.inflict(fault as ClusterFault);
  }

  override heal(): void {
    this.#ambushes.clear();
    for (const member of this.cluster.members) {
      member.cutIn = Number.POSITIVE_INFINITY;
      member.disk.disarm();
    }
    super.heal();
  }

  protected override apply(fault: Fault): boolean {
    const { cluster } = this;
    // Of three disks one is gone: what a second one loses may be nowhere else.
    const { fragile } = this.operator;
    switch (fault.kind) {
      case "cut-power":
        if (fragile) return false;
        return this.withRunning(fault.node, ({ name }) => cluster.killAt(name, fault.calls));
      case "disk-error":
        if (fragile) return false;
        return this.withRunning(fault.node, ({ disk }) => disk.arm(fault.fault));
      case "damage":
        return this.#damage(fault);
      case "upgrade": {
        const name = this.target(fault.node);
        if (name === undefined || !this.kill(name, "all", fault.downMs)) return false;
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
        return this.operator.ask({ kind: fault.kind, node: this.target(fault.node) });
      case "leave-behind":
        return this.kill(this.target(fault.node), "all", fault.downMs);
      case "ambush":
        if (fragile) return false;
        this.#ambushes.set(STAGE_EVENTS[fault.stage], fault.calls);
        return true;
      case "return-disk":
        return this.#return(fault);
      case "skew":
        return this.withRunning(fault.node, (member) => {
          member.aheadMs = fault.aheadMs;
        });
      default:
        return super.apply(fault);
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
    this.start(name);
    const over = this.lasts(fault, fault.forMs, () => {
      this.#returned.delete(name);
      cluster.kill(name, { kind: "all" });
      this.#old.push({ name, machine: cluster.swap(name, current) });
      if (!isIdle) this.start(name);
    });
    this.#returned.set(name, over);
    return true;
  }

  protected override told(name: string, code: string): void {
    super.told(name, code);
    if (code === "log-end-ambiguous") this.#inDoubt.add(name);
    if (code === "log-recovered" || code === "log-end-settled") this.#inDoubt.delete(name);
    const calls = this.#ambushes.get(code);
    if (calls === undefined) return;
    this.#ambushes.delete(code);
    this.count(`ambushed: ${code}`);
    this.cluster.killAt(name, calls);
  }

  protected override employs(name: string): boolean {
    return !this.#idle.has(name);
  }

  protected override get fragile(): boolean {
    return this.operator.fragile;
  }

  protected override broken(what: string, cause?: unknown): void {
    this.violated(new Violation(what, { cause }));
  }

  protected override sent(from: string, lane: Lane, pieces: readonly Uint8Array[]): void {
    this.entries.sent(from, lane, pieces);
  }

  override check(): void {
    for (const { name, node } of this.members) {
      for (const { what, waiting, most } of node === undefined ? [] : boundedIn(node.status(), this.#limits)) {
        if (waiting > most) this.violated(new Violation(`I15: at ${name} ${waiting} ${what} wait, where ${most} may`));
        else if (waiting === most) this.count(`at their bound: ${what}`);
      }
    }
    super.check();
  }

  protected override opened(member: Member, node: LogNode): void {
    this.entries.watch(member.name, node);
    super.opened(member, node);
  }

  /** On the medium, whether or not anybody runs on it. Without its hard state it would be another node's disk. */
  #damage({ node, how, file, place }: Extract<Fault, { readonly kind: "damage" }>): boolean {
    const { disk } = this.cluster.member(this.names[node] as string);
    if (how === "lost" || how === "misdirected") {
      const nth = 1 + Math.floor(place * WRITES_UNTIL_LOST);
      disk.arm({ operation: "write", effect: how, nth, path: (path) => !path.includes("hard-state") });
      this.#rotten = true;
      return true;
    }
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
}
