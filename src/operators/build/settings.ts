/** Checks of what a topology is given, so that nothing below has to doubt it. */
import { compareBytes } from "../../lib/bytes.ts";
import { encodeKey, type Key } from "../encoding/key-codec.ts";
import { isTimestamp, TIMESTAMP_MAX_MS } from "../../record/record.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { deadLetterStream, ownerOfInternal } from "../../wire/app-streams.ts";
import { checkStreamName } from "../../wire/stream-name.ts";
import { type Partitioner, partitionStream } from "../verbs/partitioner.ts";
import { TopologyError } from "./topology-error.ts";

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Of apps and of nodes: part of a stream's name, and of every row's key. */
export function checkId(what: string, id: string): string {
  const { idLengthMax } = OPERATOR_LIMITS;
  if (ID.test(id) && id.length <= idLengthMax) return id;
  const rule = `letters, digits, dots, dashes and underscores, ${idLengthMax} at most, a letter or digit first`;
  throw new TopologyError("bad-name", `${what} "${id}" is not allowed: a name is ${rule}`);
}

/** Of a stream that is read, in so many partitions: the server has the same rule. */
export function checkStream(name: string, partitions: number): string {
  // What plain JavaScript may give.
  const longest = typeof name === "string" ? partitionStream(name, partitions - 1, partitions) : "";
  const checked = checkStreamName(longest);
  if (checked.ok) return name;
  throw new TopologyError("bad-name", `no stream can be called "${name}": ${checked.error.message}`);
}

/** Of one that is an app's input: what is its own it makes and reads by itself, but for its dead letters. */
export function checkInput(app: string, name: string, partitions: number): string {
  checkStream(name, partitions);
  if (ownerOfInternal(name)?.app !== app || name === deadLetterStream(app)) return name;
  throw new TopologyError("bad-name", `"${name}" is this app's own; read it in another app`);
}

/** Of one that is written. */
export function checkSink(name: string, partitions: number): string {
  checkStream(name, partitions);
  const owner = ownerOfInternal(name);
  if (owner === undefined) return name;
  throw new TopologyError(
    "bad-name",
    `"${name}" is the app "${owner.app}"'s own; write to a stream that is not below apps/`,
  );
}

/** One that is misspelt would be as if it were not there. */
export function checkOptions(what: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new TopologyError("bad-setting", `${what} has no option "${unknown}"; it has ${known.join(", ")}`);
}

export function checkOneOf<T extends string>(what: string, value: T, known: readonly T[]): T {
  if (known.includes(value)) return value;
  throw new TopologyError("bad-setting", `${what} is ${shown(value)}; give it ${known.map(shown).join(" or ")}`);
}

/** Whole milliseconds from `least` on, and no more than an event time has: a window of more would end where there is no time. */
export function checkMs(what: string, value: number, least: number): number {
  if (isTimestamp(value) && value >= least) return value;
  throw new TopologyError(
    "bad-setting",
    `${what} is ${value}; give it whole milliseconds, from ${least} to ${TIMESTAMP_MAX_MS}`,
  );
}

export function checkCount(what: string, value: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  throw new TopologyError("bad-setting", `${what} is ${value}; give it a whole number from 1 to ${most}`);
}

/** Of a stream in so many partitions. */
export function checkPartitioner(by: Partitioner, partitions: number): Partitioner {
  // What plain JavaScript may give.
  const given: unknown = by;
  if (typeof given !== "object" || given === null)
    throw new TopologyError("bad-setting", `by is ${shown(given)}; give it { kind: "hash" }, say`);
  checkOneOf("by.kind", by.kind, ["hash", "range", "time", "round-robin"]);
  if (by.kind === "range" && by.bounds.length !== partitions - 1)
    throw new TopologyError(
      "bad-setting",
      `${partitions} ranges have ${partitions - 1} bounds, not ${by.bounds.length}`,
    );
  if (
    by.kind === "range" &&
    by.bounds.some((bound, place) => place > 0 && !isBefore(by.bounds[place - 1] as Key, bound))
  )
    throw new TopologyError("bad-setting", "the bounds of ranges are to be given in order, each once");
  if (by.kind === "time") checkMs("periodMs", by.periodMs, 1);
  return by;
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}

function isBefore(key: Key, other: Key): boolean {
  return compareBytes(encodeKey(key), encodeKey(other)) < 0;
}
