/**
 * `/v1/cursors/…`: small durable values under a name. A value is bytes of no type. Its entity tag lets a change ask that
 * nobody was faster: what is compared in the end is the value itself, when the command is applied (I9).
 */
import type { FastifyInstance } from "fastify";
import type { IncomingHttpHeaders } from "node:http";
import { Type } from "typebox";
import { xxh64 } from "../../../src/record/checksum.ts";
import { bodyOf } from "../body.ts";
import { atAskedLevel, reach } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import { matchesEtag } from "../etag.ts";
import { header } from "../header-values.ts";
import { HttpError } from "../http-error.ts";
import { rejectionError } from "../rejection-answer.ts";
import { answeredEmpty, PROBLEMS } from "../schemas.ts";
import { tailOfUrl } from "../stream-url.ts";
import { registerTyped } from "../typed-routes.ts";

export const CURSORS_PREFIX = "/v1/cursors/";
const BYTES_TYPE = "application/octet-stream";

export function registerCursorRoutes(server: FastifyInstance, context: HttpContext): void {
  const { node, limits, answers } = context;
  const nameOf = (url: string | undefined): string =>
    cursorName(tailOfUrl(CURSORS_PREFIX, url ?? "", limits.urlBytesMax));

  const change = async (name: string, value: Uint8Array | undefined, headers: IncomingHttpHeaders): Promise<void> => {
    const expected = await expectedValue(context, name, headers);
    const result = await node.propose({
      kind: "cursor",
      name,
      ...(value !== undefined && { value }),
      ...(expected !== undefined && { expected }),
    });
    if (result.kind !== "rejected") return;
    throw result.code === "condition-failed" ? preconditionFailed(name) : rejectionError(result);
  };

  registerTyped(server, (routes) => {
    routes.get(
      `${CURSORS_PREFIX}*`,
      {
        schema: {
          tags: ["cursors"],
          summary: "The value of a cursor",
          response: {
            200: { description: "the value", content: { [BYTES_TYPE]: { schema: Type.Unsafe<Uint8Array>({}) } } },
            ...PROBLEMS,
          },
        },
      },
      async (request, reply) => {
        const name = nameOf(request.raw.url);
        const value = await atAskedLevel(context, request.raw.headers, async (level) => {
          await reach(context, level);
          const found = node.machine.cursor(name);
          if (found === undefined) throw new HttpError("cursor-not-found", `there is no cursor "${name}"`);
          return found;
        });
        const headers = ["ETag", tagOf(value), "Content-Type", BYTES_TYPE, "Cache-Control", "no-store"];
        answers.bytes(reply, 200, headers, value);
      },
    );
    routes.put(
      `${CURSORS_PREFIX}*`,
      {
        schema: {
          tags: ["cursors"],
          summary: "Set a cursor",
          description:
            "`If-Match` names the tag of the value it must have; `If-None-Match: *` says that there must be none.",
          response: { 204: answeredEmpty("set"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const value = bodyOf(request);
        await change(nameOf(request.raw.url), value, request.raw.headers);
        answers.empty(reply, 204, ["ETag", tagOf(value)]);
      },
    );
    routes.delete(
      `${CURSORS_PREFIX}*`,
      {
        schema: {
          tags: ["cursors"],
          summary: "Delete a cursor, if there is one",
          response: { 204: answeredEmpty("there is none now"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        await change(nameOf(request.raw.url), undefined, request.raw.headers);
        answers.empty(reply, 204, []);
      },
    );
  });
}

function cursorName(encoded: string): string {
  let name: string;
  try {
    name = decodeURIComponent(encoded);
  } catch {
    throw new HttpError("malformed-name", "a cursor's name is UTF-8, percent-encoded");
  }
  if (name === "") throw new HttpError("malformed-name", "a cursor has a name");
  return name;
}

/** What the cursor must be when the command is applied: `null` nothing, undefined whatever. */
async function expectedValue(
  { node }: HttpContext,
  name: string,
  headers: IncomingHttpHeaders,
): Promise<Uint8Array | null | undefined> {
  const ifMatch = header(headers, "if-match");
  const ifNoneMatch = header(headers, "if-none-match");
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  if (ifMatch === undefined) {
    if (ifNoneMatch?.trim() !== "*") throw new HttpError("malformed-header", "If-None-Match can only be *");
    return null;
  }
  if (ifNoneMatch !== undefined)
    throw new HttpError("malformed-header", "If-Match and If-None-Match exclude each other");
  await node.barrier();
  const value = node.machine.cursor(name);
  if (value === undefined || !matchesEtag(ifMatch, tagOf(value))) throw preconditionFailed(name);
  return value;
}

function preconditionFailed(name: string): HttpError {
  return new HttpError("precondition-failed", `the cursor "${name}" is not what was expected`);
}

function tagOf(value: Uint8Array): string {
  return `"${xxh64(value).toString(16)}.${value.length}"`;
}
