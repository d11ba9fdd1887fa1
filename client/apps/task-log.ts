/**
 * The runtime's log, on a cluster: what `src/runtime` asks of `TaskLog`, by the calls of this SDK. A commit is one transaction:
 * the task moves, its outputs are appended, and behind them the record of the commit itself (SPEC.md, W202 and W203).
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import type { RecordPlace } from "../../src/record/record-place.ts";
import type { CommitRefusal, Feed, FeedRecord, FeedStart, TaskFacts, TaskLog } from "../../src/runtime/task-log.ts";
import type { TaskCommit, TaskReplica, TaskSnapshotCommand, TaskTrimmedCommand } from "../../src/wire/app-command.ts";
import { decodeTaskCommit, encodeTaskCommit } from "../../src/wire/app-command-codec.ts";
import { commitsStream } from "../../src/wire/app-streams.ts";
import type { TransactionCommand } from "../../src/wire/command.ts";
import type { Connection } from "../connection.ts";
import { asTidemarkError, type TidemarkError } from "../error.ts";
import { LogFeed } from "./log-feed.ts";
import { orBeforeUpgrade } from "./or-before-upgrade.ts";
import { sealBatch } from "../appending/record-input.ts";
import { settled } from "../settled.ts";
import { Stream } from "../stream.ts";

export class ConnectionTaskLog implements TaskLog {
  readonly #connection: Connection;
  readonly #zstd: Zstd | undefined;

  constructor(connection: Connection, zstd: Zstd | undefined) {
    this.#connection = connection;
    this.#zstd = zstd;
  }

  follow(streams: readonly FeedStart[], after: RecordPlace): Feed {
    return new LogFeed(this.#connection, this.#zstd, streams, after);
  }

  async commit(commit: TaskCommit, outputs: readonly TaskOutput[]): Promise<Result<void, CommitRefusal>> {
    try {
      await this.#connection.transact(this.#transaction(commit, outputs), false, {});
      return ok(undefined);
    } catch (thrown) {
      return err(refusalOf(asTidemarkError(thrown)));
    }
  }

  readCommit({ key, value }: FeedRecord): TaskCommit | undefined {
    // What else is said there has a key.
    if (key !== undefined || value === null) return undefined;
    const commit = decodeTaskCommit(value);
    return commit.ok ? commit.value : undefined;
  }

  say(by: TaskReplica, record: StreamRecord): Promise<Result<void, string>> {
    const stream = commitsStream(by.app, by.task);
    const append = { kind: "append", stream, batch: sealBatch([record], this.#zstd), close: false } as const;
    const operations = [{ kind: "task-statement", ...by } as const, append];
    return settled(
      orBeforeUpgrade(
        () => this.#connection.transact({ kind: "transaction", conditions: [], operations }, false, {}),
        () => new Stream(this.#connection, stream, this.#zstd).append([record]),
      ),
    );
  }

  tell(command: TaskSnapshotCommand | TaskTrimmedCommand): Promise<Result<void, string>> {
    return settled(this.#connection.execute(command, {}));
  }

  async task(app: string, task: string): Promise<TaskFacts | undefined> {
    const described = await this.#connection.lookUp({ kind: "app", app, task }, {}).catch((error: TidemarkError) => {
      if (error.code === "app-not-found") return undefined;
      throw error;
    });
    const standing = described?.tasks[0];
    if (described === undefined || standing === undefined) return undefined;
    const { epoch, paused } = described;
    const { place, chain, commit, nextDue, digests, verified, start, born } = standing;
    const begins = new Map(standing.inputs.map((input, at) => [input, standing.begins[at] ?? 0]));
    const [committing, digest, manifest] = [commit?.replica, digests.at(-1)?.point, verified?.manifest];
    return { epoch, paused, place, chain, committing, nextDue, digest, verified: manifest, begins, start, born };
  }

  #transaction(commit: TaskCommit, outputs: readonly TaskOutput[]): TransactionCommand {
    const appends = [...byStream(outputs), [commitsStream(commit.app, commit.task), [recordOf(commit)]] as const];
    return {
      kind: "transaction",
      conditions: [],
      operations: [
        // First, so that one that comes too late is refused at once.
        { kind: "task-commit", ...commit },
        ...appends.map(([stream, records]) => {
          const batch = sealBatch(records, this.#zstd);
          return { kind: "append", stream, batch, close: false } as const;
        }),
      ],
    };
  }
}

/** Of each stream all its records, in their order; streams in the order in which they come up. */
function byStream(outputs: readonly TaskOutput[]): ReadonlyMap<string, readonly StreamRecord[]> {
  const streams = new Map<string, StreamRecord[]>();
  for (const { stream, ...record } of outputs) {
    const records = streams.get(stream);
    if (records === undefined) streams.set(stream, [record]);
    else records.push(record);
  }
  return streams;
}

function recordOf(commit: TaskCommit): StreamRecord {
  return { value: encodeTaskCommit(commit) };
}

function refusalOf(error: TidemarkError): CommitRefusal {
  const { code, message, outcome, retryable, place } = error;
  switch (code) {
    case "task-moved":
      return place === undefined ? { kind: "unknown" } : { kind: "moved", place };
    case "task-fenced":
      return { kind: "fenced" };
    case "app-paused":
      return { kind: "paused" };
    case "app-not-found":
      return { kind: "gone" };
    default:
      // What may yet be cured is asked for again, as what is not known is.
      return outcome === "not-applied" && !retryable
        ? { kind: "refused", message: `${code}: ${message}` }
        : { kind: "unknown" };
  }
}
