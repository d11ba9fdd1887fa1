/**
 * What Node's parser refuses before there is a request to answer: garbage, oversized headers, requests that take too
 * long to arrive. Answered on the bare socket, as a problem document like all else.
 */
import { ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { ERRORS, type ErrorCode } from "../../src/wire/errors.ts";
import { PROBLEM_CONTENT_TYPE, problemOf } from "../../src/wire/problem.ts";

type ParserError = Error & { readonly code?: string };

export function answerSocketError(error: ParserError, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  if (socket.writable && !answerUnderWay(socket)) {
    const { code, detail } = describe(error);
    const { status } = ERRORS[code];
    const body = JSON.stringify(problemOf(code, detail));
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      `Content-Type: ${PROBLEM_CONTENT_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      "X-Content-Type-Options: nosniff",
      "Cache-Control: no-store",
      "Connection: close",
    ];
    socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
  }
  socket.destroySoon();
}

function describe(error: ParserError): { readonly code: ErrorCode; readonly detail: string } {
  switch (error.code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { code: "request-timeout", detail: "the request did not arrive in time" };
    case "HPE_HEADER_OVERFLOW":
      return { code: "headers-too-large", detail: "the request line and headers are too large" };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { code: "body-too-large", detail: "the chunk extensions are too large" };
    default:
      return { code: "malformed-request", detail: "the bytes received are not an HTTP request" };
  }
}

/** Writing into the middle of another answer would corrupt it. Node keeps the answer under way on the socket. */
function answerUnderWay(socket: Socket): boolean {
  const answer: unknown = Reflect.get(socket, "_httpMessage");
  return answer instanceof ServerResponse && answer.headersSent;
}
