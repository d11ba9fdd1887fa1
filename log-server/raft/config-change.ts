/**
 * From one configuration to the next: what was asked for, the leader's promotions, and the end of a joint one. Every
 * change of who votes goes through a joint configuration (P17); one that only touches learners alters no majority and
 * takes effect by itself.
 */
import { assert } from "../../src/lib/assert.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import { type Configuration, isJoint, type Learner, membersOf } from "./configuration.ts";
import { MEMBERS_MAX } from "./limits.ts";
import type { NodeId } from "./types.ts";

export type MembershipChange =
  /** Begins as a learner; one that is to vote is promoted once it has caught up. */
  | { readonly kind: "add"; readonly node: NodeId; readonly as: "voter" | "learner" }
  /** A voter, to be a learner. */
  | { readonly kind: "demote"; readonly node: NodeId }
  | { readonly kind: "remove"; readonly node: NodeId };

export type ChangeError = "change-under-way" | "already-member" | "not-member" | "not-voter" | "no-voters" | "too-many";

type Draft = { voters: NodeId[]; learners: Learner[]; readonly demoted: NodeId[] };

/** The configuration that leads to what `changes` ask for, all at once. */
export function changedConfiguration(
  current: Configuration,
  changes: readonly MembershipChange[],
): Result<Configuration, ChangeError> {
  if (isJoint(current)) return err("change-under-way");
  const draft: Draft = { voters: [...current.voters], learners: [...current.learners], demoted: [] };
  for (const change of changes) {
    const fault = makeChange(current, draft, change);
    if (fault !== undefined) return err(fault);
  }
  if (draft.voters.length === 0) return err("no-voters");
  const next = completed(current, draft);
  return membersOf(next).length > MEMBERS_MAX ? err("too-many") : ok(next);
}

/** The joint configuration in which these learners vote. */
export function promotedConfiguration(current: Configuration, ids: readonly NodeId[]): Configuration {
  assert(!isJoint(current), "I1: one change of the configuration at a time");
  return completed(current, {
    voters: [...current.voters, ...ids],
    learners: current.learners.filter((learner) => !ids.includes(learner.id)),
    demoted: [],
  });
}

/** The configuration that a joint one leads to. */
export function finishedConfiguration({ voters, learners, demoted }: Configuration): Configuration {
  const stay = demoted.map((id): Learner => ({ id, wanted: "learner" }));
  return { voters, outgoing: [], learners: byId([...learners, ...stay]), demoted: [] };
}

function makeChange(current: Configuration, draft: Draft, change: MembershipChange): ChangeError | undefined {
  const { node } = change;
  const learner = draft.learners.find(({ id }) => id === node);
  const votes = draft.voters.includes(node);
  switch (change.kind) {
    case "add":
      // Nor may one change remove a voter and add it: it would be in both halves.
      if (current.voters.includes(node) || learner?.wanted === change.as) return "already-member";
      draft.learners = [...draft.learners.filter(({ id }) => id !== node), { id: node, wanted: change.as }];
      return undefined;
    case "demote":
      if (!votes) return "not-voter";
      draft.voters = draft.voters.filter((id) => id !== node);
      draft.demoted.push(node);
      return undefined;
    case "remove":
      if (!votes && learner === undefined) return "not-member";
      draft.voters = draft.voters.filter((id) => id !== node);
      draft.learners = draft.learners.filter(({ id }) => id !== node);
      return undefined;
  }
}

function completed(current: Configuration, { voters, learners, demoted }: Draft): Configuration {
  const sorted = [...voters].sort();
  const same = sorted.length === current.voters.length && sorted.every((id, place) => id === current.voters[place]);
  return {
    voters: sorted,
    outgoing: same ? [] : current.voters,
    learners: byId(learners),
    demoted: [...demoted].sort(),
  };
}

function byId(learners: readonly Learner[]): Learner[] {
  return [...learners].sort((a, b) => (a.id < b.id ? -1 : 1));
}
