/**
 * Settles the end of a log that damage has made doubtful: what stood there was perhaps torn, perhaps acknowledged. What is
 * still readable is made whole with what others give; what nobody has is let go once all voters have said so; and a leader
 * that was elected without this vote settles it as well (R60 to R64). Until then the doubt stands in the hard state.
 */
import type { Entry } from "../../../src/wire/entry.ts";
import type { EntrySource } from "../../log/repair/mending.ts";
import { reaches } from "../../raft/raft-log.ts";
import type { LogPoint, NodeId } from "../../raft/types.ts";
import { decodeLogEnd, encodeLogEnd, type LogEndAnswer } from "./log-end-codec.ts";
import type { NodeParts } from "../node-parts.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import { Rounds } from "../rounds.ts";

export interface TailOwner {
  /** The core's; undefined: it is settled. */
  readonly ambiguousEnd: LogPoint | undefined;
  /** As of what is applied here. */
  readonly voters: readonly NodeId[];
  settleTail(best: LogPoint): void;
  restoreTail(entries: readonly Entry[]): void;
  /** Asks one node; undefined entries: it does not answer. */
  source(node: NodeId): EntrySource;
  failed(error: unknown): void;
}

type TailParts = Pick<NodeParts, "log" | "hardState" | "machine" | "clock" | "limits" | "observer" | "nodeName">;

export class TailSettler {
  readonly #parts: TailParts;
  readonly #calls: PeerCalls;
  readonly #owner: TailOwner;
  readonly #rounds: Rounds;
  /** All voters were asked for what is lacking between what can still be read. */
  #mended = false;

  constructor(parts: TailParts, calls: PeerCalls, owner: TailOwner) {
    this.#parts = parts;
    this.#calls = calls;
    this.#owner = owner;
    this.#rounds = new Rounds(parts.clock, {
      everyMs: parts.limits.tailSettleEveryMs,
      work: () => this.#settle(),
      failed: (error) => owner.failed(error),
    });
    calls.handle("log-end", () => this.#tell());
  }

  start(): void {
    if (this.#parts.hardState.state.doubt !== undefined) this.#rounds.start();
  }

  /** Resolves when what was begun has ended. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #settle(): Promise<void> {
    const { log, hardState, observer } = this.#parts;
    if (this.#owner.ambiguousEnd !== undefined && !this.#mended) await this.#mend();
    if (this.#owner.ambiguousEnd !== undefined && this.#mended) await this.#ask();
    if (this.#rounds.stopped || this.#owner.ambiguousEnd !== undefined) return;
    const discarded = await log.discardAmbiguous();
    if (discarded !== undefined) observer.event("log-cut", discarded);
    // Meanwhile this node may have begun to give up what it has: that is in doubt from then on.
    if (this.#owner.ambiguousEnd !== undefined) return;
    await hardState.writeDoubt(undefined);
    observer.event("log-end-settled", { index: log.lastIndex, term: log.lastTerm });
    void this.#rounds.stop();
  }

  /** What is lacking comes from those who have it; what is whole then is part of the log again. */
  async #mend(): Promise<void> {
    const remains = await this.#parts.log.tailRemains();
    const others = this.#others(this.#owner.voters);
    let answered = 0;
    const sources = others.map((node): EntrySource => {
      const source = this.#owner.source(node);
      let isFirst = true;
      return {
        entries: async (from, to) => {
          const offered = await source.entries(from, to);
          if (offered !== undefined && isFirst) answered += 1;
          isFirst &&= offered === undefined;
          return offered;
        },
      };
    });
    const entries = remains === undefined ? [] : await remains.mended(sources);
    const isWhole = remains === undefined || remains.isEmpty || entries.length === remains.count;
    this.#mended = isWhole || answered === others.length;
    if (entries.length > 0 && !this.#rounds.stopped) this.#owner.restoreTail(entries);
  }

  /** Nobody of those who vote has more than `best`: what was acknowledged here and committed is not beyond it. */
  async #ask(): Promise<void> {
    const { log, machine } = this.#parts;
    const answers = new Map<NodeId, LogEndAnswer>();
    let { voters } = this.#owner;
    let { position: newest } = machine;
    for (let asked = -1; asked < answers.size;) {
      asked = answers.size;
      const missing = this.#others(voters).filter((node) => !answers.has(node));
      for (const [node, answer] of await Promise.all(missing.map((one) => this.#askOne(one))))
        if (answer !== undefined) answers.set(node, answer);
      // Whoever has applied most knows who votes.
      for (const answer of answers.values()) {
        if (answer.applied <= newest) continue;
        newest = answer.applied;
        voters = answer.voters;
      }
    }
    let best: LogPoint = { index: log.lastIndex, term: log.lastTerm };
    for (const node of this.#others(voters)) {
      const answer = answers.get(node);
      if (answer === undefined || answer.mending) return;
      if (reaches(answer.last, best)) best = answer.last;
    }
    if (!this.#rounds.stopped) this.#owner.settleTail(best);
  }

  async #askOne(node: NodeId): Promise<readonly [NodeId, LogEndAnswer | undefined]> {
    const answer = await this.#calls.call(node, "log-end", [], this.#parts.limits.repairTimeoutMs);
    return [node, answer.ok ? decodeLogEnd(answer.value) : undefined];
  }

  async #tell(): Promise<readonly Uint8Array[]> {
    const { log, machine } = this.#parts;
    const remains = this.#owner.ambiguousEnd === undefined ? undefined : await log.tailRemains();
    const mending = remains !== undefined && !remains.isEmpty && !this.#mended;
    const last = { index: log.lastIndex, term: log.lastTerm };
    return [encodeLogEnd({ last, mending, applied: machine.position, voters: this.#owner.voters })];
  }

  #others(voters: readonly NodeId[]): readonly NodeId[] {
    return voters.filter((node) => node !== this.#parts.nodeName);
  }
}
