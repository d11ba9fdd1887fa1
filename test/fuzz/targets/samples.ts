/** What many targets share: texts as samples, and words that turn up in them. */
import { text, utf8 } from "../../../src/lib/bytes.ts";

/** Samples are drawn once, always the same: it is their mutations that follow the run's seed. */
export const SAMPLE_SEED = 20_261_121;

const DEEP = 300;

export const JSON_WORDS: readonly Uint8Array[] = textSamples(
  "null",
  "true",
  "{}",
  "[]",
  '""',
  "-0",
  "1e999",
  "1e-999",
  "9007199254740993",
  "-9223372036854775809",
  '"\\ud800"',
  '"\\u0000"',
  '"__proto__":1,',
  '"constructor":{},',
  '"id":1,',
  "[".repeat(DEEP),
  '{"a":'.repeat(DEEP),
  "\ufeff",
  "\u2028",
  "\r\n",
);

/** Of headers, URLs and settings. */
export const TEXT_WORDS: readonly Uint8Array[] = textSamples(
  ",",
  ";",
  "=",
  '"',
  "\\",
  "%00",
  "%2F",
  "%zz",
  "..",
  "//",
  "?",
  "#",
  "&offset=",
  "-1",
  "+1",
  "1e3",
  "0x10",
  "9007199254740992",
  "99999999999999999999",
  "NaN",
  "\u0000",
  "\ufffd",
  "\u{1f30a}",
  "*/*",
  "q=0",
  "__proto__",
  "[::]",
);

export function textSamples(...texts: readonly string[]): Uint8Array[] {
  return texts.map((each) => utf8(each));
}

/** As text, or, where it is none, as Node gives headers: a character for each byte. */
export function textOf(bytes: Uint8Array): string {
  return text(bytes) ?? Buffer.from(bytes).toString("latin1");
}
