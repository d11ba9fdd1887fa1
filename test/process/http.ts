/**
 * The Durable Streams protocol by hand, one request a call and no retries: these tests are about the server, and must
 * see each answer as it is.
 */
import { parseOffset } from "../../src/record/offset.ts";

export type Answer = {
  readonly status: number;
  /** Of a problem document. */
  readonly code: string | undefined;
  readonly headers: Headers;
  readonly body: Uint8Array;
};

export type ProducerHeaders = { readonly id: string; readonly epoch: number; readonly sequence: number };

export type AppendRequest = {
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly contentType?: string;
  readonly producer?: ProducerHeaders;
  readonly close?: boolean;
};

const JSON_TYPE = "application/json";
/** No answer takes as long; what hangs fails its test by itself. */
const ANSWER_TIMEOUT_MS = 20_000;

export function streamUrl(url: string, name: string): string {
  return `${url}/v1/stream/${name}`;
}

export async function create(url: string, name: string, contentType: string = JSON_TYPE): Promise<Answer> {
  return send(streamUrl(url, name), { method: "PUT", headers: { "content-type": contentType } });
}

/** A string is a JSON text, bytes are bytes. */
export async function append(url: string, name: string, request: AppendRequest): Promise<Answer> {
  const { body, producer, close } = request;
  const contentType = request.contentType ?? (typeof body === "string" ? JSON_TYPE : "application/octet-stream");
  const headers: Record<string, string> = { "content-type": contentType };
  if (close === true) headers["stream-closed"] = "true";
  if (producer !== undefined) {
    headers["producer-id"] = producer.id;
    headers["producer-epoch"] = String(producer.epoch);
    headers["producer-seq"] = String(producer.sequence);
  }
  return send(streamUrl(url, name), { method: "POST", headers, ...(body !== undefined && { body }) });
}

export async function remove(url: string, name: string): Promise<Answer> {
  return send(streamUrl(url, name), { method: "DELETE" });
}

export async function head(url: string, name: string): Promise<Answer> {
  return send(streamUrl(url, name), { method: "HEAD" });
}

/** One answer, from an offset token on. */
export async function readOnce(url: string, name: string, from: string): Promise<Answer> {
  return send(`${streamUrl(url, name)}?offset=${from}`, { method: "GET" });
}

export type WholeRead = {
  readonly bodies: readonly Uint8Array[];
  readonly next: number;
  readonly closed: boolean;
};

/** All there is, from the start. Any other answer than data is an error. */
export async function readAll(url: string, name: string): Promise<WholeRead> {
  const bodies: Uint8Array[] = [];
  for (let from = "-1"; ;) {
    const answer = await readOnce(url, name, from);
    if (answer.status !== 200) throw new Error(`GET ${name} from ${from}: ${describe(answer)}`);
    bodies.push(answer.body);
    from = answer.headers.get("stream-next-offset") ?? "";
    if (answer.headers.get("stream-up-to-date") === "true") {
      return { bodies, next: nextOffset(answer), closed: answer.headers.get("stream-closed") === "true" };
    }
  }
}

/** All messages of a JSON stream. */
export async function readMessages(url: string, name: string): Promise<unknown[]> {
  const { bodies } = await readAll(url, name);
  return bodies.flatMap((body) => JSON.parse(Buffer.from(body).toString()) as unknown[]);
}

/** The number in an answer's `Stream-Next-Offset`. */
export function nextOffset(answer: Answer): number {
  const token = parseOffset(answer.headers.get("stream-next-offset") ?? "");
  if (!token.ok) throw new Error(`an answer without an offset: ${describe(answer)}`);
  return token.value.offset;
}

export function describe(answer: Answer): string {
  return `${answer.status} ${Buffer.from(answer.body).toString().slice(0, 300)}`;
}

export async function send(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS), ...init });
  const { status, headers } = response;
  const body = new Uint8Array(await response.arrayBuffer());
  return { status, headers, body, code: codeOf(headers, body) };
}

function codeOf(headers: Headers, body: Uint8Array): string | undefined {
  if (headers.get("content-type")?.startsWith("application/problem+json") !== true || body.length === 0)
    return undefined;
  return (JSON.parse(Buffer.from(body).toString()) as { code?: string }).code;
}
