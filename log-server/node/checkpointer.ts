/**
 * Keeps what can be rebuilt close behind the log: the image (every few seconds or megabytes, only changed rows) and,
 * less often, a snapshot, written from the image so that applying never waits for it. Neither is ever needed to
 * keep an acknowledged record; both bound how much of the log a restart re-applies.
 */
import type { Row, RowChange } from "../../src/record/row.ts";
import type { LogIndex } from "../../src/wire/entry.ts";
import type { NodeParts } from "./node-parts.ts";

export type CheckpointerParts = Pick<
  NodeParts,
  "clock" | "limits" | "observer" | "imagePosition" | "snapshotPosition"
> & {
  readonly log: Pick<
    NodeParts["log"],
    | "horizon"
    | "bytesAfter"
    | "poisoned"
    | "saveImage"
    | "discardImage"
    | "snapshotImage"
    | "roll"
    | "isSealed"
    | "onSealed"
  >;
  readonly machine: Pick<NodeParts["machine"], "position" | "changedRows" | "drainChanges" | "rows" | "digest">;
};

export class Checkpointer {
  readonly #parts: CheckpointerParts;
  /** Drained from the machine, not yet in the image: kept when a save fails, and saved with the next. */
  #unsaved: readonly RowChange[] = [];
  #bytesSinceImage = 0;
  #bytesSinceSnapshot: number;
  /** The newest is gone or damaged: there is to be another soon, whatever was written since. */
  #isLost: boolean;
  #imageAt: number;
  #imagePosition: LogIndex;
  #snapshotPosition: LogIndex;
  #work: Promise<void> | undefined;
  /** Of who waits for something to be sealed: there is something to look at. */
  #wake: () => void = () => undefined;
  #stopped = false;

  constructor(parts: CheckpointerParts) {
    this.#parts = parts;
    this.#imageAt = parts.clock.monotonic();
    this.#imagePosition = parts.imagePosition;
    this.#snapshotPosition = parts.snapshotPosition;
    parts.log.onSealed(() => this.#wake());
    // Not counted from zero: a node restarted often enough would never write one.
    this.#bytesSinceSnapshot = parts.log.bytesAfter(parts.snapshotPosition);
    this.#isLost = parts.log.horizon.index > parts.snapshotPosition;
  }

  /** Everything to here is in a verified snapshot: what retention may drop the log below. */
  get snapshotPosition(): LogIndex {
    return this.#snapshotPosition;
  }

  applied(bytes: number): void {
    this.#bytesSinceImage += bytes;
    this.#bytesSinceSnapshot += bytes;
    const { limits, machine } = this.#parts;
    // Rows, too: a save holds them all in memory a few times over.
    const isDue = this.#bytesSinceImage >= limits.imageEveryBytes || machine.changedRows >= limits.imageEveryRows;
    if (isDue) this.#start();
  }

  /** Called now and then: saves what has been waiting for long. */
  due(): void {
    if (this.#parts.clock.monotonic() - this.#imageAt >= this.#parts.limits.imageEveryMs) this.#start();
  }

  /** Nothing more is begun, nor is anything waited for: others may wait for what runs here. */
  halt(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Finishes what runs and, on a clean stop, saves once more, so that the next start re-applies nothing. */
  async stop(save: boolean): Promise<void> {
    this.halt();
    await this.#work;
    if (!save) return;
    try {
      await this.#saveImage();
    } catch (error) {
      // Without it the next start re-applies more of the log; the log itself must be closed all the same.
      this.#parts.observer.event("checkpoint-failed", { error: String(error) });
    }
  }

  /** Asks for a snapshot now, whatever was written since the last. `unsealed`: where nothing can be sealed, too. */
  async snapshot(unsealed = false): Promise<void> {
    // Several may have waited for the same work: each for the next that begins behind it.
    while (this.#work !== undefined) await this.#work;
    if (this.#stopped) return;
    this.#work = this.#run(true, unsealed);
    await this.#work;
  }

  /** The newest is gone or damaged: it counts for nothing until there is another. */
  replaceSnapshot(): Promise<void> {
    this.#snapshotPosition = 0;
    this.#isLost = true;
    return this.snapshot(true);
  }

  #start(): void {
    if (this.#stopped || this.#work !== undefined) return;
    const isDue = this.#bytesSinceSnapshot >= this.#parts.limits.snapshotEveryBytes;
    if (this.#isLost) this.#work = this.#run(true, true);
    else if (this.#imagePosition !== this.#parts.machine.position) this.#work = this.#run(isDue);
  }

  async #run(snapshot: boolean, unsealed = false): Promise<void> {
    try {
      await this.#saveImage();
      if (snapshot && (unsealed || (await this.#seal()))) await this.#writeSnapshot();
    } catch (error) {
      this.#parts.observer.event("checkpoint-failed", { error: String(error) });
    } finally {
      this.#imageAt = this.#parts.clock.monotonic();
      this.#work = undefined;
    }
  }

  async #saveImage(): Promise<void> {
    const { machine, log, limits } = this.#parts;
    const position = machine.position;
    if (position === this.#imagePosition) return;
    const changes = machine.drainChanges();
    // Without an image to add to (the first, or after one was discarded) the save must bring every row.
    const writes: readonly RowChange[] =
      this.#imagePosition === 0 ? everyRow(machine.rows()) : [...this.#unsaved, ...changes];
    this.#unsaved = writes;
    this.#bytesSinceImage = 0;
    try {
      await log.saveImage(writes, position, machine.digest());
    } catch (error) {
      if (writes.length > limits.unsavedRowsMax) await this.#startAnew();
      throw error;
    }
    this.#unsaved = [];
    this.#imagePosition = position;
  }

  /** Too much is waiting to be saved (I15): the image is given up, and the next save brings every row. */
  async #startAnew(): Promise<void> {
    this.#unsaved = [];
    this.#imagePosition = 0;
    await this.#parts.log.discardImage();
  }

  /**
   * Seals what the snapshot will stand on, as only that can be shipped. Later it may be too late: a leader that can commit
   * nothing before it has shipped a snapshot seals nothing either, for what is sealed has been applied. False: it takes too long.
   */
  async #seal(): Promise<boolean> {
    const { log, clock, limits } = this.#parts;
    const isSealed = (): boolean => log.isSealed(this.#snapshotPosition, this.#imagePosition);
    if (isSealed()) return true;
    await log.roll();
    const until = clock.monotonic() + limits.sealWaitMsMax;
    const timer = clock.schedule(limits.sealWaitMsMax, () => this.#wake());
    while (!isSealed() && !this.#stopped && log.poisoned === undefined && clock.monotonic() < until)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    timer.cancel();
    return isSealed();
  }

  /** No image is saved meanwhile (`#work`), so its rows stand still at `#imagePosition` while they are copied. */
  async #writeSnapshot(): Promise<void> {
    if (this.#snapshotPosition === this.#imagePosition) return;
    const startedAt = this.#parts.clock.monotonic();
    const bytes = this.#bytesSinceSnapshot;
    await this.#parts.log.snapshotImage();
    this.#bytesSinceSnapshot -= bytes;
    this.#snapshotPosition = this.#imagePosition;
    this.#isLost = false;
    const milliseconds = this.#parts.clock.monotonic() - startedAt;
    this.#parts.observer.event("snapshot", { position: this.#snapshotPosition, milliseconds });
  }
}

function everyRow(rows: Iterable<Row>): RowChange[] {
  const changes: RowChange[] = [];
  for (const [key, value] of rows) changes.push({ key, value });
  return changes;
}
