/** Folders of tests, and small disks: gone when the test ends. Who runs in them is ended first (`server.ts`). */
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FILL_STEP_BYTES = 65_536;

const folders = new Set<string>();
const mounts = new Set<string>();

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-process-"));
  folders.add(folder);
  return folder;
}

/** A file system of its own with so many bytes, in memory. Needs root: mounting is the machine's to allow. */
export function smallDisk(bytes: number): string {
  const folder = temporaryFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes},mode=700`, "tidemark-test", folder], { stdio: "pipe" });
  } catch (error) {
    throw new Error("this test needs a small disk of its own, and may not mount a tmpfs: run it as root", {
      cause: error,
    });
  }
  mounts.add(folder);
  return folder;
}

export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Takes all the space there is; returns the path of the file that has it. */
export function fill(disk: string): string {
  const path = join(disk, "filler");
  while (freeBytes(disk) > 0) {
    try {
      appendFileSync(path, new Uint8Array(Math.min(freeBytes(disk), FILL_STEP_BYTES)));
    } catch (error) {
      // Someone else took what there was.
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
  return path;
}

export function removeFolders(): void {
  // Lazily: whoever still looks at it must not keep it.
  for (const folder of mounts) execFileSync("umount", ["--lazy", folder]);
  mounts.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}
