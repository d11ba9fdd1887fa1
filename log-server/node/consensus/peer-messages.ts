/**
 * What one log's Raft says to other nodes, on its way through the link, and back. Whatever arrives is judged here: what
 * is damaged, or was meant for another log or node, is refused and counted, and never reaches the core.
 */
import type { Lane, Link } from "../../../src/ports/link.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import { batchIsIntact } from "../../log/segments/segment-scan.ts";
import type { PeerMessage } from "../../raft/message.ts";
import { type EncodedEntries, encodeEntries } from "../../raft/entries-codec.ts";
import { decodeMessage, encodeMessage } from "../../raft/message-codec.ts";
import type { Snapshot } from "../../raft/types.ts";
import type { NodeObserver } from "../observer.ts";

export type PeerMessagesParts = {
  readonly link: Link;
  readonly logId: number;
  readonly nodeName: string;
  readonly observer: NodeObserver;
  /** Whether this snapshot was received, and stays until it is known what becomes of it. */
  readonly isReceived: (snapshot: Snapshot) => boolean;
};

export class PeerMessages {
  readonly #parts: PeerMessagesParts;
  #refused = 0;
  /** Each peer and reason is told of once; the rest is counted. */
  readonly #told = new Set<string>();

  constructor(parts: PeerMessagesParts) {
    this.#parts = parts;
  }

  /** Damaged, misdirected, or of a kind that this node does not take. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Returns those that were dropped at once. Entries that go to several nodes are encoded once; their batches are hashed neither
   * here nor on the way, for they have their hashes with them, which `receive` looks at.
   */
  send(messages: readonly PeerMessage[]): readonly PeerMessage[] {
    const { link, logId } = this.#parts;
    const encoded = new Map<readonly Entry[], EncodedEntries>();
    return messages.filter((message) => {
      let entries: EncodedEntries | undefined;
      if (message.kind === "append" && message.entries.length > 0) {
        entries = encoded.get(message.entries) ?? encodeEntries(message.entries);
        encoded.set(message.entries, entries);
      }
      const pieces = encodeMessage(logId, message, entries);
      return !link.send(message.to, laneOf(message), pieces, entries?.batchBytes);
    });
  }

  /** Undefined: there is nothing in it for the core. */
  receive(from: string, bytes: Uint8Array): PeerMessage | undefined {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) return this.#refuse(from, decoded.error);
    // Of a newer version of the protocol: passed over.
    if (decoded.value.kind === "unknown") return undefined;
    const { log, message } = decoded.value;
    const { logId, nodeName } = this.#parts;
    if (log !== logId || message.from !== from || message.to !== nodeName) return this.#refuse(from, "misdirected");
    if (message.kind === "snapshot" && !this.#parts.isReceived(message.snapshot))
      return this.#refuse(from, "snapshot-not-received");
    // Before they are written, and acknowledged: what this node keeps, it can prove (I13).
    if (message.kind === "append" && !isIntact(message.entries)) return this.#refuse(from, "damaged-batch");
    return message;
  }

  #refuse(from: string, reason: string): undefined {
    this.#refused += 1;
    const what = `${from} ${reason}`;
    if (!this.#told.has(what)) this.#parts.observer.event("peer-message-refused", { from, reason });
    this.#told.add(what);
    return undefined;
  }
}

/** Appends to one follower stay in order, also those that are empty; all else overtakes them. */
function laneOf(message: PeerMessage): Lane {
  return message.kind === "append" ? "entries" : "control";
}

function isIntact(entries: Extract<PeerMessage, { kind: "append" }>["entries"]): boolean {
  return entries.every(({ batches }) =>
    batches.every((batch) => batch.bytes !== undefined && batchIsIntact(batch.bytes, batch)),
  );
}
