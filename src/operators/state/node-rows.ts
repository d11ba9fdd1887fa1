/**
 * The rows of one node, as its operator sees them: named by the key that they belong to and by what the operator adds to tell
 * a key's rows apart. What is read is a copy: changing it changes no state.
 */
import { assert } from "../../lib/assert.ts";
import { encodeKey, type Key } from "../encoding/key-codec.ts";
import { decodeValue, encodeValue } from "../encoding/value-codec.ts";
import { behind, partsBehind, statePrefix, withParts } from "./row-keys.ts";
import type { Rows } from "./rows.ts";

export type NodeRow = { readonly parts: readonly Key[]; readonly value: unknown };

export class NodeRows {
  readonly #rows: Rows;
  /** Its id, encoded once. */
  readonly #node: Uint8Array;
  /** An operator asks for one key's rows several times in a row. */
  #lastKey: Key | undefined;
  #lastPrefix: Uint8Array = new Uint8Array(0);

  constructor(rows: Rows, node: string) {
    this.#rows = rows;
    this.#node = encodeKey(node);
  }

  /** Undefined: there is none. */
  get(key: Key, ...parts: readonly Key[]): unknown {
    const stored = this.#rows.get(withParts(this.#prefix(key), parts));
    return stored === undefined ? undefined : valueOf(stored);
  }

  put(value: unknown, key: Key, ...parts: readonly Key[]): void {
    this.#rows.put(withParts(this.#prefix(key), parts), encodeValue(value));
  }

  delete(key: Key, ...parts: readonly Key[]): void {
    this.#rows.delete(withParts(this.#prefix(key), parts));
  }

  /** A key's rows whose parts begin so, in the order of what comes next, which is all that `parts` of a row has. */
  *range(key: Key, ...parts: readonly Key[]): Iterable<NodeRow> {
    const prefix = withParts(this.#prefix(key), parts);
    for (const [row, value] of this.#rows.range(prefix, behind(prefix)))
      if (row.length > prefix.length) yield { parts: partsBehind(prefix, row), value: valueOf(value) };
  }

  /** As `range`, of the rows whose next part is not before `from`, and before `to`. */
  *between(from: Key, to: Key, key: Key, ...parts: readonly Key[]): Iterable<NodeRow> {
    const prefix = withParts(this.#prefix(key), parts);
    for (const [row, value] of this.#rows.range(withParts(prefix, [from]), withParts(prefix, [to])))
      yield { parts: partsBehind(prefix, row), value: valueOf(value) };
  }

  #prefix(key: Key): Uint8Array {
    if (key !== this.#lastKey || typeof key === "object") {
      this.#lastPrefix = statePrefix(this.#node, key);
      this.#lastKey = key;
    }
    return this.#lastPrefix;
  }
}

function valueOf(stored: Uint8Array): unknown {
  const value = decodeValue(stored);
  assert(value.ok, "a row's value is one that was encoded");
  return value.value;
}
