/** Where the code before this one came to an end: the last commit of the task that was made in an earlier epoch. */
import type { RecordPlace } from "../record/record-place.ts";
import { compareTaskPlaces, type TaskPlace } from "../record/task-place.ts";
import type { StreamName } from "../wire/command.ts";
import type { TaskFacts, TaskLog } from "./task-log.ts";

export type FormerCommit = {
  readonly place: TaskPlace;
  readonly chain: bigint;
  /** Log time before which all was done that fell due. */
  readonly dueBefore: number;
};

/** Of the commits behind a place. Undefined: there is none, or it was ended. `opened` gets what ends the reading. */
export async function lastFormerCommit(
  log: TaskLog,
  commits: StreamName,
  after: RecordPlace,
  { epoch, born, place }: Pick<TaskFacts, "epoch" | "born" | "place">,
  opened: (close: () => void) => void,
): Promise<FormerCommit | undefined> {
  const feed = log.follow([{ stream: commits }], after);
  opened(() => feed.close());
  let last: FormerCommit | undefined;
  try {
    for (;;) {
      const items = await feed.next();
      if (items === undefined) return undefined;
      for (const item of items) {
        const commit = item.kind === "record" ? log.readCommit(item) : undefined;
        // Before the task began anew its places were others.
        if (item.kind !== "record" || commit === undefined || commit.epoch < born) continue;
        if (commit.epoch >= epoch) return last;
        // What fell due later, if anything did, was yet to be done; and nobody knew a later log time than the commit's.
        const dueBefore = Math.min(commit.nextDue ?? Infinity, item.logTime);
        last = { place: commit.to, chain: commit.chain, dueBefore };
        if (compareTaskPlaces(commit.to, place) >= 0) return last;
      }
    }
  } finally {
    feed.close();
  }
}
