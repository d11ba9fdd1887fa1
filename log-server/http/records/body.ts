/** A body of records, in any of the forms it may be sent in, as the batch that is stored. */
import { checkBatch } from "../../../src/record/batch-codec.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import { holdsJson, parseJsonRecord, recordOfJson } from "../../../src/record/record-json.ts";
import type { StreamRecord } from "../../../src/record/record.ts";
import { batchOf } from "../body-batch.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { parseJson } from "../typed-routes.ts";
import { bodyForm } from "./media.ts";

const LINE_FEED = 0x0a;

/** Undefined where the body holds no record. `streamType` is the stream's: in one of JSON, texts are JSON, too. */
export function batchOfRecords(
  context: HttpContext,
  body: Uint8Array,
  contentType: string | undefined,
  streamType: string,
): BatchRef | undefined {
  switch (bodyForm(contentType)) {
    case "batch":
      return batchOfBytes(context, body);
    case "json": {
      const json = parseJson(body);
      return batchOfJson(context, Array.isArray(json) ? json : [json], streamType, "record");
    }
    case "ndjson":
      return batchOfJson(context, linesOf(context, body), streamType, "line");
  }
}

/** `what` an element is called in an error. */
export function batchOfJson(
  { limits }: HttpContext,
  elements: readonly unknown[],
  streamType: string,
  what: string,
): BatchRef | undefined {
  if (elements.length === 0) return undefined;
  if (elements.length > limits.recordsPerBatchMax)
    throw new HttpError("too-many", `at most ${limits.recordsPerBatchMax} records are appended at once`);
  const json = holdsJson(streamType);
  const records = elements.map((element, place): StreamRecord => {
    const record = parseJsonRecord(element);
    if (!record.ok) throw new HttpError(record.error.code, `${what} ${place}: ${record.error.message}`);
    return recordOfJson(record.value, json);
  });
  return batchOf(records);
}

function batchOfBytes({ node }: HttpContext, body: Uint8Array): BatchRef {
  const checked = checkBatch(body, node.limits);
  if (!checked.ok) throw new HttpError(checked.error.code, checked.error.message);
  const { hash, length, span, sparse } = checked.value;
  if (sparse) throw new HttpError("malformed-batch", "only compaction makes sparse batches");
  return { hash, length, span, bytes: body };
}

/** Empty lines are nothing, at the end or elsewhere. */
function linesOf({ limits }: HttpContext, body: Uint8Array): readonly unknown[] {
  const elements: unknown[] = [];
  for (let start = 0, line = 1; start < body.length; line += 1) {
    const feed = body.indexOf(LINE_FEED, start);
    const end = feed < 0 ? body.length : feed;
    const bytes = body.subarray(start, end);
    start = end + 1;
    if (bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)) continue;
    if (elements.length >= limits.recordsPerBatchMax)
      throw new HttpError("too-many", `at most ${limits.recordsPerBatchMax} records are appended at once`);
    try {
      elements.push(parseJson(bytes));
    } catch {
      throw new HttpError("malformed-json", `line ${line} is not valid JSON in UTF-8`);
    }
  }
  return elements;
}
