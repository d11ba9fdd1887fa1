/**
 * Who belongs to a log's group, and in which role. A whole configuration is the head of one entry, so that none
 * depends on how the one before was read; it takes effect when that entry is applied.
 *
 * While `outgoing` is not empty the configuration is joint: every decision takes a majority of `voters` and one of
 * `outgoing` (Raft §6). Lists are sorted and have no id twice; an id is in `voters` or `learners`, not in both.
 */
import { assert } from "../../src/lib/assert.ts";
import type { NodeId } from "./types.ts";

export type Learner = {
  readonly id: NodeId;
  /** The role that was asked for: the leader makes it a voter once it has caught up. */
  readonly wanted: "learner" | "voter";
};

export type Configuration = {
  readonly voters: readonly NodeId[];
  /** The voters before the change that is under way; empty if none is. */
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly Learner[];
  /** Voters of `outgoing` only, that become learners when the change ends. */
  readonly demoted: readonly NodeId[];
};

export function configurationOf(voters: readonly NodeId[]): Configuration {
  assert(new Set(voters).size === voters.length && voters.length > 0, "a configuration has voters, each once");
  return { voters: [...voters].sort(), outgoing: [], learners: [], demoted: [] };
}

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

/** It has a vote, in either half. */
export function isVoter(configuration: Configuration, id: NodeId): boolean {
  return configuration.voters.includes(id) || configuration.outgoing.includes(id);
}

/** Everybody, sorted, each once. */
export function membersOf(configuration: Configuration): readonly NodeId[] {
  const { voters, outgoing, learners } = configuration;
  return [...new Set([...voters, ...outgoing, ...learners.map((learner) => learner.id)])].sort();
}

/** Everybody with a vote, sorted, each once. */
export function votersOf(configuration: Configuration): readonly NodeId[] {
  if (configuration.outgoing.length === 0) return configuration.voters;
  return [...new Set([...configuration.voters, ...configuration.outgoing])].sort();
}
