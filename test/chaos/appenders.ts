/** Clients that append, each in its own manner, and note what became of each append. */
import type { Outcome } from "./history.ts";
import { CALL_MS, type Load, outcomeOf, PADDING, PAIR, PAUSE_MS, SHORT } from "./load.ts";
import { pause } from "./pause.ts";

const IN_FLIGHT = 8;
const CHURN_PADDINGS = 16;
const DS_PRODUCER_EPOCH = "0";

/** The SDK's batching producer; a new one, of another name, where one has failed. */
export async function produce(
  load: Load,
  name: string,
  stream: string,
  scheme: "ws" | "http",
  first: number,
): Promise<void> {
  const { journal, written } = load;
  let sequence = 0;
  for (let life = 0; !written.aborted; life += 1) {
    const client = load.connect(scheme, first + life);
    const producer = client.stream(stream).producer();
    let failed = false;
    const waiting = new Set<Promise<void>>();
    while (!written.aborted && !failed) {
      sequence += 1;
      const append = {
        stream,
        value: `${name}:${sequence}`,
        producer: `${name}/${life}`,
        sequence,
        askedAt: performance.now(),
      };
      const settled = producer.append(append.value + PADDING, { timeout: CALL_MS }).then(
        (offset) => journal.append(append, { kind: "acknowledged", at: performance.now(), offset }),
        (error: unknown) => {
          failed = true;
          journal.append(append, outcomeOf(error));
        },
      );
      waiting.add(settled);
      void settled.finally(() => waiting.delete(settled));
      await (waiting.size >= IN_FLIGHT ? Promise.race(waiting) : pause(PAUSE_MS));
    }
    await Promise.all(waiting);
    await client.close().catch(() => undefined);
  }
}

/** One call after the other, without a producer: what is in doubt stays so. */
export async function callOneByOne(load: Load, name: string, stream: string, first: number): Promise<void> {
  const { journal, written } = load;
  let turn = first;
  let client = load.connect("http", turn);
  for (let sequence = 1; !written.aborted; sequence += 1) {
    const value = `${name}:${sequence}`;
    // Calls have no order among them: one in doubt may take effect after the next.
    const append = { stream, value, producer: value, sequence, askedAt: performance.now() };
    try {
      const { offset } = await client.stream(stream).append(value + PADDING, { timeout: CALL_MS });
      journal.append(append, { kind: "acknowledged", at: performance.now(), offset });
    } catch (error) {
      journal.append(append, outcomeOf(error));
      await client.close().catch(() => undefined);
      client = load.connect("http", (turn += 1));
    }
    await pause(PAUSE_MS);
  }
  await client.close().catch(() => undefined);
}

/** Much, for a stream that keeps little. What of it is still there has to be right, too. */
export async function churn(load: Load, name: string, first: number): Promise<void> {
  const { journal, written } = load;
  const client = load.connectToAll(first, "session");
  for (let sequence = 1; !written.aborted; sequence += 1) {
    const value = `${name}:${sequence}`;
    const append = { stream: SHORT, value, producer: value, sequence, askedAt: performance.now() };
    try {
      const { offset } = await client
        .stream(SHORT)
        .append(value + PADDING.repeat(CHURN_PADDINGS), { timeout: CALL_MS });
      journal.append(append, { kind: "acknowledged", at: performance.now(), offset });
    } catch (error) {
      journal.append(append, outcomeOf(error));
    }
    await pause(PAUSE_MS);
  }
  await client.close().catch(() => undefined);
}

/** The open protocol by hand, with its idempotent producer: tried again, anywhere, until it is certain. */
export async function protocol(load: Load, name: string, stream: string, first: number): Promise<void> {
  const { journal, written } = load;
  let turn = first;
  for (let sequence = 0; !written.aborted; sequence += 1) {
    const value = `${name}:${sequence}`;
    const append = { stream, value, producer: name, sequence, askedAt: performance.now() };
    for (let outcome: Outcome = { kind: "unknown" }; outcome.kind === "unknown";) {
      outcome = await post(load.url(turn), stream, name, sequence, value);
      if (outcome.kind === "unknown") {
        turn += 1;
        if (written.aborted) {
          journal.append(append, outcome);
          return;
        }
        await pause(PAUSE_MS);
      } else {
        journal.append(append, outcome);
      }
    }
    await pause(PAUSE_MS);
  }
}

async function post(url: string, stream: string, producer: string, sequence: number, body: string): Promise<Outcome> {
  try {
    const answer = await fetch(`${url}/v1/stream/${stream}`, {
      method: "POST",
      headers: {
        "content-type": "text/plain",
        "producer-id": producer,
        "producer-epoch": DS_PRODUCER_EPOCH,
        "producer-seq": String(sequence),
      },
      body: body + PADDING,
      signal: AbortSignal.timeout(CALL_MS),
    });
    await answer.arrayBuffer();
    if (!answer.ok) return { kind: "unknown" };
    return { kind: "acknowledged", at: performance.now(), offset: undefined };
  } catch {
    return { kind: "unknown" };
  }
}

/** The same record in two streams by one transaction, committed again elsewhere as it is while it is in doubt. */
export async function transact(load: Load, name: string, first: number): Promise<void> {
  const { journal, written } = load;
  const client = load.connectToAll(first, "session");
  for (let sequence = 1; !written.aborted; sequence += 1) {
    const value = `${name}:${sequence}`;
    const askedAt = performance.now();
    const transaction = client.transaction();
    for (const stream of PAIR) transaction.append(stream, value + PADDING);
    let outcome: Outcome = { kind: "unknown" };
    let offsets: readonly number[] = [];
    while (outcome.kind === "unknown") {
      try {
        const done = await transaction.commit({ timeout: CALL_MS });
        offsets = done.flatMap((result) => (result.kind === "append" ? [result.offset] : []));
        outcome = { kind: "acknowledged", at: performance.now(), offset: undefined };
      } catch (error) {
        outcome = outcomeOf(error);
        if (written.aborted) break;
      }
    }
    for (const [at, stream] of PAIR.entries()) {
      const found = outcome.kind === "acknowledged" ? { ...outcome, offset: offsets[at] } : outcome;
      // One that was refused after doubt makes way for the next: they have no order among them.
      journal.append({ stream, value, producer: value, sequence, askedAt }, found);
    }
    await pause(PAUSE_MS);
  }
  await client.close().catch(() => undefined);
}
