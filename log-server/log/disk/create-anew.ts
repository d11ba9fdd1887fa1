/** A new file under a name that an earlier, interrupted attempt may have left behind: what it left is replaced. */
import { type Disk, DiskError, type DiskFile } from "../../../src/ports/disk.ts";

export async function createAnew(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, "create");
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== "exists") throw error;
  }
  await disk.remove(path);
  return disk.open(path, "create");
}
