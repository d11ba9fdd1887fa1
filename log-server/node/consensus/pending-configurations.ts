/**
 * The configurations in a log that are not applied yet: the Raft core has to know of them before it comes to them (R32,
 * R91). What damage hides is not known, and that is told.
 */
import type { Entry, LogIndex } from "../../../src/wire/entry.ts";
import type { SegmentedLog } from "../../log/segmented-log.ts";
import { decodeConfiguration } from "../../raft/configuration-codec.ts";
import type { Mended } from "../../raft/types.ts";

export async function pendingConfigurations(
  log: Pick<SegmentedLog, "entries" | "lastIndex">,
  applied: LogIndex,
  readBytesMax: number,
): Promise<Pick<Mended, "configurations" | "hidden">> {
  const configurations: Mended["configurations"][number][] = [];
  for (let next = applied + 1; next <= log.lastIndex;) {
    const read = await log.entries(next, log.lastIndex, readBytesMax);
    if (!read.ok) return { configurations, hidden: true };
    configurations.push(...configurationsIn(read.value));
    next += read.value.length;
  }
  return { configurations, hidden: false };
}

export function configurationsIn(entries: readonly Entry[]): Mended["configurations"] {
  return entries.flatMap(({ index, term, kind, head }) => {
    const configuration = kind === "configuration" ? decodeConfiguration(head) : undefined;
    return configuration?.ok === true ? [{ index, term, configuration: configuration.value }] : [];
  });
}
