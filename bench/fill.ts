/** Much data in little time, for what is measured on top of it: large batches, several at a time, through the SDK. */
import { connect } from "../client/index.ts";

/** Large records, for bytes in little time. */
const RECORD_BYTES = 1_000;
const BATCH_RECORDS = 1_000;
const BATCH_BYTES = RECORD_BYTES * BATCH_RECORDS;
const IN_FLIGHT = 8;

export type Filling = {
  /** By name; they take turns, and are made where there are none. */
  readonly streams: readonly string[];
  readonly batches: number;
  readonly batchRecords: number;
  readonly recordBytes: number;
  readonly inFlight: number;
  /** Ends it. */
  readonly signal?: AbortSignal;
};

/** Appends so many batches of records that are all alike. */
export async function appendBatches(url: URL, filling: Filling): Promise<void> {
  const { batches, batchRecords, recordBytes, inFlight, signal } = filling;
  const client = connect(url.href.replace(/^http/, "ws"));
  try {
    const streams = filling.streams.map((name) => client.stream(name));
    await Promise.all(streams.map((stream) => stream.create()));
    const batch = Array.from({ length: batchRecords }, () => new Uint8Array(recordBytes).fill(0x78));
    let left = batches;
    const work = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await streams[left % streams.length]?.append(batch, signal === undefined ? {} : { signal });
      }
    };
    await Promise.all(Array.from({ length: inFlight }, work));
  } finally {
    await client.close();
  }
}

/** Appends so many bytes of values to a stream. */
export function fill(url: URL, name: string, bytes: number): Promise<void> {
  return appendBatches(url, {
    streams: [name],
    batches: Math.ceil(bytes / BATCH_BYTES),
    batchRecords: BATCH_RECORDS,
    recordBytes: RECORD_BYTES,
    inFlight: IN_FLIGHT,
  });
}
