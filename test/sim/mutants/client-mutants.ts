/** Bugs between a client and the log: repeating, resuming, following, telling outcomes. Sources as in the other lists. */
import type { Mutant } from "./mutant.ts";

type ClientMutant = Omit<Mutant, "world">;

const LIST: readonly ClientMutant[] = [
  {
    name: "a client repeats an append as a new one",
    source: "P36: jetcd 0.8.2 (Jepsen)",
    file: "client/appending/append-session.ts",
    find: "(first.tag ??= this.#newTag())",
    replace: "(first.tag = this.#newTag())",
    quick: true,
  },
  {
    name: "an append that may be done is said not to be done",
    source: "P42: Jepsen Redis-Raft 1b3fbf6",
    file: "client/appending/append-entry.ts",
    find: 'if (!uncertain) return "not-applied";',
    replace: 'return "not-applied";',
    quick: true,
  },
  {
    name: "a subscription resumes where it began",
    source: "P40: goes back in time",
    file: "client/reading/record-stream.ts",
    find: "this.#place = { incarnation: answer.incarnation, offset: answer.nextOffset };",
    replace: "this.#place ??= { incarnation: answer.incarnation, offset: answer.nextOffset };",
    quick: true,
  },
  {
    name: "a subscription skips what came while it was away",
    source: "P40: loses events",
    file: "log-server/ws/subscription.ts",
    find: "        return this.#request.offset;",
    replace: "        return Math.max(this.#request.offset, stream.nextOffset);",
    quick: true,
  },
  {
    name: "a mark runs ahead of the records before it",
    source: "P40: etcd #15220",
    file: "log-server/node/reading/merge.ts",
    find: "this.#end = { position: position + 1, ordinal: 0 };",
    replace: "this.#end = { position: position + 2, ordinal: 0 };",
    assertion: "the SDK refuses what does not follow, so that no reader is given it",
    quick: true,
  },
];

export const CLIENT_MUTANTS: readonly Mutant[] = LIST.map((mutant) => ({ ...mutant, world: "clients" }));
