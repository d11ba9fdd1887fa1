/** The `Disk` contract on a real file system, and its errors. */
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { openRealDisk } from "../../log-server/log/disk/real-disk.ts";
import { codeOf, describeDisk } from "./disk-contract.ts";

/** Its types come with those of browsers only. */
const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: { Memory: new () => object } };

describeDisk("real", async () => {
  const root = await mkdtemp(join(tmpdir(), "tidemark-disk-"));
  return { disk: openRealDisk(root), dispose: () => rm(root, { recursive: true, force: true }) };
});

describe("the real disk's errors", () => {
  it("writes and allocates the usual way where there is no memory for the direct one", async () => {
    const root = await mkdtemp(join(tmpdir(), "tidemark-disk-"));
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    const memory = vi.spyOn(WebAssembly, "Memory").mockImplementation(function () {
      throw new RangeError("could not allocate memory");
    });
    onTestFinished(() => memory.mockRestore());
    const file = await openRealDisk(root).open("a", "create");
    await file.writeSynced(0, [Uint8Array.of(1, 2, 3)]);
    await file.allocate(8_192);
    await file.close();
    expect(memory).toHaveBeenCalled();
    expect((await readFile(join(root, "a"))).subarray(0, 4)).toEqual(Buffer.from([1, 2, 3, 0]));
  });

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
