/** Inspects the hard state: both slots as they are. Opening it as a server does would mend it. */
import type { DiskFile } from "../../../src/ports/disk.ts";
import { HARD_STATE_SLOTS, readSlot, SLOT_LENGTH, SLOT_SPACING } from "../../../log-server/log/hard-state.ts";
import { counted } from "../output.ts";
import type { Finding, Report, Row } from "./report.ts";

export async function inspectHardState(file: DiskFile): Promise<Report> {
  const rows: Row[] = [];
  const findings: Finding[] = [];
  const generations: number[] = [];
  for (const number of HARD_STATE_SLOTS) {
    const slot = await readSlot(file, number);
    if (slot.kind === "intact") {
      const { generation, state } = slot;
      generations.push(generation);
      const { term, vote, logId, clusterId, nodeId } = state;
      rows.push({
        cells: [String(number), String(generation), String(term), vote ?? "-", String(logId), clusterId, nodeId],
        json: { kind: "slot", slot: number, generation, term, vote: vote ?? null, log: logId, clusterId, nodeId },
      });
      continue;
    }
    const place = number * SLOT_SPACING;
    const what =
      slot.kind === "damaged" ? "does not match its checksum" : `has version ${slot.version}, not known here`;
    findings.push({ kind: "damaged", place, end: place + SLOT_LENGTH, what: `slot ${number} ${what}` });
  }
  const [first, second] = generations;
  if (first !== undefined && second !== undefined) findings.push(...lostWrites(first, second));
  return {
    facts: { kind: "hard state" },
    json: { kind: "hard-state" },
    columns: ["SLOT", "GENERATION", "TERM", "VOTE", "LOG", "CLUSTER", "NODE"].map((title) => ({ title })),
    rows,
    checked: "both slots",
    findings,
  };
}

/** Slots are written in turn, and made equal before anything else: a crash leaves the second one change behind, and nothing more. */
function lostWrites(first: number, second: number): readonly Finding[] {
  if (first === second || first === second + 1) return [];
  const [slot, changes] = first > second ? [1, first - second] : [0, second - first];
  const place = slot * SLOT_SPACING;
  const what = `slot ${slot} is ${counted(changes, "change")} behind the other: what was written to it since was lost`;
  return [{ kind: "damaged", place, end: place + SLOT_LENGTH, what }];
}
