/**
 * The data folder of a node: locked against a second server, of a known format, with an identity. What else is in it
 * (hard state, log, image) is opened by others, through its disk.
 */
import fs from "node:fs";
import { dirname, resolve } from "node:path";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import { DirectoryLock, type DirectoryLockError, LOCK_FILES } from "./disk/directory-lock.ts";
import {
  createIdentity,
  IDENTITY_FILE,
  type IdentityError,
  type NodeIdentity,
  readIdentity,
  UNFINISHED_IDENTITY_FILE,
} from "./node-identity.ts";
import { openRealDisk } from "./disk/real-disk.ts";
import { whyNotMade } from "./disk/unusable.ts";

export type DataDirectory = NodeIdentity & {
  /** Absolute. */
  readonly path: string;
  readonly disk: Disk;
  /** It was empty until now. */
  readonly created: boolean;
  /** Lets go of the lock: after everything in the folder is closed. */
  readonly close: () => void;
};

/** `not-empty`: the folder holds something else, which is not ours to write between. */
export type DataDirectoryError =
  | DirectoryLockError
  | IdentityError
  | { readonly kind: "not-empty"; readonly message: string };

/** What a folder may hold before it is ours: our own beginnings, and what a file system puts into its root. */
const HARMLESS: ReadonlySet<string> = new Set([...LOCK_FILES, UNFINISHED_IDENTITY_FILE, "lost+found"]);

/** Nothing of it is there before the folder has its identity. */
const LOGS_FOLDER = "logs";

export async function openDataDirectory(options: {
  readonly path: string;
  /** Absent: the name the folder has, or a random one for a new folder. */
  readonly nodeName?: string | undefined;
  /** A new folder is of a node without others, unless told otherwise: a cluster of its own. */
  readonly alone?: boolean;
  readonly entropy: Entropy;
}): Promise<Result<DataDirectory, DataDirectoryError>> {
  const path = resolve(options.path);
  try {
    makeDurably(path);
  } catch (error) {
    return err({ kind: "unusable", message: whyNotMade(path, error) });
  }
  const lock = DirectoryLock.acquire(path);
  if (!lock.ok) return lock;
  try {
    const disk = openRealDisk(path);
    const opened = await openIdentity(disk, path, options);
    if (!opened.ok) {
      lock.value.release();
      return opened;
    }
    return ok({ ...opened.value, path, disk, close: () => lock.value.release() });
  } catch (error) {
    lock.value.release();
    throw error;
  }
}

async function openIdentity(
  disk: Disk,
  path: string,
  { nodeName, entropy, alone }: Parameters<typeof openDataDirectory>[0],
): Promise<Result<NodeIdentity & { readonly created: boolean }, DataDirectoryError>> {
  const found = await readIdentity(disk, nodeName);
  if (!found.ok) return err({ kind: found.error.kind, message: `${path}: ${found.error.message}` });
  if (found.value !== undefined) return ok({ ...found.value, created: false });
  const foreign = (await disk.list("")).filter((name) => !HARMLESS.has(name));
  if (foreign.includes(LOGS_FOLDER)) {
    const message = `${path}: ${IDENTITY_FILE} is missing, but there is a log: restore it, or begin with an empty folder`;
    return err({ kind: "damaged", message });
  }
  if (foreign.length > 0) {
    return err({
      kind: "not-empty",
      message: `${path} is neither empty nor a data folder: it holds ${foreign.slice(0, 3).join(", ")}`,
    });
  }
  const created = await createIdentity(disk, nodeName, entropy, alone);
  return created.ok ? ok({ ...created.value, created: true }) : created;
}

/** Makes the folder and its parents, and syncs every folder that got a new name. */
function makeDurably(path: string): void {
  const first = fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let folder = path; folder.length >= first.length; folder = dirname(folder)) {
    const descriptor = fs.openSync(dirname(folder), fs.constants.O_RDONLY);
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  }
}
