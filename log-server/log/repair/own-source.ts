/** What a log has itself, for a copy of it that lacks something: nothing has to be asked of others for that. */
import type { SegmentedLog } from "../segmented-log.ts";
import type { LogLimits } from "../limits.ts";
import type { MendSource } from "./mender.ts";

export function ownSource(
  log: Pick<SegmentedLog, "offered" | "kept">,
  { mendBytesMax }: Pick<LogLimits, "mendBytesMax">,
): MendSource {
  return {
    entries: (from, to) => log.offered(from, to, mendBytesMax),
    batches: (wanted) => Promise.all(wanted.map((one) => log.kept(one))),
  };
}
