/**
 * Changes of the cluster that an operator asks for, done by the leader, step by step: each step is in the log before the
 * next begins, and what is done already is not done again. So a change that was cut short is simply asked for again.
 */
import { unreachable } from "../../../src/lib/assert.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { Member } from "../../log/node-identity.ts";
import type { MembershipChange } from "../../raft/config-change.ts";
import { membersOf } from "../../raft/configuration.ts";
import { majorityOf } from "../../raft/quorum.ts";
import { FEATURE_LEVEL_NEWEST } from "../../streams/feature-level.ts";
import {
  type Address,
  type ClusterChange,
  decodeChange,
  encodeChange,
  encodeOutcome,
  takeOutcome,
} from "./cluster-change.ts";
import type { Belonging } from "./belonging.ts";
import { NodeError } from "../node-error.ts";
import type { NodeParts } from "../node-parts.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { RaftLoop } from "../consensus/raft-loop.ts";

export type ClusterAdminParts = Pick<
  NodeParts,
  "nodeName" | "clusterId" | "hardState" | "machine" | "clock" | "limits" | "observer"
> & {
  readonly belonging: Pick<Belonging, "standBack" | "drain" | "levelOf">;
};

export class ClusterAdmin {
  readonly #parts: ClusterAdminParts;
  readonly #calls: PeerCalls | undefined;
  readonly #loop: () => RaftLoop;
  readonly #propose: (command: Command) => Promise<CommandResult>;
  /** One at a time: their steps would be in each other's way. */
  #busy = false;
  /** Whoever asked this node to be removed has not heard yet. */
  #leaving = 0;

  constructor(
    parts: ClusterAdminParts,
    calls: PeerCalls | undefined,
    loop: () => RaftLoop,
    propose: (command: Command) => Promise<CommandResult>,
  ) {
    this.#parts = parts;
    this.#calls = calls;
    this.#loop = loop;
    this.#propose = propose;
    calls?.handle("cluster-change", async (_from, body) => [await this.#asked(body)]);
  }

  /** On any node; resolves when it is done. Throws `NodeError`. */
  async change(change: ClusterChange): Promise<void> {
    const loop = this.#loop();
    if (change.kind === "upgrade" && loop.role === "leader") return this.#lead(change);
    if (this.#calls === undefined)
      throw new NodeError("cluster-conflict", "this node is alone: start it with --peers to make it one of a cluster");
    if (change.kind === "drain") {
      if (change.node === this.#parts.nodeName) return this.#drain(change.undo);
      if (!loop.others.includes(change.node)) throw noMember(change.node);
      return this.#ask(this.#calls, change.node, change);
    }
    if (loop.role === "leader") return this.#lead(change);
    const { leader } = loop;
    if (leader === undefined) throw new NodeError("unavailable", "no leader is known, who could change the cluster");
    const isOwnRemoval = change.kind === "remove" && change.node === this.#parts.nodeName;
    if (!isOwnRemoval) return this.#ask(this.#calls, leader, change);
    this.#leaving += 1;
    try {
      return await this.#ask(this.#calls, leader, change);
    } finally {
      this.#leaving -= 1;
    }
  }

  /** This node's own removal was asked for here, and the leader has not answered yet. */
  get isLeaving(): boolean {
    return this.#leaving > 0;
  }

  async #ask(calls: PeerCalls, node: string, change: ClusterChange): Promise<void> {
    const timeoutMs = this.#parts.limits.clusterChangeMsMax * 2;
    const answer = await calls.call(node, "cluster-change", [encodeChange(change)], timeoutMs);
    if (answer.ok) return takeOutcome(answer.value);
    if (answer.error === "lost")
      throw new NodeError("outcome-unknown", `${node} did not answer: look at the cluster's status`);
    throw new NodeError("unavailable", `${node} could not be asked: ${answer.error}`);
  }

  /**
   * The only voter of a cluster that is recovered: the log says from now on that it is, and that nobody else belongs to it.
   * Resolves when all that was in the log before, and this, is committed.
   */
  async recover(member: Member): Promise<LogIndex> {
    const { machine, hardState, clusterId } = this.#parts;
    await hardState.writeCluster(clusterId);
    const restated = await this.#reconfigure([]);
    await this.#until(() => machine.position >= restated);
    for (const { node, disk } of machine.members)
      if (node !== member.node) await this.#command({ kind: "member-remove", node, was: disk });
    await this.#command({ kind: "member-set", was: this.#member(member.node)?.disk ?? null, ...member });
    return restated;
  }

  async #asked(body: Uint8Array): Promise<Uint8Array> {
    const change = decodeChange(body);
    try {
      if (change === undefined) throw new NodeError("malformed-command", "the change of the cluster cannot be read");
      if (change.kind === "drain") await this.#drain(change.undo);
      else if (this.#loop().role === "leader") await this.#lead(change);
      else throw new NodeError("not-leader", "this node does not lead any more");
      return encodeOutcome(undefined);
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      return encodeOutcome(error);
    }
  }

  /** Done once another leads; if nobody takes over the node goes on as it was. */
  async #drain(undo: boolean): Promise<void> {
    const { belonging, observer } = this.#parts;
    const { standBack, drain } = belonging;
    standBack.set("drained", !undo);
    observer.event(undo ? "drain-undone" : "drained", {});
    if (undo) return drain.end();
    await this.#wait(() => this.#loop().role !== "leader");
    // Undone meanwhile.
    if (!standBack.reasons.includes("drained")) return;
    // Who follows live here follows elsewhere from now on.
    if (this.#loop().role !== "leader") return drain.begin();
    standBack.set("drained", false);
    throw new NodeError("cluster-conflict", "it leads, and no other node takes leadership over");
  }

  async #lead(change: Exclude<ClusterChange, { readonly kind: "drain" }>): Promise<void> {
    if (this.#busy) throw new NodeError("cluster-conflict", "another change of the cluster is under way");
    this.#busy = true;
    try {
      switch (change.kind) {
        case "add":
          return await this.#add(change.node, change.address, change.votes);
        case "remove":
          return await this.#remove(change.node, true);
        case "replace":
          return await this.#replace(change.node, change.address);
        case "transfer":
          return await this.#transfer(change.node);
        case "upgrade":
          return await this.#upgrade();
        default:
          return unreachable(change);
      }
    } finally {
      this.#busy = false;
    }
  }

  async #add(node: string, address: Address, votes: boolean): Promise<void> {
    const known = this.#member(node);
    await this.#command({
      kind: "member-set",
      node,
      was: known?.disk ?? null,
      disk: known?.disk ?? "",
      ...address,
    });
    const { configuration } = this.#loop();
    const wanted = votes ? "voter" : "learner";
    const has = configuration.voters.includes(node)
      ? votes
      : configuration.learners.some((learner) => learner.id === node && learner.wanted === wanted);
    if (has) return;
    await this.#reconfigure([{ kind: "add", node, as: wanted }]);
    await this.#until(() => membersOf(this.#loop().configuration).includes(node));
  }

  async #remove(node: string, forgotten: boolean): Promise<void> {
    const { nodeName } = this.#parts;
    const isMember = (): boolean => membersOf(this.#loop().configuration).includes(node);
    if (!isMember() && this.#member(node) === undefined) throw noMember(node);
    if (node === nodeName)
      throw new NodeError("cluster-conflict", `${node} leads: transfer leadership to another node first`);
    if (isMember()) {
      await this.#refuseIfNoMajorityWithout(node);
      await this.#reconfigure([{ kind: "remove", node }]);
      await this.#until(() => !isMember() && !this.#loop().status().changing);
    }
    const known = this.#member(node);
    if (forgotten && known !== undefined) await this.#command({ kind: "member-remove", node, was: known.disk });
  }

  /** Those that are left would have to agree to the change, and to the one that undoes it (etcd: `strict-reconfig-check`). */
  async #refuseIfNoMajorityWithout(node: string): Promise<void> {
    const { nodeName } = this.#parts;
    const left = this.#loop().configuration.voters.filter((voter) => voter !== node);
    const silent = (): string[] => left.filter((voter) => voter !== nodeName && !this.#isHeard(voter));
    const isMajority = (): boolean => left.length - silent().length >= majorityOf(left.length);
    await this.#wait(isMajority);
    if (isMajority()) return;
    const why = `${silent().join(", ")} not being heard, no majority would be left`;
    throw new NodeError(
      "cluster-conflict",
      `without ${node}, and with ${why}: bring them back, or remove or replace them first`,
    );
  }

  /**
   * Out with what was, for it may have forgotten what it voted; whoever comes under the name is new, and is caught up. Not while it
   * is heard: asked for again after its new disk has come, this would take that for lost, and the next empty one for it (P33). It is
   * alive once it was heard after this was asked for: what is cut off later is not lost. Who has come and does not vote yet is given
   * the time to begin.
   *
   * What counts is the disk that was known when this was asked for: once another is known, a change before this one was late, and
   * has done it. Where that one was cut short, a disk that is known and has no place is the one that was lost, or the new one: the
   * new one answers. What place it had nobody remembers then, and it gets a vote.
   */
  async #replace(node: string, address: Address | undefined): Promise<void> {
    const known = this.#member(node);
    if (known === undefined) throw noMember(node);
    const { host, port, disk } = known;
    const isReplaced = (): boolean => this.#member(node)?.disk !== disk;
    const isMember = (): boolean => membersOf(this.#loop().configuration).includes(node);
    const isVoter = (): boolean => this.#loop().configuration.voters.includes(node);
    const isLearner = (to: "voter" | "learner"): boolean =>
      this.#loop().configuration.learners.some(({ id, wanted }) => id === node && wanted === to);
    const place = isLearner("learner") ? "learner" : "voter";
    const isKnown = (): boolean => disk !== "" && !isReplaced();
    let [isAlive, looks] = [false, 0];
    await this.#wait(() => {
      // One a tick. What it has said just before it was stopped may still come.
      looks += 1;
      isAlive = isKnown() && this.#silentTicks(node) + 2 * this.#parts.limits.heartbeatTicks < looks;
      return isAlive || !isKnown() || !(isLearner("voter") || this.#isHeard(node));
    });
    isAlive ||= isKnown() && (isMember() ? this.#isHeard(node) : await this.#answers(node));
    if (!isAlive && !isReplaced()) {
      if (disk !== "" || isVoter()) await this.#remove(node, false);
      if (disk !== "" || address !== undefined)
        await this.#command({ kind: "member-set", node, was: disk, host, port, ...address, disk: "" });
    }
    if (!isMember()) {
      await this.#reconfigure([{ kind: "add", node, as: place }]);
      await this.#until(isMember);
    }
    if (isAlive)
      throw new NodeError(
        "member-alive",
        `${node} answers, with the disk that is known: stop it first if it is to be replaced`,
      );
  }

  /** Whether a node does that is none of the configuration's; it is given time. */
  async #answers(node: string): Promise<boolean> {
    const { clock, limits } = this.#parts;
    const until = clock.monotonic() + limits.clusterChangeMsMax;
    while (this.#loop().role === "leader" && clock.monotonic() < until) {
      const answer = await this.#calls?.call(node, "facts", [], limits.factsAnswerMsMax);
      if (answer?.ok === true) return true;
      await new Promise<void>((resolve) => void clock.schedule(limits.tickMs, resolve));
    }
    return false;
  }

  #member(node: string): Member | undefined {
    return this.#parts.machine.members.find((member) => member.node === node);
  }

  #isHeard(node: string): boolean {
    return this.#silentTicks(node) < this.#parts.limits.electionTicks;
  }

  /** Since this node has heard another; forever, if it does not listen to that. */
  #silentTicks(node: string): number {
    if (node === this.#parts.nodeName) return 0;
    const { followers } = this.#loop().status();
    return followers.find(({ id }) => id === node)?.silentTicks ?? Number.POSITIVE_INFINITY;
  }

  async #transfer(to: string | undefined): Promise<void> {
    const { nodeName } = this.#parts;
    const loop = this.#loop();
    if (to === nodeName) return;
    if (to === undefined) loop.handOver();
    else {
      const begun = loop.transferTo(to);
      if (!begun.ok && begun.error === "not-voter")
        throw new NodeError("member-not-found", `${to} is no voter of the cluster that could lead`);
      if (!begun.ok && begun.error === "stands-back")
        throw new NodeError("cluster-conflict", `${to} is drained, or its clock is off: it is not to lead`);
      if (!begun.ok) throw new NodeError("cluster-conflict", `leadership cannot be handed over: ${begun.error}`);
    }
    await this.#wait(() => loop.role !== "leader" || !loop.transferring);
    if (loop.role === "leader") throw new NodeError("cluster-conflict", "no other node took leadership over in time");
  }

  /** Who was started a moment ago may not have been asked yet. */
  async #upgrade(): Promise<void> {
    await this.#wait(() => this.supportedLevel.ok);
    const level = this.supportedLevel;
    if (!level.ok) throw new NodeError("cluster-conflict", level.error);
    if (level.value > this.#parts.machine.featureLevel)
      await this.#command({ kind: "feature-level", level: level.value });
  }

  /** What every member supports, learners among them; an error says who is not heard, and might support less. */
  get supportedLevel(): Result<number, string> {
    let supported = FEATURE_LEVEL_NEWEST;
    for (const node of this.#loop().others) {
      const level = this.#parts.belonging.levelOf(node);
      if (level === undefined) return err(`${node} is not heard: which feature level it supports is not known`);
      supported = Math.min(supported, level);
    }
    return ok(supported);
  }

  async #command(command: Command): Promise<void> {
    const result = await this.#propose(command);
    if (result.kind !== "rejected") return;
    // Another's change, or one of this node's that was late, came between.
    const code = result.code === "condition-failed" ? "cluster-conflict" : result.code;
    throw new NodeError(code, result.message);
  }

  async #reconfigure(changes: readonly MembershipChange[]): Promise<LogIndex> {
    const loop = this.#loop();
    let begun = loop.proposeChange(changes);
    // The one before, or a promotion, is ended by the leader itself.
    await this.#wait(() => {
      if (!begun.ok && begun.error === "change-under-way") begun = loop.proposeChange(changes);
      return begun.ok || begun.error !== "change-under-way";
    });
    if (begun.ok) return begun.value;
    const code = begun.error === "not-leader" ? "not-leader" : "cluster-conflict";
    throw new NodeError(code, `the cluster cannot be changed: ${begun.error}`);
  }

  /** What is begun goes on even if this gives up: the next leader sees to it. */
  async #until(isSo: () => boolean): Promise<void> {
    await this.#wait(isSo);
    if (isSo()) return;
    const why =
      this.#loop().role === "leader"
        ? "a majority did not confirm it in time"
        : "another node leads, or none, before it was confirmed";
    throw new NodeError("outcome-unknown", `the change has begun, but ${why}: ask again`);
  }

  /** Also ends when this node leads no more, or the time is over. */
  async #wait(isSo: () => boolean): Promise<void> {
    const { clock, limits } = this.#parts;
    const until = clock.monotonic() + limits.clusterChangeMsMax;
    while (!isSo() && this.#loop().role === "leader" && clock.monotonic() < until)
      await new Promise<void>((resolve) => void clock.schedule(limits.tickMs, resolve));
  }
}

function noMember(node: string): NodeError {
  return new NodeError("member-not-found", `${node} is no member of the cluster`);
}
