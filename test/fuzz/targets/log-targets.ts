/** What a node opens as a whole: its image, and a log with damage somewhere. It serves what is right, or refuses (I13). */
import { Image } from "../../../log-server/log/image.ts";
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { equalBytes } from "../../../src/lib/bytes.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { asDigest, rowHash } from "../../../src/record/row.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import { SimKv } from "../../../src/sim/kv.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import { expectedStreams, expectSameEntry, LogWorld } from "../../log/log-world.ts";
import { costly, demand, type Target, type Verdict } from "../target.ts";
import { SAMPLE_SEED } from "./samples.ts";
import { ENTRIES, imageRows, rowsOf } from "./disk-samples.ts";

const IMAGE_INPUTS = 10;
const LOG_INPUTS = 400;
const IMAGE_KEY_MAX = 1_000;
const prng = new Prng(SAMPLE_SEED);

export const LOG_TARGETS: readonly Target[] = [
  costly({
    name: "image rows",
    samples: await imageRows(),
    everyInputs: IMAGE_INPUTS,
    open: () =>
      Promise.resolve({
        check: async (bytes) => {
          const rows = rowsOf(bytes);
          // A store has no empty keys.
          if (rows === undefined || rows.some(([key]) => key.length === 0)) return "refused";
          const kv = new SimKv();
          await kv.write(rows.map(([key, value]) => ({ kind: "put", key: key.slice(0, IMAGE_KEY_MAX), value })));
          const loaded = new Image(kv).load({ logEnd: 1_000 });
          if (!loaded.ok) return "refused";
          const { stateRows, digest } = loaded.value;
          const sum = asDigest(stateRows.reduce((total, [key, value]) => total + rowHash(key, value), 0n));
          demand(sum === digest, "I13: the rows are those of the digest");
          return "accepted";
        },
      }),
  }),
  costly({
    name: "recovery of a log",
    // A change: which file, where in it, and the bytes that stand there from then on.
    samples: Array.from({ length: 20 }, (_, at) =>
      new ByteWriter().u32(prng.below(1_000)).u32(prng.below(4_096)).bytes(prng.bytes(at)).finish(),
    ),
    everyInputs: LOG_INPUTS,
    open: openLogs,
  }),
];

async function openLogs(): Promise<{ check: (bytes: Uint8Array) => Promise<Verdict> }> {
  const disk = new SimDisk();
  const kv = new SimKv();
  const world = await LogWorld.open(disk, kv);
  for (let place = 0; place < ENTRIES.length; place += 5) await world.append(ENTRIES.slice(place, place + 5));
  await world.saveImage();
  await world.close();
  const files = disk.files().filter((path) => path.includes("/segments/"));
  const check = async (bytes: Uint8Array): Promise<Verdict> => {
    const reader = new ByteReader(bytes);
    const path = files[reader.u32() % files.length] as string;
    const harmed = disk.crash({ kind: "all" });
    const content = harmed.bytes(path);
    const place = reader.u32() % Math.max(1, content.length);
    const change = reader.bytes(reader.remaining).subarray(0, content.length - place);
    if (reader.failed) return "refused";
    harmed.poke(path, place, change);
    return recovered(harmed, kv.crash(), equalBytes(content.subarray(place, place + change.length), change));
  };
  return { check };
}

/** Opens what is left and reads everything: each answer is right, or an error. */
async function recovered(disk: SimDisk, kv: SimKv, unharmed: boolean): Promise<Verdict> {
  let world: LogWorld;
  try {
    world = await LogWorld.open(disk, kv);
  } catch (error) {
    // A log that must not be opened is refused with a message, before anything is served.
    demand(error instanceof Error && error.constructor === Error && !unharmed, `opening failed: ${String(error)}`);
    return "refused";
  }
  let refused = 0;
  for (let index = world.log.firstIndex; index <= world.log.lastIndex; index += 1) {
    const read = await world.log.entries(index, index, 1);
    if (!read.ok) {
      refused += 1;
      continue;
    }
    const found = read.value[0] as Entry;
    const expected = ENTRIES[index - 1] as Entry;
    // Batches that cannot be read are left out.
    if (found.batches.some(({ bytes }) => bytes === undefined)) refused += 1;
    const batches = found.batches.map((batch, at) => ({ ...expected.batches[at], ...batch }));
    expectSameEntry({ ...found, batches }, expected, "I13: after damage");
  }
  for (const [stream, batches] of expectedStreams(ENTRIES)) {
    for (const { firstOffset, batch } of batches) {
      const end = firstOffset + batch.span;
      if (end > (world.machine.next.get(stream) ?? 0)) continue;
      const read = await world.log.read(stream, firstOffset, end, 1);
      if (!read.ok) refused += 1;
      else
        demand(equalBytes(read.value[0]?.bytes ?? new Uint8Array(), batch.bytes as Uint8Array), "I13: a wrong batch");
    }
  }
  const lost = world.log.lastIndex < ENTRIES.length;
  await world.close();
  demand(!unharmed || (refused === 0 && !lost), "what was not harmed is served");
  return refused === 0 && !lost ? "accepted" : "refused";
}
