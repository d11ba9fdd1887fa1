/** Every bound of the peer protocol (I15). Sizes in bytes, times in milliseconds; those of a message are the port's. */
import type { Lane } from "../../src/ports/link.ts";

type QueueLimits = { readonly messagesMax: number; readonly bytesMax: number };

export type PeerLimits = {
  /**
   * Payload of one frame. Longer messages are cut, so that nothing urgent waits for more than a frame in this process;
   * what the kernel has taken already is in front of it, too, and `transferWindowBytes` bounds that for bulk.
   */
  readonly framePayloadBytesMax: number;
  /** Pieces of a message that are shorter are copied into its frames; longer ones go out as they are. */
  readonly copiedBytesMax: number;
  /** Of a frame before both sides have agreed who they are. */
  readonly handshakePayloadBytesMax: number;
  /** What waits to be sent to one peer. One message always fits an empty queue. */
  readonly queues: Readonly<Record<Lane, QueueLimits>>;
  /** Frames of entries and requests that go before one of bulk, while both wait. */
  readonly otherFramesPerBulkFrame: number;
  /** Peers of one node. */
  readonly peersMax: number;
  /** Accepted connections that have not agreed yet; further ones are closed at once. */
  readonly strangersMax: number;
  /** From accepting or dialling to agreement. */
  readonly handshakeMs: number;
  readonly pingEveryMs: number;
  /** A peer that answers no ping for this long is gone. Above any pause of its garbage collector. */
  readonly silenceMs: number;
  /** Dialling again: from the first to the last, doubling, each drawn between its half and its whole. */
  readonly redialMsMin: number;
  readonly redialMsMax: number;
  /** After a peer that knows has said that this node was removed. */
  readonly redialRemovedMs: number;
  /** Who is no member any more is sent what was begun for so long. */
  readonly farewellMs: number;
  /** The files of certificates are read again so often. */
  readonly certificatesEveryMs: number;
  /** From saying goodbye to cutting the connection off. */
  readonly closeGraceMs: number;
};

export const PEER_LIMITS: PeerLimits = {
  framePayloadBytesMax: 256 * 1024,
  copiedBytesMax: 4 * 1024,
  handshakePayloadBytesMax: 4 * 1024,
  queues: {
    control: { messagesMax: 1_024, bytesMax: 1024 * 1024 },
    entries: { messagesMax: 1_024, bytesMax: 32 * 1024 * 1024 },
    requests: { messagesMax: 4_096, bytesMax: 32 * 1024 * 1024 },
    bulk: { messagesMax: 64, bytesMax: 4 * 1024 * 1024 },
  },
  otherFramesPerBulkFrame: 1,
  peersMax: 64,
  strangersMax: 64,
  handshakeMs: 3_000,
  pingEveryMs: 500,
  silenceMs: 5_000,
  redialMsMin: 50,
  redialMsMax: 2_000,
  redialRemovedMs: 30_000,
  farewellMs: 2_000,
  certificatesEveryMs: 30_000,
  closeGraceMs: 1_000,
};

/** Texts of a handshake. */
export const HELLO_LIMITS = { nameBytesMax: 255, logsMax: 1_024, detailBytesMax: 1_024 } as const;
