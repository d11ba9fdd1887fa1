/**
 * Clients that read live, on every face, each of which goes on at another node from where it was: every node serves them all.
 * What they were given in the end is the whole stream, each record once and in order (I7).
 */
import { parseOffset } from "../../src/record/offset.ts";
import type { Seen } from "./history.ts";
import { CALL_MS, type Load, PAUSE_MS, valueOf, valuesIn } from "./load.ts";
import { FACES } from "./looks.ts";
import { pause } from "./pause.ts";

const START = "-1";
const END_OF_EVENT = "\n\n";
const DATA_EVENT = "event: data\n";
const DATA_LINE = "data:";

/** The SDK's subscription. */
export async function subscribe(load: Load, stream: string, scheme: "ws" | "http", first: number): Promise<void> {
  const seen = load.journal.reading(`a subscription by ${scheme}`, stream);
  await everywhere(load, first, async (turn, signal) => {
    const client = load.connect(scheme, turn);
    try {
      for await (const record of client.stream(stream).subscribe({ from: seen.length, signal }))
        seen.push({ offset: record.offset, value: valueOf(record.text()) });
    } finally {
      await client.close();
    }
  });
}

/** The SDK's following of several streams as one. */
export async function follow(load: Load, streams: readonly string[], first: number): Promise<void> {
  const seen = new Map(streams.map((stream) => [stream, load.journal.reading("a follower of many", stream)]));
  await everywhere(load, first, async (turn, signal) => {
    const client = load.connect("ws", turn);
    const from = Object.fromEntries([...seen].map(([stream, { length }]) => [stream, length]));
    try {
      for await (const record of client.follow(streams, { from, signal }))
        seen.get(record.stream)?.push({ offset: record.offset, value: valueOf(record.text()) });
    } finally {
      await client.close();
    }
  });
}

/** The open protocol's server-sent events: what came counts once the event is there that says where it ends. */
export async function events(load: Load, stream: string, first: number): Promise<void> {
  const seen = load.journal.reading("a reader of events", stream);
  let token = START;
  await everywhere(load, first, async (turn, signal) => {
    const answer = await fetch(`${load.url(turn)}/v1/stream/${stream}?offset=${token}&live=sse`, { signal });
    if (!answer.ok || answer.body === null) return;
    let text = "";
    let values: readonly string[] = [];
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      text += piece;
      for (let end = text.indexOf(END_OF_EVENT); end >= 0; end = text.indexOf(END_OF_EVENT)) {
        const event = text.slice(0, end);
        text = text.slice(end + END_OF_EVENT.length);
        const data = event.slice(event.indexOf(DATA_LINE) + DATA_LINE.length);
        if (event.startsWith(DATA_EVENT)) values = valuesIn(data);
        else {
          token = (JSON.parse(data) as { readonly streamNextOffset: string }).streamNextOffset;
          take(seen, values, token);
          values = [];
        }
      }
    }
  });
}

/** The open protocol's plain reads: to the end, which is a linearizable look at it, and again. */
export async function catchUp(load: Load, stream: string, first: number): Promise<void> {
  const { journal, over } = load;
  const seen = journal.reading("a reader of the protocol", stream);
  let token = START;
  for (let turn = first; !over.aborted; turn += 1) {
    const askedAt = performance.now();
    try {
      const url = `${load.url(turn)}/v1/stream/${stream}?offset=${token}`;
      const answer = await fetch(url, { signal: AbortSignal.any([over, AbortSignal.timeout(CALL_MS)]) });
      const body = await answer.text();
      const next = answer.headers.get("stream-next-offset");
      if (answer.ok && next !== null) {
        token = next;
        take(seen, valuesIn(body), token);
        if (answer.headers.has("stream-up-to-date"))
          journal.look({ face: FACES.protocol, stream, askedAt, nextOffset: offsetOf(token) });
      }
    } catch {
      // At the next one.
    }
    await pause(PAUSE_MS * 10);
  }
}

/** A protocol's answer does not number records: they are those that end at the token, whatever was asked for. */
function take(seen: Seen[], values: readonly string[], token: string): void {
  const end = offsetOf(token);
  for (const [at, value] of values.entries()) seen.push({ offset: end - values.length + at, value });
}

function offsetOf(token: string): number {
  const parsed = parseOffset(token);
  if (!parsed.ok) throw new Error(`${token} is no offset`);
  return parsed.value.offset;
}

/** Again and again, for so long at each node, until the run is over. */
async function everywhere(
  { over }: Load,
  first: number,
  read: (turn: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  for (let turn = first; !over.aborted; turn += 1) {
    try {
      await read(turn, AbortSignal.any([over, AbortSignal.timeout(CALL_MS)]));
    } catch {
      // Elsewhere.
    }
    await pause(PAUSE_MS);
  }
}
