/** With which codes a connection is closed, and what may stand beside them (RFC 6455, section 7.4). */

export const CLOSE = {
  /** The server stops. */
  goingAway: 1001,
  /** Frames that cannot be cut, or that break the protocol's rules. */
  protocolError: 1002,
  /** A peer that takes nothing, or says nothing. */
  policy: 1008,
  tooLarge: 1009,
  /** No room for another connection. */
  tryAgainLater: 1013,
} as const;

export type CloseCode = (typeof CLOSE)[keyof typeof CLOSE];

const REASON_BYTES_MAX = 123;

/** A control frame has room for so much; our reasons are mostly ASCII. */
export function closeReason(text: string): string {
  let reason = text.slice(0, REASON_BYTES_MAX);
  while (Buffer.byteLength(reason) > REASON_BYTES_MAX) reason = reason.slice(0, -1);
  return reason.toWellFormed();
}
