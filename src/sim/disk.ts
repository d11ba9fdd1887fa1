/**
 * The `Disk` port in memory, for tests and the simulator: it knows what is synced and what is not, can lose power at
 * any call, and has the faults of real disks. `disk-state.ts` says what a crash may keep. It has no timers and draws
 * nothing by itself: the same calls give the same bytes.
 */
import { assert, unreachable } from "../lib/assert.ts";
import { concat } from "../lib/bytes.ts";
import type { Prng } from "../lib/prng.ts";
import { type Disk, DiskError, type DiskErrorCode, type DiskFile, type OpenMode } from "../ports/disk.ts";
import { type DiskFault, type DiskFaultKind, DiskFaults, type DiskOperation } from "./disk-faults.ts";
import { type FileAccess, SimFile } from "./disk-file.ts";
import {
  coveredByDirectorySync,
  cutIntoSectors,
  type DirectoryNode,
  type FileNode,
  makeDurable,
  newDirectory,
  newFile,
  type Node,
  type Pending,
  tornWrites,
  SECTOR_LENGTH,
  survivors,
} from "./disk-state.ts";

/** The calls that change something, and so are numbered and announced. */
export type DiskMutation = Exclude<DiskOperation, "open" | "list" | "read">;

export type SimDiskOptions = {
  /** What all files together may hold; absent: no bound. */
  readonly capacityBytes?: number;
  /** Called around every mutating call; may pull the plug. */
  readonly onMutation?: (kind: DiskMutation, path: string, phase: "before" | "after", ordinal: number) => void;
  /** Awaited between the start and the end of every mutating call: how a scheduler makes a disk slow. */
  readonly pace?: (kind: DiskMutation, path: string) => Promise<void>;
};

/**
 * Which unsynced operations a crash keeps, in the order of `pendingOperations`. `random` also cuts allocations
 * short; `keep` is the chance of each to be kept, drawn once per crash if absent.
 */
export type CrashChoice =
  | { readonly kind: "none" }
  | { readonly kind: "all" }
  | { readonly kind: "subset"; readonly kept: bigint }
  | { readonly kind: "random"; readonly prng: Prng; readonly keep?: number };

/** Every subset of up to `enumerateMax` pending operations; beyond, none, all and `samples` drawn ones. */
export function* crashChoices(
  pending: number,
  options: { prng: Prng; samples: number; enumerateMax?: number },
): Iterable<CrashChoice> {
  if (pending <= (options.enumerateMax ?? 8)) {
    for (let kept = 0n; kept < 1n << BigInt(pending); kept += 1n) yield { kind: "subset", kept };
    return;
  }
  yield { kind: "none" };
  yield { kind: "all" };
  for (let sample = 0; sample < options.samples; sample += 1) yield { kind: "random", prng: options.prng };
}

function chosen(operations: readonly Pending[], choice: CrashChoice): Pending[] {
  switch (choice.kind) {
    case "none":
      return [];
    case "all":
      return [...operations];
    case "subset":
      return operations.filter((_, ordinal) => ((choice.kept >> BigInt(ordinal)) & 1n) === 1n);
    case "random": {
      const { prng } = choice;
      const keep = choice.keep ?? prng.float();
      return operations.flatMap((operation) => {
        if (!prng.chance(keep)) return [];
        if (operation.kind !== "size" || operation.to < operation.from || prng.chance(0.5)) return [operation];
        const sectors = Math.floor((operation.to - operation.from) / SECTOR_LENGTH);
        return [{ ...operation, to: operation.from + prng.below(sectors + 1) * SECTOR_LENGTH }];
      });
    }
    default:
      return unreachable(choice);
  }
}

export class SimDisk implements Disk {
  #root: DirectoryNode = newDirectory();
  #pending: Pending[] = [];
  #faults = new DiskFaults();
  readonly #options: SimDiskOptions;
  #mutations = 0;
  #off = false;

  constructor(options: SimDiskOptions = {}) {
    this.#options = options;
  }

  /* Power. */

  /** From now on every call fails with `closed`, those already running included. */
  pullPlug(): void {
    this.#off = true;
  }

  get plugPulled(): boolean {
    return this.#off;
  }

  /** Mutating calls so far: the numbers of the crash points. */
  get mutations(): number {
    return this.#mutations;
  }

  /** Unsynced operations, one per sector of each write. */
  get pendingOperations(): number {
    return cutIntoSectors(this.#pending).length;
  }

  /** The disk after a power cut now. This one is off from then on, but may be crashed again in other ways. */
  crash(choice: CrashChoice, options: SimDiskOptions = {}): SimDisk {
    this.#off = true;
    const operations = cutIntoSectors(this.#pending);
    const kept = chosen(operations, choice);
    const after = new SimDisk(options);
    after.#root = survivors(this.#root, kept);
    after.#faults = new DiskFaults(this.#faults.counts);
    this.#faults.count("crash");
    this.#faults.count("lost-operation", operations.length - kept.length);
    this.#faults.count("torn-write", tornWrites(this.#pending, kept));
    return after;
  }

  /* Faults. */

  arm(fault: DiskFault): void {
    this.#faults.arm(fault);
  }

  /** What was armed and has not happened yet never will. */
  disarm(): void {
    this.#faults.disarm();
  }

  /** What has really happened, over the crashes too. */
  get faultsInjected(): ReadonlyMap<DiskFaultKind, number> {
    return this.#faults.counts;
  }

  /** Flips one bit of a file on the medium. */
  flip(path: string, position: number, bit = 0): void {
    this.#faults.count("bit-flip");
    this.#damage(
      path,
      position,
      (bytes) => {
        bytes[0] = (bytes[0] as number) ^ (1 << bit);
      },
      1,
    );
  }

  /** Zeroes a sector. Answers whether that changed anything. */
  zeroSector(path: string, sector: number): boolean {
    this.#faults.count("zeroed-sector");
    return this.#damage(path, sector * SECTOR_LENGTH, (bytes) => bytes.fill(0));
  }

  /** Puts back what a sector held before its newest synced write. Answers whether that changed anything. */
  staleSector(path: string, sector: number): boolean {
    this.#faults.count("stale-sector");
    const before = new Uint8Array(SECTOR_LENGTH);
    this.#file(path).previous.read(sector * SECTOR_LENGTH, before);
    return this.#damage(path, sector * SECTOR_LENGTH, (bytes) => bytes.set(before.subarray(0, bytes.length)));
  }

  /** Overwrites bytes of a file on the medium, unnoticed. */
  poke(path: string, position: number, bytes: Uint8Array): void {
    this.#damage(path, position, (target) => target.set(bytes.subarray(0, target.length)), bytes.length);
  }

  #damage(path: string, position: number, change: (bytes: Uint8Array) => void, length = SECTOR_LENGTH): boolean {
    const file = this.#file(path);
    let changed = false;
    for (const content of [file.now, file.durable]) {
      const bytes = content.slice(position, length);
      const before = bytes.slice();
      if (bytes.length === 0) continue;
      change(bytes);
      content.write(position, bytes);
      changed ||= bytes.some((byte, index) => byte !== before[index]);
    }
    return changed;
  }

  /* A look inside, past every fault. */

  /** A file as reads see it. */
  bytes(path: string): Uint8Array {
    const { now } = this.#file(path);
    return now.slice(0, now.size);
  }

  exists(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /** The paths of all files, sorted. */
  files(): string[] {
    return Array.from(nodesIn(this.#root, ""))
      .filter(([, node]) => node.kind === "file")
      .map(([path]) => path)
      .sort();
  }

  /** Everything that reads see, sorted by path; a folder has a slash at its end and no bytes. */
  tree(): (readonly [path: string, bytes?: Uint8Array])[] {
    return Array.from(nodesIn(this.#root, ""))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, node]) => (node.kind === "file" ? [path, node.now.slice(0, node.now.size)] : [path]));
  }

  get usedBytes(): number {
    const used = (node: Node): number =>
      node.kind === "file" ? node.now.size : [...node.now.values()].reduce((total, child) => total + used(child), 0);
    return used(this.#root);
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const part of parts(path)) node = node?.kind === "directory" ? node.now.get(part) : undefined;
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#find(path);
    if (node?.kind !== "file") throw new DiskError("not-found", path, "no such file");
    return node;
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path);
    if (node?.kind !== "directory") throw new DiskError("not-found", path, "no such folder");
    return node;
  }

  #parent(path: string): { directory: DirectoryNode; name: string } {
    const all = parts(path);
    const name = all.pop();
    assert(name !== undefined, "a path below the disk's root");
    return { directory: this.#directory(all.join("/")), name };
  }

  /* The port. */

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    if (mode !== "create") {
      this.#call("open", path);
      return new SimFile(this.#access, path, this.#file(path), mode);
    }
    return this.#mutate("create", path, () => {
      const { directory, name } = this.#parent(path);
      if (directory.now.has(name)) throw new DiskError("exists", path, "the name is taken");
      const node = newFile();
      directory.now.set(name, node);
      this.#pending.push({ kind: "link", directory, name, node });
      return () => new SimFile(this.#access, path, node, mode);
    });
  }

  async list(directory: string): Promise<string[]> {
    this.#call("list", directory);
    return [...this.#directory(directory).now.keys()].sort();
  }

  async createDirectory(path: string): Promise<void> {
    return this.#mutate("create-directory", path, () => {
      let directory = this.#root;
      for (const name of parts(path)) {
        const known = directory.now.get(name);
        if (known?.kind === "file") throw new DiskError("exists", path, "a file has this name");
        const node: DirectoryNode = known ?? newDirectory();
        if (known === undefined) {
          directory.now.set(name, node);
          this.#pending.push({ kind: "link", directory, name, node });
        }
        directory = node;
      }
      return nothing;
    });
  }

  async rename(from: string, to: string): Promise<void> {
    return this.#mutate("rename", from, () => {
      const source = this.#parent(from);
      const target = this.#parent(to);
      const node = source.directory.now.get(source.name);
      if (node === undefined) throw new DiskError("not-found", from, "no such name");
      const replaced = target.directory.now.get(target.name);
      if (replaced === node) return nothing;
      if (replaced?.kind === "directory") throw new DiskError("exists", to, "a folder has this name");
      source.directory.now.delete(source.name);
      target.directory.now.set(target.name, node);
      this.#pending.push({
        kind: "rename",
        from: source.directory,
        fromName: source.name,
        to: target.directory,
        toName: target.name,
        node,
      });
      return nothing;
    });
  }

  async remove(path: string): Promise<void> {
    return this.#mutate("remove", path, () => {
      const { directory, name } = this.#parent(path);
      const node = directory.now.get(name);
      if (node === undefined) throw new DiskError("not-found", path, "no such name");
      if (node.kind === "directory" && node.now.size > 0)
        throw new DiskError("exists", path, "the folder is not empty");
      directory.now.delete(name);
      this.#pending.push({ kind: "unlink", directory, name });
      return nothing;
    });
  }

  async syncDirectory(path: string): Promise<void> {
    return this.#mutate("sync-directory", path, (fault) => {
      const covered = coveredByDirectorySync(this.#directory(path), this.#pending);
      return () => this.#complete(covered, path, fault);
    });
  }

  async freeBytes(): Promise<number> {
    this.#requirePower("");
    return this.#free();
  }

  #free(): number {
    return this.#options.capacityBytes === undefined
      ? Number.MAX_SAFE_INTEGER
      : Math.max(0, this.#options.capacityBytes - this.usedBytes);
  }

  /** Ends a sync: what it covers is durable, or after a fault never will be (P30). */
  #complete(covered: ReadonlySet<Pending>, path: string, fault: DiskFault | undefined): void {
    if (fault === undefined) makeDurable(this.#pending.filter((operation) => covered.has(operation)));
    this.#pending = this.#pending.filter((operation) => !covered.has(operation));
    if (fault !== undefined) throw new DiskError(codeOf(fault), path, "the sync failed");
  }

  #requirePower(path: string): void {
    if (this.#off) throw new DiskError("closed", path, "the disk is off");
  }

  #call(operation: DiskOperation, path: string): DiskFault | undefined {
    this.#requirePower(path);
    const fault = this.#faults.take(operation, path);
    if (
      fault === undefined ||
      operation === "write" ||
      operation === "allocate" ||
      operation === "sync" ||
      operation === "sync-directory"
    )
      return fault;
    throw new DiskError(codeOf(fault), path, `the ${operation} failed`);
  }

  /** A mutating call: `start` changes what reads see, at once; what it returns runs when the call ends. */
  async #mutate<T>(kind: DiskMutation, path: string, start: (fault: DiskFault | undefined) => () => T): Promise<T> {
    this.#requirePower(path);
    this.#mutations += 1;
    const ordinal = this.#mutations;
    this.#options.onMutation?.(kind, path, "before", ordinal);
    this.#requirePower(path);
    try {
      const end = start(this.#call(kind, path));
      if (this.#options.pace !== undefined) {
        await this.#options.pace(kind, path);
        this.#requirePower(path);
      }
      return end();
    } finally {
      // A call that failed ends too. Its caller never hears of it if the power goes here.
      if (!this.#off) this.#options.onMutation?.(kind, path, "after", ordinal);
      this.#requirePower(path);
    }
  }

  /** What the disk's files may do with it. */
  readonly #access: FileAccess = {
    read: (path) => void this.#call("read", path),
    requirePower: (path) => this.#requirePower(path),
    write: (file, path, position, chunks) =>
      this.#mutate("write", path, (fault) => this.#write(file, path, position, chunks, fault)),
    allocate: (file, path, size) => this.#mutate("allocate", path, (fault) => this.#allocate(file, path, size, fault)),
    sync: (file, path) =>
      this.#mutate("sync", path, (fault) => {
        const covered = new Set(
          this.#pending.filter(
            (operation) => (operation.kind === "write" || operation.kind === "size") && operation.file === file,
          ),
        );
        return () => this.#complete(covered, path, fault);
      }),
  };

  #write(
    file: FileNode,
    path: string,
    position: number,
    chunks: readonly Uint8Array[],
    fault: DiskFault | undefined,
  ): () => void {
    const bytes = chunks.length === 1 ? (chunks[0] as Uint8Array) : concat(chunks);
    switch (fault?.effect) {
      case undefined:
        break;
      case "lost":
        return nothing;
      case "misdirected":
        this.#put(file, Math.max(0, position + (fault.misdirectedBy ?? SECTOR_LENGTH)), bytes);
        return nothing;
      case "io":
      case "no-space":
        // Nobody can say how much of a failed write arrived: here, half.
        this.#put(file, position, bytes.subarray(0, bytes.length >> 1));
        throw new DiskError(codeOf(fault), path, "the write failed");
    }
    const growth = Math.max(0, position + bytes.length - file.now.size);
    const free = this.#free();
    if (growth > free) {
      this.#faults.count("no-space");
      this.#put(file, position, bytes.subarray(0, Math.max(0, file.now.size + free - position)));
      throw new DiskError("no-space", path, "no space left on the disk");
    }
    this.#put(file, position, bytes);
    return nothing;
  }

  #put(file: FileNode, position: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const end = position + bytes.length;
    if (end > file.now.size) this.#pending.push({ kind: "size", file, from: file.now.size, to: end });
    file.now.write(position, bytes);
    const start = position - (position % SECTOR_LENGTH);
    const image = file.now.slice(start, Math.ceil(end / SECTOR_LENGTH) * SECTOR_LENGTH - start);
    this.#pending.push({ kind: "write", file, position: start, image });
  }

  #allocate(file: FileNode, path: string, size: number, fault: DiskFault | undefined): () => void {
    const from = file.now.size;
    const free = fault === undefined ? this.#free() : 0;
    const to = Math.min(size, from + free);
    if (to !== from) {
      file.now.resize(to);
      this.#pending.push({ kind: "size", file, from, to });
    }
    if (fault !== undefined) throw new DiskError(codeOf(fault), path, "the allocation failed");
    if (to < size) {
      this.#faults.count("no-space");
      throw new DiskError("no-space", path, "no space left on the disk");
    }
    return nothing;
  }
}

function nothing(): void {}

/** As reads see it, folders before what is in them; a folder's path has a slash at its end. */
function* nodesIn({ now }: DirectoryNode, prefix: string): Iterable<readonly [path: string, node: Node]> {
  for (const [name, node] of now) {
    const path = node.kind === "file" ? prefix + name : `${prefix}${name}/`;
    yield [path, node];
    if (node.kind === "directory") yield* nodesIn(node, path);
  }
}

function codeOf(fault: DiskFault): DiskErrorCode {
  return fault.effect === "no-space" ? "no-space" : "io";
}

/** The parts of a path; the root is "". A path that leaves the root, or is written in two ways, is a bug. */
function parts(path: string): string[] {
  if (path === "") return [];
  const all = path.split("/");
  assert(
    all.every((part) => part !== "" && part !== "." && part !== ".."),
    `a path below the disk's root, not ${JSON.stringify(path)}`,
  );
  return all;
}
