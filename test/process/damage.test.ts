/**
 * Bytes that rot while no server runs, in every file of a data folder. No wrong byte is ever served: what is damaged is
 * refused as that, everything else is served, and what can be rebuilt is (I13). Where a server cannot go on at all it
 * says why in one line.
 */
import { cpSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { damageSomewhere, filesIn, flipBit, flipWherever, placeOf, zero } from "./damaged-files.ts";
import { temporaryFolder } from "./folders.ts";
import { readHonestly } from "./honest-reads.ts";
import { append, create, head, nextOffset, readOnce, remove } from "./http.ts";
import { complaintsIn, Server, type ServerOptions } from "./server.ts";

const SEED = 47;
const TRIALS = 8;
const EXIT_FAILED = 1;
/** What became of them, too: housekeeping may have rewritten some. */
const SEGMENTS = /segments\/\d+\.(?:log|compacted)$/;
const LIMITS: ServerOptions = {
  limits: {
    imageEveryBytes: 128 * 1024,
    snapshotEveryBytes: 1024 * 1024,
    housekeepingEveryMs: 20,
    // Several stay, of both kinds: a run could take them all.
    rewriteRunBytesMax: 1024 * 1024,
  },
};
/** Nothing but the log remembers anything. */
const WITHOUT_IMAGE: ServerOptions = { limits: { imageEveryMs: 3_600_000 } };

const LONG = 20_000;
const APPENDS = 120;
const RECORDS = 3;

type World = { readonly folder: string; readonly streams: ReadonlyMap<string, readonly string[]> };

/** The texts of one append to a stream: they say which, so that they can be found in a file. */
function recordsOf(stream: string, number: number, length: number): string[] {
  return Array.from({ length: RECORDS }, (_, place) => {
    return JSON.stringify({ id: `<${stream}.${number}.${place}>`, filler: "f".repeat(length) });
  });
}

/** Appends in turn to each stream. */
async function fillStreams(
  url: string,
  streams: Map<string, string[]>,
  appends: number,
  length: number,
): Promise<void> {
  for (const name of streams.keys()) expect((await create(url, name)).status).toBe(201);
  for (let number = 0; number < appends; number += 1) {
    for (const [name, records] of streams) {
      const texts = recordsOf(name, number, number % 10 === 0 ? length : length / 10);
      expect((await append(url, name, { body: `[${texts.join(",")}]` })).status).toBe(204);
      records.push(...texts);
    }
  }
}

/** Sealed segments, one that is not, an image, snapshots, and a trimmed beginning. */
async function buildWorld(folder: string): Promise<World> {
  const server = await Server.start(folder, LIMITS);
  const { url } = server;
  expect((await create(url, "gone", "application/octet-stream")).status).toBe(201);
  for (let count = 0; count < 2; count += 1) {
    expect((await append(url, "gone", { body: new Uint8Array(1024 * 1024) })).status).toBe(204);
  }
  expect((await remove(url, "gone")).status).toBe(204);
  const streams = new Map<string, string[]>([
    ["a", []],
    ["b", []],
    ["closed", []],
  ]);
  await fillStreams(url, streams, APPENDS, LONG);
  expect((await append(url, "closed", { close: true })).status).toBe(204);
  await server.logged("segments-dropped");
  expect(await server.stop()).toMatchObject({ code: 0 });
  return { folder, streams };
}

/** All offsets that were refused, by stream. The tail of each is known. */
async function refusedIn(url: string, world: World): Promise<Record<string, readonly number[]>> {
  const refused: Record<string, readonly number[]> = {};
  for (const [name, expected] of world.streams) {
    const answer = await head(url, name);
    expect(nextOffset(answer)).toBe(expected.length);
    expect(answer.headers.get("stream-closed")).toBe(name === "closed" ? "true" : null);
    const read = await readHonestly(url, name, expected);
    expect(read.tailShown).toBe(true);
    if (read.refused.length > 0) refused[name] = read.refused;
  }
  expect((await head(url, "gone")).status).toBe(404);
  return refused;
}

let world: World;

beforeAll(async () => {
  world = await buildWorld(mkdtempSync(join(tmpdir(), "tidemark-damage-")));
});

afterAll(() => {
  rmSync(world.folder, { recursive: true, force: true });
});

/** A copy to damage. */
function copyOfWorld(): string {
  const folder = temporaryFolder();
  cpSync(world.folder, folder, { recursive: true });
  return folder;
}

async function expectRefusedToStart(folder: string, why: RegExp): Promise<void> {
  const ended = await Server.spawn(folder, LIMITS).ended();
  expect(ended, ended.stderr).toMatchObject({ code: EXIT_FAILED, signal: null, stdout: "" });
  expect(complaintsIn(ended.stderr)).toEqual([expect.stringMatching(why)]);
}

describe("damage", () => {
  it("to batches: exactly their records are refused, in sealed segments and in the last one", async () => {
    const folder = copyOfWorld();
    const hits = [
      { stream: "a", number: 10 },
      { stream: "b", number: 11 },
      { stream: "closed", number: APPENDS - 1 },
    ];
    for (const { stream, number } of hits) {
      const { path, at } = placeOf(folder, SEGMENTS, `<${stream}.${number}.1>`);
      if (stream === "b") zero(path, at, 16);
      else flipBit(path, at);
    }
    const server = await Server.start(folder, LIMITS);
    const refused = Object.fromEntries(
      hits.map(({ stream, number }) => [stream, [0, 1, 2].map((place) => number * RECORDS + place)]),
    );
    expect(await refusedIn(server.url, world)).toEqual(refused);
    // It is said, and what is damaged does not keep anyone from appending.
    await server.logged("damage");
    expect((await append(server.url, "a", { body: "[1]" })).status).toBe(204);
    expect(await server.stop()).toMatchObject({ code: 0 });
  });

  it("to a page of each index block: rebuilt, and nothing is refused", async () => {
    const folder = copyOfWorld();
    const prng = new Prng(SEED);
    const blocks = filesIn(folder, /\.index$/);
    expect(blocks.length).toBeGreaterThan(2);
    for (const block of blocks) damageSomewhere(join(folder, block), prng);
    const server = await Server.start(folder, LIMITS);
    await refusedIn(server.url, world);
    expect(await server.stop()).toMatchObject({ code: 0 });
  });

  it.each([
    ["a row", (path: string): void => flipWherever(path, "closed")],
    ["its header", (path: string): void => zero(path, 0, 64)],
    ["its end", (path: string): void => truncateSync(path, statSync(path).size / 2)],
    ["all of it", (path: string): void => writeFileSync(path, new Prng(SEED).bytes(statSync(path).size))],
  ])("to the image, %s: discarded, and nothing is refused", async (_what, damage) => {
    const folder = copyOfWorld();
    damage(join(folder, "image/data.mdb"));
    const server = await Server.start(folder, LIMITS);
    expect(server.events).toContainEqual(expect.objectContaining({ event: "image-discarded" }));
    expect(await refusedIn(server.url, world)).toEqual({});
    expect(await server.stop()).toMatchObject({ code: 0 });
  });

  it("to the newest snapshot: the image does, and a new one is written", async () => {
    const folder = copyOfWorld();
    const newest = filesIn(folder, /snapshots\/\d+\.snapshot$/).at(-1) as string;
    flipBit(join(folder, newest), 200);
    const server = await Server.start(folder, { limits: { ...LIMITS.limits, imageEveryMs: 20 } });
    expect(await refusedIn(server.url, world)).toEqual({});
    await server.logged("snapshot");
    expect(await server.stop()).toMatchObject({ code: 0 });
    // Now it is no longer needed.
    rmSync(join(folder, "image"), { recursive: true });
    const next = await Server.start(folder, LIMITS);
    expect(await refusedIn(next.url, world)).toEqual({});
  });

  it("to all snapshots, and no image: what was trimmed is needed, so it does not start", async () => {
    const folder = copyOfWorld();
    for (const snapshot of filesIn(folder, /snapshots\/\d+\.snapshot$/)) flipBit(join(folder, snapshot), 200);
    rmSync(join(folder, "image"), { recursive: true });
    await expectRefusedToStart(folder, /the log begins at \d+, but no snapshot is intact/);
    // Nothing was changed to hide it.
    await expectRefusedToStart(folder, /the log begins at \d+, but no snapshot is intact/);
  });

  it("to one slot of the hard state: mended; to both: it does not start, for it might vote twice", async () => {
    const folder = copyOfWorld();
    const hardState = join(folder, "logs/0/hard-state");
    for (const slot of [0, 4_096]) {
      flipBit(hardState, slot + 30);
      const server = await Server.start(folder, LIMITS);
      expect(await server.stop()).toMatchObject({ code: 0 });
    }
    for (const slot of [0, 4_096]) flipBit(hardState, slot + 30);
    await expectRefusedToStart(folder, /hard-state: both slots are damaged/);
  });

  it("to what identifies the node, or to its secrets: it does not start, and names the file", async () => {
    for (const name of ["node.json", "secrets/webhook-signing-key.pem", "secrets/wake-token-secret"]) {
      const folder = copyOfWorld();
      zero(join(folder, name), 40, 16);
      await expectRefusedToStart(folder, new RegExp(`${name.split("/").at(-1)} is damaged`));
    }
  });

  it("to an entry that was not applied yet: what is before it is served, and no end is claimed behind it", async () => {
    const folder = temporaryFolder();
    const streams = new Map<string, string[]>([["early", []]]);
    const first = await Server.start(folder, WITHOUT_IMAGE);
    await fillStreams(first.url, streams, 40, 100);
    expect((await create(first.url, "late")).status).toBe(201);
    await first.kill();
    expect(existsSync(join(folder, "logs/0/snapshots"))).toBe(false);
    // An entry's own head stands before its batch.
    const { path, at } = placeOf(folder, SEGMENTS, "<early.20.0>");
    zero(path, at - 100, 40);

    const server = await Server.start(folder, WITHOUT_IMAGE);
    const early = streams.get("early") as string[];
    const read = await readHonestly(server.url, "early", early);
    expect(read).toMatchObject({ tailShown: false });
    // What is known of it is served, and the rest is not said to be missing.
    const before = early.slice(0, 20 * RECORDS);
    const answer = await readOnce(server.url, "early", "-1");
    expect(JSON.parse(Buffer.from(answer.body).toString())).toEqual(before.map((text) => JSON.parse(text) as unknown));
    expect(answer.headers.get("stream-up-to-date")).toBeNull();
    for (const name of ["early", "late", "never"]) expect((await head(server.url, name)).status, name).toBe(500);
    for (const name of ["early", "late"])
      expect((await append(server.url, name, { body: "[1]" })).code).toBe("damaged");
    expect((await create(server.url, "late")).code).toBe("damaged");
    expect(await server.stop()).toMatchObject({ code: 0 });
  });

  it(`anywhere, ${TRIALS} times: served as it was, or refused`, async () => {
    const prng = new Prng(SEED);
    // Of the store's pages nobody can say beforehand what they are for, nor what the store makes of them.
    const targets = filesIn(world.folder, /segments|snapshots|tails|hard-state/);
    for (let trial = 0; trial < TRIALS; trial += 1) {
      const folder = copyOfWorld();
      const target = prng.pick(targets);
      const what = `${target}: ${damageSomewhere(join(folder, target), prng)}`;
      const server = await Server.start(folder, LIMITS);
      for (const [name, expected] of world.streams) {
        const read = await readHonestly(server.url, name, expected);
        expect(read.tailShown, what).toBe(true);
      }
      await server.kill();
    }
  });
});
