/** The image: saved and loaded as one, never used when in doubt (P6, P25, I13). */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { Image } from "../../log-server/log/image.ts";
import { openLmdbKv } from "../../log-server/log/disk/lmdb-kv.ts";
import { asDigest, type Row, type RowChange, rowHash } from "../../src/record/row.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { codeOf } from "./disk-contract.ts";

const row = (key: string, value: string | undefined): RowChange => ({
  key: utf8(key),
  value: value === undefined ? undefined : utf8(value),
});

/** A state as a plain map, and what the machine would say of it. */
class Model {
  readonly rows = new Map<string, Uint8Array>();

  apply(changes: readonly RowChange[]): this {
    for (const { key, value } of changes) {
      const name = Buffer.from(key).toString("latin1");
      if (value === undefined) this.rows.delete(name);
      else this.rows.set(name, value);
    }
    return this;
  }

  get sorted(): Row[] {
    return [...this.rows]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [new Uint8Array(Buffer.from(name, "latin1")), value]);
  }

  get digest(): bigint {
    return asDigest(this.sorted.reduce((sum, [key, value]) => sum + rowHash(key, value), 0n));
  }
}

const text = (rows: readonly Row[]): string[] =>
  rows.map(([key, value]) => `${Buffer.from(key).toString("latin1")}=${Buffer.from(value).toString("latin1")}`);

async function empty(kv: SimKv): Promise<Image> {
  const image = new Image(kv);
  expect(image.load({ logEnd: 0 })).toEqual({ ok: false, error: { kind: "missing" } });
  return image;
}

async function saved(kv: SimKv): Promise<{ image: Image; state: Model }> {
  const image = await empty(kv);
  const stateRows = [row("a", "1"), row("b", "2"), row("c", "3")];
  const state = new Model().apply(stateRows);
  await image.save({ stateRows, tailRows: [row("x", "8"), row("y", "9")], position: 10, digest: state.digest });
  return { image, state };
}

describe("image", () => {
  it("is loaded as it was saved, row by row and save by save", async () => {
    const kv = new SimKv();
    const { image, state } = await saved(kv);
    expect([image.position, image.digest]).toEqual([10, state.digest]);
    const changes = [row("a", "1b"), row("b", undefined), row("d", "4"), row("d", "5")];
    state.apply(changes);
    await image.save({
      stateRows: changes,
      tailRows: [row("x", undefined), row("z", "1"), row("z", "2"), row("none", undefined)],
      position: 12,
      digest: state.digest,
    });
    const loaded = new Image(kv).load({ logEnd: 12 });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
    expect(loaded.value.position).toBe(12);
    expect(loaded.value.digest).toBe(state.digest);
    expect(text(loaded.value.stateRows)).toEqual(["a=1b", "c=3", "d=5"]);
    expect(text(loaded.value.tailRows)).toEqual(["y=9", "z=2"]);
    expect(text([...image.stateRows()])).toEqual(["a=1b", "c=3", "d=5"]);
  });

  it("P6: is not used beyond the end of the log", async () => {
    const kv = new SimKv();
    await saved(kv);
    expect(new Image(kv).load({ logEnd: 10 }).ok).toBe(true);
    expect(new Image(kv).load({ logEnd: 9 })).toMatchObject({ ok: false, error: { kind: "beyond-log" } });
  });

  it("is forgotten on request, and then begins anew", async () => {
    const kv = new SimKv();
    const { image } = await saved(kv);
    await image.discard();
    expect(image.position).toBeUndefined();
    expect(new Image(kv).load({ logEnd: 10 })).toEqual({ ok: false, error: { kind: "missing" } });
    const state = new Model().apply([row("q", "1")]);
    await image.save({ stateRows: [row("q", "1")], tailRows: [], position: 11, digest: state.digest });
    expect(new Image(kv).load({ logEnd: 11 }).ok).toBe(true);
  });

  it("is not saved over one that was not looked at, or is of no use", async () => {
    const kv = new SimKv();
    await saved(kv);
    const image = new Image(kv);
    const save = { stateRows: [], tailRows: [], position: 11, digest: 0n };
    await expect(image.save(save)).rejects.toThrow("loaded or discarded");
    image.load({ logEnd: 9 });
    await expect(image.save(save)).rejects.toThrow("loaded or discarded");
    await image.discard();
    await image.save(save);
  });

  it("P25: a crash at any transaction leaves rows, position and digest of one moment", async () => {
    for (const phase of ["before", "after"] as const) {
      for (let crashAt = 1; crashAt <= 6; crashAt += 1) {
        for (const keepRunning of [false, true]) {
          const kv: SimKv = new SimKv({
            onMutation: (moment, ordinal) => {
              if (moment === phase && ordinal === crashAt) kv.pullPlug();
            },
          });
          const image = await empty(kv);
          const state = new Model();
          const digests = [0n];
          let done = 0;
          try {
            for (let position = 1; position <= 6; position += 1) {
              const changes = [row(`k${position % 4}`, `${position}`), row(`k${(position + 2) % 4}`, undefined)];
              digests.push(state.apply(changes).digest);
              await image.save({
                stateRows: changes,
                tailRows: [row(`t${position % 3}`, `${position}`)],
                position,
                digest: state.digest,
              });
              done = position;
            }
          } catch (error) {
            expect(await codeOf(Promise.reject(error))).toBe("closed");
          }
          const loaded = new Image(kv.crash(keepRunning)).load({ logEnd: 6 });
          const position = loaded.ok ? loaded.value.position : 0;
          expect(loaded.ok || loaded.error.kind === "missing").toBe(true);
          expect([done, done + 1]).toContain(position);
          if (loaded.ok) expect(loaded.value.digest).toBe(digests[position]);
        }
      }
    }
  });

  it("a failed transaction changes nothing, and may be tried again", async () => {
    const kv = new SimKv();
    const { image, state } = await saved(kv);
    kv.failNext();
    const changes = [row("e", "5")];
    const save = {
      stateRows: changes,
      tailRows: [row("x", "88")],
      position: 11,
      digest: new Model().apply([row("a", "1"), row("b", "2"), row("c", "3"), ...changes]).digest,
    };
    expect(await codeOf(image.save(save))).toBe("io");
    expect(new Image(kv).load({ logEnd: 11 })).toMatchObject({
      ok: true,
      value: { position: 10, digest: state.digest },
    });
    await image.save(save);
    expect(new Image(kv).load({ logEnd: 11 })).toMatchObject({ ok: true, value: { position: 11 } });
  });

  it("I13: a flipped bit in any value makes it useless", async () => {
    const kv = new SimKv();
    await saved(kv);
    let tried = 0;
    for (const [key, value] of [...kv.range(Uint8Array.of(0), Uint8Array.of(255))]) {
      for (let place = 0; place < value.length; place += 1) {
        const damaged = kv.crash();
        damaged.damage(key, (bytes) => {
          bytes[place] = (bytes[place] as number) ^ 0x10;
        });
        const loaded = new Image(damaged).load({ logEnd: 10 });
        expect(loaded.ok).toBe(false);
        if (!loaded.ok) expect(["damaged", "digest-mismatch", "unsupported-version"]).toContain(loaded.error.kind);
        tried += 1;
      }
    }
    expect(tried).toBeGreaterThan(60);
  });

  it("I13: a missing, old, extra or exchanged row, or a missing head, makes it useless", async () => {
    const kv = new SimKv();
    const { state } = await saved(kv);
    const rows = [...kv.range(Uint8Array.of(0), Uint8Array.of(255))];
    const fails = async (change: (damaged: SimKv) => Promise<void>): Promise<string> => {
      const damaged = kv.crash();
      await change(damaged);
      const loaded = new Image(damaged).load({ logEnd: 10 });
      return loaded.ok ? "loaded" : loaded.error.kind;
    };
    for (const [key] of rows) {
      expect(await fails((damaged) => damaged.write([{ kind: "delete", key }]))).toMatch(/damaged|digest-mismatch/);
    }
    const [, a, b] = rows as [Row, Row, Row];
    expect(await fails((damaged) => damaged.write([{ kind: "put", key: a[0], value: b[1] }]))).toBe("damaged");
    expect(
      await fails((damaged) =>
        damaged.write([
          { kind: "put", key: a[0], value: b[1] },
          { kind: "put", key: b[0], value: a[1] },
        ]),
      ),
    ).toBe("damaged");
    const other = new SimKv();
    await (
      await empty(other)
    ).save({ stateRows: [row("a", "0"), row("n", "0")], tailRows: [row("x", "0")], position: 9, digest: 0n });
    for (const [key, value] of [...other.range(Uint8Array.of(1), Uint8Array.of(255))]) {
      expect(await fails((damaged) => damaged.write([{ kind: "put", key, value }]))).toMatch(/damaged|digest-mismatch/);
    }
    expect(state.rows.size).toBe(3);
  });

  it("says so when the machine's digest is not that of the rows", async () => {
    const kv = new SimKv();
    await (await empty(kv)).save({ stateRows: [row("a", "1")], tailRows: [], position: 1, digest: 12n });
    expect(new Image(kv).load({ logEnd: 1 })).toMatchObject({ ok: false, error: { kind: "digest-mismatch" } });
  });

  it("keeps rows whose keys are longer than a store's, next to those that share their beginning", async () => {
    const kv = new SimKv();
    const image = await empty(kv);
    const long = "n".repeat(985);
    const stateRows = ["", "1", "123456", "1234567", "é".repeat(2_000), "é".repeat(2_001)].map((end) =>
      row(long + end, `of ${end.length}`),
    );
    const state = new Model().apply(stateRows);
    await image.save({ stateRows, tailRows: [], position: 1, digest: state.digest });
    const loaded = new Image(kv).load({ logEnd: 1 });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
    expect(text(loaded.value.stateRows).sort()).toEqual(text(state.sorted).sort());
    const last = stateRows.at(-1) as RowChange;
    state.apply([{ key: last.key, value: undefined }]);
    await image.save({
      stateRows: [{ key: last.key, value: undefined }],
      tailRows: [],
      position: 2,
      digest: state.digest,
    });
    expect(new Image(kv).load({ logEnd: 2 })).toMatchObject({ ok: true });
  });

  it("equals a plain map under any changes and restarts", async () => {
    const change = fc.record({
      key: fc.constantFrom("a", "b", "c", "d", "e".repeat(1_000)),
      value: fc.option(fc.string({ maxLength: 5 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ state: fc.array(change), tail: fc.array(change), restart: fc.boolean() }), {
          minLength: 1,
          maxLength: 8,
        }),
        async (saves) => {
          const kv = new SimKv();
          let image = await empty(kv);
          const state = new Model();
          const tail = new Model();
          for (const [index, save] of saves.entries()) {
            const stateRows = save.state.map(({ key, value }) => row(key, value));
            const tailRows = save.tail.map(({ key, value }) => row(key, value));
            state.apply(stateRows);
            tail.apply(tailRows);
            await image.save({ stateRows, tailRows, position: index + 1, digest: state.digest });
            if (!save.restart) continue;
            image = new Image(kv);
            const loaded = image.load({ logEnd: index + 1 });
            if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
            expect(text(loaded.value.stateRows)).toEqual(text(state.sorted));
            expect(text(loaded.value.tailRows)).toEqual(text(tail.sorted));
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("carries a hundred thousand rows through LMDB", async () => {
    const path = await mkdtemp(join(tmpdir(), "tidemark-image-"));
    onTestFinished(() => rm(path, { recursive: true, force: true }));
    const count = 100_000;
    const stateRows = Array.from({ length: count }, (_, index) => row(`stream/${index}`, `value ${index} `.repeat(8)));
    const digest = asDigest(stateRows.reduce((sum, { key, value }) => sum + rowHash(key, value as Uint8Array), 0n));
    let kv = openLmdbKv(path);
    const image = new Image(kv);
    image.load({ logEnd: 0 });
    await image.save({ stateRows, tailRows: [row("t", "1")], position: 5, digest });
    await kv.close();
    kv = openLmdbKv(path);
    const loaded = new Image(kv).load({ logEnd: 5 });
    expect(loaded).toMatchObject({ ok: true, value: { position: 5, digest } });
    if (loaded.ok) expect(loaded.value.stateRows.length).toBe(count);
    await kv.close();
  });
});
