/** How fresh the answer to a native read must be, as its headers ask (W160–W162). */
import type { IncomingHttpHeaders } from "node:http";
import { CONSISTENCIES, type Consistency } from "../../src/wire/consistency.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { CONSISTENCY_HEADER } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { header } from "./header-values.ts";
import { HttpError } from "./http-error.ts";
import { awaitSession, sessionHeader } from "./session-token.ts";

export function consistencyHeader(headers: IncomingHttpHeaders): Consistency {
  const asked = header(headers, CONSISTENCY_HEADER);
  const level = asked === undefined ? "linearizable" : CONSISTENCIES.find((known) => known === asked);
  if (level === undefined)
    throw new HttpError("malformed-header", `Tidemark-Consistency is one of ${CONSISTENCIES.join(", ")}`);
  return level;
}

/** Answers at the level that the headers ask for, and not from before the session that they show. */
export async function atAskedLevel<T>(
  context: HttpContext,
  headers: IncomingHttpHeaders,
  answer: (level: Consistency) => Promise<T>,
): Promise<T> {
  const level = consistencyHeader(headers);
  const session = sessionHeader(headers);
  if (session !== undefined) await awaitSession(context.node, session, context.limits.sessionWaitMs);
  return atLevel(level, answer);
}

/** What a session read does not find may only not have come here yet: it is looked for again at a linearizable point. */
export async function atLevel<T>(level: Consistency, answer: (level: Consistency) => Promise<T>): Promise<T> {
  try {
    return await answer(level);
  } catch (error) {
    if (level !== "session" || !(error instanceof HttpError) || !MAYBE_LATE.has(error.code)) throw error;
    return answer("linearizable");
  }
}

const MAYBE_LATE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "stream-not-found",
  "stream-gone",
  "group-not-found",
  "app-not-found",
  "cursor-not-found",
  "malformed-offset",
]);

/** `edge`: the answer tells where something ends or begins to be, and so is linearizable unless anything will do. */
export async function reach({ node }: HttpContext, level: Consistency, edge = false): Promise<void> {
  if (level === "linearizable" || (edge && level === "session")) await node.barrier();
}
