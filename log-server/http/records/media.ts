/** The media types that records travel in, and which one an answer has (RFC 9110, section 12.5.1). */
import {
  checkJsonEncoding,
  JSON_CONTENT_TYPE,
  mediaType,
  NDJSON_CONTENT_TYPES,
  normalizeContentType,
} from "../content-type.ts";
import { HttpError } from "../http-error.ts";

export const BATCH_TYPE = "application/x-tidemark-batch";
export const NDJSON_TYPE: (typeof NDJSON_CONTENT_TYPES)[0] = NDJSON_CONTENT_TYPES[0];
export const SSE_TYPE = "text/event-stream";

/** The first is given to whoever takes all alike. */
const ANSWERS = [
  ["json", "application/json"],
  ["ndjson", NDJSON_TYPE],
  ["batch", BATCH_TYPE],
  ["events", SSE_TYPE],
] as const;

export type AnswerForm = (typeof ANSWERS)[number][0];

const BODIES: ReadonlyMap<string, "json" | "ndjson" | "batch"> = new Map([
  [JSON_CONTENT_TYPE, "json"],
  ...NDJSON_CONTENT_TYPES.map((type) => [type, "ndjson"] as const),
  [BATCH_TYPE, "batch"],
]);

/** Ranges beyond these are not looked at. */
const RANGES_MAX = 32;

/** Of the forms that the client takes, the one it likes best. */
export function answerForm(accept: string | undefined): AnswerForm {
  if (accept === undefined) return ANSWERS[0][0];
  const ranges = accept.split(",", RANGES_MAX).map(parseRange);
  let best: { readonly form: AnswerForm; readonly quality: number } | undefined;
  for (const [form, type] of ANSWERS) {
    const quality = qualityOf(type, ranges);
    if (quality > (best?.quality ?? 0)) best = { form, quality };
  }
  if (best === undefined) {
    const served = ANSWERS.map(([, type]) => type).join(", ");
    throw new HttpError("not-acceptable", `records are served as ${served}`);
  }
  return best.form;
}

/** How a body of records is to be read. */
export function bodyForm(contentType: string | undefined): "json" | "ndjson" | "batch" {
  const normal = normalizeContentType(contentType ?? "");
  const form = normal === undefined ? undefined : BODIES.get(mediaType(normal));
  if (normal === undefined || form === undefined)
    throw new HttpError(
      "unsupported-media-type",
      `records are sent as application/json, ${NDJSON_TYPE} or ${BATCH_TYPE}`,
    );
  checkJsonEncoding(normal);
  return form;
}

type Range = { readonly type: string; readonly quality: number };

function parseRange(text: string): Range {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  const quality = weight === undefined ? 1 : Number(weight);
  return { type, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** The most specific range that covers the type decides. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  const covers = [type, `${type.slice(0, type.indexOf("/"))}/*`, "*/*"];
  for (const cover of covers) {
    const range = ranges.find((candidate) => candidate.type === cover);
    if (range !== undefined) return range.quality;
  }
  return 0;
}
