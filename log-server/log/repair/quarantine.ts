/** Damaged tails set aside before they are cut off: evidence, a bounded number of files, the newest kept. */
import { type Disk, DiskError } from "../../../src/ports/disk.ts";
import type { LogLimits } from "../limits.ts";
import type { LogLayout } from "../log-layout.ts";

/**
 * Copies bytes of a segment aside, durably, and returns the file's path. Undefined if there is no space for that: the
 * bytes stay in the segment too, for a cut only says that they do not count.
 */
export async function setAside(
  disk: Disk,
  layout: LogLayout,
  limits: LogLimits,
  damaged: { readonly sequence: number; readonly place: number; readonly bytes: Uint8Array },
): Promise<string | undefined> {
  const path = layout.quarantined(damaged.sequence, damaged.place);
  await disk.createDirectory(layout.quarantine);
  await disk.syncDirectory(layout.root);
  await disk.remove(path).catch(ignore("not-found"));
  try {
    const file = await disk.open(path, "create");
    try {
      await file.write(0, [damaged.bytes]);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== "no-space") throw error;
    await disk.remove(path).catch(ignore("not-found"));
    return undefined;
  }
  const names = await disk.list(layout.quarantine);
  for (const name of names.slice(0, -limits.quarantineFilesMax)) await disk.remove(`${layout.quarantine}/${name}`);
  await disk.syncDirectory(layout.quarantine);
  return path;
}

function ignore(code: DiskError["code"]): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof DiskError) || error.code !== code) throw error;
  };
}
