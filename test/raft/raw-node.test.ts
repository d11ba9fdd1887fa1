/**
 * The Raft core of a single voter, as scripts: what goes in, and the exact work that comes out.
 */
import { describe, expect, it } from "vitest";
import { RawNode } from "../../log-server/raft/raw-node.ts";
import type { Proposal, Ready } from "../../log-server/raft/types.ts";

const NOTHING = new Uint8Array(0);

function proposal(text: string): Proposal {
  return { kind: "commands", logTime: 1, head: new TextEncoder().encode(text), batches: [] };
}

function fresh(
  options: {
    lastIndex?: number;
    lastTerm?: number;
    applied?: number;
    term?: number;
    uncommittedBytesMax?: number;
  } = {},
): RawNode {
  return new RawNode({
    id: "n1",
    voters: ["n1"],
    hardState: { term: options.term ?? options.lastTerm ?? 0, vote: undefined },
    last: { index: options.lastIndex ?? 0, term: options.lastTerm ?? 0 },
    applied: options.applied ?? 0,
    electionTicks: 3,
    uncommittedBytesMax: options.uncommittedBytesMax ?? 1_000,
  });
}

/** Takes the work there is and marks it taken; fails when there is none. */
function take(node: RawNode): Ready {
  const ready = node.ready();
  if (ready === undefined) throw new Error("no work");
  node.advance(ready);
  return ready;
}

/** A leader with its no-op committed and applied. */
function leader(): RawNode {
  const node = fresh();
  node.campaign();
  finishAppend(node);
  finishAppend(node);
  finishApply(node);
  return node;
}

function finishAppend(node: RawNode): void {
  const { append } = take(node);
  if (append === undefined) throw new Error("no append");
  node.step(append.done);
}

function finishApply(node: RawNode): void {
  const { apply } = take(node);
  if (apply === undefined) throw new Error("no apply");
  node.step({ kind: "apply-done", index: apply.to });
}

describe("election", () => {
  it("campaigns after the election ticks, and leads only once its own vote is durable (I1, P4)", () => {
    const node = fresh();
    node.tick();
    node.tick();
    expect(node.ready()).toBeUndefined();
    node.tick();
    const ready = take(node);
    expect(ready.append).toEqual({
      hardState: { term: 1, vote: "n1" },
      entries: [],
      done: { kind: "append-done", hardTerm: 1, last: undefined },
    });
    expect(node.role).toBe("candidate");
    expect(node.propose(proposal("a"))).toEqual({ ok: false, error: "not-leader" });
    node.step(ready.append!.done);
    expect(node.role).toBe("leader");
  });

  it("starts its term with a no-op, and commits what came before through it (P1)", () => {
    const node = fresh({ lastIndex: 5, lastTerm: 2, applied: 3 });
    node.campaign();
    finishAppend(node);
    expect(node.committed).toBe(3);
    const { append } = take(node);
    expect(append?.entries).toEqual([{ index: 6, term: 3, kind: "noop", logTime: 0, head: NOTHING, batches: [] }]);
    node.step(append!.done);
    expect(node.committed).toBe(6);
    const { apply } = take(node);
    expect(apply).toEqual({ from: 4, to: 6 });
    expect(node.entriesInMemory(4, 6).map((entry) => entry.index)).toEqual([6]);
  });

  it("refuses to be built for several voters, or with a log from a later term than its own", () => {
    expect(
      () =>
        new RawNode({
          id: "n1",
          voters: ["n1", "n2"],
          hardState: { term: 0, vote: undefined },
          last: { index: 0, term: 0 },
          applied: 0,
          electionTicks: 1,
          uncommittedBytesMax: 1,
        }),
    ).toThrow("single voter");
    expect(() => fresh({ lastIndex: 1, lastTerm: 4, term: 3 })).toThrow("I2");
  });
});

describe("append and commit", () => {
  it("commits an entry only when its append was reported durable (I5, P3)", () => {
    const node = leader();
    expect(node.propose(proposal("a"))).toEqual({ ok: true, value: { index: 2, term: 1 } });
    const { append, apply } = take(node);
    expect(append?.entries.map((entry) => entry.index)).toEqual([2]);
    expect(apply).toBeUndefined();
    expect(node.committed).toBe(1);
    expect(node.ready()).toBeUndefined();
    node.step(append!.done);
    expect(node.committed).toBe(2);
    expect(take(node).apply).toEqual({ from: 2, to: 2 });
  });

  it("lets what is proposed during a write join the next one", () => {
    const node = leader();
    node.propose(proposal("a"));
    const first = take(node);
    node.propose(proposal("b"));
    node.propose(proposal("c"));
    expect(node.ready()).toBeUndefined();
    node.step(first.append!.done);
    const second = take(node);
    expect(second.append?.entries.map((entry) => entry.index)).toEqual([3, 4]);
    expect(second.apply).toEqual({ from: 2, to: 2 });
  });

  it("has one apply under way at a time, in order (I4)", () => {
    const node = leader();
    node.propose(proposal("a"));
    node.step(take(node).append!.done);
    expect(take(node).apply).toEqual({ from: 2, to: 2 });
    node.propose(proposal("b"));
    node.step(take(node).append!.done);
    expect(node.ready()).toBeUndefined();
    node.step({ kind: "apply-done", index: 2 });
    expect(take(node).apply).toEqual({ from: 3, to: 3 });
  });

  it("takes an answer from storage once only (P7)", () => {
    const node = leader();
    node.propose(proposal("a"));
    const { append } = take(node);
    node.step(append!.done);
    expect(() => node.step(append!.done)).toThrow("answered once");
  });

  it("refuses proposals while too many bytes wait for commit, and takes them again afterwards (I15)", () => {
    const node = fresh({ uncommittedBytesMax: 4 });
    node.campaign();
    finishAppend(node);
    finishAppend(node);
    expect(node.propose(proposal("four"))).toMatchObject({ ok: true });
    expect(node.propose(proposal("more"))).toEqual({ ok: false, error: "uncommitted-full" });
    const { append } = take(node);
    expect(node.propose(proposal("more"))).toEqual({ ok: false, error: "uncommitted-full" });
    node.step(append!.done);
    expect(node.propose(proposal("more"))).toMatchObject({ ok: true });
  });
});

describe("reads", () => {
  it("answers a read at the commit index, with its own context", () => {
    const node = leader();
    node.readIndex(7);
    node.readIndex(8);
    expect(take(node).reads).toEqual([
      { context: 7, index: 1 },
      { context: 8, index: 1 },
    ]);
    expect(node.ready()).toBeUndefined();
  });

  it("holds reads back until the first commit of its term (P13)", () => {
    const node = fresh({ lastIndex: 5, lastTerm: 2, applied: 5 });
    expect(node.readIndex(1)).toEqual({ ok: false, error: "not-leader" });
    node.campaign();
    finishAppend(node);
    node.readIndex(1);
    const { append, reads } = take(node);
    expect(reads).toEqual([]);
    node.step(append!.done);
    expect(take(node).reads).toEqual([{ context: 1, index: 6 }]);
  });
});
