/** The `Disk` contract on a real file system, and its errors. */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { openRealDisk } from "../../log-server/log/disk/real-disk.ts";
import { codeOf, describeDisk } from "./disk-contract.ts";

describeDisk("real", async () => {
  const root = await mkdtemp(join(tmpdir(), "tidemark-disk-"));
  return { disk: openRealDisk(root), dispose: () => rm(root, { recursive: true, force: true }) };
});

describe("the real disk's errors", () => {
  it.skipIf(process.platform !== "linux")("says that there is no space", async () => {
    const file = await openRealDisk("/dev").open("full", "read-write");
    expect(await codeOf(file.write(0, [new Uint8Array(10)]))).toBe("no-space");
    await file.close();
  });

  it("keeps what it stores from others", async () => {
    const root = await mkdtemp(join(tmpdir(), "tidemark-disk-"));
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    const disk = openRealDisk(root);
    await disk.createDirectory("x");
    await (await disk.open("x/a", "create")).close();
    expect((await stat(join(root, "x"))).mode & 0o077).toBe(0);
    expect((await stat(join(root, "x", "a"))).mode & 0o077).toBe(0);
  });
});
