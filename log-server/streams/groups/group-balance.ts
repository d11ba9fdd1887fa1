/**
 * Who owns which stream of a group: as many each, give or take one, and as few changes of hands as that allows. It
 * depends on who is there and who owns what, and on nothing else; so it is the same on every node (I10), and asking
 * again changes nothing.
 */
import { assert } from "../../../src/lib/assert.ts";
import type { Group } from "./group.ts";
import { compareTexts, type GroupMember } from "./group-member.ts";
import type { GroupPartition } from "./group-partition.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";

/** After each command: of the groups whose members or streams have changed. */
export function balanceGroups(state: State, step: Step): void {
  if (step.unbalanced.size === 0) return;
  const groups = [...step.unbalanced].sort((a, b) => compareTexts(a.id, b.id));
  step.unbalanced.clear();
  for (const group of groups) if (state.groups.get(group.id) === group) balance(state, group);
}

function balance(state: State, group: Group): void {
  const moves = movesIn(group);
  if (moves.length === 0) return;
  // One generation for all of them: what it fences is told apart by the stream, too.
  const generation = state.position.drawGeneration();
  for (const { partition, owner } of moves) handOver(state, partition, owner, generation);
}

/** The old owner's generation is over, whether or not it knows. */
export function handOver(
  state: State,
  partition: GroupPartition,
  owner: GroupMember | undefined,
  generation: number,
): void {
  partition.owner?.owned.delete(partition);
  partition.owner = owner;
  owner?.owned.add(partition);
  partition.generation = generation;
  state.ledger.touch(partition);
}

type Move = { readonly partition: GroupPartition; readonly owner: GroupMember };

function movesIn(group: Group): readonly Move[] {
  const members = [...group.members.values()].sort((a, b) => compareTexts(a.name, b.name));
  if (members.length === 0) return [];
  const share = Math.floor(group.links.size / members.length);
  const larger = group.links.size % members.length;
  // The larger shares go to those who have most: nobody gives up a stream that another need not get.
  const byHeld = members.toSorted((a, b) => b.owned.size - a.owned.size || compareTexts(a.name, b.name));
  const quotas = new Map(byHeld.map((member, place) => [member, share + (place < larger ? 1 : 0)]));
  const held = members.reduce((sum, { owned }) => sum + owned.size, 0);
  const excess = members.some((member) => member.owned.size > (quotas.get(member) ?? 0));
  if (held === group.links.size && !excess) return [];

  const pool = held === group.links.size ? [] : unowned(group);
  for (const member of members) {
    const surplus = member.owned.size - (quotas.get(member) ?? 0);
    if (surplus > 0) pool.push(...[...member.owned].sort(byStream).slice(-surplus));
  }
  pool.sort(byStream);
  const moves: Move[] = [];
  let taken = 0;
  for (const owner of members) {
    for (let missing = (quotas.get(owner) ?? 0) - owner.owned.size; missing > 0; missing -= 1) {
      const partition = pool[taken];
      assert(partition !== undefined, "shares add up to all streams");
      moves.push({ partition, owner });
      taken += 1;
    }
  }
  assert(taken === pool.length, "every stream has an owner");
  return moves;
}

function unowned(group: Group): GroupPartition[] {
  const partitions: GroupPartition[] = [];
  for (const link of group.links.values()) {
    if (link.kind === "partitions" && link.owner === undefined) partitions.push(link);
  }
  return partitions;
}

function byStream(a: GroupPartition, b: GroupPartition): number {
  return a.stream.id - b.stream.id;
}
