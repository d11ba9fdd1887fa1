/**
 * What goes out in place of poison: the record that was, as far as it fits, with headers that say where it came from and what was
 * wrong. Of a timer they say its key, and what else tells which result is missing: of a window, where it starts and ends. It is an output like any other, the same in every replica.
 */
import { assert } from "../lib/assert.ts";
import { utf8 } from "../lib/bytes.ts";
import { messageOf } from "../lib/thrown.ts";
import { keyText } from "../operators/encoding/key-text.ts";
import type { Poison, TaskInput, TaskOutput } from "../operators/engine/task-input.ts";
import { RECORD_LIMITS } from "../record/limits.ts";
import { isTimestamp, type RecordHeader } from "../record/record.ts";
import { recordBytes, sizeFault } from "../record/record-size.ts";
import { RUNTIME_LIMITS } from "./limits.ts";

/** `stream`: where it goes. */
export type DeadLetterOrigin = { readonly stream: string; readonly app: string; readonly task: string };

/** `input`: the record at hand, if it is that which was poison. */
export function deadLetter(origin: DeadLetterOrigin, poison: Poison, input?: TaskInput): TaskOutput {
  const { stream, app, task } = origin;
  const { at, operator } = poison;
  const headers: RecordHeader[] = [
    header("app", app),
    header("task", task),
    header("operator", operator),
    header("error", messageOf(poison.error).slice(0, RUNTIME_LIMITS.errorCharactersMax).toWellFormed()),
  ];
  if (at.kind === "timer") {
    const { node, due, key, facts } = at;
    headers.push(header("timer", String(due)), header("timer-of", node), header("key", keyText(key)));
    headers.push(...facts.map(([name, value]) => header(name, value)));
    return { stream, value: null, timestamp: isTimestamp(due) ? due : 0, headers };
  }
  assert(input !== undefined, "what was poison at a record comes with it");
  headers.push(header("stream", at.source), header("offset", String(at.offset)));
  const { key, value, logTime, timestamp = logTime } = input;
  const letter: TaskOutput = { stream, value, timestamp, headers, ...(key !== undefined && { key }) };
  const fits = sizeFault(recordBytes(letter), headers.length, RECORD_LIMITS.recordBytesMax) === undefined;
  return fits ? letter : { stream, value: null, timestamp, headers: [...headers, header("value", "too large")] };
}

function header(name: string, value: string): RecordHeader {
  return [`tidemark-${name}`, utf8(value)];
}
