/** How many records an app has yet to read: what its inputs have, behind what a replica of it has read. */
import type { Offset } from "../../../src/record/offset.ts";
import type { Client } from "../../client.ts";
import { asTidemarkError } from "../../error.ts";

/** By stream. */
export type InputEnds = ReadonlyMap<string, { readonly firstOffset: Offset; readonly nextOffset: Offset }>;

const ASKED_TOGETHER = 16;

/** Those that do not exist have nothing to read. */
export async function inputEnds(client: Client, streams: Iterable<string>, signal: AbortSignal): Promise<InputEnds> {
  const ends = new Map<string, { readonly firstOffset: Offset; readonly nextOffset: Offset }>();
  const left = [...new Set(streams)];
  const ask = async (): Promise<void> => {
    for (let stream = left.pop(); stream !== undefined; stream = left.pop()) {
      try {
        ends.set(stream, await client.stream(stream).describe({ signal }));
      } catch (thrown) {
        const { code } = asTidemarkError(thrown);
        if (code !== "stream-not-found" && code !== "stream-gone") throw thrown;
      }
    }
  };
  await Promise.all(Array.from({ length: ASKED_TOGETHER }, ask));
  return ends;
}

/** Of one that has read up to these offsets. */
export function lagOf(
  inputs: readonly string[],
  nextOffsets: Readonly<Record<string, Offset>>,
  ends: InputEnds,
): number {
  return inputs.reduce((sum, stream) => {
    const end = ends.get(stream);
    if (end === undefined) return sum;
    const next = Math.max(nextOffsets[stream] ?? 0, end.firstOffset);
    return sum + Math.max(0, end.nextOffset - next);
  }, 0);
}
