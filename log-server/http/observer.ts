/** What the HTTP faces tell whoever measures them. Called on the hot path: implementations only count. */

export interface HttpObserver {
  /** An append was answered as done: the records and bytes of its body. */
  appended(records: number, bytes: number): void;
  /** Records were sent to a reader. */
  read(records: number, bytes: number): void;
  /** A live reader came (1) or went (-1). */
  liveReaders(change: 1 | -1): void;
  /** A live reader was dropped because it took nothing for too long. */
  slowReaderDropped(): void;
  /** A webhook attempt ended. */
  webhook(outcome: "delivered" | "failed"): void;
  /** An event worth a log line: `code` is stable, the rest is detail. */
  event(code: string, detail: Readonly<Record<string, unknown>>): void;
}

export const NO_HTTP_OBSERVER: HttpObserver = {
  appended: () => undefined,
  read: () => undefined,
  liveReaders: () => undefined,
  slowReaderDropped: () => undefined,
  webhook: () => undefined,
  event: () => undefined,
};
