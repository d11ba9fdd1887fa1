/** Which failures of a read are damage to what was to be read, and which are the reader's own. */
import { DiskError } from "../../../src/ports/disk.ts";

/** The medium does not give it back. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof DiskError && error.code === "io";
}

/** There is no such file. */
export function isMissing(error: unknown): boolean {
  return error instanceof DiskError && error.code === "not-found";
}

/** The file was closed or removed under the reader. */
export function isGone(error: unknown): boolean {
  return error instanceof DiskError && (error.code === "closed" || isMissing(error));
}
