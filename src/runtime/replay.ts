/**
 * What a replica does again that is committed already, until it is where the task was committed when it began: whether that comes to what the
 * log says. Outputs are told apart by the place in the input that they are of, for other code may make more of them, or fewer.
 *
 * There may be two places to pass. At the first, where the code of an earlier epoch came to an end, what comes out may be anything: it was put
 * out otherwise, and is dropped. From there on it is this code's, and at the last must be what was committed.
 */
import type { TaskBatch } from "../operators/engine/task.ts";
import { compareDigestPoints, type DigestPoint } from "../record/digest-point.ts";
import { compareRecordPlaces, type RecordPlace } from "../record/record-place.ts";
import { compareTaskPlaces, type TaskPlace } from "../record/task-place.ts";
import type { FormerCommit } from "./former-commit.ts";
import type { TaskFacts } from "./task-log.ts";

/** A place where the task was committed, with what the log says of it. */
export type Milestone = {
  readonly place: TaskPlace;
  readonly chain: bigint;
  /** A digest point before it. */
  readonly digest: DigestPoint | undefined;
  /** Of the code of an earlier epoch; log time before which it did what fell due. */
  readonly former: Pick<FormerCommit, "dueBefore"> | undefined;
};

type Ahead = Milestone & {
  /** Whether it was as it was committed. Undefined: outputs are missing yet. */
  agrees: boolean | undefined;
};

export class Replay {
  #ahead: readonly Ahead[];

  /** From where the task begins, with this chain, through `former`, if it is further than that, to where the task is committed. */
  constructor(begin: TaskPlace, chain: bigint, facts: TaskFacts, former: FormerCommit | undefined) {
    const { place, start, epoch, born } = facts;
    const ahead: Milestone[] = [];
    if (former !== undefined && compareTaskPlaces(begin, former.place) < 0)
      ahead.push({ ...former, digest: undefined, former });
    const isOwn = former === undefined || compareTaskPlaces(former.place, place) < 0;
    const isCommitted = compareTaskPlaces(place, { cursor: start, outputs: 0 }) > 0;
    // Another epoch's digest would be of other code.
    const digest = epoch === born ? facts.digest : undefined;
    if (isOwn && isCommitted && compareTaskPlaces(begin, place) <= 0)
      ahead.push({ place, chain: facts.chain, digest, former: undefined });
    this.#ahead = beginning(ahead, begin.outputs, chain);
  }

  /** The place that is to be passed next; undefined: all that is done is new. */
  get next(): Milestone | undefined {
    return this.#ahead[0];
  }

  /** So far it is as it was committed: what comes out may be what the next commit has. */
  get agrees(): boolean {
    return this.#ahead[0]?.agrees === true;
  }

  /** It is not as it was committed. */
  get differs(): boolean {
    return this.#ahead[0]?.agrees === false;
  }

  /** Log time of which no more falls due for the code before, once the task has taken in this record. */
  dueBefore(cursor: RecordPlace): number {
    const next = this.next;
    if (next?.former === undefined || compareRecordPlaces(cursor, next.place.cursor) < 0) return Infinity;
    return next.former.dueBefore;
  }

  /** What was done, on the way to the next place. */
  take(batch: TaskBatch): void {
    for (const milestone of this.#ahead) {
      milestone.agrees = agreement(milestone, batch);
      // Until then numbers behind it mean nothing.
      if (milestone.agrees !== true) return;
    }
  }

  /** The next place is passed, as it was committed. */
  pass(): void {
    this.#ahead = this.#ahead.slice(1);
  }

  /** It is passed, and outputs are numbered on from there, as the log has it. */
  passAnew({ place, chain }: Milestone): void {
    this.#ahead = beginning(this.#ahead.slice(1), place.outputs, chain);
  }
}

/** So many outputs there are before the first batch, with this chain. */
function beginning(ahead: readonly Milestone[], outputs: number, chain: bigint): Ahead[] {
  return ahead.map(({ place, chain: committed, digest, former }) => {
    const agrees = outputs < place.outputs ? undefined : outputs === place.outputs && chain === committed;
    return { place, chain: committed, digest, former, agrees };
  });
}

function agreement(milestone: Ahead, { from, to, chains, cuts, digests }: TaskBatch): boolean | undefined {
  const { place, chain, digest, agrees } = milestone;
  const more = cuts.find(({ outputs }) => outputs > place.outputs);
  if (more !== undefined && compareRecordPlaces(more.cursor, place.cursor) < 0) return false;
  const point = digest && digests.find((own) => compareDigestPoints(own, digest) === 0);
  if (digest !== undefined && point !== undefined && !isSame(point, digest)) return false;
  if (agrees !== undefined || to.outputs < place.outputs) return agrees;
  // A commit ends behind a whole record, or timer.
  const isCut = cuts.some(({ outputs }) => outputs === place.outputs);
  return isCut && chains[place.outputs - from.outputs - 1] === chain;
}

function isSame(a: DigestPoint, b: DigestPoint): boolean {
  return a.state === b.state && a.outputs === b.outputs;
}
