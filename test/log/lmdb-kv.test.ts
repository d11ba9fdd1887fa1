/** The `Kv` contract on LMDB, and what it does where its file is damaged. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { openLargeLmdbKv, openLmdbKv } from "../../log-server/log/disk/lmdb-kv.ts";
import { KV_LIMITS } from "../../log-server/log/disk/storage-limits.ts";
import { describeKv } from "./kv-contract.ts";

describeKv("LMDB", async () => {
  const root = await mkdtemp(join(tmpdir(), "tidemark-kv-"));
  const path = join(root, "kv.d");
  let kv = openLmdbKv(path);
  return {
    kv,
    reopen: async () => {
      await kv.close();
      kv = openLmdbKv(path);
      return kv;
    },
    dispose: async () => {
      await kv.close();
      await rm(root, { recursive: true, force: true });
    },
  };
});

describe("LMDB, large", () => {
  it("is opened in turns; given up in between, it is as it was", async () => {
    const path = await mkdtemp(join(tmpdir(), "tidemark-kv-"));
    onTestFinished(() => rm(path, { recursive: true, force: true }));
    const rows = 2 * KV_LIMITS.rowsPerTurn;
    const keys = Array.from({ length: rows }, (_, n) => Uint8Array.of(n >> 8, n & 0xff));
    const kv = openLmdbKv(path);
    await kv.write(keys.map((key) => ({ kind: "put", key, value: key })));
    await kv.close();
    const given = new AbortController();
    const opening = openLargeLmdbKv(path, given.signal);
    // Not before it has begun, and long before it ends.
    setImmediate(() => given.abort());
    await expect(opening).rejects.toThrow(/abort/);
    const again = await openLargeLmdbKv(path, new AbortController().signal);
    expect([...again.range(Uint8Array.of(0), Uint8Array.of(0xff))]).toHaveLength(rows);
    await again.close();
  });
});

describe("LMDB, damaged", () => {
  const key = Uint8Array.of(1);

  async function written(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), "tidemark-kv-"));
    onTestFinished(() => rm(path, { recursive: true, force: true }));
    const kv = openLmdbKv(path);
    await kv.write([{ kind: "put", key, value: key }]);
    await kv.close();
    return path;
  }

  it("begins empty where opening it ended a process", async () => {
    const path = await written();
    await writeFile(join(path, "doubtful"), "");
    const kv = openLmdbKv(path);
    expect(kv.get(key)).toBeUndefined();
    await kv.write([{ kind: "put", key, value: key }]);
    await kv.close();
    const again = openLmdbKv(path);
    expect(again.get(key)).toEqual(key);
    await again.close();
  });

  it("begins empty where the file is not a store, and says so", async () => {
    const path = await written();
    await writeFile(join(path, "data.mdb"), new Uint8Array(16_384).fill(0x5a));
    const reasons: string[] = [];
    const kv = openLmdbKv(path, (reason) => reasons.push(reason));
    expect(kv.get(key)).toBeUndefined();
    expect(reasons).toEqual([expect.stringContaining("header")]);
    await kv.close();
  });

  it("makes its first transaction under the mark, for that may end the process", async () => {
    const path = await written();
    const kv = openLmdbKv(path);
    const marked = (): boolean => existsSync(join(path, "doubtful"));
    expect(marked()).toBe(false);
    const first = kv.write([{ kind: "put", key, value: key }]);
    expect(marked()).toBe(true);
    await first;
    expect(marked()).toBe(false);
    const second = kv.write([{ kind: "delete", key }]);
    expect(marked()).toBe(false);
    await second;
    await kv.close();
  });
});
