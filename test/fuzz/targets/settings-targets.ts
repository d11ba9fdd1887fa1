/** What people write: settings of the server, and the command line's input. */
import { loadConfig } from "../../../log-server/config/load.ts";
import {
  formatHostPort,
  formatSize,
  parseBaseUrl,
  parseHostPort,
  parseSegmentSize,
  parseSize,
  parseToken,
} from "../../../log-server/config/values.ts";
import { type InputFormat, InputError, readRecords } from "../../../client/cli/append-input.ts";
import { formatDuration, parseDuration } from "../../../client/cli/durations.ts";
import { parseWhere } from "../../../client/cli/places.ts";
import { encodeBatch } from "../../../src/record/batch-codec.ts";
import type { StreamRecord } from "../../../src/record/record.ts";
import { cheap, costly, demand, type Target, type Verdict } from "../target.ts";
import { JSON_WORDS, TEXT_WORDS, textOf, textSamples } from "./samples.ts";

const NOW_MS = 1_800_000_000_000;
/** Streams are read in steps, which take their time. */
const EVERY_INPUTS = 20;

export const SETTINGS_TARGETS: readonly Target[] = [
  cheap({
    name: "config values",
    samples: textSamples(
      "127.0.0.1:4437",
      "[::1]:80",
      "localhost:0",
      "64MiB",
      "1GiB",
      "https://example.com/a/",
      "0123456789abcdef",
    ),
    words: [...TEXT_WORDS, ...textSamples("KiB", "TiB", ":", "65536", "[")],
    check: (bytes) => {
      const given = textOf(bytes);
      const size = parseSize(given);
      if (size.ok) demand(again(parseSize(formatSize(size.value))) === size.value, "a size that is shown is that size");
      const host = parseHostPort(given);
      if (host.ok) demand(parseHostPort(formatHostPort(host.value)).ok, "an address that is shown is one");
      const others = [parseSegmentSize(given), parseBaseUrl(given), parseToken(given)];
      return [size, host, ...others].some(({ ok }) => ok) ? "accepted" : "refused";
    },
  }),
  cheap({
    name: "config file",
    samples: textSamples(
      '{"listen":"127.0.0.1:0","data":"/tmp/x","logLevel":"debug"}',
      '{"token":"0123456789abcdef0123","insecure":true,"segmentBytes":"64MiB","lowWaterBytes":1000000}',
      "{}",
    ),
    words: JSON_WORDS,
    check: (bytes) => {
      const loaded = loadConfig({ args: ["--config", "file"], env: {}, readFile: () => textOf(bytes) });
      if (loaded.ok) return "accepted";
      demand(loaded.error.length > 0 && loaded.error.every((line) => line !== ""), "it says what is wrong");
      return "refused";
    },
  }),
  cheap({
    name: "duration and place",
    samples: textSamples(
      "90s",
      "1h30m",
      "7d",
      "start",
      "now",
      "17",
      "2026-01-31T12:00Z",
      "0000000000000001_0000000000000002",
    ),
    words: [...TEXT_WORDS, ...textSamples("ms", "h", "999999999999d", "T")],
    check: (bytes) => {
      const given = textOf(bytes);
      const duration = parseDuration(given);
      if (duration !== undefined)
        demand(parseDuration(formatDuration(duration)) === duration, "a duration that is shown is that long");
      return parseWhere(given, NOW_MS) === undefined ? "refused" : "accepted";
    },
  }),
  input(
    "CSV input",
    "csv",
    ['id,name\n1,a\n2,"b,""c"""\n', "id;x\n1;2", '\ufeffid,é\r\n1,"line\nbreak"\r\n'],
    ['"', ",", "\n", "id"],
  ),
  input("NDJSON input", "ndjson", ['{"id":1}\n{"id":"x","a":[1]}\n', '\n{"id":true}\r\n'], ["\n", '{"id":1}']),
  input(
    "record input",
    "records",
    ['{"value":1,"key":"k"}\n"x"\n', '{"base64":"AP8=","offset":4,"timestamp":5}\n'],
    ["\n"],
  ),
];

/** As `append` reads a file: each record can be sent, or the fault has a message. */
function input(name: string, format: InputFormat, samples: readonly string[], words: readonly string[]): Target {
  const options = { format, keyField: format === "records" ? undefined : "id", delimiter: ",", json: true };
  const check = async (bytes: Uint8Array): Promise<Verdict> => {
    try {
      for await (const record of readRecords(inPieces(bytes), options)) encodeBatch([record satisfies StreamRecord]);
      return "accepted";
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      return "refused";
    }
  };
  return costly({
    name,
    samples: textSamples(...samples),
    words: [...JSON_WORDS, ...textSamples(...words)],
    everyInputs: EVERY_INPUTS,
    open: () => Promise.resolve({ check }),
  });
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const middle = bytes.length >> 1;
  yield bytes.subarray(0, middle);
  yield bytes.subarray(middle);
}

function again(size: ReturnType<typeof parseSize>): number | undefined {
  return size.ok ? size.value : undefined;
}
