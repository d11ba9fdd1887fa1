/**
 * One node around the core, in memory: a disk that keeps what was synced, a state machine that remembers what it applied,
 * and the loop that does what `Ready` asks for, each part at once or only when told.
 */
import { configurationOf, type Configuration } from "../../log-server/raft/configuration.ts";
import { RAFT_LIMITS, type RaftLimits } from "../../log-server/raft/limits.ts";
import type { PeerMessage } from "../../log-server/raft/message.ts";
import { unreadableEnd, type RaftOptions } from "../../log-server/raft/raft.ts";
import { decodeConfiguration } from "../../log-server/raft/configuration-codec.ts";
import { RawNode } from "../../log-server/raft/raw-node.ts";
import type {
  AppendWork,
  ApplyWork,
  FetchWork,
  HardState,
  LogPoint,
  ReadState,
  Snapshot,
  SnapshotWork,
  TermRun,
} from "../../log-server/raft/types.ts";
import type { Entry } from "../../src/wire/entry.ts";

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

export type NodeSettings = {
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly seed: number;
  readonly limits: RaftLimits;
};

export const SETTINGS: NodeSettings = { electionTicks: 10, heartbeatTicks: 1, seed: 1, limits: RAFT_LIMITS };

/** What outlives a crash. */
export type TestDisk = {
  hardState: HardState;
  /** What came before `entries`: where the log was trimmed or a snapshot was installed. */
  base: LogPoint;
  entries: Entry[];
  /** The state machine's image: what need not be applied again. */
  image: { readonly applied: number; readonly configuration: Configuration; readonly commands: readonly string[] };
};

/** What the node tells whoever watches. */
export type NodeEvent =
  | { readonly kind: "sent"; readonly message: PeerMessage }
  | { readonly kind: "appending"; readonly work: AppendWork }
  | { readonly kind: "appended"; readonly work: AppendWork }
  | { readonly kind: "applied"; readonly entries: readonly Entry[] }
  | { readonly kind: "installed"; readonly snapshot: Snapshot }
  | { readonly kind: "fetch"; readonly work: FetchWork }
  | { readonly kind: "needs-snapshot"; readonly work: SnapshotWork }
  | { readonly kind: "read"; readonly read: ReadState }
  | { readonly kind: "read-refused"; readonly context: number };

/** Which parts wait to be told. */
type Slow = { append: boolean; apply: boolean; fetch: boolean; install: boolean };

export function emptyDisk(configuration: Configuration): TestDisk {
  return {
    hardState: { term: 0, vote: undefined },
    base: { index: 0, term: 0 },
    entries: [],
    image: { applied: 0, configuration, commands: [] },
  };
}

/** A disk whose log has entries of these terms. */
export function diskWith(terms: readonly number[], hardState: HardState, voters: readonly string[]): TestDisk {
  const entries = terms.map((term, place) => entryOf(place + 1, term, `${place + 1}/${term}`));
  return { ...emptyDisk(configurationOf(voters)), hardState, entries };
}

export function entryOf(index: number, term: number, text: string): Entry {
  return { index, term, kind: "commands", logTime: 1, head: ENCODER.encode(text), batches: [] };
}

export function textOf(entry: Entry): string {
  return DECODER.decode(entry.head);
}

export class TestNode {
  readonly id: string;
  readonly disk: TestDisk;
  readonly slow: Slow = { append: false, apply: false, fetch: false, install: false };
  core: RawNode;
  down = false;
  /** Everything applied since the first entry, or the one installed. */
  commands: string[] = [];
  append: AppendWork | undefined;
  apply: ApplyWork | undefined;
  install: Snapshot | undefined;
  fetches: FetchWork[] = [];
  snapshots: SnapshotWork[] = [];
  readonly #settings: NodeSettings;
  readonly #watch: (node: TestNode, event: NodeEvent) => void;
  #lives = 0;

  constructor(id: string, disk: TestDisk, settings: NodeSettings, watch: (node: TestNode, event: NodeEvent) => void) {
    this.id = id;
    this.disk = disk;
    this.#settings = settings;
    this.#watch = watch;
    this.core = this.#boot(undefined);
  }

  get lastOnDisk(): LogPoint {
    return this.disk.entries.at(-1) ?? this.disk.base;
  }

  /** The term on disk; undefined where there is no entry, or it was trimmed. */
  diskTerm(index: number): number | undefined {
    if (index === this.disk.base.index) return this.disk.base.term;
    return this.disk.entries[index - this.disk.base.index - 1]?.term;
  }

  /** The term in the core's log, whether on disk or not yet. */
  term(index: number): number | undefined {
    if (index > this.core.lastIndex) return undefined;
    return this.core.entriesInMemory(index, index)[0]?.term ?? this.diskTerm(index);
  }

  /** The process ends; what was not durable is gone. */
  crash(): void {
    this.down = true;
    this.append = undefined;
    this.apply = undefined;
    this.install = undefined;
    this.fetches = [];
    this.snapshots = [];
  }

  /** A new life on the old disk; `damaged` cuts off so many entries, whose end is known or not. */
  restart(damaged?: { readonly entries: number; readonly readable: boolean }): void {
    this.down = false;
    let ambiguous: LogPoint | undefined;
    if (damaged !== undefined) {
      ambiguous = damaged.readable ? this.lastOnDisk : unreadableEnd(this.disk.hardState);
      this.disk.entries = this.disk.entries.slice(0, this.disk.entries.length - damaged.entries);
    }
    this.core = this.#boot(ambiguous);
  }

  /** Saves what is applied, so that the next life begins there. */
  saveImage(): void {
    this.disk.image = {
      applied: this.core.applied,
      configuration: this.core.configuration,
      commands: [...this.commands],
    };
  }

  /** Drops the entries up to `index` from the log; they are in the image. */
  trim(index: number): void {
    this.saveImage();
    const term = this.diskTerm(index) as number;
    this.disk.entries = this.disk.entries.slice(index - this.disk.base.index);
    this.disk.base = { index, term };
    this.core.step({ kind: "trimmed", firstIndex: index + 1 });
  }

  snapshot(): Snapshot {
    const { applied: index, configuration } = this.disk.image;
    return { index, term: this.diskTerm(index) as number, configuration };
  }

  propose(text: string): ReturnType<RawNode["propose"]> {
    return this.core.propose({ kind: "commands", logTime: 1, head: ENCODER.encode(text), batches: [] });
  }

  /** Does all there is to do, but for what is slow. */
  run(): void {
    for (;;) {
      const ready = this.core.ready();
      if (ready === undefined) return;
      this.core.advance(ready);
      for (const message of ready.messages) this.#watch(this, { kind: "sent", message });
      for (const read of ready.reads) this.#watch(this, { kind: "read", read });
      for (const context of ready.refusedReads) this.#watch(this, { kind: "read-refused", context });
      for (const work of ready.snapshots) {
        this.snapshots.push(work);
        this.#watch(this, { kind: "needs-snapshot", work });
      }
      for (const work of ready.fetches) {
        this.fetches.push(work);
        this.#watch(this, { kind: "fetch", work });
        if (!this.slow.fetch) this.finishFetches();
      }
      if (ready.append !== undefined) {
        this.append = ready.append;
        this.#watch(this, { kind: "appending", work: ready.append });
        if (!this.slow.append) this.finishAppend();
      }
      if (ready.apply !== undefined) {
        this.apply = ready.apply;
        if (!this.slow.apply) this.finishApply();
      }
      if (ready.install !== undefined) {
        this.install = ready.install.snapshot;
        if (!this.slow.install) this.finishInstall();
      }
    }
  }

  finishAppend(): void {
    const work = this.append;
    if (work === undefined) return;
    this.append = undefined;
    const { disk } = this;
    if (work.hardState !== undefined) disk.hardState = work.hardState;
    const [first] = work.entries;
    if (first !== undefined) {
      const there = this.diskTerm(first.index);
      if (first.index > this.lastOnDisk.index + 1 || there === first.term)
        throw new Error(`${this.id} writes ${first.index}/${first.term} where the disk has no place for it`);
      disk.entries = [...disk.entries.slice(0, first.index - disk.base.index - 1), ...work.entries];
    }
    this.core.step(work.done);
    this.#watch(this, { kind: "appended", work });
  }

  finishApply(): void {
    const work = this.apply;
    if (work === undefined) return;
    this.apply = undefined;
    const start = work.from - this.disk.base.index - 1;
    const entries = this.disk.entries.slice(start, start + work.to - work.from + 1);
    if (entries.length !== work.to - work.from + 1) throw new Error(`${this.id} applies what it has not synced`);
    for (const entry of entries) if (entry.kind === "commands") this.commands.push(textOf(entry));
    this.core.step({ kind: "apply-done", index: work.to });
    this.#watch(this, { kind: "applied", entries });
  }

  finishFetches(): void {
    const works = this.fetches;
    this.fetches = [];
    for (const { id, node, from, to, bytesMax } of works) {
      if (from <= this.disk.base.index) {
        this.core.step({ kind: "fetched", id, node, outcome: { kind: "trimmed" } });
        continue;
      }
      const start = from - this.disk.base.index - 1;
      const entries: Entry[] = [];
      let bytes = 0;
      for (const entry of this.disk.entries.slice(start, start + to - from + 1)) {
        bytes += entry.head.length;
        if (entries.length > 0 && bytes > bytesMax) break;
        entries.push(entry);
      }
      this.core.step({ kind: "fetched", id, node, outcome: { kind: "entries", entries } });
    }
  }

  finishInstall(): void {
    const snapshot = this.install;
    if (snapshot === undefined) return;
    this.install = undefined;
    const state = this.received.get(snapshot.index);
    if (state === undefined) throw new Error(`${this.id} has not received a snapshot of ${snapshot.index}`);
    this.disk.base = { index: snapshot.index, term: snapshot.term };
    this.disk.entries = [];
    this.commands = [...state];
    this.disk.image = { applied: snapshot.index, configuration: snapshot.configuration, commands: state };
    this.core.step({ kind: "install-done", index: snapshot.index });
    this.#watch(this, { kind: "installed", snapshot });
  }

  /** The state of snapshots that were shipped here, by position. */
  readonly received = new Map<number, readonly string[]>();

  #boot(ambiguousEnd: LogPoint | undefined): RawNode {
    const { disk, id } = this;
    this.#lives += 1;
    this.commands = [...disk.image.commands];
    const terms: TermRun[] = disk.base.index > 0 ? [{ firstIndex: disk.base.index, term: disk.base.term }] : [];
    for (const { index, term } of disk.entries)
      if (terms.at(-1)?.term !== term) terms.push({ firstIndex: index, term });
    const configurations: RaftOptions["configurations"][number][] = [];
    for (const { index, kind, head } of disk.entries) {
      if (kind !== "configuration" || index <= disk.image.applied) continue;
      const decoded = decodeConfiguration(head);
      if (decoded.ok) configurations.push({ index, configuration: decoded.value });
    }
    return new RawNode({
      ...this.#settings,
      id,
      configuration: disk.image.configuration,
      hardState: disk.hardState,
      firstIndex: disk.base.index + 1,
      last: { index: this.lastOnDisk.index, term: this.lastOnDisk.term },
      terms,
      applied: Math.min(disk.image.applied, this.lastOnDisk.index),
      configurations,
      hidden: false,
      since: 0,
      committed: 0,
      ambiguousEnd,
      seed: this.#settings.seed + this.#lives * 1_000_003,
    });
  }
}
