/**
 * Bugs of a cluster's long life: snapshots that are shipped and installed, members that change, damage that is made good,
 * clients in a session. Sources as in the other lists.
 */
import type { Mutant } from "./mutant.ts";

export const LIFE_MUTANTS: readonly Mutant[] = [
  {
    name: "an image outlives the log that it was of",
    source: "P22: camunda/zeebe #3573",
    world: "laggards",
    file: "log-server/log/snapshots/install.ts",
    find: "await kv.clear();",
    replace: "",
  },
  {
    name: "a state that is restored has forgotten who votes",
    source: "P20: ScyllaDB #9551",
    world: "churn",
    file: "log-server/streams/cluster-members.ts",
    find: "  ledger.put(configuration);\n",
    replace: "",
  },
  {
    name: "a node that lost its disk keeps its vote",
    source: "P33: RabbitMQ #15725",
    world: "churn",
    file: "log-server/node/cluster/cluster-admin.ts",
    find: '    await this.#reconfigure([{ kind: "remove", node }]);',
    replace: '    if (forgotten) await this.#reconfigure([{ kind: "remove", node }]);',
  },
  {
    name: "what waits for the leader has no bound",
    source: "P45: TigerBeetle, 2025: overload that feeds itself",
    world: "overload",
    file: "log-server/node/calls/forwarder.ts",
    find: "this.#count >= proposalsMax || this.#bytes + pending.bytes > proposalBytesMax",
    replace: "false",
    quick: true,
  },
  {
    name: "reads wait for their point without a bound",
    source: "P45: TigerBeetle, 2025: overload that feeds itself",
    world: "overload",
    file: "log-server/node/consensus/barriers.ts",
    find: "if (this.count >= this.#limits.barriersMax)",
    replace: "if (this.count < 0)",
    quick: true,
  },
  {
    name: "damage stays where it is found",
    source: "P32: NATS #7549; FAST '17",
    world: "disks",
    file: "log-server/node/repair/repairer.ts",
    find: "const damaged = this.#lookForDamage();\n",
    replace: "const damaged = new Set<number>();\n",
  },
  {
    name: "a follower keeps entries that were damaged on the way",
    source: "P32: FAST '17: corruption that spreads to intact replicas",
    world: "clients",
    file: "log-server/node/consensus/peer-messages.ts",
    find: 'if (message.kind === "append" && !isIntact(message.entries)) return this.#refuse(from, "damaged-batch");',
    replace: "",
  },
  {
    name: "nobody waits for what a session has seen",
    source: "P40: etcd #15220; session guarantees, Terry 1994",
    world: "clients",
    file: "log-server/http/session-token.ts",
    find: "if (node.position >= position) return;",
    replace: "return;",
  },
  {
    name: "an end in doubt is left in doubt",
    source: "P31: etcd #11220",
    world: "disks",
    file: "log-server/node/repair/tail-settler.ts",
    find: "if (this.#parts.hardState.state.doubt !== undefined) this.#rounds.start();",
    replace: "if (this.#owner.ambiguousEnd === undefined) this.#rounds.start();",
  },
];
