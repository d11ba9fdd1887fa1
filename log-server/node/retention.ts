/**
 * Lets go of what nobody may read any more: proposes trims for streams whose retention says so (the frontier moves
 * only when that entry is applied, I14), and drops whole sealed segments that hold nothing live and lie below a
 * verified snapshot. Retention is by whole segments: a stream keeps at least what its settings ask for.
 */
import type { Command } from "../../src/wire/command.ts";
import type { Checkpointer } from "./checkpointer.ts";
import type { NodeParts } from "./node-parts.ts";

export class Retention {
  readonly #parts: NodeParts;
  readonly #propose: (command: Command) => Promise<void>;

  constructor(parts: NodeParts, propose: (command: Command) => Promise<void>) {
    this.#parts = parts;
    this.#propose = propose;
  }

  async run(checkpointer: Checkpointer): Promise<void> {
    const { machine, log, clock, observer } = this.#parts;
    for (const name of machine.retainedStreams()) {
      const stream = machine.stream(name);
      if (stream === undefined) continue;
      const { maxAgeMs, maxBytes } = stream.retention;
      const segments = log.streamSegments(stream.id);
      let keptBytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
      let before = stream.firstOffset;
      for (const segment of segments) {
        const tooOld = maxAgeMs !== undefined && segment.lastLogTime < clock.now() - maxAgeMs;
        const tooMuch = maxBytes !== undefined && keptBytes - segment.bytes >= maxBytes;
        if (!tooOld && !tooMuch) break;
        keptBytes -= segment.bytes;
        before = Math.max(before, segment.endOffset);
      }
      before = Math.min(before, machine.retainedFrom(name));
      if (before > stream.firstOffset) {
        await this.#propose({ kind: "trim", stream: name, incarnation: stream.incarnation, before });
      }
    }
    const dropped = await log.trim(checkpointer.snapshotPosition, (streamId, endOffset) =>
      machine.isLive(streamId, endOffset),
    );
    if (dropped > 0) observer.event("segments-dropped", { segments: dropped });
  }
}
