/**
 * Partial connectivity (P11, P15, P16): every directed graph of three nodes, and every undirected one of five. Where a
 * node is connected both ways with a quorum, there is a leader that commits within ten election time-outs.
 */
import { describe, expect, it } from "vitest";
import { RAFT_LIMITS } from "../../log-server/raft/limits.ts";
import { majorityOf } from "../../log-server/raft/quorum.ts";
import { TestCluster } from "./test-cluster.ts";
import type { NodeSettings } from "./test-node.ts";

const SETTINGS: NodeSettings = { electionTicks: 10, heartbeatTicks: 2, seed: 7, limits: RAFT_LIMITS };
const TICKS_MAX = 10 * 2 * SETTINGS.electionTicks;

type Edge = readonly [from: string, to: string];

function names(count: number): string[] {
  return Array.from({ length: count }, (_, place) => `n${place + 1}`);
}

/** Somebody hears, and is heard by, a majority. */
function live(nodes: readonly string[], cut: ReadonlySet<string>): boolean {
  return nodes.some((hub) => {
    const both = nodes.filter((other) => other === hub || (!cut.has(`${hub}>${other}`) && !cut.has(`${other}>${hub}`)));
    return both.length >= majorityOf(nodes.length);
  });
}

/** A healthy cluster under n1; then these ways are cut. True if it gets on, or nobody could. */
function getsOn(nodes: readonly string[], cut: readonly Edge[]): boolean {
  const cluster = TestCluster.of(nodes, SETTINGS);
  cluster.node("n1").core.campaign();
  cluster.run(cluster.node("n1"));
  cluster.settle();
  for (const [from, to] of cut) cluster.cut.add(`${from}>${to}`);
  if (!live(nodes, cluster.cut)) return true;
  let proposedTerm = 0;
  let text = "";
  return cluster.tickUntil(() => {
    const { leader } = cluster;
    if (leader === undefined) return false;
    if (leader.core.term !== proposedTerm) {
      text = `of term ${leader.core.term}`;
      if (leader.propose(text).ok) proposedTerm = leader.core.term;
      cluster.run(leader);
    }
    return [...cluster.nodes.values()].some((node) => node.commands.includes(text));
  }, TICKS_MAX);
}

/** Which of `edges` are cut in the n-th graph. */
function graph<T>(edges: readonly T[], number: number): T[] {
  return edges.filter((_, place) => (number >> place) % 2 === 1);
}

describe("partial connectivity", () => {
  it("all 64 directed graphs of three nodes get on where anybody could", () => {
    const nodes = names(3);
    const edges = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to): Edge => [from, to]));
    const stuck = Array.from({ length: 2 ** edges.length }, (_, number) => graph(edges, number)).filter(
      (cut) => !getsOn(nodes, cut),
    );
    expect(stuck).toEqual([]);
  });

  it("all 1,024 undirected graphs of five nodes get on where anybody could", () => {
    const nodes = names(5);
    const pairs = nodes.flatMap((one, place) => nodes.slice(place + 1).map((other): Edge => [one, other]));
    const stuck = Array.from({ length: 2 ** pairs.length }, (_, number) => graph(pairs, number)).filter(
      (cut) => !getsOn(nodes, [...cut, ...cut.map(([one, other]): Edge => [other, one])]),
    );
    expect(stuck).toEqual([]);
  });
});
