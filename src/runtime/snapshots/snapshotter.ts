/**
 * Decides when one replica takes a snapshot of its task, and takes it. Nobody is appointed: whoever sees, `everyMs` of log time behind the
 * newest snapshot, that there is no newer one, makes it. The replica that commits waits twice as long, so a standby does it where there
 * is one; standbys wait a little longer each. Who sees that another is at it leaves it alone; two at once do no harm.
 *
 * A snapshot is *verified* when another replica has had the same digests at its point: the commits name theirs. Where nobody else does, the one
 * that commits restores its own once more, elsewhere, and compares what it adds up to; or says so of the one that it began with. Where its
 * state is on disk, elsewhere is, too: state is there because memory has no room for it. That shows that nothing was lost on the way, not that
 * it was computed rightly, so it has to have committed for a while, and nobody to have objected. Whoever listens is told when a snapshot
 * stands, and again when it is verified.
 *
 * While it is open which of two replicas is wrong, nobody who differs takes any, or calls one verified.
 *
 * Whatever fails costs that snapshot and nothing else.
 */
import { utf8 } from "../../lib/bytes.ts";
import type { Task, TaskBatch, TaskCapture } from "../../operators/engine/task.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Kv } from "../../ports/kv.ts";
import type { Zstd } from "../../ports/zstd.ts";
import { xxh64 } from "../../record/checksum.ts";
import type { DigestPoint } from "../../record/digest-point.ts";
import type { Offset } from "../../record/offset.ts";
import { BEFORE_RECORDS } from "../../record/record-place.ts";
import { compareTaskPlaces, type TaskPlace } from "../../record/task-place.ts";
import type { TaskCommit, TaskSnapshot } from "../../wire/app-command.ts";
import type { TakenSnapshot } from "../input-trimmer.ts";
import { KvTarget } from "./kv-target.ts";
import { SNAPSHOT_LIMITS, type SnapshotSizes } from "./limits.ts";
import { MemoryTarget } from "./memory-target.ts";
import { restore, type RestoreOptions } from "./restore.ts";
import type { SnapshotStream } from "./snapshot-stream.ts";
import { SnapshotWriter } from "./snapshot-writer.ts";

export type SnapshotPlan = {
  readonly stream: SnapshotStream;
  readonly zstd: Zstd;
  /** The epoch in which the task's state began. */
  readonly born: number;
  /** Of log time, between two snapshots. */
  readonly everyMs: number;
  /** How many times as long as it works a snapshot rests. */
  readonly restRatio: number;
  /** Where a replica that is alone restores its snapshots once more; absent: in memory … */
  readonly openSpare?: OpenSpare;
  /** … up to this size: it takes as much memory again. */
  readonly verifyBytesMax: number;
  /** Of log time, between two of these. */
  readonly verifyEveryMs: number;
  readonly sizes: SnapshotSizes;
};

/** Empty, and for one use: `discard` closes it, and nothing of it is left. Doing that again does nothing. */
export type SpareKv = { readonly kv: Kv; readonly discard: () => Promise<void> };
export type OpenSpare = () => Promise<SpareKv>;

/** What a task began with. `verified`: by then; restoring it has shown that it is whole, but perhaps it is of one that computes something else. */
export type RestoredSnapshot = TaskSnapshot & Pick<TakenSnapshot, "incarnation"> & { readonly verified: boolean };

/** The newest snapshot that this replica made. */
export type SnapshotStatus = {
  readonly offset: Offset;
  readonly records: number;
  readonly logTime: number;
  readonly writtenBytes: number;
  /** By whom it is known to be right; `nobody`: not yet. */
  readonly verifiedBy: "nobody" | "replica" | "restore";
};

/** The snapshot stands in the stream. `verified`: it is known to be right. */
export type OnSnapshot = (snapshot: TakenSnapshot, verified: boolean) => Promise<void>;

type Own = { readonly taken: TakenSnapshot; status: SnapshotStatus };

/** One that is being written; another replica may confirm its point before it stands. */
type Writing = { readonly capture: TaskCapture; readonly nextCommit: Offset; confirmed: boolean };

/** A standby waits up to this part of the time longer, by its id. */
const SPREAD = 0.25;
const SPREAD_STEPS = 64n;
/** An hour between two, mostly. */
const LOST_DOUBLINGS_MAX = 6;

export class Snapshotter {
  readonly #task: Task;
  readonly #clock: Clock;
  readonly #replica: string;
  readonly #plan: SnapshotPlan;
  readonly #onSnapshot: OnSnapshot;
  readonly #isDisputed: () => boolean;
  readonly #writer: SnapshotWriter;
  readonly #spread: number;
  /** `asked`: the next digest point will be captured. */
  #state: "idle" | "looking" | "asked" | "writing" | "stopped" = "idle";
  /** Log time of the newest snapshot that is known, or from which on one is missing. */
  #newest: number | undefined;
  /** Log time until which it leaves it to another. */
  #notBefore = -Infinity;
  /** So often in a row more was replaced than is kept while one was written. The next is likely to be the same: it waits twice as long. */
  #lost = 0;
  #own: Own | undefined;
  #writing: Writing | undefined;
  /** One after the other. */
  #telling: Promise<void> = Promise.resolve();
  /** Log time when it restored a snapshot of its own, to see; and what it does so in. */
  #verified = -Infinity;
  #spare: SpareKv | undefined;
  /** The snapshot that the task began with, until it is known to be right. */
  #unconfirmed: TakenSnapshot | undefined;
  #logTime = -Infinity;
  /** Log time from which on it has committed; undefined: another one does. */
  #leadingSince: number | undefined;
  #committed: TaskPlace = { cursor: BEFORE_RECORDS, outputs: 0 };
  /** Waits until the task is committed so far. */
  #waiting: { readonly place: TaskPlace; readonly resolve: (committed: boolean) => void } | undefined;

  /** `restored`: the snapshot that the task begins with. `isDisputed`: the replica differs from another. */
  constructor(
    task: Task,
    clock: Clock,
    replica: string,
    plan: SnapshotPlan,
    restored: RestoredSnapshot | undefined,
    onSnapshot: OnSnapshot,
    isDisputed: () => boolean,
  ) {
    this.#task = task;
    this.#clock = clock;
    this.#replica = replica;
    this.#plan = plan;
    this.#onSnapshot = onSnapshot;
    this.#isDisputed = isDisputed;
    this.#writer = new SnapshotWriter(plan.stream, plan.zstd, clock, {
      ...plan,
      replica,
      ...(restored !== undefined && { restored: { offset: restored.manifest, incarnation: restored.incarnation } }),
    });
    this.#spread = SPREAD * (Number(xxh64(utf8(replica)) % SPREAD_STEPS) / Number(SPREAD_STEPS));
    task.trackChanges();
    // Of one that is verified the log knows.
    if (restored?.verified === false) {
      const { verified: _verified, ...snapshot } = restored;
      this.#unconfirmed = { ...snapshot, nextOffsets: task.nextOffsets, nextCommit: 0 };
    }
  }

  get status(): SnapshotStatus | undefined {
    return this.#own?.status;
  }

  /** After each batch. `leading`: this replica commits; `nextCommit`: in the stream of commits, what it reads next. */
  taken({ captures }: TaskBatch, leading: boolean, nextCommit: Offset): void {
    const { logTime } = this.#task;
    this.#leadingSince = leading ? (this.#leadingSince ?? logTime) : undefined;
    this.#logTime = logTime;
    if (Number.isFinite(logTime)) this.#newest ??= logTime;
    for (const capture of captures) {
      if (this.#state === "asked") {
        const writing = { capture, nextCommit, confirmed: false };
        this.#writing = writing;
        this.#start("writing", () => this.#write(writing));
      } else this.#task.settle(capture, false);
    }
    if (this.#state === "idle" && this.#isDue()) this.#start("looking", () => this.#look());
  }

  /** So far the task is committed. */
  committed(place: TaskPlace): void {
    this.#committed = place;
    if (this.#waiting === undefined || compareTaskPlaces(place, this.#waiting.place) < 0) return;
    this.#waiting.resolve(true);
    this.#waiting = undefined;
  }

  /** A commit, of whichever replica, with the digests that it had. */
  seen({ replica, digests }: TaskCommit): void {
    if (replica === this.#replica || this.#isDisputed()) return;
    const [own, writing] = [this.#own, this.#writing];
    const confirms = (other: DigestPoint): boolean => digests.some((point) => isSame(point, other));
    if (writing !== undefined && confirms(writing.capture.point)) writing.confirmed = true;
    if (own?.status.verifiedBy === "nobody" && confirms(own.taken.point)) this.#verifiedBy(own, "replica");
  }

  stop(): void {
    this.#state = "stopped";
    // The rows may go, and another task may begin with them: who writes it finds it lost.
    this.#writing?.capture.rows.close();
    // Whoever writes to it finds it closed.
    void this.#spare?.discard().catch(() => undefined);
    this.#waiting?.resolve(false);
    this.#waiting = undefined;
  }

  #isDue(): boolean {
    if (this.#newest === undefined || this.#isDisputed()) return false;
    // Who made the last one goes on; else who commits leaves it to the others for a while.
    const isMine = this.#own?.taken.point.logTime === this.#newest;
    const patience = isMine ? 1 : (this.#leadingSince === undefined ? 1 : 2) + this.#spread;
    return this.#logTime >= Math.max(this.#newest + this.#plan.everyMs * patience, this.#notBefore);
  }

  /** Whatever becomes of it, it is idle in the end. */
  #start(state: "looking" | "writing", run: () => Promise<"idle" | "asked">): void {
    this.#state = state;
    void run()
      .catch((): "idle" => {
        // Another time.
        this.#newest = this.#logTime;
        return "idle";
      })
      .then((next) => {
        if (this.#state === "stopped") return;
        this.#state = next;
        if (next === "asked") this.#task.requestCapture();
      });
  }

  /** Perhaps somebody else made one. */
  async #look(): Promise<"idle" | "asked"> {
    const newest = await this.#writer.look();
    // It would be the whole state once more, beside that of who is at it.
    if (newest === "elsewhere") {
      this.#notBefore = this.#logTime + SNAPSHOT_LIMITS.abandonedAfterMs;
      return "idle";
    }
    if (newest !== undefined) this.#newest = Math.max(this.#newest ?? -Infinity, newest.manifest.point.logTime);
    if (!this.#isDue()) return "idle";
    await this.#verify();
    return "asked";
  }

  async #write(writing: Writing): Promise<"idle"> {
    const { capture, nextCommit } = writing;
    const { point, place, nextOffsets } = capture;
    let used = false;
    try {
      const done = await this.#writer.write(capture, () => this.#covered(place));
      used = done.ok;
      this.#newest = point.logTime;
      this.#lost = !done.ok && done.error === "lost" ? this.#lost + 1 : 0;
      if (this.#lost > 0)
        this.#notBefore = point.logTime + this.#plan.everyMs * 2 ** Math.min(this.#lost, LOST_DOUBLINGS_MAX);
      if (!done.ok) return "idle";
      const { offset, firstNeeded, incarnation, writtenBytes } = done.value;
      const { records, logTime } = point;
      const own: Own = {
        taken: { manifest: offset, neededFrom: firstNeeded, incarnation, point, nextOffsets, nextCommit },
        status: { offset, records, logTime, writtenBytes, verifiedBy: "nobody" },
      };
      this.#own = own;
      if (writing.confirmed) this.#verifiedBy(own, "replica");
      else this.#tell(own.taken, false);
      return "idle";
    } finally {
      this.#writing = undefined;
      this.#task.settle(capture, used);
    }
  }

  #verifiedBy(own: Own, verifiedBy: SnapshotStatus["verifiedBy"]): void {
    own.status = { ...own.status, verifiedBy };
    this.#tell(own.taken, true);
  }

  #tell(snapshot: TakenSnapshot, verified: boolean): void {
    this.#telling = this.#telling
      .then(async () => {
        if (this.#state === "stopped" || this.#isDisputed()) return;
        // Where all were deleted since, another may stand at its offset, or none.
        const { incarnation } = await this.#plan.stream.bounds();
        if (incarnation === snapshot.incarnation) await this.#onSnapshot(snapshot, verified);
      })
      // The next snapshot makes up for it.
      .catch(() => undefined);
  }

  /** Nobody else has said that it is right. Who commits may say so itself: what it has is what counts. If it is not, the next one is made of nothing but what is here. */
  async #verify(): Promise<void> {
    const { born, everyMs, openSpare, verifyBytesMax, verifyEveryMs } = this.#plan;
    const own = this.#own;
    if (this.#leadingSince === undefined || this.#logTime < this.#leadingSince + everyMs) return;
    if (this.#unconfirmed !== undefined) this.#tell(this.#unconfirmed, true);
    this.#unconfirmed = undefined;
    if (own === undefined || own.status.verifiedBy !== "nobody") return;
    if (openSpare === undefined && this.#task.totals.bytes > verifyBytesMax) return;
    if (this.#logTime < this.#verified + verifyEveryMs) return;
    this.#verified = this.#logTime;
    const options = { born, committed: this.#committed, writer: this.#replica };
    const offset = await this.#restoreElsewhere(options);
    if (this.#state === "stopped") return;
    // As long again as it may have taken.
    this.#verified = this.#logTime;
    if (offset !== own.status.offset) this.#writer.distrust();
    else this.#verifiedBy(own, "restore");
  }

  /** Resolves to which snapshot it was that could be restored, and keeps nothing of it. */
  async #restoreElsewhere(options: RestoreOptions): Promise<Offset | undefined> {
    const { stream, zstd, openSpare } = this.#plan;
    if (openSpare === undefined)
      return (await restore(stream, zstd, new MemoryTarget(this.#clock), options)).restored?.offset;
    const spare = await openSpare();
    this.#spare = spare;
    try {
      if (this.#state === "stopped") return undefined;
      return (await restore(stream, zstd, new KvTarget(spare.kv, "spare", this.#clock), options)).restored?.offset;
    } finally {
      this.#spare = undefined;
      await spare.discard();
    }
  }

  #covered(place: TaskPlace): Promise<boolean> {
    if (this.#state === "stopped" || this.#isDisputed()) return Promise.resolve(false);
    if (compareTaskPlaces(this.#committed, place) >= 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#waiting = { place, resolve };
    });
  }
}

function isSame(a: DigestPoint, b: DigestPoint): boolean {
  return a.records === b.records && a.logTime === b.logTime && a.state === b.state && a.outputs === b.outputs;
}
