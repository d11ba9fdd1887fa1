/** The data folder: its identity under crashes and damage, and its lock, against real processes too. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { type DataDirectory, type DataDirectoryError, openDataDirectory } from "../../log-server/log/data-directory.ts";
import { DirectoryLock } from "../../log-server/log/disk/directory-lock.ts";
import { createIdentity, DATA_VERSION, IDENTITY_FILE, readIdentity } from "../../log-server/log/node-identity.ts";
import { Prng } from "../../src/lib/prng.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { everyCrashPoint } from "../sim/crash-points.ts";

const entropy = new Prng(11);

async function folder(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "tidemark-data-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return join(root, "data");
}

async function opened(path: string, nodeName?: string): Promise<DataDirectory> {
  const result = await openDataDirectory({ path, nodeName, entropy });
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

async function refused(path: string, nodeName?: string): Promise<DataDirectoryError> {
  const result = await openDataDirectory({ path, nodeName, entropy });
  if (!result.ok) return result.error;
  result.value.close();
  throw new Error("it opened");
}

type Holder = { readonly child: ChildProcess; readonly line: () => Promise<string>; readonly go: () => void };

/** A process of its own, ready to take the lock. */
async function holder(directory: string): Promise<Holder> {
  const child = spawn(process.execPath, [fileURLToPath(new URL("lock-holder.ts", import.meta.url)), directory], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  expect(await line()).toBe("here");
  return { child, line, go: () => void child.stdin.write("go\n") };
}

describe("data folder", () => {
  it("is made with an identity, which it keeps", async () => {
    const path = await folder();
    const first = await opened(join(path, "deep", "er"), "alpha");
    expect(first).toMatchObject({ nodeName: "alpha", created: true, path: join(path, "deep", "er") });
    expect(first.diskId).toMatch(/^[0-9a-f]{32}$/);
    expect(first.clusterId).toMatch(/^[0-9a-f]{32}$/);
    expect(first.clusterId).not.toBe(first.diskId);
    first.close();
    for (const name of ["alpha", undefined]) {
      const again = await opened(first.path, name);
      expect(again).toMatchObject({
        nodeName: "alpha",
        diskId: first.diskId,
        clusterId: first.clusterId,
        created: false,
      });
      again.close();
      again.close();
    }
  });

  it("draws a name where none is given, and refuses one that is none", async () => {
    const path = await folder();
    const made = await opened(path);
    expect(made.nodeName).toMatch(/^node-[0-9a-f]{8}$/);
    made.close();
    for (const name of ["", "a/b", "-x", "é", "n".repeat(64)]) {
      expect((await refused(`${path}-2`, name)).kind).toBe("invalid-name");
    }
    (await opened(`${path}-2`, "n".repeat(63))).close();
  });

  it("refuses another node's folder, and one that holds something else", async () => {
    const path = await folder();
    (await opened(path, "alpha")).close();
    const other = await refused(path, "beta");
    expect(other.kind).toBe("other-node");
    expect(other.message).toContain('"alpha"');
    await mkdir(`${path}-2`);
    await writeFile(join(`${path}-2`, "thesis.tex"), "");
    const foreign = await refused(`${path}-2`);
    expect(foreign.kind).toBe("not-empty");
    expect(foreign.message).toContain("thesis.tex");
    expect((await readdir(`${path}-2`)).filter((name) => !name.startsWith("lock"))).toEqual(["thesis.tex"]);
    await writeFile(`${path}-3`, "");
    expect((await refused(`${path}-3`)).kind).toBe("unusable");
  });

  it("refuses another format version, saying which it found and which it supports", async () => {
    const path = await folder();
    (await opened(path, "alpha")).close();
    const file = join(path, IDENTITY_FILE);
    const content = await readFile(file, "utf8");
    await writeFile(
      file,
      content.replace(`"version": ${DATA_VERSION}`, '"version": 99').replace('"checksum"', '"seal"'),
    );
    const error = await refused(path);
    expect(error.kind).toBe("unsupported-version");
    expect(error.message).toContain("version 99");
    expect(error.message).toContain(`version ${DATA_VERSION}`);
  });

  it("finds every changed byte of its identity", async () => {
    const disk = new SimDisk();
    const made = await createIdentity(disk, "alpha", entropy);
    if (!made.ok) throw new Error(made.error.message);
    const length = disk.bytes(IDENTITY_FILE).length;
    for (let place = 0; place < length; place += 1) {
      for (const bit of [0, 3, 6]) {
        disk.flip(IDENTITY_FILE, place, bit);
        const read = await readIdentity(disk, undefined);
        // White space may change; nothing that means anything may.
        if (read.ok) expect(read.value).toEqual(made.value);
        else expect(["damaged", "unsupported-version"]).toContain(read.error.kind);
        disk.flip(IDENTITY_FILE, place, bit);
      }
    }
    disk.zeroSector(IDENTITY_FILE, 0);
    expect(await readIdentity(disk, undefined)).toMatchObject({ ok: false, error: { kind: "damaged" } });
  });

  it("a crash while it is made leaves an identity whole or none", async () => {
    await everyCrashPoint({
      base: new SimDisk(),
      begin: () => ({ done: false }),
      work: async (disk, progress) => {
        await createIdentity(disk, "alpha", new Prng(5));
        progress.done = true;
      },
      verify: async (disk, progress, where) => {
        const read = await readIdentity(disk, "alpha");
        if (!read.ok) throw new Error(`${where}: ${read.error.message}`);
        if (read.value === undefined) {
          expect(progress.done, where).toBe(false);
          expect((await createIdentity(disk, "alpha", entropy)).ok, where).toBe(true);
        } else
          expect(await readIdentity(disk, undefined)).toEqual(
            await createIdentity(new SimDisk(), "alpha", new Prng(5)),
          );
      },
    });
  });
});

describe("the lock of a data folder", () => {
  it("keeps a second server out, of this process and of another", async () => {
    const path = await folder();
    const first = await opened(path, "alpha");
    const here = await refused(path);
    expect(here.kind).toBe("locked");
    expect(here.message).toContain(`process ${process.pid} `);
    // Trying in vain must not have let go of it.
    const there = await holder(path);
    there.go();
    expect(await there.line()).toBe("locked");
    first.close();
    (await opened(path)).close();
  });

  it("goes away with a process that is killed", async () => {
    const path = await folder();
    await mkdir(path);
    const other = await holder(path);
    other.go();
    expect(await other.line()).toBe("won");
    const locked = await refused(path);
    expect(locked.message).toContain(`process ${String(other.child.pid)} `);
    other.child.kill("SIGKILL");
    await once(other.child, "exit");
    (await opened(path)).close();
  });

  it("stays with a process that is stopped", async () => {
    const path = await folder();
    await mkdir(path);
    const other = await holder(path);
    other.go();
    expect(await other.line()).toBe("won");
    other.child.kill("SIGSTOP");
    expect((await refused(path)).kind).toBe("locked");
    other.child.kill("SIGCONT");
  });

  it("goes to one of many that ask at the same moment", async () => {
    const path = await folder();
    await mkdir(path);
    const others = await Promise.all(Array.from({ length: 4 }, () => holder(path)));
    for (const other of others) other.go();
    const outcomes = await Promise.all(others.map((other) => other.line()));
    expect(outcomes.sort()).toEqual(["locked", "locked", "locked", "won"]);
  });

  it("works where the path is longer than a socket's name may be", async () => {
    const path = join(await folder(), "p".repeat(120), "q".repeat(120));
    const first = await opened(path);
    expect((await refused(path)).kind).toBe("locked");
    first.close();
  });

  it("leaves nothing but two small files", async () => {
    const path = await folder();
    await mkdir(path);
    const lock = DirectoryLock.acquire(path);
    if (!lock.ok) throw new Error(lock.error.message);
    expect(await readdir(path)).toEqual(["lock", "lock-holder.json"]);
    lock.value.release();
    lock.value.release();
    expect((await stat(join(path, "lock"))).size).toBe(0);
  });
});
