/** Makes a plain body into the batch that is stored: one record per message in JSON mode, else one for the body. */
import { encodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { sizeFault } from "../../src/record/record-size.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { isJson } from "./content-type.ts";
import { HttpError } from "./http-error.ts";
import { splitMessages } from "./json-mode.ts";
import type { HttpLimits } from "./limits.ts";

/** Undefined where the body holds no message: an empty array. */
export function batchOfBody(body: Uint8Array, contentType: string, limits: HttpLimits): BatchRef | undefined {
  if (!isJson(contentType)) return batchOf([{ value: checked(body, limits) }]);
  const messages = splitMessages(body, limits.recordsPerBatchMax);
  if (!messages.ok) throw new HttpError(messages.error.code, messages.error.message);
  if (messages.value.length === 0) return undefined;
  return batchOf(messages.value.map((value) => ({ value: checked(value, limits) })));
}

export function batchOf(records: readonly StreamRecord[]): BatchRef {
  const bytes = encodeBatch(records);
  const hash = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  return { hash, length: bytes.length, span: records.length, bytes };
}

function checked(value: Uint8Array, limits: HttpLimits): Uint8Array {
  const fault = sizeFault(value.length, 0, limits.recordBytesMax);
  if (fault !== undefined) throw new HttpError("record-too-large", fault);
  return value;
}
