/** What Raft asks of the disk: what is read for others is whole or not there; what is stopped writes nothing more. */
import { describe, expect, it } from "vitest";
import { RaftStorage, type RaftStorageParts } from "../../log-server/node/consensus/raft-storage.ts";
import type { AppendDone, Fetched } from "../../log-server/raft/types.ts";
import { ok } from "../../src/lib/result.ts";
import { SimClock } from "../../src/sim/clock.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { batchOf } from "./sim-node.ts";

const NOTHING = new Uint8Array(0);

function entry(index: number, isWhole = true): Entry {
  const { bytes, ...batch } = batchOf(`value ${index}`);
  const batches = [isWhole && bytes !== undefined ? { ...batch, bytes } : batch];
  return { index, term: 1, kind: "commands", logTime: 1, head: NOTHING, batches };
}

type Life = { storage: RaftStorage; answers: (AppendDone | Fetched)[]; appended: Entry[]; writeHardState: () => void };

function storageOf(entries: readonly Entry[]): Life {
  const answers: (AppendDone | Fetched)[] = [];
  const appended: Entry[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const log: RaftStorageParts["log"] = {
    firstIndex: 2,
    poisoned: undefined,
    term: () => undefined,
    entries: (from, to) => Promise.resolve(ok(entries.filter(({ index }) => index >= from && index <= to))),
    append: (group) => {
      appended.push(...group);
      return Promise.resolve();
    },
  };
  const parts = { log, hardState: { write: () => promise }, clock: new SimClock(), limits: { stalledRetryMs: 100 } };
  const storage = new RaftStorage(parts, {
    answered: (message) => answers.push(message),
    synced: () => undefined,
    stalled: () => undefined,
    failed: (error) => {
      throw error;
    },
  });
  return { storage, answers, appended, writeHardState: resolve };
}

describe("entries read for a follower", () => {
  const fetch = async (entries: readonly Entry[], from: number): Promise<Fetched["outcome"]> => {
    const { storage, answers } = storageOf(entries);
    await storage.fetch({ id: 7, node: "n2", from, to: 9, bytesMax: 1_000 });
    const [answer] = answers;
    if (answer?.kind !== "fetched" || answers.length !== 1) throw new Error("not answered once");
    return answer.outcome;
  };

  it("end before one that damage took a batch of (I13)", async () => {
    expect(await fetch([entry(2), entry(3, false), entry(4)], 2)).toEqual({ kind: "entries", entries: [entry(2)] });
  });

  it("cannot be read now where the first is damaged, and are gone where the log begins later", async () => {
    expect(await fetch([entry(2, false), entry(3)], 2)).toEqual({ kind: "unavailable" });
    expect(await fetch([entry(2)], 1)).toEqual({ kind: "trimmed" });
  });
});

describe("an append", () => {
  const done: AppendDone = { kind: "append-done", hardTerm: 3, last: { index: 2, term: 1 } };
  const work = { hardState: { term: 3, vote: undefined }, entries: [entry(2)], done };

  it("is answered once the hard state and then the entries are durable (I1, I5)", async () => {
    const { storage, answers, appended, writeHardState } = storageOf([]);
    const appending = storage.append(work);
    await Promise.resolve();
    expect([appended, answers]).toEqual([[], []]);
    writeHardState();
    await appending;
    expect([appended, answers]).toEqual([[entry(2)], [done]]);
  });

  it("writes nothing to the log once the node has stopped: its end is proven, and it is closed", async () => {
    const { storage, answers, appended, writeHardState } = storageOf([]);
    const appending = storage.append(work);
    storage.stop();
    writeHardState();
    await appending;
    expect([appended, answers]).toEqual([[], []]);
  });
});
