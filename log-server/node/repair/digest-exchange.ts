/**
 * Compares the state machine's digest with the others', at places that the log alone fixes: every so many entries. The same
 * log gives the same state on every node (I10); where it does not, memory, a bug or an undetected fault of the disk is to
 * blame, and a node that a majority contradicts must not serve what it has. Without a majority it is an alarm.
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import { majorityOf } from "../../raft/quorum.ts";
import type { NodeId } from "../../raft/types.ts";
import type { NodeParts } from "../node-parts.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import { Rounds } from "../rounds.ts";

export interface DigestOwner {
  /** As of what is applied here, this node among them if it votes. */
  readonly voters: readonly NodeId[];
  /** The state here is not what the log says: a majority has another. */
  contradicted(message: string): void;
}

/** Since the start. */
export type DigestStatus = {
  /** The newest place at which all voters were asked and had the same. */
  readonly agreedAt: LogIndex;
  /** Places at which somebody had another state. */
  readonly differences: number;
};

type DigestParts = Pick<NodeParts, "machine" | "clock" | "limits" | "observer" | "nodeName">;

export class DigestExchange {
  readonly #parts: DigestParts;
  readonly #calls: PeerCalls;
  readonly #owner: DigestOwner;
  readonly #rounds: Rounds;
  /** By place, the newest at the end. */
  readonly #digests = new Map<LogIndex, bigint>();
  #comparedAt: LogIndex = 0;
  #agreedAt: LogIndex = 0;
  #differences = 0;

  constructor(parts: DigestParts, calls: PeerCalls, owner: DigestOwner) {
    this.#parts = parts;
    this.#calls = calls;
    this.#owner = owner;
    this.#rounds = new Rounds(parts.clock, {
      everyMs: parts.limits.digestCompareMs,
      work: () => this.#compare(),
      failed: (error) => parts.observer.event("digest-failed", { error: String(error) }),
    });
    calls.handle("digest", (_from, body) => this.#tell(body));
  }

  get status(): DigestStatus {
    return { agreedAt: this.#agreedAt, differences: this.#differences };
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves when what was begun has ended. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** The machine has applied this entry, and not yet the next. */
  applied(index: LogIndex): void {
    const { machine, limits } = this.#parts;
    if (index % limits.digestEveryEntries !== 0) return;
    this.#digests.set(index, machine.digest());
    const [oldest] = this.#digests.keys();
    if (this.#digests.size > limits.digestsKept && oldest !== undefined) this.#digests.delete(oldest);
  }

  /** The newest place that was not compared yet; one that others have yet to reach, or have forgotten, waits for the next. */
  async #compare(): Promise<void> {
    for (const [index, own] of [...this.#digests].reverse()) {
      if (index <= this.#comparedAt || this.#rounds.stopped) return;
      const { voters } = this.#owner;
      const others = voters.filter((node) => node !== this.#parts.nodeName);
      const answers = await Promise.all(others.map((node) => this.#ask(node, index)));
      if (answers.every((digest) => digest === undefined)) continue;
      this.#judge(index, own, voters, new Map(others.map((node, at) => [node, answers[at]])));
      return;
    }
  }

  #judge(
    index: LogIndex,
    own: bigint,
    voters: readonly NodeId[],
    answers: ReadonlyMap<NodeId, bigint | undefined>,
  ): void {
    const isComplete = [...answers.values()].every((digest) => digest !== undefined);
    const differing = [...answers].filter(([, digest]) => digest !== undefined && digest !== own);
    if (isComplete || differing.length > 0) this.#comparedAt = index;
    if (differing.length === 0) {
      if (isComplete) this.#agreedAt = index;
      return;
    }
    this.#differences += 1;
    const detail = {
      index,
      own: own.toString(16),
      others: differing.map(([node, digest]) => `${node} ${digest?.toString(16)}`),
    };
    this.#parts.observer.event("state-differs", detail);
    const counts = new Map<bigint, number>();
    for (const [, digest] of differing) if (digest !== undefined) counts.set(digest, (counts.get(digest) ?? 0) + 1);
    if (![...counts.values()].some((count) => count >= majorityOf(voters.length))) return;
    this.#owner.contradicted(
      `after entry ${index} the state here is ${detail.own}, but a majority has another: ${detail.others.join(", ")}`,
    );
  }

  async #ask(node: NodeId, index: LogIndex): Promise<bigint | undefined> {
    const request = new ByteWriter(16).varint(index).finish();
    const answer = await this.#calls.call(node, "digest", [request], this.#parts.limits.repairTimeoutMs);
    if (!answer.ok) return undefined;
    const reader = new ByteReader(answer.value);
    const digest = reader.u8() === 1 ? reader.u64() : undefined;
    return reader.complete ? digest : undefined;
  }

  #tell(body: Uint8Array): Promise<readonly Uint8Array[]> {
    const reader = new ByteReader(body);
    const digest = this.#digests.get(reader.varint());
    const writer = new ByteWriter(16).u8(digest === undefined ? 0 : 1);
    if (digest !== undefined) writer.u64(digest);
    return Promise.resolve([writer.finish()]);
  }
}
