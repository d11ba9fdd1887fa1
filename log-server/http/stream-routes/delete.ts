/** `DELETE` (section 5.4). */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { HttpContext } from "../context.ts";
import { rejectionError } from "../rejection-answer.ts";
import { streamOfUrl } from "../stream-url.ts";

export function deleteRoute(context: HttpContext): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  return async (request, reply) => {
    const stream = streamOfUrl(request.raw.url ?? "", context.limits.urlBytesMax);
    const result = await context.node.propose({ kind: "delete", stream });
    if (result.kind === "rejected") throw rejectionError(result);
    context.answers.empty(reply, 204, []);
  };
}
