/** A process that restores a task's rows from the newest snapshot in a stream, and says how long that took from connecting on. */
import { connect } from "../../client/index.ts";
import { ClientSnapshots } from "../../client/apps/snapshot-stream.ts";
import { SYSTEM_CLOCK, SYSTEM_ZSTD } from "../../log-server/system.ts";
import { MemoryTarget } from "../../src/runtime/snapshots/memory-target.ts";
import { restore } from "../../src/runtime/snapshots/restore.ts";

export type RestoreLoadOptions = {
  readonly url: string;
  readonly stream: string;
  /** What the rows must add up to, in decimal. */
  readonly digest: string;
};

export type RestoreLoadResult = {
  readonly seconds: number;
  /** Of all processors; other than the seconds it says something on a machine that does other things too. */
  readonly cpuSeconds: number;
};

const MICROSECONDS = 1e6;

const { url, stream, digest } = JSON.parse(process.argv[2] as string) as RestoreLoadOptions;
const before = performance.now();
const cpuBefore = process.cpuUsage();
const client = connect(url, { zstd: SYSTEM_ZSTD });
const snapshots = new ClientSnapshots(client.stream(stream));
const options = { born: 0, committed: { cursor: { position: Infinity, ordinal: 0, index: 0 }, outputs: Infinity } };
const { restored, objections } = await restore(snapshots, SYSTEM_ZSTD, new MemoryTarget(SYSTEM_CLOCK), options);
const { user, system } = process.cpuUsage(cpuBefore);
const result: RestoreLoadResult = {
  seconds: (performance.now() - before) / 1_000,
  cpuSeconds: (user + system) / MICROSECONDS,
};
await client.close();
if (String(restored?.totals.digest) !== digest) throw new Error(`not restored: ${objections.join("; ")}`);
process.stdout.write(`${JSON.stringify(result)}\n`);
