/**
 * What carries messages between nodes. Implemented by TCP in `log-server/peer` and by `src/sim/network.ts`; one contract
 * suite holds both.
 *
 * A message arrives whole and undamaged or not at all, but for what its sender says proves itself. It may be lost, and
 * between two connections repeated or reordered; Raft and transfers are written for that. What a message means is its lane's
 * business, not the link's.
 */

/**
 * `control` is small and urgent (heartbeats, votes, answers): it overtakes the others, and where too much of it waits
 * the oldest is dropped, for newer ones say more. `entries` is replication, `requests` what nodes ask each other and its
 * answers: refused where too much waits. `bulk` is transfers: refused as well, and `room` tells when to go on.
 */
export type Lane = "control" | "entries" | "requests" | "bulk";

export interface LinkListener {
  /** The bytes are the receiver's to keep. */
  message(from: string, lane: Lane, bytes: Uint8Array): void;
  /** A connection to this peer stands. */
  reachable(peer: string): void;
  /** It stands no more: what was sent lately may be lost. May be said repeatedly. */
  unreachable(peer: string): void;
  /** `bulk` of this peer had refused something and takes more now. */
  room(peer: string): void;
}

export interface Link {
  /** One listener at a time: a later one takes the earlier one's place. It must be set before anything can be heard. */
  listen(listener: LinkListener): void;
  /**
   * Sends the pieces as one message. They are not copied, so they must never change again. Never an error, and false if it
   * was dropped at once. The bound of a message is its lane's: `LINK_LIMITS`. Of `entries` the last `proven` bytes, none
   * unless said, have hashes of their own, which the receiver looks at: on the way they need not be hashed once more, and may
   * arrive damaged.
   */
  send(to: string, lane: Lane, pieces: readonly Uint8Array[], proven?: number): boolean;
  close(): Promise<void>;
}

/** Bytes of one message; a longer one is its sender's bug. */
export const LINK_LIMITS: { readonly messageBytesMax: Readonly<Record<Lane, number>> } = {
  messageBytesMax: { control: 64 * 1024, entries: 72 * 1024 * 1024, requests: 72 * 1024 * 1024, bulk: 1024 * 1024 },
};
