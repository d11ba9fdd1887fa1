/**
 * Changes the cluster as an operator does, by the nodes' own call, one change after another: members are added, promoted,
 * removed, replaced after the loss of their disk, leadership is handed over. What is refused or cut short is asked for
 * again until it is done. It begins only what a majority can survive, as a runbook would have it.
 */
import type { ClusterMemberStatus, ClusterStatus } from "../../../log-server/node/cluster/cluster-status.ts";
import type { ClusterChange } from "../../../log-server/node/cluster/cluster-change.ts";
import { LEVEL_OF_FORMER_DISKS } from "../../../log-server/streams/feature-level.ts";
import { NodeError } from "../../../log-server/node/node-error.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { Killed, type SimCluster } from "../../../log-server/sim/sim-cluster.ts";
import { Violation } from "../history.ts";

const VOTERS_MIN = 3;
const REST_MS_MAX = 500;
/** What nodes may answer while the cluster is harmed, or the change before is not over. */
const AGAIN: ReadonlySet<string> = new Set([
  "unavailable",
  "not-leader",
  "outcome-unknown",
  "cluster-conflict",
  "overloaded",
  "disk-full",
]);

export type Wish =
  | { readonly kind: "add"; readonly votes: boolean }
  | { readonly kind: "promote" }
  | { readonly kind: "remove" | "replace"; readonly node: string | undefined }
  | { readonly kind: "transfer"; readonly node: string | undefined };

/** The machines, which are the operator's to set up and to take away. */
export interface Site {
  readonly cluster: SimCluster;
  /** Of those that run nodes, in the cluster or on their way into it. */
  readonly names: readonly string[];
  /** One that runs nothing; it is begun on an empty disk by `employ`. */
  readonly spare: string | undefined;
  employ(name: string): void;
  /** It runs nothing any more. */
  dismiss(name: string): void;
  /** Its process ends, its disk is gone; it begins anew with an empty one. */
  loseDisk(name: string): void;
  /** Its new machine belongs to the cluster, and no older one runs in its place. */
  hasJoined(name: string): boolean;
  count(what: string): void;
  note(line: string): void;
  violated(error: unknown): void;
}

export class Operator {
  readonly #site: Site;
  readonly #prng: Prng;
  #busy = false;
  /** Without one disk, no other must lose anything: the majority that is left has to have it all. */
  #fragile = false;

  constructor(site: Site, prng: Prng) {
    this.#site = site;
    this.#prng = prng;
  }

  get busy(): boolean {
    return this.#busy;
  }

  get fragile(): boolean {
    return this.#fragile;
  }

  /** Answers whether it is begun: not where it could cost the cluster its majority. */
  ask(wish: Wish): boolean {
    const status = this.#status();
    if (this.#busy || status === undefined || status.changing || has(status, "joining")) return false;
    // Before that, nobody remembers whose disks were a member's (N52).
    if (status.featureLevel < LEVEL_OF_FORMER_DISKS) return false;
    const begun = this.#begin(wish, status);
    if (begun === undefined) return false;
    this.#busy = true;
    begun
      .then(() => this.#site.count(`done: ${wish.kind}`))
      .catch((error: unknown) => this.#site.violated(error))
      .finally(() => {
        this.#busy = false;
        this.#fragile = false;
      });
    return true;
  }

  /** The members that the leader knows are those that were asked for, each in its place. */
  get settled(): boolean {
    const status = this.#status();
    if (this.#busy || status === undefined || status.changing || has(status, "joining")) return false;
    const shown = status.members.map(({ node }) => node).sort();
    return shown.join() === [...this.#site.names].sort().join();
  }

  #begin(wish: Wish, { members }: ClusterStatus): Promise<void> | undefined {
    const { names, spare } = this.#site;
    const voters = members.filter(({ role }) => role === "voter").map(({ node }) => node);
    switch (wish.kind) {
      case "add":
        return spare === undefined ? undefined : this.#add(spare, wish.votes);
      case "promote": {
        const learner = members.find(({ role }) => role === "learner")?.node;
        return learner === undefined ? undefined : this.#insist(this.#addition(learner, true));
      }
      case "remove": {
        const { node } = wish;
        if (node === undefined || !names.includes(node)) return undefined;
        return voters.includes(node) && voters.length === VOTERS_MIN ? undefined : this.#remove(node);
      }
      case "replace": {
        const { node } = wish;
        if (node === undefined || !voters.includes(node)) return undefined;
        return this.#allWell(voters) ? this.#replace(node) : undefined;
      }
      case "transfer":
        return this.#once({ kind: "transfer", node: wish.node });
    }
  }

  #addition(node: string, votes: boolean): ClusterChange {
    return { kind: "add", node, address: this.#site.cluster.addressOf(node), votes };
  }

  async #add(node: string, votes: boolean): Promise<void> {
    this.#site.employ(node);
    await this.#insist(this.#addition(node, votes));
  }

  async #remove(node: string): Promise<void> {
    await this.#insist({ kind: "remove", node });
    this.#site.dismiss(node);
  }

  async #replace(node: string): Promise<void> {
    this.#fragile = true;
    this.#site.loseDisk(node);
    await this.#insist({ kind: "replace", node, address: undefined });
  }

  /** At one node after another, until one says that it is done. */
  async #insist(change: ClusterChange): Promise<void> {
    for (let code = await this.#tried(change); code !== "done"; code = await this.#tried(change)) {
      // It was removed by the time before.
      if (code === "member-not-found" && change.kind === "remove") return;
      // It was replaced by the time before, and has come; or the machine of old is back, and has to go first.
      const isAlive = code === "member-alive" && change.kind === "replace";
      if (isAlive && this.#site.hasJoined(change.node)) return;
      if (!isAlive && !AGAIN.has(code))
        throw new Violation(`the operator was told ${code} of ${JSON.stringify(change)}`);
      if (code === "cluster-conflict" && change.kind === "remove")
        await this.#once({ kind: "transfer", node: undefined });
      await this.#rest();
    }
  }

  async #once(change: ClusterChange): Promise<void> {
    const code = await this.#tried(change);
    // Whom leadership was to go to may be no voter by then.
    if (code !== "done" && code !== "member-not-found" && !AGAIN.has(code))
      throw new Violation(`the operator was told ${code} of ${JSON.stringify(change)}`);
  }

  async #tried(change: ClusterChange): Promise<string> {
    const serving = this.#site.cluster.up.filter(
      ({ node, name }) => node?.phase === "serving" && this.#site.names.includes(name),
    );
    if (serving.length === 0) return "unavailable";
    const { node, life } = this.#prng.pick(serving);
    try {
      await Promise.race([node?.changeCluster(change), life.ended]);
      return "done";
    } catch (error) {
      if (error instanceof Killed) return "outcome-unknown";
      if (!(error instanceof NodeError)) throw error;
      this.#site.note(`the operator is told ${error.code} of ${change.kind}: ${error.message}`);
      return error.code;
    }
  }

  #rest(): Promise<void> {
    const ms = this.#prng.below(REST_MS_MAX);
    return new Promise((resolve) => void this.#site.cluster.clock.schedule(ms, resolve));
  }

  #status(): ClusterStatus | undefined {
    return this.#site.cluster.leader?.node?.clusterStatus();
  }

  #allWell(voters: readonly string[]): boolean {
    const { cluster } = this.#site;
    return voters.length >= VOTERS_MIN && voters.every((name) => cluster.member(name).node?.phase === "serving");
  }
}

function has({ members }: ClusterStatus, role: ClusterMemberStatus["role"]): boolean {
  return members.some((member) => member.role === role);
}
