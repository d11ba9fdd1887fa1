/** What every `Disk` must do: run against the real one and the simulated one. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { type Disk, DiskError, type DiskErrorCode } from "../../src/ports/disk.ts";

const MIB = 1_024 * 1_024;

export type DiskFixture = { readonly disk: Disk; readonly dispose: () => Promise<void> };

/** The code a promise fails with, or "resolved". */
export async function codeOf(promise: Promise<unknown>): Promise<DiskErrorCode | "resolved" | "another error"> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return error instanceof DiskError ? error.code : "another error";
  }
}

async function contents(disk: Disk, path: string): Promise<Uint8Array> {
  const file = await disk.open(path, "read");
  const bytes = new Uint8Array(await file.size());
  expect(await file.read(0, bytes)).toBe(bytes.length);
  await file.close();
  return bytes;
}

const pattern = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 17) & 0xff);

export function describeDisk(name: string, open: () => Promise<DiskFixture>): void {
  describe(`Disk: ${name}`, () => {
    let fixture: DiskFixture;
    let disk: Disk;

    beforeEach(async () => {
      fixture = await open();
      disk = fixture.disk;
    });
    afterEach(() => fixture.dispose());

    it("creates a file once, and opens only what exists", async () => {
      expect(await codeOf(disk.open("a", "read"))).toBe("not-found");
      expect(await codeOf(disk.open("a", "read-write"))).toBe("not-found");
      const file = await disk.open("a", "create");
      expect(file.path).toBe("a");
      expect(await file.size()).toBe(0);
      await file.close();
      expect(await codeOf(disk.open("a", "create"))).toBe("exists");
      expect(await codeOf(disk.open("missing/a", "create"))).toBe("not-found");
      await (await disk.open("a", "read")).close();
    });

    it("writes chunks one behind the other, and reads back from any place", async () => {
      const file = await disk.open("a", "create");
      await file.write(0, [pattern(10), new Uint8Array(0), pattern(600, 2)]);
      await file.write(5, [pattern(3, 3)]);
      const expected = Uint8Array.from([...pattern(10), ...pattern(600, 2)]);
      expected.set(pattern(3, 3), 5);
      expect(await contents(disk, "a")).toEqual(expected);
      const part = new Uint8Array(100);
      expect(await file.read(300, part)).toBe(100);
      expect(part).toEqual(expected.slice(300, 400));
      expect(await file.read(600, part)).toBe(10);
      expect(part.subarray(0, 10)).toEqual(expected.slice(600));
      expect(await file.read(610, part)).toBe(0);
      expect(await file.read(5_000, part)).toBe(0);
      expect(await file.read(0, new Uint8Array(0))).toBe(0);
      await file.write(0, []);
      expect(await file.size()).toBe(610);
      await file.close();
    });

    it("gathers more chunks than one system call takes", async () => {
      const file = await disk.open("a", "create");
      const chunks = Array.from({ length: 5_000 }, (_, index) => pattern(index % 7, index));
      await file.write(100, chunks);
      const expected = Uint8Array.from([...new Uint8Array(100), ...chunks.flatMap((chunk) => [...chunk])]);
      expect(await contents(disk, "a")).toEqual(expected);
      await file.close();
    });

    it("writes through, in order, whatever else is written to the file between", async () => {
      const size = 6 * MIB;
      const file = await disk.open("a", "create");
      await file.allocate(size);
      await file.sync();
      const expected = new Uint8Array(size);
      const prng = new Prng(7);
      let at = 0;
      for (let turn = 0; turn < 40; turn += 1) {
        // Longer than all that is staged at a time, longer than a block, shorter, and nothing at all.
        const longest = turn === 20 ? 4.2 * MIB : prng.pick([1, 100, 5_000, 20_000]);
        const chunks = Array.from({ length: prng.below(4) + 1 }, (_, index) =>
          pattern(turn === 20 ? (index === 0 ? longest : 0) : prng.below(longest), turn + index),
        );
        if (prng.chance(0.2)) await file.write(at, chunks);
        else await file.writeSynced(at, chunks);
        for (const chunk of chunks) {
          expected.set(chunk, at);
          at += chunk.length;
        }
        if (prng.chance(0.2)) at = Math.ceil(at / 512) * 512;
        if (prng.chance(0.1)) {
          const all = new Uint8Array(size);
          expect(await file.read(0, all)).toBe(size);
          expect(Buffer.compare(all, expected)).toBe(0);
        }
      }
      expect(Buffer.compare(await contents(disk, "a"), expected)).toBe(0);
      await file.close();
    });

    it("writes through at the end of a file and behind it, and makes it no longer than that", async () => {
      const file = await disk.open("a", "create");
      await file.writeSynced(0, [pattern(10)]);
      expect(await file.size()).toBe(10);
      await file.allocate(10_000);
      await file.writeSynced(9_000, [pattern(990)]);
      expect(await file.size()).toBe(10_000);
      await file.writeSynced(9_990, [pattern(20, 2)]);
      expect(await file.size()).toBe(10_010);
      await file.allocate(5_000);
      await file.writeSynced(4_096, [pattern(3, 3)]);
      expect(await file.size()).toBe(5_000);
      const expected = new Uint8Array(5_000);
      expected.set(pattern(10));
      expected.set(pattern(3, 3), 4_096);
      expect(await contents(disk, "a")).toEqual(expected);
      await file.close();
    });

    it("writes through to two files in turn", async () => {
      const files = [await disk.open("a", "create"), await disk.open("b", "create")];
      for (const file of files) await file.allocate(200_000);
      for (let turn = 0; turn < 10; turn += 1)
        await Promise.all(files.map((file, at) => file.writeSynced(turn * 300, [pattern(300, turn * 2 + at)])));
      for (const [at, file] of files.entries()) {
        const expected = Array.from({ length: 10 }, (_, turn) => [...pattern(300, turn * 2 + at)]).flat();
        expect([...(await contents(disk, file.path)).subarray(0, 3_001)]).toEqual([...expected, 0]);
        await file.close();
      }
    });

    it("leaves zeros in a gap", async () => {
      const file = await disk.open("a", "create");
      await file.write(10_000, [pattern(5)]);
      const bytes = await contents(disk, "a");
      expect(bytes.length).toBe(10_005);
      expect(bytes.subarray(0, 10_000).every((byte) => byte === 0)).toBe(true);
      await file.close();
    });

    it("allocates to an exact size, keeps what is there, and cuts", async () => {
      const file = await disk.open("a", "create");
      await file.write(0, [pattern(700)]);
      await file.allocate(2_500_000);
      expect(await file.size()).toBe(2_500_000);
      const bytes = await contents(disk, "a");
      expect(bytes.subarray(0, 700)).toEqual(pattern(700));
      expect(bytes.subarray(700).every((byte) => byte === 0)).toBe(true);
      await file.allocate(600);
      expect(await contents(disk, "a")).toEqual(pattern(700).slice(0, 600));
      await file.allocate(800);
      const regrown = await contents(disk, "a");
      expect(regrown.subarray(0, 600)).toEqual(pattern(700).slice(0, 600));
      expect(regrown.subarray(600).every((byte) => byte === 0)).toBe(true);
      await file.allocate(800);
      await file.sync();
      await file.close();
    });

    it("refuses every call on a closed file, and writing to one opened for reading", async () => {
      const file = await disk.open("a", "create");
      await file.close();
      await file.close();
      for (const attempt of [
        file.size(),
        file.read(0, new Uint8Array(1)),
        file.write(0, [pattern(1)]),
        file.writeSynced(0, [pattern(1)]),
        file.sync(),
        file.allocate(1),
      ]) {
        expect(await codeOf(attempt)).toBe("closed");
      }
      const reader = await disk.open("a", "read");
      expect(await codeOf(reader.write(0, [pattern(1)]))).toBe("io");
      expect(await codeOf(reader.writeSynced(0, [pattern(1)]))).toBe("io");
      await reader.close();
    });

    it("finishes what runs before it closes", async () => {
      const file = await disk.open("a", "create");
      const running = [file.write(0, [pattern(100_000)]), file.sync()];
      await file.close();
      await Promise.all(running);
      expect((await contents(disk, "a")).length).toBe(100_000);
    });

    it("makes folders with their parents and lists names in order", async () => {
      expect(await disk.list("")).toEqual([]);
      expect(await codeOf(disk.list("x"))).toBe("not-found");
      await disk.createDirectory("x/y/z");
      await disk.createDirectory("x/y");
      expect(await disk.list("x")).toEqual(["y"]);
      for (const name of ["b", "10", "a", "9"]) await (await disk.open(`x/y/${name}`, "create")).close();
      expect(await disk.list("x/y")).toEqual(["10", "9", "a", "b", "z"]);
      for (const folder of ["", "x", "x/y"]) await disk.syncDirectory(folder);
      expect(await codeOf(disk.syncDirectory("nowhere"))).toBe("not-found");
    });

    it("renames over an existing name, across folders too", async () => {
      await disk.createDirectory("x");
      const file = await disk.open("a", "create");
      await file.write(0, [pattern(3)]);
      await (await disk.open("x/b", "create")).close();
      await disk.rename("a", "x/b");
      expect(await disk.list("")).toEqual(["x"]);
      expect(await contents(disk, "x/b")).toEqual(pattern(3));
      await file.write(3, [pattern(2)]);
      expect((await contents(disk, "x/b")).length).toBe(5);
      expect(await codeOf(disk.rename("a", "c"))).toBe("not-found");
      await file.close();
    });

    it("removes files and empty folders; an open file stays readable", async () => {
      const file = await disk.open("a", "create");
      await file.write(0, [pattern(3)]);
      await disk.remove("a");
      expect(await disk.list("")).toEqual([]);
      expect(await codeOf(disk.open("a", "read"))).toBe("not-found");
      const bytes = new Uint8Array(3);
      expect(await file.read(0, bytes)).toBe(3);
      expect(bytes).toEqual(pattern(3));
      await file.close();
      expect(await codeOf(disk.remove("a"))).toBe("not-found");
      await disk.createDirectory("x/y");
      expect(await codeOf(disk.remove("x"))).toBe("exists");
      await disk.remove("x/y");
      await disk.remove("x");
      expect(await disk.list("")).toEqual([]);
    });

    it("stays below its root", async () => {
      for (const path of ["../a", "x/../../a", "/etc/passwd", "./a", "a/", "a//b", ".."]) {
        expect(await codeOf(disk.open(path, "create"))).toBe("another error");
        expect(await codeOf(disk.remove(path))).toBe("another error");
        expect(await codeOf(disk.rename(path, "b"))).toBe("another error");
        expect(await codeOf(disk.list(path))).toBe("another error");
      }
      expect(await disk.list("")).toEqual([]);
    });

    it("knows how much is free", async () => {
      expect(await disk.freeBytes()).toBeGreaterThan(0);
    });
  });
}
