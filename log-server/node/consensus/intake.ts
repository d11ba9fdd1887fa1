/**
 * Takes commands in, this node's own clients' and those that other nodes send on, and sees to each being proposed by
 * whoever leads: here, or there through the forwarder. Refuses what can be seen to be refused before (I9: only advice).
 */
import { checkCommand } from "../../../src/wire/check-command.ts";
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import type { Entry, LogIndex } from "../../../src/wire/entry.ts";
import { FEATURE_LEVEL_OLDEST, levelOf } from "../../streams/feature-level.ts";
import { commandBytes, growsTheLog, oversizedBatch } from "../admission.ts";
import { ForwardHandler } from "../calls/forward-handler.ts";
import { Forwarder, NO_FORWARDS } from "../calls/forwarder.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { DiskSpace } from "../disk-space.ts";
import { NodeError } from "../node-error.ts";
import type { NodeParts } from "../node-parts.ts";
import type { NodeStatus } from "../node-status.ts";
import type { Readiness } from "../readiness.ts";
import type { Group, Pending } from "./proposals.ts";
import { notLeader, Proposer, type Settled } from "./proposer.ts";
import type { RaftLoop } from "./raft-loop.ts";

export type IntakeParts = NodeParts & { readonly readiness: Readiness; readonly space: DiskSpace };

export class Intake {
  readonly #parts: IntakeParts;
  readonly #loop: () => RaftLoop;
  readonly #proposer: Proposer;
  /** Undefined: there are no others. */
  readonly #forwarder: Forwarder | undefined;
  readonly #forwarded: ForwardHandler;

  constructor(parts: IntakeParts, calls: PeerCalls | undefined, loop: () => RaftLoop) {
    this.#parts = parts;
    this.#loop = loop;
    this.#proposer = new Proposer(parts, (pending) => this.#elsewhere(pending));
    this.#forwarded = new ForwardHandler({
      takesCommands: () => parts.readiness.noCommands === undefined && loop().role === "leader",
      position: () => parts.machine.position,
      proposeHere: (command) => this.#take(command, "peer", (pending) => this.#proposeHere(pending)),
    });
    calls?.handle("forward", (from, body) => this.#forwarded.handle(from, body));
    this.#forwarder = calls && this.#makeForwarder(calls);
  }

  get status(): Pick<NodeStatus, "waitingProposals" | "forwards"> {
    return { waitingProposals: this.#proposer.waiting, forwards: this.#forwarder?.status ?? NO_FORWARDS };
  }

  /** Something was taken, and is not answered. */
  get underWay(): boolean {
    return this.#proposer.underWay || (this.#forwarder?.status.underWay ?? 0) > 0;
  }

  /** See `LogNode.propose`. */
  propose(command: Command): Promise<CommandResult> {
    return this.#take(command, "here", (pending) => {
      if (this.#loop().role !== "leader" || this.#forwarder?.idle === false) this.#elsewhere(pending);
      else this.#proposeHere(pending);
    });
  }

  /** For whom nobody waits: what becomes of it is told to the observer. */
  async unattended(command: Command): Promise<void> {
    const { observer } = this.#parts;
    try {
      const result = await this.propose(command);
      if (result.kind === "rejected")
        observer.event("background-rejected", { command: command.kind, code: result.code });
    } catch (error) {
      observer.event("background-failed", { command: command.kind, error: String(error) });
    }
  }

  /** Moves what waits into entries; see `Proposer.propose`. */
  write(): void {
    this.#proposer.propose(this.#loop());
  }

  /** Called for each entry before it is applied. */
  settle(entry: Entry): Settled {
    return this.#proposer.settle(entry);
  }

  answer(group: Group, results: readonly CommandResult[]): void {
    this.#proposer.answer(group, results);
  }

  applied(position: LogIndex): void {
    this.#forwarder?.applied(position);
  }

  /** The loop has done what there was to do: another node may lead now. */
  turned(): void {
    if (this.#loop().role !== "leader") this.#proposer.moveWaiting();
    this.#forwarder?.turned();
  }

  /** This node leads no more; `leads` says which term it leads by then. */
  leadershipLost(leads: () => number | undefined): void {
    this.#forwarded.reset();
    this.#proposer.leadershipLost(leads);
  }

  /** No room for what was proposed; what only waits to be written is refused. */
  stalled(): void {
    this.#parts.space.ranOut();
    this.#proposer.refuseWaiting(this.#fullError());
  }

  /** What waits for another node is answered with this. */
  stopForwarding(error: NodeError): void {
    this.#forwarder?.stop(error);
  }

  /** What waits was not proposed; what was proposed may or may not survive. */
  fail(waiting: NodeError, proposed: NodeError): void {
    this.#proposer.fail(waiting, proposed);
  }

  #take(command: Command, origin: Pending["origin"], take: (pending: Pending) => void): Promise<CommandResult> {
    const refusal = this.#refusal(command);
    if (refusal !== undefined) return Promise.reject(refusal);
    const proposedAt = this.#parts.clock.monotonic();
    return new Promise((resolve, reject) => {
      take({ command, origin, bytes: commandBytes(command), proposedAt, resolve, reject });
    });
  }

  #refusal(command: Command): NodeError | undefined {
    const { readiness, space, limits } = this.#parts;
    const { noCommands } = readiness;
    if (noCommands !== undefined) return noCommands;
    const tooNew = this.#levelRefusal(levelOf(command));
    if (tooNew !== undefined) return tooNew;
    const checked = checkCommand(command);
    if (!checked.ok) return new NodeError(checked.error.code, checked.error.message);
    const oversized = oversizedBatch(command, limits.batchBytesMax);
    if (oversized !== undefined) {
      const most = `at most ${limits.batchBytesMax} are allowed`;
      return new NodeError("batch-too-large", `a batch has ${oversized} bytes; ${most}`);
    }
    return this.#loop().role === "leader" && space.full && growsTheLog(command) ? this.#fullError() : undefined;
  }

  /** This is no advice, as other refusals are: nodes of an older version would read the entry, and stop. A level never goes down. */
  #levelRefusal(needed: number): NodeError | undefined {
    const { featureLevel } = this.#parts.machine;
    if (needed <= Math.max(featureLevel, FEATURE_LEVEL_OLDEST)) return undefined;
    // A log that has just begun says so in a moment.
    if (featureLevel === 0)
      return new NodeError("unavailable", "it is not known yet which feature level all nodes support");
    return new NodeError(
      "upgrade-needed",
      `the cluster is at feature level ${featureLevel}, and this needs ${needed}: once all nodes run a version that supports it, have it upgraded ("tidemark cluster upgrade")`,
    );
  }

  #proposeHere(pending: Pending): void {
    this.#proposer.add(pending);
    this.#loop().scheduleTurn();
  }

  /** This node does not lead, or others came before that are on their way to the one that does. */
  #elsewhere(pending: Pending): void {
    if (pending.origin === "here" && this.#forwarder !== undefined) this.#forwarder.add(pending);
    else pending.reject(notLeader());
  }

  #makeForwarder(calls: PeerCalls): Forwarder {
    const loop = this.#loop;
    const { machine } = this.#parts;
    return new Forwarder(
      { ...this.#parts, calls },
      {
        leader: () => (loop().transferring ? undefined : loop().leader),
        position: () => machine.position,
        proposeHere: (pending) => this.#proposeHere(pending),
      },
    );
  }

  #fullError(): NodeError {
    const { freeBytes } = this.#parts.space;
    return new NodeError("disk-full", `only ${freeBytes} bytes were free on the disk when last looked at`);
  }
}
