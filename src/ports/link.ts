/**
 * What carries frames between two nodes. Messages may be lost, delayed, duplicated or reordered between
 * connections; Raft is written for that. Implemented by TCP in `log-server/peer` and by `src/sim`.
 */

export interface Link {
  /** Sends if there is room, drops otherwise: a bounded queue, never an error. */
  send(to: string, frame: Uint8Array): void;
  /** At most one receiver. */
  receive(handler: (from: string, frame: Uint8Array) => void): void;
  close(): Promise<void>;
}
