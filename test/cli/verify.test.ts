/** `tidemark verify` on the data folder of a real node. */
import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openRealDisk } from "../../log-server/log/disk/real-disk.ts";
import { HardStateFile, type HardStateRecord, SLOT_LENGTH, SLOT_SPACING } from "../../log-server/log/hard-state.ts";
import { startNode } from "../../log-server/start-node.ts";
import { shell } from "./shell.ts";

const SEGMENT_BYTES = 1024 * 1024;
const PATIENCE = { timeout: 30_000 };
const HARD_STATE = "logs/0/hard-state";

let folder: string;
let data: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-verify-"));
  data = join(folder, "data");
  const node = await startNode({ dataDirectory: data, segmentBytes: SEGMENT_BYTES });
  const s = shell({ url: node.url });
  s.stdin.end("one\ntwo\nthree\n");
  expect(await s.tidemark("append", "s", "--create")).toBe(0);
  const busy = await verify("--data", data);
  expect(busy.status).toBe(2);
  expect(busy.err).toContain("in use");
  await node.close();
});

afterAll(() => rmSync(folder, { recursive: true }));

async function verify(...args: readonly string[]): Promise<{ status: number; out: string; err: string }> {
  const s = shell();
  const status = await s.tidemark("verify", ...args);
  return { status, out: s.stdout.text, err: s.stderr.text };
}

function segment(): string {
  const segments = join(data, "logs/0/segments");
  return join(
    segments,
    readdirSync(segments)
      .filter((name) => name.endsWith(".log"))
      .toSorted()[0] ?? "",
  );
}

/** A folder with a segment that is sealed, and is found intact. */
async function sealedFolder(name: string): Promise<{ other: string; index: string; log: string }> {
  const other = join(folder, name);
  const segments = join(other, "logs/0/segments");
  const sealed = (): string | undefined => readdirSync(segments).find((file) => file.endsWith(".index"));
  const node = await startNode({ dataDirectory: other, segmentBytes: SEGMENT_BYTES });
  // What compression makes no smaller than half a segment.
  for (let count = 0; count < 4; count += 1) {
    const s = shell({ url: node.url });
    s.stdin.end(`${randomBytes(SEGMENT_BYTES / 2).toString("base64")}\n`);
    expect(await s.tidemark("append", "s", "--create")).toBe(0);
  }
  await vi.waitUntil(sealed, PATIENCE);
  await node.close();
  expect((await verify("--data", other)).status).toBe(0);
  const index = join(segments, sealed() ?? "");
  return { other, index, log: index.replace(".index", ".log") };
}

function copyOf(original: string): string {
  const copy = mkdtempSync(join(folder, "copy-"));
  cpSync(original, copy, { recursive: true });
  return copy;
}

/** What a server makes of it: `refusal` is what it says, undefined if it starts. */
async function expectStart(other: string, refusal: string | undefined): Promise<void> {
  const started = startNode({ dataDirectory: other, segmentBytes: SEGMENT_BYTES });
  if (refusal !== undefined) return expect(started).rejects.toThrow(refusal);
  await (await started).close();
}

/** Whole, and with a checksum, but not what the node wrote. */
async function rewriteHardState(other: string, change: (state: HardStateRecord) => HardStateRecord): Promise<void> {
  const disk = openRealDisk(other);
  const opened = await HardStateFile.open(disk, HARD_STATE);
  if (!opened.ok) throw new Error(opened.error.kind);
  const { state } = opened.value;
  await opened.value.close();
  rmSync(join(other, HARD_STATE));
  await (await HardStateFile.create(disk, HARD_STATE, change(state))).close();
}

async function lastEntryIn(path: string): Promise<{ readonly place: number; readonly bytes: number }> {
  const s = shell();
  expect(await s.tidemark("inspect", path, "-o", "json")).toBe(0);
  const frames = s.stdout.text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { kind: string; place: number; bytes: number });
  const last = frames.findLast(({ kind }) => kind === "entry");
  if (last === undefined) throw new Error(`${path} has no entry`);
  return last;
}

async function writeTerm(other: string, term: number): Promise<void> {
  const opened = await HardStateFile.open(openRealDisk(other), HARD_STATE);
  if (!opened.ok) throw new Error(opened.error.kind);
  await opened.value.write({ term, vote: undefined });
  await opened.value.close();
}

describe("verify --url", () => {
  it("has a running node read what it has sealed, and says that all is intact", async () => {
    const node = await startNode({ dataDirectory: join(folder, "other") });
    const { status, out } = await verify("--url", node.url);
    expect(out).toMatch(/ read: intact\n$/);
    expect(status).toBe(0);
    const json = await verify("--url", node.url, "-o", "json");
    expect(JSON.parse(json.out)).toMatchObject({ findings: 0, intact: true });
    await node.close();
    expect((await verify("--url", node.url, "--timeout", "1")).status).toBe(5);
  });
});

describe("verify --data", () => {
  it("says that all is intact", async () => {
    const { status, out } = await verify("--data", data);
    expect(out).toMatch(/^\d+ files, .*: intact\n$/);
    expect(status).toBe(0);
    const json = await verify("--data", data, "-o", "json");
    expect(JSON.parse(json.out)).toMatchObject({ findings: 0, intact: true });
  });

  it("points at what is damaged, and exits with 8", async () => {
    const whole = readFileSync(segment());
    const hurt = Buffer.from(whole);
    const at = whole.indexOf("two");
    hurt.writeUInt8(hurt.readUInt8(at) ^ 1, at);
    writeFileSync(segment(), hurt);
    const { status, out } = await verify("--data", data);
    expect(status).toBe(8);
    expect(out).toContain(`damaged  ${segment()}, bytes `);
    const json = await verify("--data", data, "-o", "json");
    expect(json.status).toBe(8);
    const found = json.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    expect(found[0]).toMatchObject({ file: segment(), kind: "damaged" });
    expect(found.at(-1)).toMatchObject({ intact: false, findings: 1 });
    writeFileSync(segment(), whole);
  });

  it("reads the image, too, and says so of one that cannot be used", async () => {
    const image = join(data, "image/data.mdb");
    const whole = readFileSync(image);
    const rotten = Buffer.from(whole);
    // Every page but the two that LMDB begins with.
    for (let page = 2 * 4_096; page < rotten.length; page += 64) rotten.writeUInt8(rotten.readUInt8(page) ^ 0x10, page);
    writeFileSync(image, rotten);
    const { status, out } = await verify("--data", data);
    expect(out).toMatch(/^damaged {2}\S+data\.mdb: .*; the next start makes it anew from the log$/m);
    expect(status).toBe(8);
    expect(readFileSync(image).equals(rotten), "nothing is changed").toBe(true);
    writeFileSync(image, whole);
    expect((await verify("--data", data)).status).toBe(0);
  });

  it("misses files that others name, and the hard state", async () => {
    const index = join(data, "logs/0/segments/0000000000000009.index");
    const hardState = join(data, "logs/0/hard-state");
    const kept = readFileSync(hardState);
    writeFileSync(index, "nothing");
    rmSync(hardState);
    const { status, out } = await verify("--data", data);
    expect(status).toBe(8);
    expect(out).toContain(`missing  ${index.replace(".index", ".log")}: `);
    expect(out).toContain(`missing  ${hardState}: `);
    expect(out).toContain(`damaged  ${index}`);
    rmSync(index);
    writeFileSync(hardState, kept);
    expect((await verify("--data", data)).status).toBe(0);
  });

  it("misses the index of a segment before one that has its own", async () => {
    const later = join(data, "logs/0/segments/0000000000000009");
    for (const kind of ["log", "index"]) writeFileSync(`${later}.${kind}`, "");
    const { status, out } = await verify("--data", data);
    expect(status).toBe(8);
    expect(out).toContain(`missing  ${segment().replace(".log", ".index")}: `);
    expect(out).not.toContain(`missing  ${later}`);
    for (const kind of ["log", "index"]) rmSync(`${later}.${kind}`);
    expect((await verify("--data", data)).status).toBe(0);
  });

  it("misses a snapshot where the log begins later than it once did", async () => {
    const path = segment();
    const later = path.replace("1.log", "2.log");
    expect(existsSync(join(data, "logs/0/snapshots"))).toBe(false);
    renameSync(path, later);
    expect((await verify("--data", data)).out).toContain(`missing  ${join(data, "logs/0/snapshots")}: `);
    renameSync(later, path);
    expect((await verify("--data", data)).status).toBe(0);
  });

  it("misses the newest segment, of which nothing else tells", async () => {
    const path = segment();
    const kept = readFileSync(path);
    rmSync(path);
    const { status, out } = await verify("--data", data);
    expect(status).toBe(8);
    expect(out).toContain(`missing  ${path}: it is the newest segment`);
    await expect(startNode({ dataDirectory: data })).rejects.toThrow("the newest segment of the log: put it back");
    writeFileSync(path, kept);
    expect((await verify("--data", data)).status).toBe(0);
  });

  it("misses a sealed segment that has lost its file and its index", async () => {
    const { other, index, log } = await sealedFolder("sealed");
    for (const file of [log, index]) rmSync(file);
    const { status, out } = await verify("--data", other);
    expect(status).toBe(8);
    for (const file of [log, index]) expect(out).toContain(`missing  ${file}: the image knows its segment as sealed`);
  });

  it("misses what the index of a sealed segment says of a file that ends too early", async () => {
    const { other, log } = await sealedFolder("short");
    truncateSync(log, SEGMENT_BYTES / 2);
    const { status, out } = await verify("--data", other);
    expect(status).toBe(8);
    expect(out).toContain(`damaged  ${log}, bytes `);
    expect(out).not.toContain(`unproven  ${log}`);
  });

  it("says of an index and its segment that they are another node's, though each is whole", async () => {
    const { other, index, log } = await sealedFolder("own");
    const foreign = await sealedFolder("foreign");
    for (const [from, to] of [
      [foreign.index, index],
      [foreign.log, log],
    ] as const)
      copyFileSync(from, to);
    const { status, out } = await verify("--data", other);
    expect(status).toBe(8);
    expect(out).toContain(`damaged  ${index}: it is another one's index`);
  });

  it("says of a folder in the place of a file that it is one", async () => {
    for (const name of ["image/data.mdb", "logs/0/newest-segment", "logs/0/hard-state"]) {
      const path = join(data, name);
      renameSync(path, `${path}.kept`);
      mkdirSync(path);
      const { status, out } = await verify("--data", data);
      expect(status, name).toBe(8);
      expect(out).toContain(`damaged  ${path}: it is a folder`);
      rmdirSync(path);
      renameSync(`${path}.kept`, path);
    }
    expect((await verify("--data", data)).status).toBe(0);
  });

  it.each([
    ["node.json", "it says whose the folder is", "node.json is missing, but there is a log"],
    ["logs/0/hard-state", "it is as good as wiped", "is missing, but the log is not empty"],
    ["logs/0/newest-segment", "whether the newest segment is there is not known", undefined],
  ])("misses %s", async (name, what, refusal) => {
    const copy = copyOf(data);
    rmSync(join(copy, name));
    const { status, out } = await verify("--data", copy);
    expect(status).toBe(8);
    expect(out).toContain(`missing  ${join(copy, name)}: `);
    expect(out).toContain(what);
    await expectStart(copy, refusal);
  });

  it.each([
    ["node.json", "", "is damaged: restore it", "node.json is damaged: restore it"],
    ["node.json", "{}", "is damaged: restore it", "node.json is damaged: restore it"],
    ["logs/0/hard-state", "", "slot 0 does not match", "both slots are damaged"],
    ["logs/0/newest-segment", "", "which segment is the newest is not known", undefined],
    ["logs/0/distrusted", "why", "a majority has contradicted the state", "a majority has contradicted the state"],
  ])("says of %s that it holds %j", async (name, content, what, refusal) => {
    const copy = copyOf(data);
    writeFileSync(join(copy, name), content);
    const { status, out } = await verify("--data", copy);
    expect(status).toBe(8);
    expect(out).toContain(`damaged  ${join(copy, name)}`);
    expect(out).toContain(what);
    expect(readFileSync(join(copy, name), "utf8"), "nothing is changed").toBe(content);
    await expectStart(copy, refusal);
  });

  it("misses nothing where a first start was cut short: for want of room, say", async () => {
    const other = mkdtempSync(join(folder, "begun-"));
    mkdirSync(join(other, "logs/0/segments"), { recursive: true });
    copyFileSync(join(data, "node.json"), join(other, "node.json"));
    writeFileSync(join(other, "logs/0/segments/0000000000000001.log"), Buffer.alloc(SEGMENT_BYTES));
    expect((await verify("--data", other)).status).toBe(0);
    await expectStart(other, undefined);
  });

  it("verifies nothing of another version", async () => {
    const copy = copyOf(data);
    writeFileSync(join(copy, "node.json"), JSON.stringify({ format: "tidemark-data", version: 2 }));
    const { status, out, err } = await verify("--data", copy);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toContain("the data has format version 2; this server supports version 1");
    await expectStart(copy, "the data has format version 2");
  });

  it("says of a slot of newest-segment that it is damaged", async () => {
    const copy = copyOf(data);
    const path = join(copy, "logs/0/newest-segment");
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(4_096 + 40) ^ 1, 4_096 + 40);
    writeFileSync(path, bytes);
    const { status, out } = await verify("--data", copy);
    expect(status).toBe(8);
    expect(out).toContain("newest-segment, bytes 4096 to 4607: slot 1 does not match its checksum");
    await expectStart(copy, undefined);
    expect((await verify("--data", copy)).status, "the start has written it anew").toBe(0);
  });

  it("says of a hard state that is whole that it is older than the log", async () => {
    const copy = copyOf(data);
    await rewriteHardState(copy, (state) => ({ ...state, term: 0, vote: undefined }));
    const { status, out } = await verify("--data", copy);
    expect(status).toBe(8);
    expect(out).toMatch(/^damaged {2}\S+hard-state: it is of term 0, but the log has entries of term 1: .*not start$/m);
    await expectStart(copy, "is of term 0, but the log has entries of term 1");
  });

  it("says of a hard state that is whole that it is another disk's, or another cluster's", async () => {
    for (const [change, what] of [
      [{ nodeId: "elsewhere" }, "is of disk elsewhere, but the folder of disk"],
      [{ clusterId: "elsewhere" }, "is of cluster elsewhere, but the folder of cluster"],
      [{ logId: 7 }, "is of log 7, but the folder of log 0"],
    ] as const) {
      const copy = copyOf(data);
      await rewriteHardState(copy, (state) => ({ ...state, ...change }));
      const { status, out } = await verify("--data", copy);
      expect(status).toBe(8);
      expect(out).toContain(what);
      await expectStart(copy, what);
    }
  });

  it("tells a slot of the hard state that lost its writes from one that a crash left one change behind", async () => {
    const copy = copyOf(data);
    const path = join(copy, HARD_STATE);
    const before = readFileSync(path);
    const restoreSlot = (slot: number): void => {
      const now = readFileSync(path);
      before.copy(now, slot * SLOT_SPACING, slot * SLOT_SPACING, slot * SLOT_SPACING + SLOT_LENGTH);
      writeFileSync(path, now);
    };
    await writeTerm(copy, 8);
    restoreSlot(1);
    expect((await verify("--data", copy)).status, "as a crash leaves it").toBe(0);
    await writeTerm(copy, 9);
    await writeTerm(copy, 10);
    for (const slot of [1, 0]) {
      const now = readFileSync(path);
      restoreSlot(slot);
      const { status, out } = await verify("--data", copy);
      expect(status).toBe(8);
      expect(out).toContain(`: slot ${slot} is 3 changes behind the other`);
      writeFileSync(path, now);
    }
  });

  it("misses entries that the image was made of", async () => {
    const copy = copyOf(data);
    const path = segment().replace(data, copy);
    const { place } = await lastEntryIn(path);
    // As if the end of the log had never been written.
    writeFileSync(path, readFileSync(path).fill(0, place));
    const { status, out } = await verify("--data", copy);
    expect(status).toBe(8);
    expect(out).toMatch(/^missing {2}\S+segments: the image has all up to entry \d+, and the last .* read is \d+$/m);
  });

  it("has nothing to say of a damaged end that was set aside", async () => {
    const copy = copyOf(data);
    const path = segment().replace(data, copy);
    const { place, bytes } = await lastEntryIn(path);
    // Without the mark of a clean stop, and with a byte that is wrong: as if torn by a crash.
    const torn = readFileSync(path).fill(0, place + bytes);
    torn.writeUInt8(torn.readUInt8(place + bytes - 1) ^ 1, place + bytes - 1);
    writeFileSync(path, torn);
    expect((await verify("--data", copy)).out).toContain(`unproven  ${path}, bytes `);
    await expectStart(copy, undefined);
    expect(await verify("--data", copy)).toMatchObject({ status: 0, out: expect.stringMatching(/: intact\n$/) });
  });

  it("wants a data folder", async () => {
    const { status, err } = await verify("--data", folder);
    expect(status).toBe(2);
    expect(err).toContain("is no data folder");
  });
});
