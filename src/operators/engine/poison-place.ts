/** Where something was poison, for people: at a record, or in a timer, of which all is said by which its result can be found. */
import { keyText } from "../encoding/key-text.ts";
import type { Poison } from "./task-input.ts";

export function placeText(at: Poison["at"]): string {
  if (at.kind === "record") return `at ${at.source}, offset ${at.offset}`;
  const facts = at.facts.map(([name, value]) => `, ${name} ${value}`).join("");
  return `in a timer of "${at.node}" (key ${keyText(at.key)}, due at ${at.due}${facts})`;
}
