/** `/v1/records/…`: records with keys, headers and timestamps, in four forms. */
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { HttpContext } from "../context.ts";
import { answered, answeredEmpty, Count, PROBLEMS } from "../schemas.ts";
import { streamBehind } from "../stream-url.ts";
import { registerTyped } from "../typed-routes.ts";
import { appendRecords } from "./append.ts";
import { followRecords } from "./events.ts";
import { answerForm, BATCH_TYPE, NDJSON_TYPE, SSE_TYPE } from "./media.ts";
import { answerRecords } from "./read.ts";
import { RecordOut } from "./record-out.ts";

export const RECORDS_PREFIX = "/v1/records/";

const RecordsOut = Type.Object({
  records: Type.Array(RecordOut),
  next: Type.Integer({ description: "where to read on" }),
  token: Type.String({ description: "the same as a token; also the ETag, for If-Match" }),
  first: Type.Integer({ description: "the first offset still kept" }),
  upToDate: Type.Boolean({ description: "nothing lies behind" }),
  closed: Type.Boolean(),
  contentType: Type.String(),
});

const AppendedOut = Type.Object({
  offset: Type.Optional(Type.Integer({ description: "of the first record; absent for a close alone" })),
  next: Count,
  token: Type.String(),
  closed: Type.Boolean(),
  duplicate: Type.Optional(Type.Boolean({ description: "the producer had sent this before" })),
});

const ReadQuery = Type.Object(
  {
    offset: Type.Optional(
      Type.String({ maxLength: 40, description: "an offset, a token, `start` (default) or `now`" }),
    ),
    time: Type.Optional(
      Type.String({
        maxLength: 40,
        description: "log time, milliseconds since 1970 or RFC 3339; instead of an offset",
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, description: "records at most; of batches, whole ones" })),
    maxBytes: Type.Optional(Type.Integer({ minimum: 1, description: "stop after the batch that reaches this" })),
    wait: Type.Optional(Type.Integer({ minimum: 0, description: "at the tail, milliseconds to wait for more" })),
  },
  { additionalProperties: false },
);

const AppendQuery = Type.Object(
  {
    close: Type.Optional(Type.Union([Type.Literal("true"), Type.Literal("false")])),
    producer: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    epoch: Type.Optional(Count),
    sequence: Type.Optional(Count),
  },
  { additionalProperties: false },
);

export function registerRecordRoutes(server: FastifyInstance, context: HttpContext): void {
  const { urlBytesMax } = context.limits;
  registerTyped(server, (routes) => {
    routes.get(
      `${RECORDS_PREFIX}*`,
      {
        schema: {
          tags: ["records"],
          summary: "Read records from an offset or a time",
          description:
            "`Accept` chooses the form. Batches have, each, its first offset and log time (u64) before it. " +
            "Server-sent events go on: each record has an `id` to come back with as `Last-Event-ID`.",
          querystring: ReadQuery,
          response: {
            200: {
              description: "records, and in headers where they end",
              content: {
                "application/json": { schema: RecordsOut },
                [NDJSON_TYPE]: { schema: RecordOut },
                [BATCH_TYPE]: { schema: Type.Unsafe<Uint8Array>({}) },
                [SSE_TYPE]: { schema: Type.String() },
              },
            },
            204: answeredEmpty("to Last-Event-ID: the stream is closed, and nothing follows"),
            ...PROBLEMS,
          },
        },
      },
      async (request, reply) => {
        const name = streamBehind(RECORDS_PREFIX, request.raw.url ?? "", urlBytesMax);
        const form = answerForm(request.raw.headers.accept);
        if (form === "events") await followRecords(context, reply, name, request.query);
        else await answerRecords(context, reply, name, request.query, form);
      },
    );
    routes.post(
      `${RECORDS_PREFIX}*`,
      {
        schema: {
          tags: ["records"],
          summary: "Append records, close, or both",
          description:
            "The body is one record or an array of them (application/json), one a line (application/x-ndjson), or one " +
            "binary batch. An object is a record in full; anything else stands for its value. `If-Match` names the " +
            "token that the stream must end at. A producer, in headers or in the query, makes retries safe.",
          consumes: ["application/json", NDJSON_TYPE, BATCH_TYPE],
          querystring: AppendQuery,
          response: { 200: answered("appended", AppendedOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const name = streamBehind(RECORDS_PREFIX, request.raw.url ?? "", urlBytesMax);
        await appendRecords(context, request, reply, name, request.query);
      },
    );
  });
}
