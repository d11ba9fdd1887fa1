/**
 * What waits to be sent to one peer, by lane, each bounded in messages and bytes (I15), and which frame goes next.
 * Control goes first. Entries and requests take turns, and go before bulk, but for every few of their frames one of bulk
 * goes, so that none starves another. A message whose first frame has gone is finished, never dropped.
 */
import { assert, unreachable } from "../../src/lib/assert.ts";
import { type Lane, LINK_LIMITS } from "../../src/ports/link.ts";
import { beginFrame, type Extent, FRAME_HEADER_LENGTH, sealFrame } from "./frame.ts";
import type { PeerLimits } from "./limits.ts";

/** Of its bytes the last `proven` prove themselves. */
type Waiting = { readonly pieces: readonly Uint8Array[]; readonly bytes: number; readonly proven: number };

/** A lane's messages, oldest first, and how far the first has been sent. */
type LaneQueue = {
  readonly lane: Lane;
  readonly messages: Waiting[];
  bytes: number;
  /** Of the first message: whole pieces that were sent, bytes of the next, and bytes in all. */
  piece: number;
  within: number;
  sent: number;
};

export type Queued = { readonly accepted: boolean; readonly dropped: number };

export class SendQueue {
  readonly #limits: PeerLimits;
  readonly #control: LaneQueue = newQueue("control");
  readonly #entries: LaneQueue = newQueue("entries");
  readonly #requests: LaneQueue = newQueue("requests");
  readonly #bulk: LaneQueue = newQueue("bulk");
  /** Frames of entries and requests since the last one of bulk. */
  #run = 0;
  /** Of these two, whose turn it is if both wait. */
  #turn: LaneQueue = this.#entries;

  readonly #queues: readonly LaneQueue[] = [this.#control, this.#entries, this.#requests, this.#bulk];

  constructor(limits: PeerLimits) {
    this.#limits = limits;
  }

  get empty(): boolean {
    return this.messages === 0;
  }

  get messages(): number {
    return this.#queues.reduce((sum, { messages }) => sum + messages.length, 0);
  }

  get bytes(): number {
    return this.#queues.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** How many messages the lane gave up for this one, itself included where it was not accepted. */
  push(lane: Lane, pieces: readonly Uint8Array[], proven = 0): Queued {
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    assert(bytes <= LINK_LIMITS.messageBytesMax[lane], `I15: a message of ${lane} has a bound`);
    assert(proven === 0 || (lane === "entries" && proven <= bytes), "I13: of entries alone some prove themselves");
    const queue = this.#of(lane);
    let dropped = 0;
    if (lane === "control") {
      while (!this.#fits(queue, bytes) && this.#dropOldest(queue)) dropped += 1;
    }
    if (!this.#fits(queue, bytes)) return { accepted: false, dropped: dropped + 1 };
    queue.messages.push({ pieces, bytes, proven });
    queue.bytes += bytes;
    return { accepted: true, dropped };
  }

  /** The next frame to be sent, in chunks one behind the other, or undefined. */
  next(): { readonly lane: Lane; readonly chunks: readonly Uint8Array[]; readonly last: boolean } | undefined {
    const queue = this.#choose();
    if (queue === undefined) return undefined;
    const message = queue.messages[0] as Waiting;
    const length = Math.min(message.bytes - queue.sent, this.#limits.framePayloadBytesMax);
    const last = queue.sent + length === message.bytes;
    const proven = Math.min(length, Math.max(0, queue.sent + length - (message.bytes - message.proven)));
    const chunks = this.#frameOf(queue.lane, take(queue, message, length), { length, proven }, !last);
    if (last) this.#removeFirst(queue);
    return { lane: queue.lane, chunks, last };
  }

  #choose(): LaneQueue | undefined {
    if (this.#control.messages.length > 0) return this.#control;
    const bulk = this.#bulk.messages.length > 0;
    const other = this.#turn === this.#entries ? this.#requests : this.#entries;
    const first = this.#turn.messages.length > 0 ? this.#turn : other;
    if (first.messages.length > 0 && (!bulk || this.#run < this.#limits.otherFramesPerBulkFrame)) {
      this.#run += 1;
      this.#turn = first === this.#entries ? this.#requests : this.#entries;
      return first;
    }
    this.#run = 0;
    return bulk ? this.#bulk : undefined;
  }

  /** Short parts are copied behind the header, and between each other; a chunk costs more than they do. */
  #frameOf(lane: Lane, parts: readonly Uint8Array[], extent: Extent, more: boolean): readonly Uint8Array[] {
    const isCopied = (part: Uint8Array): boolean => part.length < this.#limits.copiedBytesMax;
    let room = 0;
    for (const part of parts) if (isCopied(part)) room += part.length;
    const copied = beginFrame(lane, extent, more, room);
    const chunks: Uint8Array[] = [];
    let from = 0;
    let to = FRAME_HEADER_LENGTH;
    for (const part of parts) {
      if (isCopied(part)) {
        copied.set(part, to);
        to += part.length;
        continue;
      }
      if (to > from) chunks.push(copied.subarray(from, to));
      from = to;
      chunks.push(part);
    }
    if (to > from) chunks.push(copied.subarray(from, to));
    const [first, ...others] = chunks;
    sealFrame(first as Buffer, others);
    return chunks;
  }

  #fits(queue: LaneQueue, bytes: number): boolean {
    const { messagesMax, bytesMax } = this.#limits.queues[queue.lane];
    const count = queue.messages.length;
    return count === 0 || (count < messagesMax && queue.bytes + bytes <= bytesMax);
  }

  /** False if all that is left is under way. */
  #dropOldest(queue: LaneQueue): boolean {
    const at = queue.sent > 0 ? 1 : 0;
    const [dropped] = queue.messages.splice(at, 1);
    if (dropped === undefined) return false;
    queue.bytes -= dropped.bytes;
    return true;
  }

  #removeFirst(queue: LaneQueue): void {
    const first = queue.messages.shift() as Waiting;
    queue.bytes -= first.bytes;
    queue.piece = 0;
    queue.within = 0;
    queue.sent = 0;
  }

  #of(lane: Lane): LaneQueue {
    switch (lane) {
      case "control":
        return this.#control;
      case "entries":
        return this.#entries;
      case "requests":
        return this.#requests;
      case "bulk":
        return this.#bulk;
      default:
        return unreachable(lane);
    }
  }
}

/** The message's next bytes, so many. */
function take(queue: LaneQueue, message: Waiting, length: number): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  const end = queue.sent + length;
  while (queue.sent < end) {
    const piece = message.pieces[queue.piece] as Uint8Array;
    const count = Math.min(piece.length - queue.within, end - queue.sent);
    parts.push(count === piece.length ? piece : piece.subarray(queue.within, queue.within + count));
    queue.sent += count;
    queue.within += count;
    if (queue.within === piece.length) {
      queue.piece += 1;
      queue.within = 0;
    }
  }
  return parts;
}

function newQueue(lane: Lane): LaneQueue {
  return { lane, messages: [], bytes: 0, piece: 0, within: 0, sent: 0 };
}
