/** Keys for people, each told from all others: texts and bytes are told from numbers, and these from one another by their kind. */
import { hex } from "../../lib/bytes.ts";
import type { Key } from "./key-codec.ts";

export function keyText(key: Key): string {
  if (typeof key === "string") return JSON.stringify(key);
  if (typeof key === "bigint") return `${key}n`;
  if (key instanceof Uint8Array) return `0x${hex(key)}`;
  return typeof key === "object" && key !== null ? `[${key.map(keyText).join(",")}]` : String(key);
}
