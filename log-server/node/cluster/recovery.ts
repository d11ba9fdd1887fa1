/**
 * A cluster that has lost a majority for good, begun anew from what one of its nodes has. Nobody can know what the lost nodes
 * had acknowledged; so it is another cluster, with an id of its own, and this node is its only voter.
 *
 *     survey      what is here, and what can be said of the rest; changes nothing that a start would not
 *     begin       one write of the folder's identity: before it the old cluster is whole, after it the new one
 *     finish      the node leads alone, commits all that its log has, and writes into it that it is alone
 *
 * A crash after `begin` is made good by doing `finish` again. Until it is done the configurations in the log are those of the
 * old cluster, and count for nothing (R100).
 */
import { assert } from "../../../src/lib/assert.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { Link } from "../../../src/ports/link.ts";
import type { LogIndex, Term } from "../../../src/wire/entry.ts";
import { beginRecovery, endRecovery, type Member, newClusterId, type NodeIdentity } from "../../log/node-identity.ts";
import { NodeError } from "../node-error.ts";
import { openNode, type OpenNodeError, type OpenNodeOptions, openParts } from "../open-node.ts";

/** What a recovery of the node needs of `OpenNodeOptions`; the rest follows from whose folder it is. */
export type RecoveryOptions = Omit<OpenNodeOptions, "clusterId" | "nodeName" | "diskId" | "cluster" | "since">;

export type Survey = {
  readonly cluster: string;
  readonly node: string;
  /** The others that belong to the old cluster, as far as is known here. */
  readonly others: readonly string[];
  /** The node's own term: others may have been further. */
  readonly term: Term;
  /** The last entry that is whole here: of several survivors the one should go on whose term, then index, is highest. */
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** Committed at least, as far as this node had learnt; perhaps more was. */
  readonly committed: LogIndex;
  /** Behind the last entry lies damage, or lay, perhaps of acknowledged entries: what is there is set aside. */
  readonly damagedEnd: boolean;
  /** What is damaged elsewhere, in words: nobody can give it back any more. */
  readonly damage: readonly string[];
  /** Where the node listened for the others. */
  readonly member: Member;
};

/** Why there is nothing to recover, or it cannot be. */
export async function surveyRecovery(
  options: RecoveryOptions,
  identity: NodeIdentity,
): Promise<Result<Survey, OpenNodeError>> {
  const { nodeName, diskId, clusterId, founders } = identity;
  if (founders === undefined)
    return err({ kind: "alone", message: "this node is alone: it has no majority to lose, and starts as it is" });
  if (clusterId === "") return err({ kind: "empty", message: "this node never belonged to a cluster" });
  // As a member, so that nothing is cut off that others could settle, should it be left at that.
  const voters = founders.map(({ node }) => node);
  const opened = await openParts({ ...options, ...identity, cluster: { voters, link: NO_LINK } });
  if (!opened.ok) return opened;
  const { log, machine, hardState, configurations, hidden } = opened.value;
  const member = [...machine.members, ...founders].find(({ node }) => node === nodeName);
  const known = machine.members.length > 0 ? machine.members : founders;
  const survey = {
    cluster: clusterId,
    node: nodeName,
    others: known.map(({ node }) => node).filter((node) => node !== nodeName),
    term: hardState.state.term,
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    committed: Math.max(machine.position, configurations.at(-2)?.index ?? 0),
    damagedEnd: log.ambiguous !== undefined || hardState.state.doubt !== undefined,
    damage: log.damage.map(({ message }) => message),
    member: { node: nodeName, host: "", port: 0, ...member, disk: diskId },
  };
  await hardState.close();
  await log.close();
  if (!hidden) return ok(survey);
  const message = "entries that are not applied yet are damaged, and there is nobody who could give them back";
  return err({ kind: "damaged", message });
}

/** The point of no return. */
export function startRecovery(
  { disk, entropy }: Pick<RecoveryOptions, "disk" | "entropy">,
  identity: NodeIdentity,
  member: Member,
): Promise<NodeIdentity> {
  return beginRecovery(disk, identity, { clusterId: newClusterId(entropy), founders: [member] });
}

/** Of a recovery that has begun; may be done again after any crash. */
export async function finishRecovery(
  options: RecoveryOptions,
  identity: NodeIdentity,
): Promise<Result<NodeIdentity, OpenNodeError>> {
  const [member] = identity.founders ?? [];
  assert(identity.since?.kind === "recovering" && member !== undefined, "a recovery has begun");
  const opened = await openNode({ ...options, ...identity });
  if (!opened.ok) return opened;
  const node = opened.value;
  let position: LogIndex;
  try {
    await node.start();
    position = await node.recover(member);
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    return err({ kind: error.code, message: `the recovery could not be finished: ${error.message}` });
  } finally {
    await node.stop();
  }
  return ok(await endRecovery(options.disk, identity, position));
}

const NO_LINK: Link = { listen: () => undefined, send: () => false, close: () => Promise.resolve() };
