/**
 * Who else there is, with disks and addresses: kept in the log, so that a node that starts knows it whatever it was told at
 * first. The leader writes the founders down; a member that was added without a disk is known by the one it comes with.
 */
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import type { Member } from "../../log/node-identity.ts";
import { answerOfMember, decodeClusterQuestion } from "./founding-codec.ts";
import type { NodeParts } from "../node-parts.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";

export type ClusterMembersParts = Pick<NodeParts, "clusterId" | "cluster" | "machine" | "observer">;

export class ClusterMembers {
  readonly #parts: ClusterMembersParts;
  readonly #propose: (command: Command) => Promise<CommandResult>;
  #toldOf = 0;
  #upToDate = false;

  constructor(
    parts: ClusterMembersParts,
    calls: PeerCalls | undefined,
    propose: (command: Command) => Promise<CommandResult>,
  ) {
    this.#parts = parts;
    this.#propose = propose;
    calls?.handle("cluster-of", async (from, body) => [await this.#answer(from, body)]);
  }

  /** What the state has from earlier. */
  start(): void {
    if (this.#parts.machine.members.length > 0) this.#tell();
  }

  /** This node has been up to date with a leader. */
  serving(): void {
    this.#upToDate = true;
    this.start();
  }

  get upToDate(): boolean {
    return this.#upToDate;
  }

  /** No leader is known: who was replaced meanwhile may be whom a majority needs. */
  lost(): void {
    if (!this.#upToDate) return;
    this.#upToDate = false;
    this.start();
  }

  /** Entries were. */
  applied(): void {
    if (this.#parts.machine.memberChanges !== this.#toldOf) this.#tell();
  }

  /** This node leads now. Nobody need wait for it: whoever leads next does the same. */
  lead(): void {
    const { cluster, machine, observer } = this.#parts;
    if (machine.members.length > 0) return;
    for (const founder of cluster?.founders ?? []) {
      this.#propose({ kind: "member-set", was: null, ...founder }).catch((error: unknown) =>
        observer.event("members-not-kept", { error: String(error) }),
      );
    }
  }

  #tell(): void {
    const { cluster, machine } = this.#parts;
    this.#toldOf = machine.memberChanges;
    const { members, featureLevel } = machine;
    const isFormerDisk = (disk: string): boolean => machine.isFormerDisk(disk);
    cluster?.know?.({ members, featureLevel, isFormerDisk, upToDate: this.#upToDate });
  }

  /** A node that has no cluster asks. One that was added or replaced is kept with its disk before it is told. */
  async #answer(from: string, body: Uint8Array): Promise<Uint8Array> {
    const { cluster, clusterId, machine } = this.#parts;
    const disk = decodeClusterQuestion(body) ?? "";
    let known: Member | undefined = machine.members.find(({ node }) => node === from);
    if (known?.disk === "" && disk !== "") {
      await this.#propose({ kind: "member-set", ...known, was: "", disk });
      // Of two that ask at once one is taken.
      known = machine.members.find(({ node }) => node === from);
    }
    const member = disk !== "" && known?.disk === disk;
    return answerOfMember(clusterId, cluster?.founders ?? [], member, machine.position);
  }
}
