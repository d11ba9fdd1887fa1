/** Bugs of storage, streams and groups. Where a source is an issue's number only, it is in the repository named. */
import type { Mutant } from "./mutant.ts";

type NodeMutant = Omit<Mutant, "world">;

const LOG = "log-server/log";
const NODE = "log-server/node";
const STREAMS = "log-server/streams";

const STORAGE: readonly NodeMutant[] = [
  {
    name: "an append is acknowledged before its sync",
    source: "P27: NATS #7564",
    file: `${LOG}/log-writer.ts`,
    find: "await active.file.raw.writeSynced(group.place, group.chunks);",
    replace: "await active.file.raw.write(group.place, group.chunks);",
    quick: true,
  },
  {
    name: "a sole voter answers before its own sync",
    source: "P3: etcd #14370",
    file: "log-server/raft/raft-log.ts",
    find: "return Math.min(this.committed, this.#stable);",
    replace: "return this.lastIndex;",
    assertion: "the log stops its node before it applies what its disk does not have yet",
  },
  {
    name: "a failed sync is tried again",
    source: "P30: PostgreSQL fsyncgate; Rebello, ATC '20",
    file: `${LOG}/log-writer.ts`,
    find: "await active.file.raw.writeSynced(group.place, group.chunks);",
    replace:
      "const file = active.file.raw;\n      await file.writeSynced(group.place, group.chunks).catch(() => file.sync());",
  },
  {
    name: "both slots of the hard state in one sync",
    source: "P5: hashicorp/raft #661",
    file: `${LOG}/hard-state.ts`,
    find: "await this.#file.write(slot * SLOT_SPACING, [encodeSlot(slot, generation, state)]);\n        await this.#file.sync();",
    replace:
      "await this.#file.write(slot * SLOT_SPACING, [encodeSlot(slot, generation, state)]);\n        if (slot === 9) await this.#file.sync();",
  },
  {
    name: "a torn batch at the end of the log is taken",
    source: "P31: restate #3161",
    file: `${LOG}/segments/segment-judge.ts`,
    find: "return piece.damagedBatches.length > 0 || !this.#follows(piece);",
    replace: "return !this.#follows(piece);",
  },
  {
    name: "damage in the middle ends the log",
    source: "P32: NATS #7549",
    file: `${LOG}/segments/segment-judge.ts`,
    find: "const settled = !this.#context.isLast || this.#footer !== undefined || piece.place < this.#proven;",
    replace: "const settled = !this.#context.isLast || this.#footer !== undefined;",
    quick: true,
  },
  {
    name: "a batch is read without its checksum",
    source: "P32: NATS #7556; FAST '17",
    file: `${LOG}/segments/segment-scan.ts`,
    find: "  for (let at = 0; at < BATCH_HASH_LENGTH; at += 1) if (bytes[at] !== STORED_HASH[at]) return false;\n  return xxh64(bytes.subarray(BATCH_HASH_LENGTH)) === batch.hash;",
    replace: "  return true;",
    quick: true,
  },
  {
    name: "the oldest snapshot is taken for the newest",
    source: "P21: hashicorp/raft #395",
    file: `${LOG}/snapshots/snapshot-store.ts`,
    find: "return positions.sort((a, b) => b - a);",
    replace: "return positions.sort((a, b) => a - b);",
  },
  {
    name: "the log is trimmed above the snapshot",
    source: "P22: etcd #14509",
    file: `${LOG}/trimmer.ts`,
    find: "if (segment.lastIndex > position || segment === segments.last) break;",
    replace: "if (segment === segments.last) break;",
  },
  {
    name: "a snapshot gets its name before it is synced",
    source: "Pillai, OSDI '14 (LevelDB, ZooKeeper)",
    file: `${LOG}/snapshots/snapshot-store.ts`,
    find: "      await file.sync();\n      const back",
    replace: "      const back",
  },
  {
    name: "a snapshot's name is not synced",
    source: "Pillai, OSDI '14 (LevelDB, ZooKeeper)",
    file: `${LOG}/snapshots/snapshot-store.ts`,
    find: 'await this.#disk.rename(temporary, this.#pathOf(position, "snapshot"));\n    await this.#disk.syncDirectory(this.#directory);',
    replace: 'await this.#disk.rename(temporary, this.#pathOf(position, "snapshot"));',
    quick: true,
  },
  {
    name: "a segment's name is not synced",
    source: "Pillai, OSDI '14 (LevelDB, ZooKeeper)",
    file: `${LOG}/segments/spares.ts`,
    find: "await syncSegments({ disk: this.#disk, layout: this.#layout, poison: this.#poison });",
    replace: "",
  },
  {
    name: "an index block is not synced",
    source: "Pillai, OSDI '14 (LevelDB, ZooKeeper)",
    file: `${LOG}/segments/sealer.ts`,
    find: "await file.sync();",
    replace: "",
    quick: true,
  },
  {
    name: "the applied position is saved apart from the state",
    source: "P25: etcd #13766",
    file: `${LOG}/image.ts`,
    find: "await this.#kv.write(writes);\n      this.#meta = meta;",
    replace: "await this.#kv.write(writes.splice(-1));\n      await this.#kv.write(writes);\n      this.#meta = meta;",
  },
  {
    name: "a rewritten segment's sources go before it has its name",
    source: "P47: KAFKA-6264",
    file: `${LOG}/rewrite/rewriter.ts`,
    find: "await disk.rename(layout.file(sequence, `${kind}.new`), layout.file(sequence, kind));\n        await syncSegments(this.#parts);",
    replace: "await disk.rename(layout.file(sequence, `${kind}.new`), layout.file(sequence, kind));",
  },
  {
    name: "compaction keeps the oldest record of a key",
    source: "P47: Kafka, log cleaner's offset map",
    file: `${NODE}/compaction/offset-map.ts`,
    find: "    this.#offsets.set(text, offset);\n",
    replace: "    if (before === undefined) this.#offsets.set(text, offset);\n",
    assertion: "the map of offsets stops the round before a record is dropped",
    quick: true,
  },
];

const COMMANDS: readonly NodeMutant[] = [
  {
    name: "a retry takes effect again",
    source: "P36: jetcd 0.8.2 (Jepsen), Redpanda #3039",
    file: `${STREAMS}/producer.ts`,
    find: 'if (tag.sequence <= producer.sequence) return { kind: "duplicate", producer };',
    replace: 'if (tag.sequence <= producer.sequence) return { kind: "next" };',
    quick: true,
  },
  {
    name: "a retry gets the newest answer",
    source: "P36: MongoDB SERVER-48307",
    file: `${STREAMS}/append-records.ts`,
    find: "producer.answers.find(producer.sequence - tag.sequence)",
    replace: "producer.answers.find(0)",
    quick: true,
  },
  {
    name: "what producers sent is not in the image",
    source: "P36: Redpanda #3039",
    file: `${STREAMS}/producer-state.ts`,
    find: "  state.ledger.touch(producer);\n",
    replace: "",
  },
  {
    name: "an old lease settles what another has",
    source: "P39: Jepsen etcd 3.4.3, Hazelcast 3.8.3",
    file: `${STREAMS}/groups/serve-queue.ts`,
    find: 'run.state.kind !== "leased" || run.state.generation !== generation',
    replace: 'run.state.kind !== "leased"',
    quick: true,
  },
  {
    name: "all leases have one generation",
    source: "P39: Jepsen etcd 3.4.3",
    file: `${STREAMS}/position-row.ts`,
    find: "    this.nextGeneration += 1;\n",
    replace: "",
  },
  {
    name: "a committed offset goes back",
    source: "P40: goes back in time",
    file: `${STREAMS}/groups/serve-partitions.ts`,
    find: "if (offset <= partition.committed) continue;",
    replace: "",
  },
  {
    name: "a dead letter is put again",
    source: "P36: duplicate on the server's own retry",
    file: `${STREAMS}/groups/serve-queue.ts`,
    find: "  link.records.set(command.offset, command.offset + 1, undefined);\n",
    // Only the first, or it would go on for ever.
    replace: "  if (group.deadLettered !== 1) link.records.set(command.offset, command.offset + 1, undefined);\n",
    quick: true,
  },
  {
    name: "the end of a lease is no failed attempt",
    source: "P39: lease ends and is given anew, for ever",
    file: `${STREAMS}/groups/serve-queue.ts`,
    find: "Math.min(to, from + this.left), state.attempt + 1)",
    replace: "Math.min(to, from + this.left), state.attempt)",
  },
];

export const NODE_MUTANTS: readonly Mutant[] = [...STORAGE, ...COMMANDS].map((mutant) => ({
  ...mutant,
  world: "node",
}));
