/**
 * Folders that a process may not use, for its user, a file system or what stands in their place: each is told in one line with a code, and
 * nothing of it is taken for damage. Run as root, the server is another user here.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../source-tree.ts";
import { fill, smallDisk, temporaryFolder } from "./folders.ts";
import { append, create } from "./http.ts";
import { complaintsIn, Server } from "./server.ts";

const NOBODY = "65534";
const AS_NOBODY = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
const FORBIDDEN = "may not be read or written by this user";
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

let original: string;

beforeAll(async () => {
  original = mkdtempSync(join(tmpdir(), "tidemark-unusable-"));
  const server = await Server.start(join(original, "data"));
  expect((await create(server.url, "s")).status).toBe(201);
  expect((await append(server.url, "s", { body: "[1,2,3]" })).status).toBe(204);
  expect(await server.stop()).toMatchObject({ code: 0 });
});

afterAll(() => rmSync(original, { recursive: true }));

/** Of the other user. */
function copy(): string {
  const folder = temporaryFolder();
  cpSync(join(original, "data"), join(folder, "data"), { recursive: true });
  execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, folder]);
  return join(folder, "data");
}

async function expectUnusable(data: string, path: string, why: string): Promise<void> {
  const ended = await Server.spawn(data, { wrapper: AS_NOBODY }).ended();
  expect(ended, ended.stderr).toMatchObject({ code: EXIT_FAILED, stdout: "" });
  expect(complaintsIn(ended.stderr)).toEqual([`tidemark: ${path} ${why}`]);
  expect(ended.stderr).toContain('"event":"start-failed","code":"unusable"');
}

function command(...args: readonly string[]): { readonly status: number | null; readonly err: string } {
  const [setpriv = "", ...rest] = AS_NOBODY;
  const bin = join(ROOT, "client/cli/bin.ts");
  const { status, stderr } = spawnSync(setpriv, [...rest, process.execPath, bin, ...args], { encoding: "utf8" });
  return { status, err: stderr };
}

function refused(path: string): ReturnType<typeof command> {
  return { status: EXIT_USAGE, err: `tidemark: ${path} ${FORBIDDEN} (invalid-argument)\n` };
}

describe("a folder that this user", () => {
  it.each(["node.json", "logs/0/hard-state", "logs/0/newest-segment", "logs/0/segments", "image/data.mdb", "lock"])(
    "may not use, for %s: said by serve and verify, and left as it is",
    async (name) => {
      const data = copy();
      const path = join(data, name);
      const before = name === "image/data.mdb" ? readFileSync(path) : undefined;
      chmodSync(path, 0);
      await expectUnusable(data, path, FORBIDDEN);
      expect(command("verify", "--data", data)).toEqual(refused(path));
      if (before !== undefined) expect(readFileSync(path).equals(before), "not erased").toBe(true);
    },
  );

  it("may not use: said by recover, too", () => {
    const data = copy();
    for (const path of [join(data, "node.json"), data]) {
      chmodSync(path, 0);
      expect(command("cluster", "recover", "--data", data, "--yes")).toEqual(refused(path));
    }
  });

  it("may not write: a start says so", async () => {
    const data = copy();
    execFileSync("chmod", ["-R", "a-w", data]);
    const ended = await Server.spawn(data, { wrapper: AS_NOBODY }).ended();
    expect(ended).toMatchObject({ code: EXIT_FAILED });
    expect(complaintsIn(ended.stderr)).toEqual([
      expect.stringMatching(new RegExp(`^tidemark: ${data}.* ${FORBIDDEN}$`)),
    ]);
  });
});

describe("a path that", () => {
  it("is a file, is below one, or is a link to nowhere", async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o777);
    const file = join(folder, "file");
    writeFileSync(file, "");
    await expectUnusable(file, file, "is a file, or below one, and should be a folder");
    await expectUnusable(join(file, "x"), join(file, "x"), "is a file, or below one, and should be a folder");
    const link = join(folder, "link");
    symlinkSync(link, link);
    await expectUnusable(link, link, "is a link that leads nowhere");
  });

  it("is where nothing may be made", async () => {
    const folder = temporaryFolder();
    await expectUnusable(join(folder, "data"), join(folder, "data"), FORBIDDEN);
  });

  it("has no room for a new node", async () => {
    const disk = smallDisk(64 * 1024);
    const data = join(disk, "data");
    mkdirSync(data);
    fill(disk);
    execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, disk]);
    await expectUnusable(data, join(data, "node.json.new"), "cannot be written: the disk is full");
  });
});
