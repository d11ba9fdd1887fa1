/**
 * What clients sent and were told, held against what can be read. Knows nothing of how the log works: every record
 * says which batch of which producer it is of, so its place and its neighbours show whether the promises were kept.
 */

/** A promise that was not kept. */
export class Violation extends Error {
  override readonly name = "Violation";
}

export type SentBatch = {
  readonly stream: string;
  readonly producer: string;
  readonly sequence: number;
  readonly payloads: readonly string[];
  /** Told to the client: durable, beginning here. */
  acknowledgedAt?: number;
};

export type ReadRecord = { readonly offset: number; readonly payload: string };

type StreamHistory = {
  readonly batches: Map<string, SentBatch>;
  /** Offset to payload, of everything ever read. */
  readonly seen: Map<number, string>;
  /** The highest frontier a trim may have moved to: sent, perhaps applied. */
  trimSent: number;
};

const PAYLOAD = /^(\S+)\/(\d+)\/(\d+) /;

/** Says what it is of; `filler` only makes it long. */
export function payloadOf(producer: string, sequence: number, place: number, filler: string): string {
  return `${producer}/${sequence}/${place} ${filler}`;
}

export class History {
  readonly #streams = new Map<string, StreamHistory>();

  get streams(): readonly string[] {
    return [...this.#streams.keys()];
  }

  sent(batch: SentBatch): void {
    this.#stream(batch.stream).batches.set(keyOf(batch.producer, batch.sequence), batch);
  }

  /** The answer to an append, or to its retry: always the first one's (I8). */
  acknowledged(batch: SentBatch, offset: number): void {
    if (batch.acknowledgedAt !== undefined && batch.acknowledgedAt !== offset) {
      throw new Violation(
        `I8: ${describe(batch)} was answered with offset ${batch.acknowledgedAt}, and later with ${offset}`,
      );
    }
    batch.acknowledgedAt = offset;
  }

  trimSent(stream: string, before: number): void {
    const history = this.#stream(stream);
    history.trimSent = Math.max(history.trimSent, before);
  }

  /**
   * Checks a stream read from its first retained record to its tail. `damaged`: reading ended early because the rest
   * was refused as damaged, which is allowed to hide records but never to change one.
   */
  check(stream: string, firstOffset: number, records: readonly ReadRecord[], damaged: boolean): void {
    const history = this.#stream(stream);
    if (firstOffset > history.trimSent)
      throw new Violation(`I6: ${stream} begins at ${firstOffset}; nobody trimmed it beyond ${history.trimSent}`);
    const starts = this.#starts(stream, history, firstOffset, records);
    const end = firstOffset + records.length;
    for (const batch of history.batches.values()) {
      const start = starts.get(batch);
      const { acknowledgedAt } = batch;
      if (acknowledgedAt === undefined) continue;
      if (start !== undefined && start !== acknowledgedAt) {
        throw new Violation(`I5: ${describe(batch)} was acknowledged at ${acknowledgedAt} and is at ${start}`);
      }
      const hidden =
        acknowledgedAt + batch.payloads.length <= firstOffset ||
        (damaged && Math.max(acknowledgedAt, firstOffset) >= end);
      if (start === undefined && !hidden)
        throw new Violation(`I5: ${describe(batch)} was acknowledged at ${acknowledgedAt} and is lost`);
    }
    for (const [batch, start] of starts) {
      if (start + batch.payloads.length > end && !damaged)
        throw new Violation(`I11: ${describe(batch)} is there in part`);
    }
    checkOrder(stream, starts);
    for (const [offset, payload] of history.seen) {
      const hidden = offset < firstOffset || (damaged && offset >= end);
      if (!hidden && records[offset - firstOffset]?.payload !== payload) {
        throw new Violation(
          `I6: ${stream}@${offset} was read as ${brief(payload)} and is ${brief(records[offset - firstOffset]?.payload)}`,
        );
      }
    }
    for (const { offset, payload } of records) history.seen.set(offset, payload);
  }

  /** Whether some record of the batch was ever read. */
  wasRead(batch: SentBatch): boolean {
    return [...this.#stream(batch.stream).seen.values()].some((payload) =>
      payload.startsWith(`${keyOf(batch.producer, batch.sequence)}/`),
    );
  }

  /** Where each batch begins. Every record must be one that was sent, in its place in its batch, once (I6, I7, I8). */
  #starts(
    stream: string,
    history: StreamHistory,
    firstOffset: number,
    records: readonly ReadRecord[],
  ): Map<SentBatch, number> {
    const starts = new Map<SentBatch, number>();
    records.forEach(({ offset, payload }, index) => {
      const where = `${stream}@${offset}`;
      if (offset !== firstOffset + index)
        throw new Violation(`I7: ${where} was read where ${firstOffset + index} is due`);
      const [, producer = "", sequence, place] = PAYLOAD.exec(payload) ?? [];
      const batch = history.batches.get(keyOf(producer, Number(sequence)));
      if (batch === undefined || batch.payloads[Number(place)] !== payload)
        throw new Violation(`I6: ${where} is ${brief(payload)}, which nobody sent`);
      const start = offset - Number(place);
      const known = starts.get(batch) ?? start;
      if (known !== start) throw new Violation(`I8: ${describe(batch)} is at ${known} and at ${start}`);
      starts.set(batch, start);
    });
    return starts;
  }

  #stream(name: string): StreamHistory {
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    const made: StreamHistory = { batches: new Map(), seen: new Map(), trimSent: 0 };
    this.#streams.set(name, made);
    return made;
  }
}

/** A producer's batches are in the order in which it made them. */
function checkOrder(stream: string, starts: ReadonlyMap<SentBatch, number>): void {
  const last = new Map<string, SentBatch>();
  for (const [batch] of [...starts].sort(([, a], [, b]) => a - b)) {
    const before = last.get(batch.producer);
    if (before !== undefined && before.sequence >= batch.sequence) {
      throw new Violation(`I7: in ${stream}, ${describe(batch)} comes after ${describe(before)}`);
    }
    last.set(batch.producer, batch);
  }
}

function keyOf(producer: string, sequence: number): string {
  return `${producer}/${sequence}`;
}

function describe(batch: SentBatch): string {
  return `batch ${keyOf(batch.producer, batch.sequence)} of ${batch.stream}`;
}

function brief(payload: string | undefined): string {
  return payload === undefined ? "nothing" : JSON.stringify(payload.slice(0, 40));
}
