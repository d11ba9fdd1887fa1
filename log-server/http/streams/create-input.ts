/** What a stream is created with, as JSON: the body of a `PUT` and the `create` of a transaction. */
import { type Static, Type } from "typebox";
import type { CreateCommand, Expiry, StreamName } from "../../../src/wire/command.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { parsePlace, parseTime } from "../places.ts";
import { Place, Retention, Time } from "../schemas.ts";

export const CREATE_FIELDS = {
  contentType: Type.Optional(
    Type.String({ maxLength: 256, description: "default: its source's, or application/octet-stream" }),
  ),
  ttlSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
  expiresAt: Type.Optional(Time),
  retention: Type.Optional(Retention),
  closed: Type.Optional(Type.Boolean()),
  fork: Type.Optional(
    Type.Object(
      { source: Type.String(), offset: Type.Optional(Place) },
      {
        additionalProperties: false,
        description: "records of the source before the offset, or all, are this stream's, too",
      },
    ),
  ),
};

const CreateFields = Type.Object(CREATE_FIELDS);
export type CreateInput = Static<typeof CreateFields>;

export async function createCommand(
  context: HttpContext,
  stream: StreamName,
  { contentType, retention, closed, fork, ...times }: CreateInput,
): Promise<CreateCommand> {
  const expiry = expiryOf(context, times);
  return {
    kind: "create",
    stream,
    closed: closed ?? false,
    ...(contentType !== undefined && { contentType }),
    ...(expiry !== undefined && { expiry }),
    ...(retention !== undefined && { retention }),
    ...(fork !== undefined && { fork: await forkPoint(context, fork) }),
  };
}

function expiryOf(
  { limits, node }: HttpContext,
  { ttlSeconds, expiresAt }: Pick<CreateInput, "ttlSeconds" | "expiresAt">,
): Expiry | undefined {
  if (ttlSeconds !== undefined && expiresAt !== undefined)
    throw new HttpError("malformed-request", "ttlSeconds and expiresAt cannot both be given");
  if (ttlSeconds !== undefined && ttlSeconds > limits.ttlSecondsMax)
    throw new HttpError("malformed-request", `ttlSeconds may be at most ${limits.ttlSecondsMax}`);
  if (ttlSeconds !== undefined) return { kind: "sliding", ttlSeconds };
  if (expiresAt === undefined) return undefined;
  const atMs = parseTime(expiresAt);
  // It would end as it begins, and could not be shown. Only advice (I9): log time decides.
  if (atMs <= node.clock.now()) throw new HttpError("malformed-request", "expiresAt is in the past");
  return { kind: "absolute", atMs };
}

/** Applying the command checks that the source is still the same, and reaches this far. */
async function forkPoint(
  { node }: HttpContext,
  { source, offset }: NonNullable<CreateInput["fork"]>,
): Promise<NonNullable<CreateCommand["fork"]>> {
  await node.barrier();
  const known = node.machine.stream(source);
  if (known === undefined)
    throw new HttpError("stream-not-found", `there is no stream "${source.toWellFormed()}" to fork from`);
  const place = offset === undefined ? undefined : parsePlace(offset);
  if (place?.incarnation !== undefined && place.incarnation !== known.incarnation)
    throw new HttpError("invalid-fork", "the offset is not one of the source");
  return {
    source,
    incarnation: known.incarnation,
    partialBytes: 0,
    ...(place !== undefined && { offset: place.offset }),
  };
}
