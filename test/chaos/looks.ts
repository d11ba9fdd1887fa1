/** Clients that ask where a stream ends and must be told what was acknowledged before, whichever node they ask (I5). */
import { parseOffset } from "../../src/record/offset.ts";
import { CALL_MS, type Load, PAUSE_MS, valueOf } from "./load.ts";
import { pause } from "./pause.ts";

/** Those whose looks are linearizable. */
export const FACES = {
  head: "HEAD",
  protocol: "a read of the protocol",
  read: "a linearizable read",
  socket: "a description by WebSocket",
} as const;

/** `HEAD` of the open protocol. */
export async function head(load: Load, stream: string): Promise<void> {
  const { journal, over } = load;
  for (let turn = 0; !over.aborted; turn += 1) {
    const askedAt = performance.now();
    try {
      const url = `${load.url(turn)}/v1/stream/${stream}`;
      const answer = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(CALL_MS) });
      const token = parseOffset(answer.headers.get("stream-next-offset") ?? "");
      if (answer.ok && token.ok) journal.look({ face: FACES.head, stream, askedAt, nextOffset: token.value.offset });
    } catch {
      // At the next one.
    }
    await pause(PAUSE_MS * 2);
  }
}

/** The SDK's linearizable reads over HTTP, each request to another node. */
export async function read(load: Load, stream: string, first: number): Promise<void> {
  const { journal, over } = load;
  const client = load.connectToAll(first, "linearizable");
  const seen = journal.reading("a linearizable reader", stream);
  while (!over.aborted) {
    const askedAt = performance.now();
    try {
      for await (const record of client.stream(stream).read({ from: seen.length, timeout: CALL_MS, signal: over }))
        seen.push({ offset: record.offset, value: valueOf(record.text()) });
      journal.look({ face: FACES.read, stream, askedAt, nextOffset: seen.length });
    } catch {
      // At the next one.
    }
    await pause(PAUSE_MS * 2);
  }
  await client.close().catch(() => undefined);
}

/** The SDK's linearizable description over a WebSocket, for a while at each node. */
export async function describe(load: Load, stream: string, first: number): Promise<void> {
  const { journal, over } = load;
  for (let turn = first; !over.aborted; turn += 1) {
    const client = load.connect("ws", turn, "linearizable");
    const leaveAt = performance.now() + CALL_MS;
    try {
      while (performance.now() < leaveAt && !over.aborted) {
        const askedAt = performance.now();
        const { nextOffset } = await client.stream(stream).describe({ timeout: CALL_MS, signal: over });
        journal.look({ face: FACES.socket, stream, askedAt, nextOffset });
        await pause(PAUSE_MS * 2);
      }
    } catch {
      // At the next one.
    }
    await client.close().catch(() => undefined);
  }
}
