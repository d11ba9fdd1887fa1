/**
 * Receives request bodies as bytes, bounded one by one and together. It is the parser of every content type: what a
 * body means is its route's business. Bodies that stop arriving are ended by the server's request time-out.
 */
import type { IncomingMessage } from "node:http";
import type { FastifyRequest } from "fastify";
import { HttpError } from "./http-error.ts";
import type { HttpLimits } from "./limits.ts";

const NOTHING: Uint8Array = new Uint8Array(0);

export type BodyParser = (
  request: FastifyRequest,
  payload: IncomingMessage,
  done: (error: Error | null, body?: Uint8Array) => void,
) => void;

/** A parser; all requests of one server share its bound on what is being received. */
export function bodyParser(limits: HttpLimits): BodyParser {
  let receivingBytes = 0;

  return (request, payload, done) => {
    const encoding = request.raw.headers["content-encoding"];
    if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
      discard(payload, limits);
      done(new HttpError("unsupported-media-type", "bodies are taken as they are, without a Content-Encoding"));
      return;
    }
    const claimed = Number(request.raw.headers["content-length"] ?? 0);
    if (claimed > limits.bodyBytesMax) {
      const close = claimed > limits.discardedBodyBytesMax;
      if (!close) discard(payload, limits);
      done(tooLarge(limits, close));
      return;
    }
    const chunks: Uint8Array[] = [];
    let length = 0;

    const finish = (error: Error | null): void => {
      payload.off("data", onData).off("end", onEnd).off("error", onError).off("close", onClose);
      receivingBytes -= length;
      if (error === null) done(null, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, length));
      else done(error);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      receivingBytes += chunk.length;
      if (length > limits.bodyBytesMax) {
        finish(tooLarge(limits, false));
        discard(payload, limits);
      } else if (receivingBytes > limits.bodiesBytesMax) {
        finish(new HttpError("overloaded", "too many large bodies are being received"));
        discard(payload, limits);
      } else {
        chunks.push(chunk);
      }
    };
    const onEnd = (): void => finish(null);
    const onError = (): void => finish(new HttpError("malformed-request", "the body ended before it was complete"));
    const onClose = (): void =>
      finish(new HttpError("malformed-request", "the connection was closed before the body was complete"));
    payload.on("data", onData).on("end", onEnd).on("error", onError).on("close", onClose);
  };
}

/** The body of a request; empty where it has none. */
export function bodyOf(request: FastifyRequest): Uint8Array {
  return (request.body as Uint8Array | undefined) ?? NOTHING;
}

function tooLarge(limits: HttpLimits, close: boolean): HttpError {
  return new HttpError(
    "body-too-large",
    `a body may have at most ${limits.bodyBytesMax} bytes`,
    close ? ["Connection", "close"] : [],
  );
}

/** Reads on and keeps nothing: a sender that is still busy sending would not see the answer. */
function discard(payload: IncomingMessage, limits: HttpLimits): void {
  let discarded = 0;
  payload.on("error", () => undefined);
  payload.on("data", (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > limits.discardedBodyBytesMax) payload.socket.destroy();
  });
}
