/**
 * Damage around rewriting: to what is rewritten, it is neither dropped nor in the way of the rest; to the new segment, it
 * is refused and never taken for compacted (I13, P32).
 */
import { describe, expect, it } from "vitest";
import { createAnew } from "../../log-server/log/disk/create-anew.ts";
import { BATCH_FRAME_OVERHEAD, readBatchHead } from "../../log-server/log/rewrite/compacted-file.ts";
import type { MendSource } from "../../log-server/log/repair/mender.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { restarted, type Machine } from "./crash-everywhere.ts";
import { expectedStreams, LogWorld, makeEntries } from "./log-world.ts";
import type { Law } from "./rewrite-law.ts";
import { rewritable, sealedMachine } from "./sealed-machine.ts";

const SECTOR = 512;
const ENTRIES = makeEntries(new Prng(41), 1, 90);

async function rewriteAll(world: LogWorld, law: Law): ReturnType<LogWorld["log"]["rewrite"]> {
  return world.log.rewrite(world.log.horizon.index, rewritable(world), law);
}

/** The same, but for the file of its first sealed segment. */
async function withoutFirstSegment(machine: Machine): Promise<Machine> {
  const harmed = restarted(machine);
  const index = harmed.disk.files().find((path) => path.endsWith(".index")) as string;
  await harmed.disk.remove(index.replace(".index", ".log"));
  return harmed;
}

/** A machine that is off, in which all that can be was rewritten. */
async function rewrittenBase(by?: Law): Promise<{ machine: Machine; law: Law }> {
  const { machine, law: usual } = await sealedMachine(ENTRIES);
  const law = by ?? usual;
  const started = restarted(machine);
  const world = await LogWorld.open(started.disk, started.kv);
  expect((await rewriteAll(world, law)).refused).toBeUndefined();
  await world.close();
  return { machine: { disk: started.disk.crash({ kind: "all" }), kv: started.kv.crash() }, law };
}

/** In the place of what is there. */
async function put(disk: SimDisk, path: string, bytes: Uint8Array): Promise<void> {
  const file = await createAnew(disk, path);
  await file.write(0, [bytes]);
  await file.sync();
  await file.close();
}

type Served = { readonly refused: number; readonly served: number };

/**
 * Offset by offset: what survives is served as it was appended or refused as damaged, never left out. `hides`: whether a
 * refusal is to be expected at all.
 */
async function readEach(world: LogWorld, law: Law, where: string): Promise<Served> {
  let refused = 0;
  let served = 0;
  for (const [stream, batches] of expectedStreams(ENTRIES)) {
    for (const { firstOffset, batch } of batches) {
      const end = firstOffset + batch.span;
      const read = await world.log.read(stream, firstOffset, end, 1);
      if (!read.ok) {
        refused += 1;
        continue;
      }
      const [stored] = read.value;
      let survivors = 0;
      for (let offset = firstOffset; offset < end; offset += 1) if (!law.mayGo(stream, offset)) survivors += 1;
      if (stored === undefined && survivors > 0) throw new Error(`${where}: ${survivors} records were left out`);
      if (stored === undefined) continue;
      if (stored.firstOffset !== firstOffset || stored.span !== batch.span) throw new Error(`${where}: a wrong batch`);
      const whole = Buffer.compare(stored.bytes, batch.bytes as Uint8Array) === 0;
      if (survivors === batch.span && !whole) throw new Error(`${where}: stream ${stream} at ${firstOffset} is wrong`);
      served += 1;
    }
  }
  return { refused, served };
}

const HARMS = {
  flip: (disk: SimDisk, path: string, sector: number, prng: Prng): boolean => {
    disk.flip(path, sector * SECTOR + prng.below(SECTOR), prng.below(8));
    return true;
  },
  zero: (disk: SimDisk, path: string, sector: number): boolean => disk.zeroSector(path, sector),
  stale: (disk: SimDisk, path: string, sector: number): boolean => disk.staleSector(path, sector),
} as const;

async function everySector(
  machine: Machine,
  paths: readonly string[],
  check: (harmed: Machine, where: string, path: string) => Promise<void>,
): Promise<number> {
  const prng = new Prng(42);
  let cases = 0;
  for (const path of paths) {
    for (let sector = 0; sector < Math.ceil(machine.disk.bytes(path).length / SECTOR); sector += 1) {
      for (const [name, harm] of Object.entries(HARMS)) {
        const harmed = restarted(machine);
        if (sector * SECTOR + SECTOR > machine.disk.bytes(path).length && name === "flip") continue;
        if (!harm(harmed.disk, path, sector, prng)) continue;
        cases += 1;
        await check(harmed, `${name} of sector ${sector} of ${path}`, path);
      }
    }
  }
  return cases;
}

describe("a file that ends too early", () => {
  it("is damage: of a segment, its index, a snapshot, with the store and, where a snapshot is left, without", async () => {
    const { machine, law } = await sealedMachine(ENTRIES);
    const started = restarted(machine);
    const before = await LogWorld.open(started.disk, started.kv);
    const sequences = rewritable(before);
    const half = sequences.slice(0, Math.ceil(sequences.length / 2));
    expect((await before.log.rewrite(before.log.horizon.index, half, law)).refused).toBeUndefined();
    await before.close();
    const off = { disk: started.disk.crash({ kind: "all" }), kv: started.kv.crash() };
    const paths = off.disk.files().filter((path) => /\.(log|compacted|index|snapshot)$/.test(path));
    expect(new Set(paths.map((path) => path.split(".").at(-1))).size).toBe(4);
    const refusals = new Set<string>();
    for (const path of paths) {
      const bytes = off.disk.bytes(path);
      for (const length of [0, 1, SECTOR, Math.floor(bytes.length / 2), bytes.length - SECTOR, bytes.length - 1]) {
        if (length < 0 || length >= bytes.length) continue;
        for (const kept of path.endsWith(".snapshot") ? [true] : [true, false]) {
          const where = `${path} cut to ${length} of ${bytes.length}, ${kept ? "with" : "without"} the store`;
          const harmed = restarted(off);
          await put(harmed.disk, path, bytes.subarray(0, length));
          const world = await LogWorld.open(harmed.disk, kept ? harmed.kv : new SimKv());
          const { refused } = await readEach(world, law, where);
          if (refused > 0) {
            expect(world.log.damage.length, where).toBeGreaterThan(0);
            refusals.add(path);
          }
          await world.close();
        }
      }
    }
    expect(refusals.size).toBeGreaterThan(1);
  });
});

describe("a damaged sector", () => {
  it("of a rewritten segment hides the batches in it and nothing else; of its index, nothing", async () => {
    const { machine, law } = await rewrittenBase();
    const intact = await LogWorld.open(restarted(machine).disk, machine.kv.crash());
    const all = await readEach(intact, law, "intact");
    expect(all.refused).toBe(0);
    await intact.close();
    const compacted = machine.disk.files().filter((path) => path.endsWith(".compacted"));
    expect(compacted.length).toBe(1);
    const paths = compacted.flatMap((path) => [path, path.replace(".compacted", ".index")]);
    let refused = 0;
    let damaged = 0;
    const cases = await everySector(machine, paths, async (harmed, where, path) => {
      for (const kv of [harmed.kv, new SimKv()]) {
        const world = await LogWorld.open(harmed.disk, kv);
        const served = await readEach(world, law, where);
        expect(world.log.lastIndex, where).toBe(ENTRIES.length);
        expect(served.served + served.refused, where).toBe(all.served);
        if (path.endsWith(".index")) expect(served.refused, where).toBe(0);
        expect(served.refused, where).toBeLessThan(8);
        if (served.refused > 0) expect(world.log.damage.length, where).toBeGreaterThan(0);
        refused += served.refused;
        damaged += served.refused > 0 ? 1 : 0;
        await world.close();
      }
    });
    expect(cases).toBeGreaterThan(50);
    expect(damaged).toBeGreaterThan(10);
    expect(refused).toBeGreaterThan(30);
  });

  it("of what is rewritten stays refused in the new segment, or has the run refused", async () => {
    const { machine, law } = await sealedMachine(ENTRIES);
    let carried = 0;
    const paths = machine.disk.files().filter((path) => path.endsWith(".log") || path.endsWith(".index"));
    const sources = paths.filter((path) => paths.includes(path.replace(".log", ".index")) && !path.endsWith("1.index"));
    const cases = await everySector(machine, sources.slice(0, 6), async (harmed, where) => {
      let world = await LogWorld.open(harmed.disk, harmed.kv);
      const report = await rewriteAll(world, law);
      const refusedBefore = await readEach(world, law, where);
      if (report.refused !== undefined) expect(world.log.damage.length, where).toBeGreaterThan(0);
      else expect(refusedBefore.refused, where).toBe(report.batches.damaged);
      carried += report.batches.damaged;
      await world.close();
      world = await LogWorld.open(harmed.disk, harmed.kv);
      expect((await readEach(world, law, where)).refused, where).toBe(refusedBefore.refused);
      // Once more: it is carried over again, and nothing is made of it.
      if (report.refused === undefined) {
        const again = await rewriteAll(world, law);
        if (again.refused === undefined) expect(again.batches.damaged, where).toBe(report.batches.damaged);
        expect((await readEach(world, law, where)).refused, where).toBe(refusedBefore.refused);
      }
      await world.close();
    });
    expect(cases).toBeGreaterThan(60);
    expect(carried).toBeGreaterThan(10);
  });
});

describe("a rewritten segment", () => {
  it("whose file is missing, or whose index, is known to be: nothing passes for compacted, nothing is removed", async () => {
    const { machine, law } = await rewrittenBase();
    const path = machine.disk.files().find((name) => name.endsWith(".compacted")) as string;
    for (const missing of [path, path.replace(".compacted", ".index")]) {
      const harmed = restarted(machine);
      await harmed.disk.remove(missing);
      for (let start = 0; start < 2; start += 1) {
        const world = await LogWorld.open(harmed.disk, harmed.kv);
        expect(world.log.damage.length, missing).toBeGreaterThan(0);
        expect((await readEach(world, law, missing)).refused, missing).toBeGreaterThan(10);
        expect(world.log.lastIndex).toBe(ENTRIES.length);
        await world.close();
      }
      const left = missing === path ? path.replace(".compacted", ".index") : path;
      expect(harmed.disk.exists(left), left).toBe(true);
    }
  });

  it("whose file is lost together with the store is refused, at every start: nothing passes for compacted", async () => {
    const { machine, law } = await rewrittenBase();
    const path = machine.disk.files().find((name) => name.endsWith(".compacted")) as string;
    const harmed = restarted(machine);
    await harmed.disk.remove(path);
    let refused: number | undefined;
    for (let start = 0; start < 3; start += 1) {
      // With the store that the first start built, and without any.
      const world = await LogWorld.open(harmed.disk, start === 1 ? harmed.kv : new SimKv());
      const served = await readEach(world, law, `start ${start}`);
      refused ??= served.refused;
      expect(served.refused).toBe(refused);
      expect(world.log.damage.length).toBeGreaterThan(0);
      // Neither a time nor a rewrite goes over the hole: the store knows what it covers, or nobody does.
      for (const stream of world.machine.next.keys()) {
        if (start !== 1) expect(world.log.streamSegments(stream)[0]?.firstOffset).toBeGreaterThan(0);
        expect(await world.log.offsetAtTime(stream, 0, 0, 1)).toMatchObject({ ok: false });
      }
      if (start === 1) expect((await rewriteAll(world, law)).refused).toBeDefined();
      expect(world.log.lastIndex).toBe(ENTRIES.length);
      await world.close();
    }
    expect(refused).toBeGreaterThan(10);
  });

  it("with another node's index, of the same number, has none: nothing passes for compacted, and it is made anew", async () => {
    const { machine, law } = await rewrittenBase();
    const more = law.clone();
    more.survivingOfHundred = 10;
    const other = (await rewrittenBase(more)).machine;
    for (const kinds of [["index"], ["index", "compacted"]]) {
      const harmed = restarted(machine);
      for (const path of harmed.disk.files().filter((name) => name.endsWith(".compacted")))
        for (const kind of kinds) {
          const name = path.replace("compacted", kind);
          expect(Buffer.compare(other.disk.bytes(name), machine.disk.bytes(name)), name).not.toBe(0);
          await put(harmed.disk, name, other.disk.bytes(name));
        }
      const world = await LogWorld.open(harmed.disk, harmed.kv);
      const where = kinds.join(" and ");
      expect((await readEach(world, law, where)).refused, where).toBeGreaterThan(0);
      for (const sequence of world.log.sequences()) await world.log.scrub(sequence, () => Promise.resolve());
      const [found, ...rest] = new Set(world.log.damage.map(({ segment }) => segment));
      expect(rest).toEqual([]);
      expect(await world.log.reindex(found as number, [])).toMatchObject({ ok: kinds.length === 1 });
      if (kinds.length === 1) expect((await readEach(world, law, where)).refused, where).toBe(0);
      else expect(world.log.damage.length, where).toBeGreaterThan(0);
      await world.close();
    }
  });

  it("says of each batch what it was when it was appended", async () => {
    const { machine } = await rewrittenBase();
    const path = machine.disk.files().find((name) => name.endsWith(".compacted")) as string;
    const bytes = machine.disk.bytes(path);
    const sequence = Number(/(\d+)\.compacted/.exec(path)?.[1]);
    const appended = new Map(
      [...expectedStreams(ENTRIES)].flatMap(([stream, batches]) =>
        batches.map((one) => [`${one.index}/${one.ordinal}`, { ...one, stream }] as const),
      ),
    );
    let cut = 0;
    let whole = 0;
    for (let place = SECTOR; place < bytes.length;) {
      const head = readBatchHead(bytes.subarray(place), sequence, place);
      if (head === undefined) throw new Error(`no batch at ${place}`);
      const original = appended.get(`${head.position}/${head.ordinal}`);
      expect(head).toMatchObject({
        streamId: original?.stream,
        incarnation: 7 + (original?.stream as number),
        firstOffset: original?.firstOffset,
        span: original?.batch.span,
        identity: original?.batch.hash,
        logTime: 1_000 + head.position,
      });
      if (head.hash === head.identity) whole += 1;
      else cut += 1;
      place += Math.ceil((BATCH_FRAME_OVERHEAD + head.length) / 8) * 8;
    }
    expect(whole).toBeGreaterThan(5);
    expect(cut).toBeGreaterThan(5);
  });
});

describe("mending", () => {
  const noPace = (): Promise<void> => Promise.resolve();
  const sourceOf = (world: LogWorld): MendSource => ({
    entries: (from, to) => world.log.offered(from, to, 1_000),
    batches: (wanted) => Promise.all(wanted.map((one) => world.log.kept(one))),
  });

  it("gives a rewritten segment back byte for byte what a sector of it held", async () => {
    const { machine, law } = await rewrittenBase();
    const started = restarted(machine);
    const other = await LogWorld.open(started.disk, started.kv);
    const paths = machine.disk.files().filter((path) => path.endsWith(".compacted"));
    let mended = 0;
    const cases = await everySector(machine, paths, async (harmed, where, path) => {
      const world = await LogWorld.open(harmed.disk, harmed.kv);
      for (const sequence of world.log.sequences()) await world.log.scrub(sequence, noPace);
      const damaged = new Set(world.log.damage.flatMap(({ segment }) => (segment === undefined ? [] : [segment])));
      for (const sequence of damaged) {
        const report = await world.log.mend(sequence, [sourceOf(other)]);
        expect(report.left, where).toBe(0);
        mended += report.batches;
      }
      expect(world.log.damage, where).toEqual([]);
      expect((await readEach(world, law, where)).refused, where).toBe(0);
      if (damaged.size > 0)
        expect(Buffer.compare(harmed.disk.bytes(path), machine.disk.bytes(path)), `${where}: the same bytes`).toBe(0);
      await world.close();
    });
    expect(cases).toBeGreaterThan(20);
    expect(mended).toBeGreaterThan(20);
    await other.close();
  });

  it("makes the whole file of a rewritten segment anew, and takes nothing from who has compacted less", async () => {
    const { machine, law } = await rewrittenBase();
    const lost = restarted(machine);
    for (const path of lost.disk.files().filter((name) => name.endsWith(".compacted"))) await lost.disk.remove(path);
    const started = restarted(machine);
    const other = await LogWorld.open(started.disk, started.kv);
    const before = (await sealedMachine(ENTRIES)).machine;
    const less = await LogWorld.open(before.disk, before.kv);
    const world = await LogWorld.open(lost.disk, lost.kv);
    const [damage] = world.log.damage;
    const some = await world.log.mend(damage?.segment as number, [sourceOf(less)]);
    expect(some.batches, "those that nothing was taken out of").toBeGreaterThan(0);
    expect(some.left).toBeGreaterThan(0);
    expect(await world.log.mend(damage?.segment as number, [sourceOf(less), sourceOf(other)])).toMatchObject({
      left: 0,
    });
    expect((await readEach(world, law, "all of it")).refused).toBe(0);
    for (const one of [world, other, less]) await one.close();
  });

  it("goes on in the new segment where a file was missing that is rewritten, and says no more of the old one", async () => {
    const { machine, law } = await sealedMachine(ENTRIES);
    const whole = restarted(machine);
    const other = await LogWorld.open(whole.disk, whole.kv);
    const harmed = await withoutFirstSegment(machine);
    const world = await LogWorld.open(harmed.disk, harmed.kv);
    const [missing] = world.log.damage;
    expect(missing).toMatchObject({ kind: "segment" });
    const { batches, refused } = await rewriteAll(world, law);
    expect(refused).toBeUndefined();
    expect(batches.damaged).toBeGreaterThan(0);
    expect(world.log.damage.length).toBe(batches.damaged);
    const sequences = new Set(world.log.damage.map(({ segment }) => segment as number));
    expect(sequences.has(missing?.segment as number)).toBe(false);
    for (const sequence of sequences)
      expect(await world.log.mend(sequence, [sourceOf(other)])).toMatchObject({ batches: batches.damaged, left: 0 });
    expect(world.log.damage).toEqual([]);
    expect((await readEach(world, law, "mended")).refused).toBe(0);
    await world.close();
    await other.close();
  });

  it("has nothing to do for a segment whose file was missing, once nothing of it is live and it was dropped", async () => {
    const { machine } = await sealedMachine(ENTRIES);
    const harmed = await withoutFirstSegment(machine);
    const world = await LogWorld.open(harmed.disk, harmed.kv);
    expect(world.log.damage).toMatchObject([{ kind: "segment" }]);
    expect(await world.log.trim(world.log.horizon.index, () => false)).toBeGreaterThan(0);
    expect(world.log.damage).toEqual([]);
    await world.close();
  });

  it.each(["damaged beyond its parity", "missing"])(
    "makes the index of a rewritten segment anew that is %s",
    async (how) => {
      const { machine, law } = await rewrittenBase();
      const harmed = restarted(machine);
      const paths = harmed.disk.files().filter((path) => harmed.disk.exists(path.replace(".index", ".compacted")));
      const indexes = paths.filter((path) => path.endsWith(".index"));
      expect(indexes.length).toBeGreaterThan(0);
      for (const path of indexes) {
        if (how === "missing") await harmed.disk.remove(path);
        else
          for (let at = 0; at < harmed.disk.bytes(path).length; at += SECTOR) harmed.disk.zeroSector(path, at / SECTOR);
      }
      const world = await LogWorld.open(harmed.disk, harmed.kv);
      expect((await readEach(world, law, how)).refused).toBeGreaterThan(0);
      const damaged = new Set(world.log.damage.flatMap(({ segment }) => (segment === undefined ? [] : [segment])));
      expect(damaged.size).toBe(indexes.length);
      for (const sequence of damaged) expect(await world.log.reindex(sequence, [])).toMatchObject({ ok: true });
      expect((await readEach(world, law, how)).refused).toBe(0);
      await world.close();
      for (const path of indexes)
        expect(Buffer.compare(harmed.disk.bytes(path), machine.disk.bytes(path)), "the same bytes").toBe(0);
      const again = await LogWorld.open(harmed.disk, harmed.kv);
      expect(again.log.damage).toEqual([]);
      expect((await readEach(again, law, how)).refused).toBe(0);
      await again.close();
    },
  );

  it("makes no index of a rewritten segment from batches that are damaged, too", async () => {
    const { machine, law } = await rewrittenBase();
    const harmed = restarted(machine);
    for (const path of harmed.disk.files()) {
      if (path.endsWith(".compacted")) harmed.disk.flip(path, 2 * SECTOR, 3);
      else if (path.endsWith(".index")) await harmed.disk.remove(path);
    }
    const world = await LogWorld.open(harmed.disk, harmed.kv);
    const sequence = world.log.damage.find(({ kind }) => kind === "index")?.segment as number;
    for (let sector = 1; sector < 6; sector += 1) {
      const path = harmed.disk.files().find((name) => name.endsWith(".compacted")) as string;
      harmed.disk.zeroSector(path, sector);
    }
    expect(await world.log.reindex(sequence, [])).toMatchObject({ ok: false });
    expect((await readEach(world, law, "no index")).refused).toBeGreaterThan(0);
    await world.close();
  });
});
