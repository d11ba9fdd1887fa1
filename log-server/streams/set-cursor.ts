/** `cursor`: sets or deletes a named cursor, if it is what the command expects. */
import { equalBytes, utf8 } from "../../src/lib/bytes.ts";
import type { CommandResult, CursorCommand, Rejection } from "../../src/wire/command.ts";
import { Cursor } from "./cursor.ts";
import { reject, tooMany } from "./rejections.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";

export function setCursor(state: State, step: Step, command: CursorCommand): CommandResult {
  const { name, value, expected } = command;
  const cursor = state.cursors.get(name);
  if (expected !== undefined && !isValue(cursor, expected)) {
    return reject("condition-failed", `the cursor "${name}" is not what was expected`);
  }
  const refusal = refusalOf(state, command, cursor);
  if (refusal !== undefined) return refusal;
  if (value === undefined) remove(state, step, cursor);
  // Copied, whatever kind of array it is: it would keep alive all that it came in.
  else if (cursor === undefined) add(state, step, name, new Uint8Array(value));
  else change(state, step, cursor, new Uint8Array(value));
  return { kind: "done" };
}

/** `null`: there must be none. */
export function isValue(cursor: Cursor | undefined, expected: Uint8Array | null): boolean {
  if (cursor === undefined || expected === null) return cursor === undefined && expected === null;
  return equalBytes(cursor.value, expected);
}

function refusalOf(state: State, { name, value }: CursorCommand, cursor: Cursor | undefined): Rejection | undefined {
  if (value === undefined) return undefined;
  const { cursorsMax, cursorNameBytesMax, cursorBytesMax } = state.limits;
  if (value.length > cursorBytesMax) return reject("record-too-large", `a cursor has at most ${cursorBytesMax} bytes`);
  if (cursor !== undefined) return undefined;
  if (name === "" || utf8(name).length > cursorNameBytesMax) {
    return reject("malformed-name", `a cursor's name has between 1 and ${cursorNameBytesMax} bytes`);
  }
  return state.cursors.size >= cursorsMax ? tooMany("cursors", cursorsMax) : undefined;
}

function add(state: State, step: Step, name: string, value: Uint8Array): void {
  const cursor = new Cursor(name, value);
  state.cursors.set(name, cursor);
  state.ledger.put(cursor);
  step.journal?.record(() => {
    state.cursors.delete(name);
    state.ledger.remove(cursor);
  });
}

function change(state: State, step: Step, cursor: Cursor, value: Uint8Array): void {
  const before = cursor.value;
  cursor.value = value;
  state.ledger.touch(cursor);
  step.journal?.record(() => {
    cursor.value = before;
  });
}

function remove(state: State, step: Step, cursor: Cursor | undefined): void {
  if (cursor === undefined) return;
  state.cursors.delete(cursor.name);
  state.ledger.remove(cursor);
  step.journal?.record(() => {
    state.cursors.set(cursor.name, cursor);
    state.ledger.put(cursor);
  });
}
