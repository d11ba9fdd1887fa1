/** Much data in little time, for what is measured on top of it: large records in large batches, through the SDK. */
import { connect } from "../client/index.ts";

const RECORD_BYTES = 1_000;
const BATCH_RECORDS = 1_000;
const BATCH_BYTES = RECORD_BYTES * BATCH_RECORDS;
const IN_FLIGHT = 8;

/** Appends so many bytes of values to a stream, which it makes if there is none. */
export async function fill(url: URL, name: string, bytes: number): Promise<void> {
  const client = connect(url.href.replace(/^http/, "ws"));
  try {
    const stream = client.stream(name);
    await stream.create();
    const batch = Array.from({ length: BATCH_RECORDS }, () => new Uint8Array(RECORD_BYTES).fill(0x78));
    let left = Math.ceil(bytes / BATCH_BYTES);
    const work = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await stream.append(batch);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  } finally {
    await client.close();
  }
}
