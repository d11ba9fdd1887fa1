/** The schemas that typed routes share: what errors look like, and the parts that many bodies have. */
import { Type, type TSchema } from "typebox";
import { ERRORS } from "../../src/wire/errors.ts";
import { PROBLEM_CONTENT_TYPE } from "../../src/wire/problem.ts";

/** Every error is one of these (RFC 9457). */
const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: "for people, about this one occurrence" }),
    code: Type.String({ enum: Object.keys(ERRORS), description: "for programs; never renamed" }),
    retryable: Type.Boolean({ description: "the same request may succeed later, unchanged" }),
  },
  { additionalProperties: true },
);

export const PROBLEMS = {
  "4xx": { description: "refused; nothing was changed", content: { [PROBLEM_CONTENT_TYPE]: { schema: Problem } } },
  "5xx": {
    description: "not served; `outcome-unknown` alone leaves open whether anything was changed",
    content: { [PROBLEM_CONTENT_TYPE]: { schema: Problem } },
  },
} as const;

/** An answer of one content type. */
export function answered(
  description: string,
  schema: TSchema,
  contentType = "application/json",
): { readonly description: string; readonly content: Readonly<Record<string, { readonly schema: TSchema }>> } {
  return { description, content: { [contentType]: { schema } } };
}

/** An answer without a body. */
export function answeredEmpty(description: string): TSchema {
  return Type.Null({ description });
}

export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** A place in a stream: the offset alone, or a token, which is refused once its stream is deleted. */
export const Place = Type.Union([
  Count,
  Type.String({ pattern: "^[0-9]{16}_[0-9]{16}$", description: "a token: `incarnation_offset`" }),
]);

/** Milliseconds since 1970, or RFC 3339. */
export const Time = Type.Union([Count, Type.String({ maxLength: 40, description: "RFC 3339" })]);

/** Bytes in JSON: a text stands for its UTF-8. */
export const Bytes = Type.Union([
  Type.String(),
  Type.Object({ base64: Type.String() }, { additionalProperties: false }),
]);

/** What is to be forgotten; absent fields bound nothing. */
export const Retention = Type.Object(
  {
    maxAgeMs: Type.Optional(Count),
    maxBytes: Type.Optional(Count),
    compaction: Type.Optional(
      Type.Object(
        { tombstoneMs: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }) },
        { additionalProperties: false, description: "keeps the newest record of each key" },
      ),
    ),
  },
  { additionalProperties: false },
);
