/** Records and batches, in bytes and in JSON, and how offsets are written. */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { isValidJson } from "../../../log-server/http/json-mode.ts";
import { fromBase64, toBase64 } from "../../../src/lib/base64.ts";
import { text, utf8 } from "../../../src/lib/bytes.ts";
import {
  checkBatch,
  decodeBatch,
  encodeBatch,
  encodeSparseBatch,
  verifyRecords,
  visitValues,
} from "../../../src/record/batch-codec.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import { parseExactJson } from "../../../src/record/exact-json.ts";
import { formatOffset, parseOffset } from "../../../src/record/offset.ts";
import { parseJsonRecord, recordOfJson, recordText } from "../../../src/record/record-json.ts";
import type { StreamRecord } from "../../../src/record/record.ts";
import { arbitraryRecords } from "../../record/arbitrary-records.ts";
import { nodeZstd } from "../../record/node-zstd.ts";
import { cheap, demand, judge, refusedAs, type Target } from "../target.ts";
import { JSON_WORDS, SAMPLE_SEED, textOf, textSamples } from "./samples.ts";

const BYTES_MAX = 64 * 1024;
const LIMITS = { batchBytesMax: BYTES_MAX, rawBytesMax: BYTES_MAX, recordBytesMax: BYTES_MAX, zstd: nodeZstd };
const SAMPLES = 60;
const CHECKSUM_LENGTH = 8;
const LENGTH_END = 12;

const lists = fc.sample(arbitraryRecords, { seed: SAMPLE_SEED, numRuns: SAMPLES });
export const BATCHES: readonly Uint8Array[] = [
  ...lists.map((records) => encodeBatch(records)),
  ...lists.slice(0, SAMPLES / 4).map((records) =>
    encodeSparseBatch(
      records.map((record, place) => ({ offsetDelta: 2 * place, record })),
      2 * records.length + 1,
    ),
  ),
  encodeSparseBatch([], 7),
  encodeBatch([{ value: new Uint8Array(500).fill(65) }], { zstd: nodeZstd }),
  encodeBatch(
    Array.from({ length: 40 }, (_, place) => ({ key: utf8(`key ${place}`), value: utf8("the same text again") })),
    { zstd: nodeZstd },
  ),
];

const JSON_RECORDS = textSamples(
  '{"value":1}',
  '{"value":{"a":[1,2,{"b":null}]},"key":"k","timestamp":1700000000000,"headers":{"h":"v","x":{"base64":"AP8="}}}',
  '{"base64":"AP8=","key":{"base64":"AA=="},"headers":[["h","1"],["h",{"base64":"AAAA"}]]}',
  '"text"',
  "[1,2.5e3,-0]",
  "null",
  '{"value":null,"key":"tombstone"}',
  '{"value":"\\ud83c\\udf0a","timestamp":-8640000000000000}',
);

export const RECORD_TARGETS: readonly Target[] = [
  cheap({
    name: "batch",
    samples: BATCHES,
    seal: sealBatch,
    allocationMax: BYTES_MAX,
    check: (bytes) => {
      const checked = checkBatch(bytes, LIMITS);
      const verdict = judge(checked);
      if (!checked.ok || checked.value.sparse) return verdict;
      const verified = verifyRecords(bytes, LIMITS);
      const decoded = decodeBatch(bytes, LIMITS);
      demand(verified.ok === decoded.ok, "what was verified at the door is what a reader can decode");
      return judge(verified);
    },
  }),
  cheap({
    name: "batch records",
    samples: BATCHES,
    seal: sealBatch,
    allocationMax: BYTES_MAX,
    check: (bytes) => {
      const decoded = decodeBatch(bytes, LIMITS);
      let values = 0;
      const visited = visitValues(bytes, LIMITS, () => (values += 1));
      demand(visited.ok === decoded.ok, "both ways of reading a batch agree");
      if (!decoded.ok) return judge(decoded);
      const { records, span, count } = decoded.value;
      demand(values === records.length && count === records.length, "as many records as the batch claims");
      const again = decodeBatch(encodeSparseBatch(records, span), LIMITS);
      demand(again.ok && isDeepStrictEqual(again.value.records, records), "I6: encoded again, it is the same");
      return "accepted";
    },
  }),
  cheap({
    name: "offset token",
    samples: textSamples(formatOffset(1, 2), formatOffset(0, 0), formatOffset(Number.MAX_SAFE_INTEGER, 77)),
    check: (bytes) => {
      const parsed = parseOffset(textOf(bytes));
      if (!parsed.ok) return judge(parsed);
      const { incarnation, offset } = parsed.value;
      demand(Number.isSafeInteger(incarnation) && Number.isSafeInteger(offset), "numbers that can be counted on");
      return "accepted";
    },
  }),
  cheap({
    name: "record JSON",
    samples: JSON_RECORDS,
    words: JSON_WORDS,
    check: (bytes) => {
      const source = text(bytes);
      if (source === undefined) return "refused";
      const json = parseExactJson(source);
      if (!json.ok) return "refused";
      const parsed = parseJsonRecord(json.value);
      if (!parsed.ok) return refusedAs(parsed.error.code);
      for (const jsonStream of [false, true]) recheck(recordOfJson(parsed.value, jsonStream), jsonStream);
      return "accepted";
    },
  }),
  cheap({
    name: "base64",
    samples: textSamples("", "AA==", "AP8=", "QUJD", toBase64(new Uint8Array(50).fill(200))),
    check: (bytes) => {
      const encoded = textOf(bytes);
      const decoded = fromBase64(encoded);
      if (decoded === undefined) return "refused";
      demand(toBase64(decoded) === encoded, "only the one encoding of some bytes is taken");
      return "accepted";
    },
  }),
];

/** What was read as JSON can be stored, and shown as JSON again that says the same. */
function recheck(given: StreamRecord, jsonStream: boolean): void {
  // Times have no negative zero.
  const record = given.timestamp === 0 ? { ...given, timestamp: 0 } : given;
  const decoded = decodeBatch(encodeBatch([record]), LIMITS);
  demand(decoded.ok && isDeepStrictEqual(decoded.value.records[0]?.record, record), "it can be stored and read");
  // Nothing else is let into a stream of JSON.
  if (jsonStream && record.value !== null && !isValidJson(record.value)) return;
  const shown = recordText(0, record, 5, jsonStream);
  demand(!shown.includes("\n"), "a record is shown on one line");
  const { offset, ...fields } = JSON.parse(shown) as Record<string, unknown>;
  const back = parseJsonRecord(fields);
  demand(offset === 0 && back.ok, "what is shown is read again");
  const { timestamp = 5, ...rest } = record;
  demand(
    isDeepStrictEqual(recordOfJson(back.value, jsonStream), { ...rest, timestamp }),
    `what is shown says the same: ${shown}`,
  );
}

export function sealBatch(bytes: Uint8Array): Uint8Array {
  if (bytes.length < LENGTH_END) return bytes;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  data.setUint32(CHECKSUM_LENGTH, bytes.length, true);
  data.setBigUint64(0, xxh64(bytes.subarray(CHECKSUM_LENGTH)), true);
  return bytes;
}
