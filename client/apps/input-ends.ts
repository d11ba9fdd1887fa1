/** Where the streams that an app reads begin and end now. */
import type { Offset } from "../../src/record/offset.ts";
import type { StreamName } from "../../src/wire/command.ts";
import { askTogether } from "../ask-together.ts";
import type { CallOptions } from "../deadline.ts";
import { asTidemarkError } from "../error.ts";
import type { Stream } from "../stream.ts";

export type InputEnds = ReadonlyMap<StreamName, { readonly firstOffset: Offset; readonly nextOffset: Offset }>;

/** Of those that exist. */
export async function inputEnds(
  open: (stream: StreamName) => Pick<Stream, "describe">,
  streams: Iterable<StreamName>,
  call: CallOptions,
): Promise<InputEnds> {
  const ends = new Map<StreamName, { readonly firstOffset: Offset; readonly nextOffset: Offset }>();
  await askTogether([...new Set(streams)], async (stream) => {
    try {
      ends.set(stream, await open(stream).describe(call));
    } catch (thrown) {
      const { code } = asTidemarkError(thrown);
      if (code !== "stream-not-found" && code !== "stream-gone") throw thrown;
    }
  });
  return ends;
}
