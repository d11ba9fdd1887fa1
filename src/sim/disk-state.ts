/**
 * What a simulated disk holds: a tree of files and folders, each with what processes see now and what the medium
 * surely holds, and the operations in between that no sync has covered yet. A crash keeps some of those.
 *
 * The model is a page cache over 512-byte sectors under a journalling file system: a sector reaches the medium whole
 * or not at all, in any order; a file's length and every change of a name likewise; `rename` is atomic.
 */
import { unreachable } from "../lib/assert.ts";
import { PagedBytes } from "./paged-bytes.ts";

/** The unit that a medium writes whole or not at all. */
export const SECTOR_LENGTH = 512;

export type FileNode = {
  readonly kind: "file";
  /** What reads see. */
  readonly now: PagedBytes;
  /** What survives any crash. */
  readonly durable: PagedBytes;
  /** What each sector held on the medium before its newest content: what a lost write leaves behind. */
  readonly previous: PagedBytes;
};

export type DirectoryNode = {
  readonly kind: "directory";
  readonly now: Map<string, Node>;
  readonly durable: Map<string, Node>;
};

export type Node = FileNode | DirectoryNode;

/** An operation not yet covered by a sync. `image` is whole sectors as they were after the write, cut at the file's end. */
export type Pending =
  | { readonly kind: "write"; readonly file: FileNode; readonly position: number; readonly image: Uint8Array }
  | { readonly kind: "size"; readonly file: FileNode; readonly from: number; readonly to: number }
  | { readonly kind: "link"; readonly directory: DirectoryNode; readonly name: string; readonly node: Node }
  | { readonly kind: "unlink"; readonly directory: DirectoryNode; readonly name: string }
  | {
      readonly kind: "rename";
      readonly from: DirectoryNode;
      readonly fromName: string;
      readonly to: DirectoryNode;
      readonly toName: string;
      readonly node: Node;
    };

export function newFile(): FileNode {
  return { kind: "file", now: new PagedBytes(), durable: new PagedBytes(), previous: new PagedBytes() };
}

export function newDirectory(): DirectoryNode {
  return { kind: "directory", now: new Map(), durable: new Map() };
}

/** Cuts writes into one operation per sector: the choices that a crash has. */
export function cutIntoSectors(operations: readonly Pending[]): Pending[] {
  return operations.flatMap((operation) => {
    if (operation.kind !== "write") return [operation];
    const { file, position, image } = operation;
    return Array.from({ length: Math.ceil(image.length / SECTOR_LENGTH) }, (_, sector): Pending => {
      const start = sector * SECTOR_LENGTH;
      return { kind: "write", file, position: position + start, image: image.subarray(start, start + SECTOR_LENGTH) };
    });
  });
}

/** How many writes a crash kept in part: some of their sectors, not all. `kept` are sectors cut from `operations`. */
export function tornWrites(operations: readonly Pending[], kept: readonly Pending[]): number {
  const keptBytes = new Map<ArrayBufferLike, number>();
  for (const operation of kept) {
    // All sectors of one write are views of its one image.
    if (operation.kind === "write")
      keptBytes.set(operation.image.buffer, (keptBytes.get(operation.image.buffer) ?? 0) + operation.image.length);
  }
  return operations.filter(
    (operation) =>
      operation.kind === "write" &&
      (keptBytes.get(operation.image.buffer) ?? operation.image.length) < operation.image.length,
  ).length;
}

/** Puts operations on the medium, in order. */
export function makeDurable(operations: readonly Pending[]): void {
  // Before any of them: what a sector held before one sync is one content, however often it was written since.
  for (const operation of operations) {
    if (operation.kind !== "write") continue;
    const { file, position, image } = operation;
    file.previous.copyFrom(file.durable, position, image.length);
  }
  for (const operation of operations) applyTo(operation);
}

function applyTo(operation: Pending): void {
  switch (operation.kind) {
    case "write":
      operation.file.durable.write(operation.position, operation.image);
      return;
    case "size": {
      const { file, from, to } = operation;
      // Growing never cuts what another operation already made longer; shrinking is exact.
      file.durable.resize(to < from ? Math.min(to, file.durable.size) : Math.max(to, file.durable.size));
      return;
    }
    case "link":
      operation.directory.durable.set(operation.name, operation.node);
      return;
    case "unlink":
      operation.directory.durable.delete(operation.name);
      return;
    case "rename":
      operation.from.durable.delete(operation.fromName);
      operation.to.durable.set(operation.toName, operation.node);
      return;
    default:
      unreachable(operation);
  }
}

/**
 * The operations that a sync of `directory` covers: its own, and those of folders it shares an unsynced rename with,
 * for a journal that holds one half of a rename holds the other.
 */
export function coveredByDirectorySync(directory: DirectoryNode, operations: readonly Pending[]): Set<Pending> {
  const directories = new Set([directory]);
  let before = 0;
  while (before !== directories.size) {
    before = directories.size;
    for (const operation of operations) {
      if (operation.kind !== "rename" || operation.from === operation.to) continue;
      if (directories.has(operation.from)) directories.add(operation.to);
      else if (directories.has(operation.to)) directories.add(operation.from);
    }
  }
  return new Set(
    operations.filter((operation) => {
      if (operation.kind === "link" || operation.kind === "unlink") return directories.has(operation.directory);
      return operation.kind === "rename" && directories.has(operation.to);
    }),
  );
}

/** The tree after a crash that kept exactly `kept`: a copy that shares nothing that can change. */
export function survivors(root: DirectoryNode, kept: readonly Pending[]): DirectoryNode {
  const copies = new Map<Node, Node>();
  const copyFile = (node: FileNode): FileNode => {
    const known = copies.get(node);
    if (known?.kind === "file") return known;
    const copy: FileNode = {
      kind: "file",
      now: new PagedBytes(),
      durable: node.durable.clone(),
      previous: node.previous.clone(),
    };
    copies.set(node, copy);
    return copy;
  };
  const copyDirectory = (node: DirectoryNode): DirectoryNode => {
    const known = copies.get(node);
    if (known?.kind === "directory") return known;
    const copy = newDirectory();
    copies.set(node, copy);
    for (const [name, child] of node.durable) copy.durable.set(name, copyNode(child));
    return copy;
  };
  const copyNode = (node: Node): Node => (node.kind === "file" ? copyFile(node) : copyDirectory(node));

  const copyOperation = (operation: Pending): Pending => {
    switch (operation.kind) {
      case "write":
      case "size":
        return { ...operation, file: copyFile(operation.file) };
      case "link":
        return { ...operation, directory: copyDirectory(operation.directory), node: copyNode(operation.node) };
      case "unlink":
        return { ...operation, directory: copyDirectory(operation.directory) };
      case "rename":
        return {
          ...operation,
          from: copyDirectory(operation.from),
          to: copyDirectory(operation.to),
          node: copyNode(operation.node),
        };
      default:
        return unreachable(operation);
    }
  };

  const after = copyDirectory(root);
  makeDurable(kept.map(copyOperation));
  return reload(after);
}

/** What a process sees after a restart: what the medium holds. */
function reload(root: DirectoryNode): DirectoryNode {
  const reloaded: DirectoryNode = { kind: "directory", now: new Map(), durable: new Map() };
  for (const [name, node] of root.durable) {
    const child: Node = node.kind === "directory" ? reload(node) : { ...node, now: node.durable.clone() };
    reloaded.now.set(name, child);
    reloaded.durable.set(name, child);
  }
  return reloaded;
}
