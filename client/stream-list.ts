/** Listing streams. */
import type { Connection } from "./connection.ts";
import { toInfo, type StreamInfo } from "./description.ts";
import { CLIENT_LIMITS } from "./limits.ts";
import { paged, type ListOptions } from "./paged.ts";

/**
 * In the order of their names' UTF-16 code units. Each page is of one moment, the whole is not: a stream that is created or
 * deleted meanwhile may be there or not, every other is there once. `timeout` is for each page.
 */
export function listStreams(connection: Connection, options: ListOptions): AsyncGenerator<StreamInfo, void, undefined> {
  return paged(options, CLIENT_LIMITS.listedStreamsPerPage, async (request) => {
    const { streams, next } = await connection.lookUp({ kind: "list", ...request }, options);
    return { items: streams.map(toInfo), next };
  });
}
