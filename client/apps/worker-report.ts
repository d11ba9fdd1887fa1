/**
 * What whoever runs an app tells of its replicas: now and then a record of JSON in a stream of the app's own, `apps/<app>/status`, with the
 * replica's id as its key. The log knows what is committed; how far a replica has read, how fast it is and what it restores only itself
 * knows. Nothing depends on reports: one may be lost, and the last one of who died stays.
 */
import { text } from "../../src/lib/bytes.ts";
import type { Offset } from "../../src/record/offset.ts";
import { asTidemarkError } from "../error.ts";
import type { CallOptions } from "../deadline.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import type { ReceivedRecord } from "../reading/received-record.ts";
import type { Stream } from "../stream.ts";

/** A replica of one task, as its worker told of it. Counts are since the task's beginning, whoever did it. */
export type ReplicaReport = {
  /** `<stage>.<partition>`. */
  readonly task: string;
  /** `starting` (a snapshot is read), `restoring` (up to where the task is committed), `running`, `paused`, or why it ended. */
  readonly state: string;
  /** Why it ended, in words. */
  readonly why?: string;
  /** The operator that has not returned for some seconds, in words. */
  readonly hangs?: string;
  /** It made the task's last commit. */
  readonly committing: boolean;
  /** Of the snapshot that it begins with, 0 to 1; only while it starts. */
  readonly snapshotRead?: number;
  /** Positions of the log that it has yet to read to where the task is committed; only while it restores. */
  readonly positionsLeft?: number;
  /** By input: the offset that it reads next. */
  readonly nextOffsets: Readonly<Record<string, Offset>>;
  /** Event time, milliseconds since the Unix epoch; absent before there is one. */
  readonly watermark?: number;
  readonly records: number;
  readonly outputs: number;
  readonly recordsPerSecond: number;
  readonly outputsPerSecond: number;
  /** Outputs that wait for a commit. */
  readonly pending: number;
  readonly rows: number;
  readonly stateBytes: number;
  /** Over all rows, hexadecimal. */
  readonly digest: string;
  readonly late: number;
  readonly skipped: number;
  /** Records that went to dead letters since the replica began. */
  readonly poisoned: number;
  /** It differs from another replica, and no majority is against it. */
  readonly disputed: boolean;
};

/** What a worker process tells of itself. */
export type WorkerReport = {
  /** The id of its replicas, by which commits name them. */
  readonly replica: string;
  /** When it told this, by the log's time. */
  readonly at: Date;
  readonly host: string;
  readonly process: number;
  /** It tells again after so long: who has not for several times this does not run. */
  readonly everyMs: number;
  readonly tasks: readonly ReplicaReport[];
};

/** As JSON, with the replica's id as the record's key. */
export type ToldReport = Omit<WorkerReport, "replica" | "at">;

/** The newest of each replica, newest first; none where there is no such stream. */
export async function readReports(stream: Stream, options: CallOptions): Promise<readonly WorkerReport[]> {
  const newest = new Map<string, WorkerReport>();
  try {
    const { firstOffset, nextOffset } = await stream.describe(options);
    const from = Math.max(firstOffset, nextOffset - CLIENT_LIMITS.reportsReadMax);
    for await (const records of stream.read({ ...options, from, onGap: () => undefined }).batches()) {
      for (const record of records) {
        const report = reportOf(record);
        if (report !== undefined) newest.set(report.replica, report);
      }
    }
  } catch (thrown) {
    const error = asTidemarkError(thrown);
    if (error.code !== "stream-not-found" && error.code !== "stream-gone") throw error;
  }
  return [...newest.values()].toSorted((a, b) => b.at.getTime() - a.at.getTime());
}

/** Anybody may write to the stream: what is no report is passed over. */
function reportOf({ key, value, logTime }: ReceivedRecord): WorkerReport | undefined {
  const replica = key === undefined ? undefined : text(key);
  if (replica === undefined || value === null) return undefined;
  try {
    const told = JSON.parse(text(value) ?? "") as Partial<ToldReport> | null;
    const { host, process, everyMs, tasks } = told ?? {};
    if (typeof host !== "string" || typeof process !== "number" || typeof everyMs !== "number") return undefined;
    if (!Array.isArray(tasks)) return undefined;
    return { replica, at: new Date(logTime), host, process, everyMs, tasks: tasks.filter(isReplicaReport) };
  } catch {
    return undefined;
  }
}

const TEXTS = ["task", "state", "digest"] as const;
const NUMBERS = [
  ...["records", "outputs", "recordsPerSecond", "outputsPerSecond"],
  ...["pending", "rows", "stateBytes", "late", "skipped", "poisoned"],
];

function isReplicaReport(told: unknown): told is ReplicaReport {
  if (typeof told !== "object" || told === null) return false;
  const fields: Readonly<Record<string, unknown>> = { ...told };
  const { nextOffsets } = fields;
  return (
    TEXTS.every((name) => typeof fields[name] === "string") &&
    NUMBERS.every((name) => typeof fields[name] === "number") &&
    ["why", "hangs"].every((name) => ["undefined", "string"].includes(typeof fields[name])) &&
    typeof nextOffsets === "object" &&
    nextOffsets !== null &&
    Object.values(nextOffsets).every((offset) => typeof offset === "number")
  );
}
