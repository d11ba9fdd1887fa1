/** `/v1/streams` and `/v1/trim`: which streams there are, what they are, and what they may forget. */
import type { FastifyInstance, FastifyReply } from "fastify";
import { Type } from "typebox";
import { formatOffset } from "../../../src/record/offset.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import { WIRE_LIMITS } from "../../../src/wire/limits.ts";
import { atAskedLevel } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { answerList, offsetAtTime } from "../native/answer-look-up.ts";
import { checkIncarnation, detailsOf, factsOf } from "../native/answer-read.ts";
import { admitCommand } from "../native/admit-command.ts";
import { parsePlace, parseTime, placeTag } from "../places.ts";
import { rejectionError } from "../rejection-answer.ts";
import { answered, answeredEmpty, Place, PROBLEMS, Retention, Time } from "../schemas.ts";
import { findStream } from "../stream-routes/find-stream.ts";
import { streamBehind } from "../stream-url.ts";
import { registerTyped } from "../typed-routes.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import { CREATE_FIELDS, createCommand } from "./create-input.ts";
import { describedJson, DescribedStream, listedJson, ListedStream } from "./stream-json.ts";

export const STREAMS_PATH = "/v1/streams";
export const TRIM_PREFIX = "/v1/trim/";
export const STREAMS_PREFIX = `${STREAMS_PATH}/`;

const ListQuery = Type.Object(
  {
    prefix: Type.Optional(Type.String({ maxLength: WIRE_LIMITS.nameBytesMax })),
    after: Type.Optional(
      Type.String({ maxLength: WIRE_LIMITS.nameBytesMax, description: "the `next` of the page before" }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);

const StreamPage = Type.Object({
  streams: Type.Array(ListedStream),
  next: Type.Optional(Type.String({ description: "there may be more; this is the `after` of the next page" })),
});

const CreateBody = Type.Object(CREATE_FIELDS, { additionalProperties: false });

const SettingsBody = Type.Object({ retention: Retention }, { additionalProperties: false });

const TrimBody = Type.Union([
  Type.Object({ before: Place }, { additionalProperties: false }),
  Type.Object({ beforeTime: Time }, { additionalProperties: false }),
]);

const TrimmedOut = Type.Object({ first: Type.Integer(), token: Type.String() });

export function registerStreamRoutes(server: FastifyInstance, context: HttpContext): void {
  const { node, limits, answers } = context;
  const nameOf = (url: string | undefined): StreamName => streamBehind(STREAMS_PREFIX, url ?? "", limits.urlBytesMax);

  registerTyped(server, (routes) => {
    routes.get(
      STREAMS_PATH,
      {
        schema: {
          tags: ["streams"],
          summary: "List streams, in order of their names",
          querystring: ListQuery,
          response: { 200: answered("a page", StreamPage), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { prefix = "", after = "", limit = limits.listedStreamsMax } = request.query;
        const asked = { kind: "list", prefix, after, limit } as const;
        const { streams, next } = await atAskedLevel(context, request.raw.headers, (level) =>
          answerList(context, asked, level),
        );
        answers.json(reply, 200, [], { streams: streams.map(listedJson), ...(next !== undefined && { next }) });
      },
    );
    routes.get(
      `${STREAMS_PREFIX}*`,
      {
        schema: {
          tags: ["streams"],
          summary: "Show a stream and its settings",
          response: { 200: answered("the stream", DescribedStream), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const name = nameOf(request.raw.url);
        await atAskedLevel(context, request.raw.headers, (level) => describe(context, reply, 200, name, level));
      },
    );
    routes.put(
      `${STREAMS_PREFIX}*`,
      {
        schema: {
          tags: ["streams"],
          summary: "Create a stream, or confirm that it is there and just so",
          body: CreateBody,
          response: {
            200: answered("it was there", DescribedStream),
            201: answered("created", DescribedStream),
            ...PROBLEMS,
          },
        },
      },
      async (request, reply) => {
        const name = nameOf(request.raw.url);
        const command = admitCommand(context, await createCommand(context, name, request.body));
        const result = await node.propose(command);
        if (result.kind === "rejected") throw rejectionError(result);
        if (result.kind !== "created") throw unexpectedResult(result);
        await describe(context, reply, result.created ? 201 : 200, name, "linearizable");
      },
    );
    routes.patch(
      `${STREAMS_PREFIX}*`,
      {
        schema: {
          tags: ["streams"],
          summary: "Change a stream's settings",
          description: "`retention` replaces what there was: what it does not name has no bound.",
          body: SettingsBody,
          response: { 200: answered("the stream as it is now", DescribedStream), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const stream = nameOf(request.raw.url);
        const { retention } = request.body;
        const result = await node.propose(admitCommand(context, { kind: "settings", stream, retention }));
        if (result.kind === "rejected") throw rejectionError(result);
        await describe(context, reply, 200, stream, "linearizable");
      },
    );
    routes.delete(
      `${STREAMS_PREFIX}*`,
      {
        schema: {
          tags: ["streams"],
          summary: "Delete a stream",
          response: { 204: answeredEmpty("deleted"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const result = await node.propose({ kind: "delete", stream: nameOf(request.raw.url) });
        if (result.kind === "rejected") throw rejectionError(result);
        answers.empty(reply, 204, []);
      },
    );
    routes.post(
      `${TRIM_PREFIX}*`,
      {
        schema: {
          tags: ["streams"],
          summary: "Forget the records before an offset or a time",
          body: TrimBody,
          response: { 200: answered("where the stream begins now", TrimmedOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const name = streamBehind(TRIM_PREFIX, request.raw.url ?? "", limits.urlBytesMax);
        const { incarnation, before } = await trimPoint(context, name, request.body);
        const result = await node.propose({ kind: "trim", stream: name, incarnation, before });
        if (result.kind === "rejected") throw rejectionError(result);
        if (result.kind !== "trimmed") throw unexpectedResult(result);
        const { firstOffset } = result;
        answers.json(reply, 200, [], { first: firstOffset, token: formatOffset(incarnation, firstOffset) });
      },
    );
  });
}

async function describe(
  context: HttpContext,
  reply: FastifyReply,
  status: number,
  name: StreamName,
  level: Consistency,
): Promise<void> {
  const stream = await findStream(context, name, undefined, level);
  const headers = ["ETag", placeTag(stream, stream.nextOffset)];
  const body = describedJson(name, { ...factsOf(stream), ...detailsOf(context, stream) });
  context.answers.json(reply, status, headers, body);
}

/** Of the stream that was meant: one that takes its name meanwhile is not trimmed. */
async function trimPoint(
  context: HttpContext,
  name: StreamName,
  asked: { readonly before: string | number } | { readonly beforeTime: string | number },
): Promise<{ readonly incarnation: number; readonly before: number }> {
  const stream = await findStream(context, name, undefined);
  const { incarnation } = stream;
  if ("beforeTime" in asked)
    return { incarnation, before: await offsetAtTime(context, stream, parseTime(asked.beforeTime)) };
  const place = parsePlace(asked.before);
  checkIncarnation(stream, place.incarnation);
  if (place.offset > stream.nextOffset) throw new HttpError("malformed-offset", "the offset is after the stream's end");
  return { incarnation, before: place.offset };
}
