/**
 * Whether a hard state that is intact may be believed: it may be another disk's, or an old one that shows again where newer writes were
 * lost. What was voted since is not known then (P33). One that is old in its vote only, nothing here contradicts.
 */
import type { HardStateRecord } from "./hard-state.ts";
import type { NodeIdentity } from "./node-identity.ts";

export type HardStateObjection = {
  readonly kind: "hard-state-foreign" | "hard-state-damaged";
  readonly message: string;
};

/** Undefined: nothing is against it. `lastTerm`: of the newest entry that can be read. The message goes on behind the file's name. */
export function objectionTo(
  state: HardStateRecord,
  { diskId, clusterId, since }: Pick<NodeIdentity, "diskId" | "clusterId" | "since">,
  logId: number,
  lastTerm: number,
): HardStateObjection | undefined {
  const foreign = (of: string, own: string): HardStateObjection => ({
    kind: "hard-state-foreign",
    message: `is of ${of}, but the folder of ${own}: what this node voted is not known`,
  });
  if (state.nodeId !== diskId) return foreign(`disk ${state.nodeId}`, `disk ${diskId}`);
  if (state.logId !== logId) return foreign(`log ${state.logId}`, `log ${logId}`);
  // A recovery gives the folder its new cluster first.
  if (state.clusterId !== clusterId && since?.kind !== "recovering")
    return foreign(`cluster ${state.clusterId}`, `cluster ${clusterId}`);
  if (state.term >= lastTerm) return undefined;
  const message = `is of term ${state.term}, but the log has entries of term ${lastTerm}: what was voted since is not known`;
  return { kind: "hard-state-damaged", message };
}
