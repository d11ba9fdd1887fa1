/** What fills the state of an app: a text for each of many keys. */
import type { Prng } from "../../src/lib/prng.ts";

const TEXT_BYTES = 200;
/** What a key takes: its text, and its row's key and encoding. */
export const ROW_BYTES = 245;

/** Half of it random, so that it is no easier to compress than what people keep. */
export function textOf(prng: Prng): string {
  let text = "";
  while (text.length < TEXT_BYTES) text += `${prng.u32().toString(36)} and so on; `;
  return text.slice(0, TEXT_BYTES);
}
