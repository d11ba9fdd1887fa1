/** The native protocol by hand: one frame a request, no retries. */
import { utf8 } from "../../src/lib/bytes.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { checkBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import { splitFrames } from "../../src/wire/frame.ts";
import { encodeRequest, type Request as FrameRequest } from "../../src/wire/request.ts";
import { decodeResponse, type Response as FrameResponse } from "../../src/wire/response.ts";
import { describe, send } from "./http.ts";

const CONTENT_TYPE = "application/x-tidemark-frames";
const BATCH_BYTES_MAX = 16 * 1024 * 1024;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export async function ask(url: string, request: FrameRequest): Promise<FrameResponse> {
  const body = new Uint8Array(encodeRequest(request, 1));
  const answer = await send(`${url}/v1/frames`, { method: "POST", headers: { "content-type": CONTENT_TYPE }, body });
  const frames = splitFrames(answer.body, ANSWER_BYTES_MAX, 1);
  const [frame] = answer.status === 200 && frames.ok ? frames.value : [];
  const response = frame && decodeResponse(frame);
  if (response?.ok !== true) throw new Error(`not one frame: ${describe(answer)}`);
  return response.value;
}

/** A batch of one record. */
export function batchOf(value: string): BatchRef {
  const encoded = encodeBatch([{ value: utf8(value) }]);
  const checked = checkBatch(encoded, { batchBytesMax: BATCH_BYTES_MAX });
  if (!checked.ok) throw new Error(checked.error.message);
  const { hash, length, span } = checked.value;
  return { hash, length, span, bytes: encoded };
}
