/** Bugs of a node among others: proposing, forwarding, reading, and what they share. Sources as in the other lists. */
import type { Mutant } from "./mutant.ts";

type ClusterMutant = Omit<Mutant, "world">;

const NODE = "log-server/node";

const LIST: readonly ClusterMutant[] = [
  {
    name: "a proposal gets the answer of what took its place",
    source: "P42: Jepsen Redis-Raft 1b3fbf6",
    file: `${NODE}/consensus/proposals.ts`,
    find: "if (group.term === term) return group;",
    replace: "return group;",
  },
  {
    name: "what an old leader proposed is said not to be done",
    source: "P42: Jepsen Redis-Raft 1b3fbf6",
    file: `${NODE}/consensus/proposer.ts`,
    find: 'new NodeError("outcome-unknown", "the leader changed, and no word came")',
    replace: 'new NodeError("unavailable", "the leader changed, and no word came")',
    quick: true,
  },
  {
    name: "a forwarded write without an answer is sent again",
    source: "P36: jetcd 0.8.2 (Jepsen)",
    file: `${NODE}/calls/forwarder.ts`,
    find: "return producer !== undefined && producer.sequence > 0;",
    replace: "return true;",
    quick: true,
  },
  {
    name: "a forwarded write without an answer is said not to be done",
    source: "P42: Jepsen Redis-Raft 1b3fbf6",
    file: `${NODE}/calls/forwarder.ts`,
    find: "this.#counts.unknown += 1;\n    pending.reject(answerLost());",
    replace: "this.#counts.unknown += 1;\n    pending.reject(noLeader());",
    quick: true,
  },
  {
    name: "a call that the network repeats is handled again",
    source: "P36: MongoDB SERVER-48307",
    file: `${NODE}/calls/peer-calls.ts`,
    find: "if (this.#isNew(from, message)) this.#onRequest(from, message);",
    replace: "this.#onRequest(from, message);",
  },
  {
    name: "a read shows what is applied here, without asking",
    source: "Jepsen etcd and Consul, 2014",
    file: `${NODE}/log-node.ts`,
    find: "return this.#barriers.ask((context) => this.#loop.readIndex(context));",
    replace: "return Promise.resolve();",
    quick: true,
  },
  {
    name: "a read does not wait for its point to be applied",
    source: "P42: Jepsen Redis-Raft 1b3fbf6",
    file: `${NODE}/consensus/barriers.ts`,
    find: "if (index <= position) {",
    replace: "if (index > 0) {",
  },
  {
    name: "term and vote are not waited for",
    source: "P4: nodedb #161",
    file: `${NODE}/consensus/raft-storage.ts`,
    find: "await hardState.write(work.hardState);",
    replace: "void hardState.write(work.hardState).catch(() => undefined);",
  },
  {
    name: "entries are not waited for",
    source: "P27: NATS #7564",
    file: `${NODE}/consensus/raft-storage.ts`,
    find: "await log.append(work.entries);",
    replace: "void log.append(work.entries).catch(() => undefined);",
    quick: true,
  },
  {
    name: "what is applied depends on the clock",
    source: "P26: etcd #11651",
    file: `${NODE}/log-node.ts`,
    find: "this.machine.apply(entry, commands)",
    replace: "this.machine.apply({ ...entry, logTime: this.clock.now() }, commands)",
    quick: true,
  },
];

export const CLUSTER_MUTANTS: readonly Mutant[] = LIST.map((mutant) => ({ ...mutant, world: "cluster" }));
