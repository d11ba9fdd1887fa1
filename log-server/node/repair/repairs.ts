/**
 * All by which a node finds out that what it has is not what the log says, and makes that good: put together, begun and
 * ended as one. What each part does, and when, it says itself.
 */
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { Damage } from "../../log/repair/damage.ts";
import { distrust } from "../../log/distrust.ts";
import { LogLayout } from "../../log/log-layout.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { Checkpointer } from "../checkpointer.ts";
import type { RaftLoop } from "../consensus/raft-loop.ts";
import type { NodeParts } from "../node-parts.ts";
import type { NodeStatus } from "../node-status.ts";
import type { NodeId } from "../../raft/types.ts";
import type { HiddenError } from "../reading/reader.ts";
import { DigestExchange } from "./digest-exchange.ts";
import { type GivenRanges, NOTHING_GIVEN, RangeExchange } from "./range-exchange.ts";
import { type RebuildOwner, Rebuilder } from "./rebuilder.ts";
import { Renewer, type RenewalOwner } from "./renewer.ts";
import { Repairer, type RepairStatus } from "./repairer.ts";
import { Scrub } from "./scrub.ts";
import { TailSettler } from "./tail-settler.ts";

export interface RepairsOwner {
  loop(): RaftLoop;
  /** What is in the way of applying anything more. */
  blocked(): Damage | undefined;
  /** The disk failed. */
  failed(error: unknown): void;
  /** The state here is not what the log says, and is not served again before it was rebuilt. */
  contradicted(error: Error): void;
}

/** What needs others: a node that is alone has none of it. */
type WithOthers = {
  readonly repairer: Repairer;
  readonly ranges: RangeExchange;
  readonly rebuilder: Rebuilder;
  readonly renewer: Renewer;
  readonly tailSettler: TailSettler;
  readonly digests: DigestExchange;
};

export class Repairs {
  readonly #parts: NodeParts;
  readonly #checkpointer: Checkpointer;
  readonly #owner: RepairsOwner;
  readonly #scrub: Scrub;
  readonly #withOthers: WithOthers | undefined;

  constructor(parts: NodeParts, calls: PeerCalls | undefined, checkpointer: Checkpointer, owner: RepairsOwner) {
    this.#parts = parts;
    this.#checkpointer = checkpointer;
    this.#owner = owner;
    this.#scrub = new Scrub(parts, {
      replaceSnapshot: () => checkpointer.replaceSnapshot(),
      failed: (error) => owner.failed(error),
    });
    this.#withOthers = calls && this.#make(calls);
  }

  get status(): Pick<NodeStatus, "repair" | "renewal" | "scrub" | "digests"> {
    return {
      repair: this.#withOthers && repairStatus(this.#withOthers),
      renewal: this.#withOthers?.renewer.status,
      scrub: this.#scrub.status,
      digests: this.#withOthers?.digests.status,
    };
  }

  /** Somebody may have what damage took here. */
  get hasOthers(): boolean {
    return this.#withOthers !== undefined && this.#owner.loop().others.length > 0;
  }

  /** Damage that nobody can make good: what was lost nobody has as it was. */
  get lost(): readonly Damage[] {
    return this.#parts.log.damage.filter((damage) => !this.#mayBeMended(damage));
  }

  /** See `RangeExchange`. */
  async askRanges(sequences: readonly number[]): Promise<GivenRanges> {
    return (await this.#withOthers?.ranges.ask(sequences)) ?? NOTHING_GIVEN;
  }

  tookRanges(segments: readonly number[], batches: number): void {
    this.#withOthers?.ranges.taken(segments, batches);
  }

  /** What whoever asks for it is told of what this damage hides. */
  told(damage: Damage): HiddenError {
    const isHoped = this.#mayBeMended(damage) || this.#mayBeGiven(damage);
    return { code: isHoped ? "repairing" : "damaged", message: damage.message };
  }

  /** Others may have it in another form: a piece of it, or, where nothing here says what it was, all that they have. */
  #mayBeGiven(damage: Damage): boolean {
    const others = this.hasOthers ? this.#withOthers : undefined;
    if (others === undefined) return false;
    const isUnknown = damage.kind === "index" && damage.segment === undefined;
    return isUnknown ? others.renewer.status.tries === 0 : others.ranges.hopesFor(damage);
  }

  start(): void {
    this.#withOthers?.repairer.start();
    this.#withOthers?.rebuilder.start();
    this.#withOthers?.renewer.start();
    this.#withOthers?.tailSettler.start();
    this.#scrub.start();
    this.#withOthers?.digests.start();
  }

  /** Resolves when what was begun has ended. */
  async stop(): Promise<void> {
    const others = this.#withOthers;
    const parts =
      others === undefined
        ? []
        : [others.repairer, others.rebuilder, others.renewer, others.tailSettler, others.digests];
    await Promise.all([this.#scrub, ...parts].map((part) => part.stop()));
  }

  /** The machine has applied this entry, and not yet the next. */
  applied(index: LogIndex): void {
    this.#withOthers?.digests.applied(index);
  }

  /** Reads all that is sealed, now: over once the status' `scrub.passes` has reached the answer. */
  verify(): number {
    return this.#scrub.hurry();
  }

  /** Others may have it as it was. */
  #mayBeMended(damage: Damage): boolean {
    return this.hasOthers && this.#withOthers?.repairer.hopesFor(damage) === true;
  }

  #make(calls: PeerCalls): WithOthers {
    const repairer = this.#makeRepairer(calls);
    return {
      repairer,
      ranges: new RangeExchange(this.#parts, calls, () => this.#owner.loop().others),
      rebuilder: this.#makeRebuilder(calls),
      renewer: this.#makeRenewer(calls),
      tailSettler: this.#makeTailSettler(calls, repairer),
      digests: this.#makeDigests(calls),
    };
  }

  #makeRepairer(calls: PeerCalls): Repairer {
    const owner = this.#owner;
    const { machine } = this.#parts;
    return new Repairer(this.#parts, calls, {
      others: () => owner.loop().others,
      mended: (pending) => owner.loop().mended(pending),
      get position() {
        return machine.position;
      },
      failed: (error) => owner.failed(error),
    });
  }

  #makeRebuilder(calls: PeerCalls): Rebuilder {
    const owner = this.#owner;
    const hope = (): RebuildOwner["blocked"] => {
      const damage = owner.blocked();
      return damage && (this.#mayBeMended(damage) ? "hoped" : "final");
    };
    return new Rebuilder(this.#parts, calls, {
      get leader() {
        return owner.loop().role === "leader" ? undefined : owner.loop().leader;
      },
      get blocked() {
        return hope();
      },
      get receivedBytes() {
        return owner.loop().receiving?.receivedBytes ?? 0;
      },
      ship: (node) => this.#ship(node),
    });
  }

  #makeRenewer(calls: PeerCalls): Renewer {
    const owner = this.#owner;
    const { log, bereft } = this.#parts;
    const isStill = (): boolean => bereft !== undefined || owner.blocked() !== undefined;
    // A damaged snapshot is made anew here.
    const isOfLog = ({ kind }: Damage): boolean => kind !== "snapshot";
    const damage = (): RenewalOwner["damage"] => {
      if (isStill() || !log.damage.some(isOfLog)) return undefined;
      return this.lost.some(isOfLog) ? "final" : "hoped";
    };
    return new Renewer(this.#parts, calls, {
      get damage() {
        return damage();
      },
      get isWhole() {
        return !isStill() && log.damage.length === 0;
      },
      get raft() {
        return owner.loop().status();
      },
      get renewal() {
        return owner.loop().renewal;
      },
      get receivedBytes() {
        return owner.loop().receiving?.receivedBytes ?? 0;
      },
      renew: (closed) => owner.loop().renew(closed),
      endRenewal: () => owner.loop().endRenewal(),
      transferTo: (node) => void owner.loop().transferTo(node),
      // One at a time: no two nodes are to be away at once.
      ship: async (node) => owner.loop().sending.length === 0 && this.#ship(node),
    });
  }

  async #ship(node: NodeId): Promise<boolean> {
    if (this.#owner.loop().role !== "leader" || this.#owner.blocked() !== undefined) return false;
    if (this.#checkpointer.snapshotPosition === 0) await this.#checkpointer.snapshot();
    return this.#owner.loop().ship(node);
  }

  #makeTailSettler(calls: PeerCalls, repairer: Repairer): TailSettler {
    const owner = this.#owner;
    return new TailSettler(this.#parts, calls, {
      get ambiguousEnd() {
        return owner.loop().ambiguousEnd;
      },
      get voters() {
        return owner.loop().voters;
      },
      settleTail: (best) => owner.loop().settleTail(best),
      restoreTail: (entries) => owner.loop().restoreTail(entries),
      source: (node) => repairer.source(node),
      failed: (error) => owner.failed(error),
    });
  }

  #makeDigests(calls: PeerCalls): DigestExchange {
    const owner = this.#owner;
    return new DigestExchange(this.#parts, calls, {
      get voters() {
        return owner.loop().voters;
      },
      contradicted: (message) => void this.#contradicted(message),
    });
  }

  /** Also by a later life. */
  async #contradicted(message: string): Promise<void> {
    const { disk, logId, observer } = this.#parts;
    try {
      await distrust(disk, new LogLayout(`logs/${logId}`), message);
    } catch (error) {
      observer.event("distrust-failed", { error: String(error) });
    }
    this.#owner.contradicted(new Error(`I10: ${message}`));
  }
}

function repairStatus({ repairer, ranges }: Pick<WithOthers, "repairer" | "ranges">): RepairStatus {
  const { status } = repairer;
  return {
    ...status,
    segments: status.segments + ranges.segments,
    batches: status.batches + ranges.batches,
    fetchedBytes: status.fetchedBytes + ranges.fetchedBytes,
  };
}
