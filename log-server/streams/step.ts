/** Applying one entry: its position and time, what is collected on the way, and how much that is due it may still do. */
import type { BatchRef } from "../../src/record/batch.ts";
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import type { StreamName } from "../../src/wire/command.ts";
import type { Group } from "./groups/group.ts";
import type { Journal } from "./journal.ts";
import type { Stream } from "./stream.ts";
import type { BatchPlacement } from "./views.ts";

const NOT_ACCEPTED: BatchPlacement = { accepted: false };

export class Step {
  readonly index: number;
  readonly logTime: number;
  readonly placements: BatchPlacement[] = [];
  readonly changed = new Set<number>();
  subscriptionsChanged = false;
  /** Whose members or streams changed: who owns what is settled after the command. */
  readonly unbalanced = new Set<Group>();
  /** Ids of groups in which a take may find something that it would not have found before. */
  readonly groupsReady = new Set<string>();
  /** While a transaction runs. */
  journal: Journal | undefined = undefined;
  readonly #ended = new Set<string>();
  #budget: number;
  /** Of the command at work. */
  #placement: BatchPlacement | undefined = undefined;

  constructor(index: number, logTime: number, budget: number) {
    this.index = index;
    this.logTime = logTime;
    this.#budget = budget;
  }

  /** Whether one more thing that is due may be done. */
  spend(): boolean {
    if (this.#budget === 0) return false;
    this.#budget -= 1;
    return true;
  }

  /** The batch of the command at work lies at this stream's end. */
  place(stream: Stream, firstOffset: Offset, span: number): void {
    this.#placement = { accepted: true, streamId: stream.id, incarnation: stream.incarnation, firstOffset, span };
  }

  /** After each command: what became of its batch, if it has one. */
  settle(batch: BatchRef | undefined): void {
    if (batch !== undefined) this.placements.push(this.#placement ?? NOT_ACCEPTED);
    this.#placement = undefined;
  }

  /** A transaction is taken back: none of its batches is accepted, and nothing changed that had not before. */
  retract(firstPlacement: number, batches: number, changedBefore: number): void {
    this.placements.length = firstPlacement;
    for (let batch = 0; batch < batches; batch += 1) this.placements.push(NOT_ACCEPTED);
    for (const id of [...this.changed].slice(changedBefore)) this.changed.delete(id);
  }

  /** A stream ended in this entry: one made now could have its name and incarnation, and offsets would mean both. */
  ended(stream: Stream): void {
    this.#ended.add(`${stream.incarnation}/${stream.name}`);
  }

  hasEnded(name: StreamName, incarnation: Incarnation): boolean {
    return this.#ended.size > 0 && this.#ended.has(`${incarnation}/${name}`);
  }
}
