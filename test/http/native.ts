/** Asks the native HTTP routes, and reads their server-sent events. */
import { expect } from "vitest";
import { type ErrorCode, ERRORS } from "../../src/wire/errors.ts";

/** Parsed, of a shape that each test knows. */
// oxlint-disable-next-line typescript/no-explicit-any
type JsonAnswer = any;

export type Answer = { readonly status: number; readonly headers: Headers; readonly body: JsonAnswer };

/** A body that is no text or bytes is sent as JSON; an answer of JSON is read. */
export async function ask(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const isRaw = typeof body === "string" || body instanceof Uint8Array;
  const answer = await fetch(url + path, {
    method,
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    ...(body !== undefined && { body: isRaw ? (body as string) : JSON.stringify(body) }),
  });
  const type = answer.headers.get("content-type") ?? "";
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    body: /^application\/(problem\+)?json$/.test(type) && text ? JSON.parse(text) : text,
  };
}

/** A problem document, as the table has it: with code, `retryable`, and nothing of the server's insides. */
export function expectProblem(answer: Answer, code: ErrorCode): void {
  expect(answer.body).toMatchObject({ code, status: ERRORS[code].status, retryable: ERRORS[code].retryable });
  expect(answer.status).toBe(ERRORS[code].status);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(JSON.stringify(answer.body)).not.toMatch(/\.ts:|node_modules|\bat .*\(/);
}

export type ServerEvent = { readonly event: string; readonly id: string; readonly data: JsonAnswer };

/** Events as they arrive, until the answer ends; comments are skipped. */
export async function* events(answer: Response): AsyncGenerator<ServerEvent, void, void> {
  expect(answer.headers.get("content-type")).toBe("text/event-stream");
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body ?? []) {
    rest += decoder.decode(chunk, { stream: true });
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = new Map(
        block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)] as const),
      );
      if (!fields.has("data")) continue;
      const data: unknown = JSON.parse(fields.get("data") ?? "");
      yield { event: fields.get("event") ?? "message", id: fields.get("id") ?? "", data };
    }
  }
}

/** All of them, to the end of the answer. */
export async function allEvents(answer: Response): Promise<readonly ServerEvent[]> {
  const found: ServerEvent[] = [];
  for await (const event of events(answer)) found.push(event);
  return found;
}
