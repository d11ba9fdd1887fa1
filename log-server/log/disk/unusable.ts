/**
 * Why a folder cannot be used by this process, in one line for whoever started it: rights, a file system that is read-only or full, a file
 * where a folder should be. Nothing in it need be damaged, and nothing is taken for that.
 */
import { accessSync, constants, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { DiskError } from "../../../src/ports/disk.ts";

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "may not be read or written by this user",
  EPERM: "may not be read or written by this user",
  EROFS: "is on a file system that is read-only",
  ENOSPC: "cannot be written: the disk is full",
  EDQUOT: "cannot be written: this user may have no more of the disk",
  EISDIR: "is a folder, and should be a file",
  ENOTDIR: "is a file, or below one, and should be a folder",
  ELOOP: "is a link that leads nowhere",
};

/** Undefined: it fails for another reason. `folder`: where the paths of a `DiskError` begin. */
export function whyUnusable(error: unknown, folder: string): string | undefined {
  const cause: unknown = error instanceof DiskError ? error.cause : error;
  if (!(cause instanceof Error)) return undefined;
  const { code = "", syscall, path } = cause as NodeJS.ErrnoException;
  const reason = code === "EEXIST" && syscall === "mkdir" ? REASONS["ENOTDIR"] : REASONS[code];
  if (reason === undefined) return undefined;
  return `${path ?? (error instanceof DiskError ? join(folder, error.path) : folder)} ${reason}`;
}

/** The same of what is there, asked for before it is used; undefined: it may be read, and written if `writing`. */
export function whyForbidden(path: string, writing: boolean): string | undefined {
  try {
    accessSync(path, writing ? constants.R_OK | constants.W_OK : constants.R_OK);
    return undefined;
  } catch (error) {
    return whyUnusable(error, path);
  }
}

/** Why a folder cannot be made: of a parent in which nothing may be made Node says that it is not there. */
export function whyNotMade(path: string, error: unknown): string {
  let there = path;
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  const why = whyUnusable(error, path) ?? whyForbidden(there, true);
  return why ?? `${path} cannot be made: ${error instanceof Error ? error.message : String(error)}`;
}
