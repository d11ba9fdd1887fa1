/**
 * What becomes of a task's streams when a replica has taken a snapshot. The log is told of it. Once it is verified, the input that it
 * stands for goes: the app's own streams always, others where the topology says so. The log is told that first, and from then on
 * nothing takes the snapshot away (SPEC.md, W211); if the trim itself fails, the next snapshot makes up for it.
 *
 * Of the stream of commits no more is kept than a replica reads that restores the snapshot before: what a commit that is older covers, it
 * knows from where the task stands.
 */
import type { Result } from "../lib/result.ts";
import type { NextOffsets } from "../operators/engine/progress.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import type { TaskReplica, TaskSnapshot } from "../wire/app-command.ts";
import { commitsStream } from "../wire/app-streams.ts";
import type { StreamName } from "../wire/command.ts";
import type { TaskSource } from "./app-streams.ts";
import type { TaskLog } from "./task-log.ts";

/** A snapshot that stands in its stream, and what it makes needless. */
export type TakenSnapshot = TaskSnapshot & {
  /** Of its stream. */
  readonly incarnation: Incarnation;
  readonly nextOffsets: NextOffsets;
  /** Of the task's stream of commits: those before it were read by then. */
  readonly nextCommit: Offset;
};

export type Trim = (by: TaskReplica, stream: StreamName, before: Offset) => Promise<Result<void, string>>;

export class InputTrimmer {
  readonly #log: Pick<TaskLog, "tell">;
  readonly #trim: Trim;
  readonly #replica: TaskReplica;
  readonly #sources: readonly TaskSource[];
  /** The newest that was told of, and where the commits begin that the one before it needs. */
  #newest: TakenSnapshot | undefined;

  constructor(log: Pick<TaskLog, "tell">, trim: Trim, replica: TaskReplica, sources: readonly TaskSource[]) {
    this.#log = log;
    this.#trim = trim;
    this.#replica = replica;
    this.#sources = sources.filter(({ trimmed }) => trimmed);
  }

  /** `verified`: it is known to be right. Rejects where the log cannot be reached. */
  async tell(snapshot: TakenSnapshot, verified: boolean): Promise<void> {
    const { manifest, neededFrom, point } = snapshot;
    const { app, task } = this.#replica;
    const before = this.#newest;
    this.#newest = snapshot;
    const told = await this.#log.tell({
      kind: "task-snapshot",
      ...this.#replica,
      ...{ manifest, neededFrom, point, verified },
    });
    if (!told.ok) return;
    if (before !== undefined && before.manifest !== manifest)
      await this.#trim(this.#replica, commitsStream(app, task), before.nextCommit);
    if (verified) await this.#trimInput(snapshot);
  }

  async #trimInput({ manifest, nextOffsets }: TakenSnapshot): Promise<void> {
    const needless = this.#sources.flatMap(({ stream, source }) => {
      const before = nextOffsets[source];
      return before === undefined ? [] : [{ stream, before }];
    });
    if (needless.length === 0) return;
    const told = await this.#log.tell({ kind: "task-trimmed", ...this.#replica, manifest });
    if (!told.ok) return;
    for (const { stream, before } of needless) await this.#trim(this.#replica, stream, before);
  }
}
