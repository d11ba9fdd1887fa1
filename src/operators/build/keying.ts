/**
 * How a stream lies in partitions while it goes through a topology, and what can be put beside what. A key's state is in one
 * task only where all its records are in one partition; a join needs that of both sides, and the same partition for both.
 */
import type { Partitioner } from "../verbs/partitioner.ts";
import { encodeKey, type Key } from "../encoding/key-codec.ts";
import { hex } from "../../lib/bytes.ts";
import { TopologyError } from "./topology-error.ts";

export type Keying = {
  readonly partitions: number;
  readonly partitioner: Partitioner;
  /** The key is another than the one that it was partitioned by. */
  readonly rekeyed: boolean;
};

/** All records of a key are in one partition. */
export function isKeyed({ partitions, partitioner, rekeyed }: Keying): boolean {
  return partitions === 1 || (!rekeyed && (partitioner.kind === "hash" || partitioner.kind === "range"));
}

/** Throws unless records of both can meet in one task; where `byKey`, records of one key must. */
export function checkCoPartitioned(left: Keying, right: Keying, byKey: boolean, what: string): void {
  if (left.partitions !== right.partitions) {
    const counts = `${left.partitions} and ${right.partitions}`;
    throw new TopologyError(
      "not-co-partitioned",
      `${what}: its inputs are in ${counts} partitions; .repartition({ partitions: ${right.partitions} }) the first, or the other one likewise`,
    );
  }
  if (!byKey || left.partitions === 1 || ruleOf(left.partitioner) === ruleOf(right.partitioner)) return;
  const kinds = `${left.partitioner.kind} and ${right.partitioner.kind}`;
  throw new TopologyError(
    "not-co-partitioned",
    `${what}: its inputs are partitioned by different rules (${kinds}); .repartition({ by: … }) one of them by the rule of the other`,
  );
}

/** Two of the same rule send a key to the same partition. Of an app that is deployed it stays what it was; for people, it has other words. */
export function ruleOf(partitioner: Partitioner, boundText: (bound: Key) => string = encodedText): string {
  switch (partitioner.kind) {
    case "range":
      return `range ${partitioner.bounds.map(boundText).join(" ")}`;
    case "time":
      return `time ${partitioner.periodMs}`;
    case "hash":
    case "round-robin":
      return partitioner.kind;
  }
}

function encodedText(bound: Key): string {
  return hex(encodeKey(bound));
}
