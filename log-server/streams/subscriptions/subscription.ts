/**
 * A subscription: durable cursors over streams, and who is at work on them (Durable Streams, sections 6 and 7).
 *
 * `idle` → (wake) → `woken` (pull-wake) or `leased` (webhook) → (claim) → `leased` → (ack done, release, failure, the
 * lease's end) → `idle`. Each wake has a new generation; what comes for an older one is fenced.
 */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import type { StreamName, SubscriptionCreateCommand, SubscriptionDelivery } from "../../../src/wire/command.ts";
import { Deadline } from "../deadlines.ts";
import type { ExplicitStream } from "./explicit-stream.ts";
import { Glob } from "../glob.ts";
import type { Link } from "./link.ts";
import { encodeRow, FAMILY, RowOwner } from "../rows.ts";
import type { Stream } from "../stream.ts";
import type { SubscriptionPhase, SubscriptionStreamView, SubscriptionView } from "../views.ts";

export type SubscriptionIdentity = {
  readonly id: string;
  readonly delivery: SubscriptionDelivery;
  readonly pattern: string | undefined;
  readonly leaseMs: number;
  readonly description: string | undefined;
  /** Of all that must be equal for a create to be a re-confirmation. */
  readonly configHash: bigint;
  readonly createdAtMs: number;
};

export const IDLE: SubscriptionPhase = { kind: "idle" };

export class Subscription extends RowOwner {
  readonly identity: SubscriptionIdentity;
  readonly glob: Glob | undefined;
  generation = 0;
  phase: SubscriptionPhase = IDLE;
  failures = 0;
  retryAtMs: number | undefined = undefined;
  /** Matching streams that found no place. */
  unlinked = 0;

  /** Found again from other rows. */
  readonly explicit = new Map<StreamName, ExplicitStream>();
  readonly links = new Map<Stream, Link>();
  pendingLinks = 0;
  /** The end of its lease, or the time of its retry. */
  readonly deadline: Deadline<Subscription> = new Deadline<Subscription>(this);

  constructor(identity: SubscriptionIdentity) {
    super();
    this.identity = identity;
    this.glob = identity.pattern === undefined ? undefined : new Glob(identity.pattern);
  }

  get id(): string {
    return this.identity.id;
  }

  /** Whether a stream of this name is to be linked. Its own wake stream never is by a pattern: each wake would make another. */
  wants(name: StreamName): boolean {
    if (this.explicit.has(name)) return true;
    const { delivery } = this.identity;
    if (delivery.kind === "pull-wake" && delivery.wakeStream === name) return false;
    return this.glob !== undefined && this.glob.matches(name);
  }

  isReady(logTime: number): boolean {
    return (
      this.phase.kind === "idle" && this.pendingLinks > 0 && (this.retryAtMs === undefined || this.retryAtMs <= logTime)
    );
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => writer.u8(FAMILY.subscription).bytes(utf8(this.id)));
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => {
      const { identity, phase } = this;
      writeConfig(writer, identity);
      writer.u64(identity.configHash).varint(identity.createdAtMs).varint(this.generation);
      writer.u8(PHASES.indexOf(phase.kind));
      if (phase.kind !== "idle") writer.string(phase.wakeId);
      if (phase.kind === "leased") writer.string(phase.holder).varint(phase.untilMs);
      writer.varint(this.failures).u8(this.retryAtMs === undefined ? 0 : 1);
      if (this.retryAtMs !== undefined) writer.varint(this.retryAtMs);
      writer.varint(this.unlinked);
    });
  }
}

const PHASES = ["idle", "woken", "leased"] as const satisfies readonly SubscriptionPhase["kind"][];

type Config = Pick<SubscriptionIdentity, "delivery" | "pattern" | "leaseMs" | "description">;

function writeConfig(writer: ByteWriter, { delivery, pattern, leaseMs, description }: Config): void {
  const isPull = delivery.kind === "pull-wake";
  writer.u8((isPull ? 1 : 0) | (pattern === undefined ? 0 : 2) | (description === undefined ? 0 : 4));
  writer.string(isPull ? delivery.wakeStream : delivery.url).varint(leaseMs);
  if (pattern !== undefined) writer.string(pattern);
  if (description !== undefined) writer.string(description);
}

/** `streams`: explicit ones, sorted, each once. */
export function hashConfig(command: SubscriptionCreateCommand, streams: readonly StreamName[]): bigint {
  const { delivery, pattern, leaseMs, description } = command;
  return xxh64(
    encodeRow((writer) => {
      writeConfig(writer, { delivery, pattern, leaseMs, description });
      writer.varint(streams.length);
      for (const stream of streams) writer.string(stream);
    }),
  );
}

export function readSubscription(id: string, reader: ByteReader): Subscription | undefined {
  const flags = reader.u8();
  const has = (bit: number): boolean => ((flags >> bit) & 1) === 1;
  const textMax = reader.remaining;
  const target = reader.string(textMax);
  const leaseMs = reader.varint();
  const pattern = has(1) ? reader.string(textMax) : undefined;
  const description = has(2) ? reader.string(textMax) : undefined;
  const configHash = reader.u64();
  const createdAtMs = reader.varint();
  const delivery: SubscriptionDelivery = has(0)
    ? { kind: "pull-wake", wakeStream: target }
    : { kind: "webhook", url: target };
  const subscription = new Subscription({ id, delivery, pattern, leaseMs, description, configHash, createdAtMs });
  subscription.generation = reader.varint();
  subscription.phase = readPhase(reader);
  subscription.failures = reader.varint();
  subscription.retryAtMs = reader.u8() === 1 ? reader.varint() : undefined;
  subscription.unlinked = reader.varint();
  return reader.complete ? subscription : undefined;
}

function readPhase(reader: ByteReader): SubscriptionPhase {
  const kind = PHASES[reader.u8()];
  const textMax = reader.remaining;
  if (kind === "woken") return { kind, wakeId: reader.string(textMax) };
  if (kind === "leased") {
    return { kind, wakeId: reader.string(textMax), holder: reader.string(textMax), untilMs: reader.varint() };
  }
  if (kind === undefined) reader.fail();
  return IDLE;
}

export function viewOfSubscription(subscription: Subscription): SubscriptionView {
  const { identity, phase, retryAtMs } = subscription;
  const { pattern, description } = identity;
  return {
    id: identity.id,
    delivery: identity.delivery,
    ...(pattern !== undefined && { pattern }),
    leaseMs: identity.leaseMs,
    ...(description !== undefined && { description }),
    createdAtMs: identity.createdAtMs,
    generation: subscription.generation,
    phase,
    status: retryAtMs === undefined ? "active" : "failed",
    failures: subscription.failures,
    ...(retryAtMs !== undefined && { retryAtMs }),
    hasPending: subscription.pendingLinks > 0,
    unlinked: subscription.unlinked,
    streams: () => streamsOf(subscription),
  };
}

function streamsOf(subscription: Subscription): readonly SubscriptionStreamView[] {
  const views = new Map<StreamName, SubscriptionStreamView>();
  const nowhere = { incarnation: 0, ackedOffset: 0, tailOffset: 0, hasPending: false };
  for (const name of subscription.explicit.keys()) views.set(name, { stream: name, linkType: "explicit", ...nowhere });
  for (const { stream, acked, isPending } of subscription.links.values()) {
    views.set(stream.name, {
      stream: stream.name,
      linkType: subscription.explicit.has(stream.name) ? "explicit" : "glob",
      streamId: stream.id,
      incarnation: stream.incarnation,
      ackedOffset: acked,
      tailOffset: stream.nextOffset,
      hasPending: isPending,
    });
  }
  return [...views.values()].sort((a, b) => (a.stream < b.stream ? -1 : 1));
}
