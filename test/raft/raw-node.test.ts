/** The core as a function: what goes in, and the exact work that comes out. Longer stories are in `transcripts`. */
import { describe, expect, it } from "vitest";
import { type Configuration, configurationOf } from "../../log-server/raft/configuration.ts";
import { RAFT_LIMITS } from "../../log-server/raft/limits.ts";
import type { PeerMessage } from "../../log-server/raft/message.ts";
import type { PendingConfiguration } from "../../log-server/raft/raft-log.ts";
import { RawNode } from "../../log-server/raft/raw-node.ts";
import type { LogPoint, Proposal, Ready } from "../../log-server/raft/types.ts";
import type { Entry } from "../../src/wire/entry.ts";

const NOTHING = new Uint8Array(0);

function proposal(text: string): Proposal {
  return { kind: "commands", logTime: 1, head: new TextEncoder().encode(text), batches: [] };
}

function fresh(
  options: {
    voters?: readonly string[];
    lastIndex?: number;
    lastTerm?: number;
    applied?: number;
    term?: number;
    uncommittedBytesMax?: number;
    ambiguousEnd?: LogPoint;
    hidden?: boolean;
    since?: number;
    configurations?: readonly PendingConfiguration[];
    committed?: number;
  } = {},
): RawNode {
  const last = { index: options.lastIndex ?? 0, term: options.lastTerm ?? 0 };
  return new RawNode({
    id: "n1",
    configuration: configurationOf(options.voters ?? ["n1"]),
    hardState: { term: options.term ?? last.term, vote: undefined },
    firstIndex: 1,
    last,
    terms: last.index === 0 ? [] : [{ firstIndex: 1, term: last.term }],
    applied: options.applied ?? 0,
    configurations: options.configurations ?? [],
    hidden: options.hidden ?? false,
    since: options.since ?? 0,
    committed: options.committed ?? 0,
    ambiguousEnd: options.ambiguousEnd,
    electionTicks: 3,
    heartbeatTicks: 1,
    seed: 1,
    limits: { ...RAFT_LIMITS, uncommittedBytesMax: options.uncommittedBytesMax ?? 1_000 },
  });
}

const NO_WORK = {
  append: undefined,
  apply: undefined,
  install: undefined,
  messages: [],
  fetches: [],
  snapshots: [],
  reads: [],
  refusedReads: [],
};

/** Takes the work there is and marks it taken; fails when there is none. */
function take(node: RawNode, announce?: boolean): Ready {
  const ready = node.ready(announce);
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
    for (let ticks = 0; ticks < 4 && node.role === "follower"; ticks += 1) node.tick();
    const ready = take(node);
    expect(ready).toEqual({
      ...NO_WORK,
      append: {
        hardState: { term: 1, vote: "n1" },
        entries: [],
        done: { kind: "append-done", hardTerm: 1, last: undefined },
      },
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

  it("refuses to be built with a log from a later term than its own", () => {
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
    expect(node.readIndex(1)).toEqual({ ok: false, error: "no-leader" });
    node.campaign();
    finishAppend(node);
    node.readIndex(1);
    const { append, reads } = take(node);
    expect(reads).toEqual([]);
    node.step(append!.done);
    expect(take(node).reads).toEqual([{ context: 1, index: 6 }]);
  });
});

/** Of three, with a log of one entry of term 1 that the others have as well; elected in term 2. */
function leaderOfThree(): RawNode {
  const node = fresh({ voters: ["n1", "n2", "n3"], lastIndex: 1, lastTerm: 1 });
  elect(node);
  return node;
}

/** With the vote of n2. */
function elect(node: RawNode): void {
  const answer = { from: "n2", to: "n1", term: node.term + 1, granted: true, committed: { index: 0, term: 0 } };
  node.campaign();
  take(node);
  node.step({ ...answer, kind: "pre-vote-answer" });
  node.step(take(node).append!.done);
  take(node);
  node.step({ ...answer, kind: "vote-answer" });
}

describe("with peers", () => {
  const noop = { index: 2, term: 2, kind: "noop", logTime: 0, head: NOTHING, batches: [] } as const;
  const fromLeader = { from: "n1", term: 2 } as const;

  it("sends entries to the followers in the same work as it writes them itself", () => {
    const node = leaderOfThree();
    const append = { ...fromLeader, kind: "append", prev: { index: 1, term: 1 }, committed: 0, entries: [noop] };
    expect(take(node)).toEqual({
      ...NO_WORK,
      append: {
        hardState: undefined,
        entries: [noop],
        done: { kind: "append-done", hardTerm: 2, last: { index: 2, term: 2 } },
      },
      messages: [
        { ...append, to: "n2" },
        { ...append, to: "n3" },
      ],
    });
  });

  it("commits by two followers before its own sync, and applies only after it (I5)", () => {
    const node = leaderOfThree();
    const { append } = take(node);
    node.step({ kind: "append-accepted", from: "n2", to: "n1", term: 2, index: 2 });
    node.step({ kind: "append-accepted", from: "n3", to: "n1", term: 2, index: 2 });
    expect(node.committed).toBe(2);
    expect(take(node).apply).toEqual({ from: 1, to: 1 });
    node.step({ kind: "apply-done", index: 1 });
    node.step(append!.done);
    expect(take(node)).toEqual({ ...NO_WORK, apply: { from: 2, to: 2 } });
  });

  it("tells what is committed with the next entries, and without any only when it is to be announced (R110)", () => {
    const node = leaderOfThree();
    const { append } = take(node);
    for (const from of ["n2", "n3"]) node.step({ kind: "append-accepted", from, to: "n1", term: 2, index: 2 });
    node.step(append!.done);
    expect(take(node, false)).toEqual({ ...NO_WORK, apply: { from: 1, to: 2 } });
    expect(node.unannounced).toBe(true);
    node.propose(proposal("a"));
    expect(node.unannounced).toBe(false);
    const { messages } = take(node, false);
    expect(messages).toMatchObject(["n2", "n3"].map((to) => ({ to, committed: 2, entries: [{ index: 3 }] })));
    for (const from of ["n2", "n3"]) node.step({ kind: "append-accepted", from, to: "n1", term: 2, index: 3 });
    expect(node.ready(false)).toBeUndefined();
    const announced = { ...fromLeader, kind: "append", prev: { index: 3, term: 2 }, committed: 3, entries: [] };
    expect(take(node).messages).toEqual(["n2", "n3"].map((to) => ({ ...announced, to })));
    expect(node.unannounced).toBe(false);
  });

  it("asks for entries that it no longer has in memory, and passes over a read that comes too late (P7)", () => {
    const node = leaderOfThree();
    take(node);
    const refused: PeerMessage = {
      kind: "append-refused",
      from: "n2",
      to: "n1",
      term: 2,
      index: 1,
      hint: { index: 0, term: 0 },
      lost: false,
    };
    node.step(refused);
    const { fetches } = take(node);
    expect(fetches).toMatchObject([{ node: "n2", from: 1, to: 1 }]);
    const fetch = fetches[0]!;
    const entry = { index: 1, term: 1, kind: "noop", logTime: 0, head: NOTHING, batches: [] } as const;
    const outcome = { kind: "entries", entries: [entry] } as const;
    node.step({ kind: "fetched", id: fetch.id + 1, node: "n2", outcome });
    expect(node.ready()).toBeUndefined();
    node.step({ kind: "fetched", id: fetch.id, node: "n2", outcome });
    expect(take(node).messages).toMatchObject([{ kind: "append", to: "n2", prev: { index: 0 }, entries: [entry] }]);
    node.step({ kind: "fetched", id: fetch.id, node: "n2", outcome });
    expect(node.ready()).toBeUndefined();
  });

  it("asks again for entries that could not be read only when the follower is heard", () => {
    const node = leaderOfThree();
    take(node);
    const answer = { from: "n2", to: "n1", term: 2 } as const;
    node.step({ ...answer, kind: "append-refused", index: 1, hint: { index: 0, term: 0 }, lost: false });
    const { id } = take(node).fetches[0]!;
    node.step({ kind: "fetched", id, node: "n2", outcome: { kind: "unavailable" } });
    expect(node.ready()).toBeUndefined();
    node.step({ ...answer, kind: "heartbeat-answer", round: 0, standsBack: false });
    expect(take(node).fetches).toMatchObject([{ node: "n2", from: 1, to: 1 }]);
  });

  it("never says in a term what it was about to say in the one before: what that was about may be cut off (I3)", () => {
    const node = fresh({ voters: ["n1", "n2", "n3"], lastIndex: 2, lastTerm: 1 });
    const append = { kind: "append", to: "n1", committed: 0 } as const;
    node.step({ ...append, from: "n2", term: 2, prev: { index: 2, term: 1 }, entries: [] });
    node.step({
      ...append,
      from: "n3",
      term: 3,
      prev: { index: 1, term: 1 },
      entries: [{ ...noop, index: 2, term: 3 }],
    });
    node.step(take(node).append!.done);
    expect(take(node).messages).toEqual([{ kind: "append-accepted", from: "n1", to: "n3", term: 3, index: 2 }]);
  });

  it("stands for election by the answers to what it asked last, not to what it asked in an earlier term (P10)", () => {
    const node = fresh({ voters: ["n1", "n2", "n3"], lastIndex: 1, lastTerm: 1, term: 5 });
    node.campaign();
    take(node);
    const answer = { kind: "pre-vote-answer", from: "n2", to: "n1", granted: true } as const;
    node.step({ ...answer, term: 5, committed: { index: 0, term: 0 } });
    expect(node.role).toBe("pre-candidate");
    node.step({ ...answer, term: 6, committed: { index: 0, term: 0 } });
    expect(node.role).toBe("candidate");
  });

  it("does not stand for election over entries that damage hides, and knows by those behind which are committed (R32)", () => {
    const node = fresh({ voters: ["n1", "n2", "n3"], lastIndex: 4, lastTerm: 1, applied: 1, hidden: true });
    node.campaign();
    expect(node.role).toBe("follower");
    const pending = [2, 3].map((index) => ({
      index,
      term: 1,
      configuration: configurationOf(["n1", "n2", `m${index}`]),
    }));
    const mended = { kind: "mended", terms: [{ firstIndex: 1, term: 1 }] } as const;
    node.step({ ...mended, configurations: pending.slice(1), hidden: true });
    expect(node.committed).toBe(1);
    node.step({ ...mended, configurations: pending, hidden: false });
    expect(node.committed).toBe(2);
    node.campaign();
    expect(node.role).toBe("follower");
    node.step({ kind: "apply-done", index: take(node).apply!.to });
    expect(node.configuration.voters).toContain("m2");
    node.campaign();
    expect(node.role).toBe("pre-candidate");
  });

  it("is nobody's voter by what stood under its name before its disk was a member, until it has applied all of that (R100)", () => {
    const [before, between, now] = [["n1", "n2", "n3"], ["n2"], ["n1", "n2"]].map((voters) => configurationOf(voters));
    const configurations = [before, between, now].map((configuration, place) => ({
      index: place + 2,
      configuration: configuration!,
    }));
    const founders = { voters: ["n2"], lastIndex: 6, lastTerm: 1, since: 5 };
    const node = fresh({ ...founders, configurations });
    const heard = { kind: "heartbeat", from: "n2", to: "n1", term: 1, round: 0 } as const;
    for (const [committed, voters] of [
      [3, ["n2"]],
      [4, ["n2"]],
      [5, ["n1", "n2"]],
    ] as const) {
      node.step({ ...heard, committed });
      node.step({ kind: "apply-done", index: take(node).apply!.to });
      expect(node.configuration.voters, `applied ${committed}`).toEqual(voters);
      node.campaign();
      expect(node.role, `applied ${committed}`).toBe(committed < 5 ? "follower" : "pre-candidate");
    }
  });

  it("knows whether a change of who votes is over, however many configurations it applies at once (R37)", () => {
    const three = configurationOf(["n1", "n2", "n3"]);
    const four = configurationOf(["n1", "n2", "n3", "n4"]);
    const added = [{ ...four, outgoing: three.voters }, four, four];
    const removed = [{ ...three, outgoing: four.voters }, three];
    const changing = (chain: readonly Configuration[]): boolean => {
      const last = chain.length + 1;
      const configurations = chain.map((configuration, place) => ({ index: place + 2, configuration }));
      const node = fresh({ voters: three.voters, lastIndex: last, lastTerm: 1, applied: 1, configurations });
      node.step({ kind: "heartbeat", from: "n2", to: "n1", term: 1, committed: last, round: 0 });
      node.step({ kind: "apply-done", index: take(node).apply!.to });
      expect(node.configuration).toEqual(chain.at(-1));
      return node.status().changing;
    };
    expect(changing(added)).toBe(false);
    // Who votes is who voted when it began to apply; that this is committed nothing in the log says yet.
    expect(changing([...added, ...removed])).toBe(true);
    expect(changing([...added, ...removed, three])).toBe(false);
  });

  it("knows to be committed what a recovery has decided, though nobody else can say so (R101)", () => {
    const configurations = [
      { index: 2, configuration: configurationOf(["n1", "n2", "n3"]) },
      { index: 4, configuration: configurationOf(["n1"]) },
    ];
    const node = fresh({ lastIndex: 6, lastTerm: 1, since: 4, committed: 4, configurations });
    expect(node.committed).toBe(4);
    node.campaign();
    expect(node.role).toBe("follower");
    node.step({ kind: "apply-done", index: take(node).apply!.to });
    expect(node.configuration.voters).toEqual(["n1"]);
    node.campaign();
    expect(node.role).not.toBe("follower");
  });

  it("takes part again once it has applied all that was hidden, with what it learnt on the way (R91)", () => {
    const node = fresh({ voters: ["n1", "n2", "n3"], lastIndex: 4, lastTerm: 1, applied: 1, hidden: true });
    node.step({ kind: "heartbeat", from: "n2", to: "n1", term: 1, committed: 4, round: 0 });
    const { apply } = take(node);
    const configuration = configurationOf(["n1", "n2", "n4"]);
    const configurations = [{ index: 3, term: 1, configuration }];
    node.step({ kind: "mended", terms: [], configurations, hidden: true });
    node.step({ kind: "apply-done", index: apply!.to });
    expect(node.configuration).toEqual(configuration);
    node.campaign();
    expect(node.role).toBe("pre-candidate");
  });

  it("installs one snapshot at a time, and does not take a newer one in the middle (P23)", () => {
    const voters = ["n1", "n2", "n3"];
    const node = fresh({ voters, lastIndex: 1, lastTerm: 1 });
    const offer = (index: number): PeerMessage => ({
      kind: "snapshot",
      from: "n2",
      to: "n1",
      term: 1,
      snapshot: { index, term: 1, configuration: configurationOf(voters) },
    });
    node.step(offer(5));
    expect(take(node).install?.snapshot.index).toBe(5);
    node.step(offer(9));
    expect(node.ready()).toBeUndefined();
    node.step({ kind: "install-done", index: 5 });
    expect(node.applied).toBe(5);
    take(node);
    node.step(offer(9));
    expect(take(node).install?.snapshot.index).toBe(9);
  });

  it("counts no bytes that another leader took out of its log, or a snapshot, as waiting for commit (I15)", () => {
    const voters = ["n1", "n2", "n3"];
    const head = new Uint8Array(8);
    const append = { kind: "append", from: "n2", to: "n1", prev: { index: 1, term: 1 }, committed: 0 } as const;
    const snapshot = { index: 5, term: 3, configuration: configurationOf(voters) };
    const replacements: PeerMessage[] = [
      { ...append, term: 3, entries: [{ ...noop, index: 2, term: 3 }] },
      { kind: "snapshot", from: "n2", to: "n1", term: 3, snapshot },
    ];
    for (const replaced of replacements) {
      const node = fresh({ voters, lastIndex: 1, lastTerm: 1, uncommittedBytesMax: 8 });
      node.step({ ...append, term: 2, entries: [{ ...noop, index: 2, term: 2, head }] });
      node.step(replaced);
      for (let ready = node.ready(); ready !== undefined; ready = node.ready()) {
        node.advance(ready);
        if (ready.append !== undefined) node.step(ready.append.done);
        if (ready.apply !== undefined) node.step({ kind: "apply-done", index: ready.apply.to });
        if (ready.install !== undefined) node.step({ kind: "install-done", index: ready.install.snapshot.index });
      }
      elect(node);
      expect(node.propose(proposal("a")), replaced.kind).toMatchObject({ ok: true });
    }
  });

  it("tells the driver when only a snapshot helps, once", () => {
    const node = leaderOfThree();
    take(node);
    node.step({ kind: "append-accepted", from: "n3", to: "n1", term: 2, index: 2 });
    node.step({ kind: "append-accepted", from: "n2", to: "n1", term: 2, index: 2 });
    node.step({ kind: "apply-done", index: take(node).apply!.to });
    node.step({ kind: "trimmed", firstIndex: 2 });
    node.step({ kind: "unreachable", node: "n2" });
    take(node);
    node.step({
      kind: "append-refused",
      from: "n2",
      to: "n1",
      term: 2,
      index: 0,
      hint: { index: 0, term: 0 },
      lost: true,
    });
    expect(take(node).snapshots).toMatchObject([{ node: "n2" }]);
    expect(node.ready()).toBeUndefined();
  });

  it("is taken for what it is by a message that is not for it, or from itself", () => {
    const node = leaderOfThree();
    take(node);
    node.step({ kind: "heartbeat", from: "n3", to: "n2", term: 9, committed: 0, round: 0 });
    node.step({ kind: "heartbeat", from: "n1", to: "n1", term: 9, committed: 0, round: 0 });
    expect(node.term).toBe(2);
  });

  it("writes nothing again that one leader took away and the next brought back before there was work (P7, P8)", () => {
    const node = fresh({ voters: ["n1", "n2", "n3"], lastIndex: 3, lastTerm: 1 });
    const entry = (index: number, term: number): Entry => ({ ...noop, index, term });
    const append = { kind: "append", to: "n1", prev: { index: 1, term: 1 }, committed: 0 } as const;
    node.step({ ...append, from: "n2", term: 2, entries: [entry(2, 2)] });
    node.step({ ...append, from: "n3", term: 3, entries: [entry(2, 1), entry(3, 1)] });
    const { append: work, messages } = take(node);
    expect(work).toMatchObject({ hardState: { term: 3, vote: undefined }, entries: [] });
    expect(messages).toEqual([]);
    node.step(work!.done);
    expect(take(node)).toEqual({
      ...NO_WORK,
      messages: [{ kind: "append-accepted", from: "n1", to: "n3", term: 3, index: 3 }],
    });
  });

  it("puts back no doubtful end behind a snapshot that takes the place of what was before it (I2)", () => {
    const voters = ["n1", "n2", "n3"];
    const node = fresh({ voters, lastIndex: 3, lastTerm: 1, term: 3, ambiguousEnd: { index: 4, term: 3 } });
    const snapshot = { index: 3, term: 2, configuration: configurationOf(voters) };
    node.step({ kind: "snapshot", from: "n2", to: "n1", term: 4, snapshot });
    node.restoreTail([{ ...noop, index: 4, term: 3 }]);
    expect(node.lastIndex).toBe(3);
    node.step(take(node).append!.done);
    expect(take(node).install).toEqual({ snapshot });
  });

  it("commits only what is known to be as in the leader's log, not what stands behind it (I3, I4)", () => {
    const node = fresh({ voters: ["n1", "n2", "n3"], lastIndex: 4, lastTerm: 1 });
    const append = { kind: "append", from: "n2", to: "n1", term: 2, prev: { index: 1, term: 1 } } as const;
    node.step({ ...append, committed: 3, entries: [] });
    expect(node.committed).toBe(1);
    node.step({ ...append, committed: 3, entries: [{ ...noop, index: 2, term: 1 }] });
    expect([node.committed, node.lastIndex]).toEqual([2, 4]);
  });

  it("keeps what it has behind a snapshot that its log reaches, though it did not know it to be committed (P8)", () => {
    const voters = ["n1", "n2", "n3"];
    const node = fresh({ voters, lastIndex: 5, lastTerm: 1 });
    const snapshot = { index: 3, term: 1, configuration: configurationOf(voters) };
    node.step({ kind: "snapshot", from: "n2", to: "n1", term: 1, snapshot });
    expect([node.committed, node.lastIndex]).toEqual([3, 5]);
    expect(take(node)).toEqual({
      ...NO_WORK,
      apply: { from: 1, to: 3 },
      messages: [{ kind: "append-accepted", from: "n1", to: "n2", term: 1, index: 3 }],
    });
  });

  it("gives no vote and takes no term while it hears a leader, or leads, unless it is handed over (P11)", () => {
    const committed = { index: 0, term: 0 };
    const vote = { kind: "vote", from: "n3", to: "n1", term: 7, last: { index: 9, term: 6 }, committed } as const;
    const follower = fresh({ voters: ["n1", "n2", "n3"], lastIndex: 1, lastTerm: 1 });
    follower.step({ kind: "heartbeat", from: "n2", to: "n1", term: 2, committed: 0, round: 0 });
    for (const node of [follower, leaderOfThree()]) {
      node.step({ ...vote, transfer: false });
      expect(node.term).toBe(2);
      node.step({ ...vote, transfer: true });
      expect([node.role, node.term]).toEqual(["follower", 7]);
    }
  });

  it("stops where two lead one term (I1)", () => {
    const node = leaderOfThree();
    expect(() => node.step({ kind: "heartbeat", from: "n3", to: "n1", term: 2, committed: 0, round: 0 })).toThrow("I1");
  });
});
