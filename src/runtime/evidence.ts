/** What is kept when replicas differ, for whoever must find out why: where, and what each of them has there. Plain data, as in JSON. */
import { unreachable } from "../lib/assert.ts";
import { hex, text } from "../lib/bytes.ts";
import { decodeValue } from "../operators/encoding/value-codec.ts";
import type { TaskOutput } from "../operators/engine/task-input.ts";
import { meaningOfRow } from "../operators/state/row-keys.ts";
import { RUNTIME_LIMITS } from "./limits.ts";

/** A record of the task's input. */
export type InputPlace = { readonly stream: string; readonly offset: number };

/** The first thing found that is not the same. */
export type Difference = {
  readonly what: "output" | "state";
  /** "output 17, to out"; "row of count-2 [\"a\"]"; "timer of process-1 …". */
  readonly name: string;
  readonly key: string | null;
  /** The last record that was taken in when it came about. */
  readonly input: InputPlace | undefined;
  /** By replica, for people; null: nothing. */
  readonly values: Readonly<Record<string, string | null>>;
};

export type Evidence = {
  /** What they were compared at. */
  readonly point: string;
  readonly replica: string;
  /** By replica that was heard, hashes of all that it has until there. */
  readonly hashes: Readonly<Record<string, string>>;
  /** Undefined: it lies further back than is remembered, or nobody answered in time. */
  readonly difference: Difference | undefined;
};

/** The offset, the key and both values, in a line. */
export function evidenceText({ difference, replica }: Evidence): string {
  if (difference === undefined) return "where they began to differ is not known any more";
  const { name, key, input, values } = difference;
  const at = input === undefined ? "" : ` at ${input.stream}, offset ${input.offset}`;
  const others = Object.entries(values).flatMap(([other, value]) => (other === replica ? [] : [value ?? "nothing"]));
  const where = `${name}${key === null ? "" : `, key ${key}`}${at}`;
  return `${where}: here ${values[replica] ?? "nothing"}, elsewhere ${others.join(", ")}`;
}

/** Null: there is no such output. */
export function outputValue(output: Pick<TaskOutput, "value"> | undefined): string | null {
  if (output === undefined) return null;
  return output.value === null ? "a tombstone" : shownBytes(output.value);
}

/** As text, if it is any. */
export function shownBytes(bytes: Uint8Array): string {
  return cut(text(bytes) ?? hex(bytes));
}

/** Of an encoded value of state. */
export function shownRow(value: Uint8Array | undefined): string | null {
  if (value === undefined) return null;
  const decoded = decodeValue(value);
  return decoded.ok ? shown(decoded.value) : shownBytes(value);
}

export function rowName(row: Uint8Array): { readonly name: string; readonly key: string | null } {
  const meaning = meaningOfRow(row);
  switch (meaning.kind) {
    case "progress":
      return { name: "its progress", key: null };
    case "unknown":
      return { name: `row ${hex(row)}`, key: null };
    case "state": {
      const { node, key, parts } = meaning;
      return { name: `state of ${String(node)}${parts.length === 0 ? "" : ` ${shown(parts)}`}`, key: shown(key) };
    }
    case "timer": {
      const { node, key, name, due } = meaning;
      return { name: `timer ${shown(name)} of ${String(node)} due at ${String(due)}`, key: shown(key) };
    }
    default:
      return unreachable(meaning);
  }
}

function shown(value: unknown): string {
  return cut(JSON.stringify(value, plain) ?? "undefined");
}

function plain(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Map) return [...value];
  if (value instanceof Set) return [...value];
  return value instanceof Uint8Array ? hex(value) : value;
}

function cut(characters: string): string {
  const most = RUNTIME_LIMITS.evidenceCharactersMax;
  return characters.length <= most ? characters : `${characters.slice(0, most)}…`;
}
