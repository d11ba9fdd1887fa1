/** An open file of the simulated disk: a place in its tree, and what the disk lets it do. */
import { DiskError, type DiskFile, type OpenMode } from "../ports/disk.ts";
import type { FileNode } from "./disk-state.ts";

/** The disk's side: faults, power and the record of what is unsynced are its business. */
export type FileAccess = {
  readonly read: (path: string) => void;
  readonly requirePower: (path: string) => void;
  readonly write: (file: FileNode, path: string, position: number, chunks: readonly Uint8Array[]) => Promise<void>;
  readonly allocate: (file: FileNode, path: string, size: number) => Promise<void>;
  readonly sync: (file: FileNode, path: string) => Promise<void>;
};

/** Of more than one sector, so that it may come to the disk in part; of no more, for each makes crashes more that are tried. */
const BLOCK_LENGTH = 1_024;

export class SimFile implements DiskFile {
  readonly path: string;
  readonly #access: FileAccess;
  readonly #node: FileNode;
  readonly #writable: boolean;
  #closed = false;

  constructor(access: FileAccess, path: string, node: FileNode, mode: OpenMode) {
    this.path = path;
    this.#access = access;
    this.#node = node;
    this.#writable = mode !== "read";
  }

  async size(): Promise<number> {
    this.#requireOpen();
    return this.#node.now.size;
  }

  async read(position: number, target: Uint8Array): Promise<number> {
    this.#requireOpen();
    this.#access.read(this.path);
    return this.#node.now.read(position, target);
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#requireOpen(true);
    return this.#access.write(this.#node, this.path, position, chunks);
  }

  async sync(): Promise<void> {
    this.#requireOpen();
    return this.#access.sync(this.#node, this.path);
  }

  /** As a disk does that is written to in whole blocks: what stands behind it in the last one is zeros afterwards. */
  async writeSynced(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const end = chunks.reduce((sum, { length }) => sum + length, position);
    const blockEnd = Math.min(Math.ceil(end / BLOCK_LENGTH) * BLOCK_LENGTH, this.#node.now.size);
    await this.write(position, end < blockEnd ? [...chunks, new Uint8Array(blockEnd - end)] : chunks);
    await this.sync();
  }

  async allocate(size: number): Promise<void> {
    this.#requireOpen(true);
    return this.#access.allocate(this.#node, this.path, size);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #requireOpen(toWrite = false): void {
    this.#access.requirePower(this.path);
    if (this.#closed) throw new DiskError("closed", this.path, "the file is closed");
    if (toWrite && !this.#writable) throw new DiskError("io", this.path, "the file is open for reading only");
  }
}
