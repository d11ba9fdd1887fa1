/**
 * Proposes how far streams are compacted (the leader's work). It looks at each stream that
 * asks for compaction, and closes the segment that is being written where what is to be compacted lies in there.
 */
import type { Command } from "../../../src/wire/command.ts";
import type { StreamView } from "../../streams/views.ts";
import type { CompactableLog } from "./compactable-log.ts";
import { decideFrontier } from "./frontier.ts";
import type { NodeParts } from "../node-parts.ts";

export type FrontierParts = Pick<NodeParts, "machine" | "clock" | "limits"> & {
  readonly log: Pick<CompactableLog, "streamSegments" | "offsetAtTime" | "roll">;
};

export class FrontierMover {
  readonly #parts: FrontierParts;
  readonly #propose: (command: Command) => Promise<void>;
  #rolledAt = Number.NEGATIVE_INFINITY;
  #dirtyBytes = 0;

  constructor(parts: FrontierParts, propose: (command: Command) => Promise<void>) {
    this.#parts = parts;
    this.#propose = propose;
  }

  /** Behind the frontiers of all streams, when last looked at. */
  get dirtyBytes(): number {
    return this.#dirtyBytes;
  }

  /** Resolves once what it proposed is applied. */
  async run(stopped: () => boolean): Promise<void> {
    const { log, machine, limits } = this.#parts;
    let dirtyBytes = 0;
    let roll = false;
    for (const stream of compactedStreams(this.#parts)) {
      if (stopped()) return;
      const decision = decideFrontier(
        log.streamSegments(stream.id),
        Math.max(stream.compactedBefore, ownFrom(stream)),
        machine.logTime,
        limits,
      );
      dirtyBytes += decision.dirtyBytes;
      roll ||= decision.roll;
      if (decision.before !== undefined) await this.#move(stream, decision.before);
    }
    this.#dirtyBytes = dirtyBytes;
    if (roll && !stopped()) await this.#roll();
  }

  async #move(stream: StreamView, before: number): Promise<void> {
    const { log, machine } = this.#parts;
    const { name, incarnation, compactedBefore } = stream;
    const tombstoneMs = stream.retention.compaction?.tombstoneMs ?? 0;
    const from = Math.max(stream.tombstonesBefore, ownFrom(stream));
    let tombstonesBefore = stream.tombstonesBefore;
    if (from < compactedBefore && !inherits(stream)) {
      const found = await log.offsetAtTime(stream.id, machine.logTime - tombstoneMs, from, compactedBefore);
      // Where damage hides how old they are, tombstones stay.
      if (found.ok) tombstonesBefore = Math.min(found.value, compactedBefore);
    }
    await this.#propose({ kind: "compact", stream: name, incarnation, before, tombstonesBefore });
  }

  /** What is closed early costs a file of its own until it is rewritten: not too often. */
  async #roll(): Promise<void> {
    const { log, clock, limits } = this.#parts;
    if (clock.monotonic() - this.#rolledAt < limits.rollEveryMs) return;
    this.#rolledAt = clock.monotonic();
    await log.roll();
  }
}

/** Those that compaction may do something to. */
export function* compactedStreams({ machine }: Pick<NodeParts, "machine">): Iterable<StreamView> {
  for (const name of machine.retainedStreams()) {
    const stream = machine.stream(name);
    if (stream === undefined || stream.deleted || stream.forks > 0) continue;
    if (stream.retention.compaction !== undefined) yield stream;
  }
}

function inherits(stream: StreamView): boolean {
  return stream.firstOffset < ownFrom(stream);
}

/** The first record that was appended to the stream itself, and is retained. */
export function ownFrom({ forkedFrom, firstOffset }: StreamView): number {
  if (forkedFrom === undefined) return firstOffset;
  return Math.max(firstOffset, forkedFrom.offset + (forkedFrom.partialBytes > 0 ? 1 : 0));
}
