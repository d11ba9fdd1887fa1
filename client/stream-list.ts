/** Listing streams: page after page, as the loop takes them. One page is held at a time. */
import { utf8 } from "../src/lib/bytes.ts";
import { WIRE_LIMITS } from "../src/wire/limits.ts";
import type { StreamListResponse } from "../src/wire/look-up.ts";
import type { Connection } from "./connection.ts";
import type { CallOptions } from "./deadline.ts";
import { toInfo, type StreamInfo } from "./description.ts";
import { TidemarkError } from "./error.ts";
import { CLIENT_LIMITS } from "./limits.ts";

export type ListOptions = CallOptions & {
  /** Only streams whose names begin with this. Default: all. */
  readonly prefix?: string;
  /** Only names behind this one, in the order of the listing: where an earlier one stopped. */
  readonly after?: string;
  /** At most so many. Default: all. */
  readonly limit?: number;
};

/**
 * In the order of their names' UTF-16 code units. Each page is of one moment, the whole is not: a stream that is created or
 * deleted meanwhile may be there or not, every other is there once. `timeout` is for each page.
 */
export async function* listStreams(
  connection: Connection,
  options: ListOptions,
): AsyncGenerator<StreamInfo, void, undefined> {
  const { prefix = "", limit = Number.POSITIVE_INFINITY } = options;
  if (!(limit >= 0)) throw new TidemarkError("invalid-argument", "`limit` is a number from 0");
  for (const part of [prefix, options.after ?? ""]) checkPart(part);
  let left = limit;
  let after: string | undefined = options.after ?? "";
  while (after !== undefined && left > 0) {
    const page = Math.min(left, CLIENT_LIMITS.listedStreamsPerPage);
    const { streams, next }: StreamListResponse = await connection.lookUp(
      { kind: "list", prefix, after, limit: page },
      options,
    );
    // Or a server that goes round in circles would be asked for ever.
    if (next !== undefined && next <= after) throw new TidemarkError("protocol-error", "a page of streams goes back");
    for (const stream of streams) {
      if (left === 0) return;
      left -= 1;
      yield toInfo(stream);
    }
    after = next;
  }
}

/** Need not be a whole name (W120). */
function checkPart(text: string): void {
  if (!text.isWellFormed() || utf8(text).length > WIRE_LIMITS.nameBytesMax)
    throw new TidemarkError(
      "invalid-argument",
      `\`prefix\` and \`after\` are well-formed texts of at most ${WIRE_LIMITS.nameBytesMax} bytes`,
    );
}
