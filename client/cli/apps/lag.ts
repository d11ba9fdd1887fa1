/** How many records an app has yet to read: what its inputs have, behind what a replica of it has read. */
import type { Offset } from "../../../src/record/offset.ts";
import type { Client } from "../../client.ts";
import { asTidemarkError } from "../../error.ts";
import { askTogether } from "./ask-together.ts";

/** By stream. */
export type InputEnds = ReadonlyMap<string, { readonly firstOffset: Offset; readonly nextOffset: Offset }>;

/** Those that do not exist have nothing to read. */
export async function inputEnds(client: Client, streams: Iterable<string>, signal: AbortSignal): Promise<InputEnds> {
  const ends = new Map<string, { readonly firstOffset: Offset; readonly nextOffset: Offset }>();
  await askTogether([...new Set(streams)], async (stream) => {
    try {
      ends.set(stream, await client.stream(stream).describe({ signal }));
    } catch (thrown) {
      const { code } = asTidemarkError(thrown);
      if (code !== "stream-not-found" && code !== "stream-gone") throw thrown;
    }
  });
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
