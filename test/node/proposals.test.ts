/** What was proposed is always answered, whoever's entry takes its place in the log. */
import { describe, expect, it } from "vitest";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import { NodeError } from "../../log-server/node/node-error.ts";
import { type Group, Proposals } from "../../log-server/node/consensus/proposals.ts";

type Told = { code?: string };

/** A group of one that notes how it was refused. */
function groupOf(term: number, told: Told): Group {
  const reject = (error: NodeError): void => {
    told.code = error.code;
  };
  return {
    term,
    members: [{ command: { kind: "tick" }, bytes: 1, proposedAt: 0, origin: "here", resolve: () => undefined, reject }],
  };
}

describe("proposals", () => {
  it("are settled by the entry of their index and term", () => {
    const proposals = new Proposals(NODE_LIMITS);
    const told: Told = {};
    const group = groupOf(3, told);
    proposals.proposed(7, group);
    expect(proposals.settle(6, 3)).toBeUndefined();
    expect(proposals.settle(7, 3)).toBe(group);
    expect(proposals.inFlight).toBe(0);
    expect(told).toEqual({});
  });

  it("are unknown when another term's entry is applied at their place", () => {
    const proposals = new Proposals(NODE_LIMITS);
    const told: Told = {};
    proposals.proposed(7, groupOf(3, told));
    expect(proposals.settle(7, 4)).toBeUndefined();
    expect(told.code).toBe("outcome-unknown");
  });

  it("are unknown, not forgotten, when this node proposes anew at their place in a later term", () => {
    const proposals = new Proposals(NODE_LIMITS);
    const told: Told = {};
    const later: Told = {};
    proposals.proposed(7, groupOf(3, told));
    const group = groupOf(5, later);
    proposals.proposed(7, group);
    expect(told.code).toBe("outcome-unknown");
    expect(proposals.settle(7, 5)).toBe(group);
    expect(later).toEqual({});
  });

  it("of all terms but one can be given up", () => {
    const proposals = new Proposals(NODE_LIMITS);
    const told: Told = {};
    const kept: Told = {};
    proposals.proposed(7, groupOf(3, told));
    proposals.proposed(8, groupOf(5, kept));
    proposals.giveUpAllBut(5, new NodeError("outcome-unknown", "enough"));
    expect([told.code, kept.code, proposals.inFlight]).toEqual(["outcome-unknown", undefined, 1]);
  });
});
