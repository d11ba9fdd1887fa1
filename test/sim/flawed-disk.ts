/** A disk that does all but a little as the one under it does: what a test says of its files is done instead. */
import type { Disk, DiskFile } from "../../src/ports/disk.ts";

/** What each file does otherwise. */
export type Flaws = (file: DiskFile) => Partial<DiskFile>;

export function withFlaws(disk: Disk, flaws: Flaws): Disk {
  const flawed = (file: DiskFile): DiskFile => ({
    path: file.path,
    size: () => file.size(),
    read: (position, target) => file.read(position, target),
    write: (position, chunks) => file.write(position, chunks),
    writeSynced: (position, chunks) => file.writeSynced(position, chunks),
    sync: () => file.sync(),
    allocate: (size) => file.allocate(size),
    close: () => file.close(),
    ...flaws(file),
  });
  return {
    open: async (path, mode) => flawed(await disk.open(path, mode)),
    list: (directory) => disk.list(directory),
    createDirectory: (directory) => disk.createDirectory(directory),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (directory) => disk.syncDirectory(directory),
    freeBytes: () => disk.freeBytes(),
  };
}

/** Says that all is durable, and makes nothing so. */
export function withoutSyncs(disk: Disk): Disk {
  return withFlaws(disk, (file) => ({
    writeSynced: (position, chunks) => file.write(position, chunks),
    sync: async () => undefined,
  }));
}
