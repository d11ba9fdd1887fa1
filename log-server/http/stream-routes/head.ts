/** `HEAD`: what a stream is and where it ends (section 5.5). Not a read: it refreshes no time to live. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Expiry } from "../../../src/wire/command.ts";
import type { HttpContext } from "../context.ts";
import { sessionHeader } from "../session-token.ts";
import type { FlatHeaders } from "../http-error.ts";
import { streamOfUrl } from "../stream-url.ts";
import { findStream } from "./find-stream.ts";
import { contentHeaders, positionHeaders } from "./read-answer.ts";

export function headRoute(context: HttpContext): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  return async (request, reply) => {
    const name = streamOfUrl(request.raw.url ?? "", context.limits.urlBytesMax);
    const stream = await findStream(context, name, sessionHeader(request.raw.headers));
    const headers = [...contentHeaders(stream), ...positionHeaders(stream, stream.nextOffset, false, stream.closed)];
    headers.push(...expiryOf(stream.expiry), "Cache-Control", "no-store");
    context.answers.empty(reply, 200, headers);
  };
}

function expiryOf(expiry: Expiry): FlatHeaders {
  switch (expiry.kind) {
    case "never":
      return [];
    case "sliding":
      return ["Stream-TTL", String(expiry.ttlSeconds)];
    case "absolute":
      return ["Stream-Expires-At", new Date(expiry.atMs).toISOString()];
  }
}
