/** Many events in little time, for an app to work off. */
import { connect } from "../../client/index.ts";
import { SYSTEM_ZSTD } from "../../log-server/system.ts";
import type { BenchEvent } from "./apps.ts";

const BATCH_RECORDS = 1_000;
const IN_FLIGHT = 8;

/** Appends events 0, 1 … to a stream, in order. */
export async function appendEvents(
  url: string,
  input: string,
  count: number,
  eventOf: (n: number) => Omit<BenchEvent, "n" | "dueAt">,
): Promise<void> {
  const client = connect(url, { zstd: SYSTEM_ZSTD });
  const stream = client.stream(input);
  await stream.create({ contentType: "application/json" });
  const inFlight: Promise<unknown>[] = [];
  for (let n = 0; n < count; n += BATCH_RECORDS) {
    const size = Math.min(BATCH_RECORDS, count - n);
    const events = Array.from({ length: size }, (_, at): BenchEvent => ({ n: n + at, dueAt: 0, ...eventOf(n + at) }));
    inFlight.push(stream.append(events.map((event) => JSON.stringify(event))));
    if (inFlight.length >= IN_FLIGHT) await inFlight.shift();
  }
  await Promise.all(inFlight);
  await client.close();
}
