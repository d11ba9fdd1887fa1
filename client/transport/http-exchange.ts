/**
 * One POST of frames and its whole answer, with every way in which that can fail made a `TidemarkError` that says whether
 * the server may have seen it. Order, queues and frames are `http-transport.ts`'s.
 */
import type { Clock } from "../../src/ports/clock.ts";
import { concat } from "../../src/lib/bytes.ts";
import { messageOf } from "../../src/lib/thrown.ts";
import type { Addresses } from "../addresses.ts";
import { asErrorCode, asTidemarkError, TidemarkError, withOutcome } from "../error.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import type { Session } from "./session.ts";

/** A bearer token, or what gives it for each request. */
export type TokenSource = string | (() => string | Promise<string>);

export type HttpOptions = {
  readonly addresses: Addresses;
  readonly session: Session;
  readonly token: TokenSource | undefined;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
};

const FRAMES_CONTENT_TYPE = "application/x-tidemark-frames";
const FRAMES_PATH = "v1/frames";
const MS_PER_SECOND = 1_000;

/** Failures before any byte was sent. Only Node tells them; elsewhere a failed fetch may have been sent. */
const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
  // TLS that did not come about: the server speaks plain HTTP, or is not trusted.
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);
/** What a system error was about, where that is the connection itself: its code alone may be another's, too. */
const CONNECTING = new Set(["connect", "getaddrinfo"]);
/** What `fetch` says of a port that it connects to for nobody (say 1, or 6000). */
const FORBIDDEN_PORT = "bad port";

/** An answer's bytes, and who has given it. */
export type Exchanged = { readonly url: URL; readonly body: Uint8Array };

/**
 * Sends `body`, to the next node where one cannot be reached, and resolves to the answer. `signal` must end with a
 * `TidemarkError` as its reason.
 */
export function exchange(
  options: HttpOptions,
  body: Uint8Array,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Exchanged> {
  return options.addresses.tryEach(
    async (url) => ({ url, body: await exchangeWith(url, options, body, timeoutMs, signal) }),
    signal,
  );
}

async function exchangeWith(
  url: URL,
  options: HttpOptions,
  body: Uint8Array,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const controller = new AbortController();
  const timer = options.clock.schedule(timeoutMs, () => {
    controller.abort(new TidemarkError("connection-lost", `the server did not answer within ${timeoutMs} ms`));
  });
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const headers = await requestHeaders(options, controller.signal);
    if (controller.signal.aborted) throw withOutcome(asTidemarkError(controller.signal.reason), "not-applied");
    // A redirect could turn the POST into a GET.
    const init: RequestInit = {
      method: "POST",
      headers,
      body: body as Uint8Array<ArrayBuffer>,
      signal: controller.signal,
      redirect: "error",
    };
    const response = await options.fetch(endpoint(url), init);
    options.session.note(response.headers.get("tidemark-session"));
    if (response.status !== 200) throw await refusal(response);
    return await readBody(response, CLIENT_LIMITS.responseBytesMax);
  } catch (thrown) {
    if (thrown instanceof TidemarkError) throw thrown;
    if (controller.signal.aborted) throw controller.signal.reason;
    throw connectionError(thrown, url);
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
  }
}

function endpoint(baseUrl: URL): string {
  return new URL(FRAMES_PATH, baseUrl.href.endsWith("/") ? baseUrl : `${baseUrl.href}/`).href;
}

async function requestHeaders({ token, session }: HttpOptions, signal: AbortSignal): Promise<Record<string, string>> {
  const headers = {
    "content-type": FRAMES_CONTENT_TYPE,
    "accept": FRAMES_CONTENT_TYPE,
    "tidemark-consistency": session.consistency,
    ...(session.token !== undefined && { "tidemark-session": session.token }),
  };
  if (token === undefined) return headers;
  const value = typeof token === "string" ? token : await askForToken(token, signal);
  return { ...headers, authorization: `Bearer ${value}` };
}

/** Nothing was sent yet, whatever goes wrong here. */
export async function askForToken(token: () => string | Promise<string>, signal: AbortSignal): Promise<string> {
  let onAbort: (() => void) | undefined;
  const given = new Promise<never>((_, reject) => {
    onAbort = () => reject(withOutcome(asTidemarkError(signal.reason), "not-applied"));
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([token(), given]);
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new TidemarkError("unauthorized", "the token could not be had", { cause });
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}

async function readBody(response: Response, bytesMax: number): Promise<Uint8Array> {
  if (response.body === null) return new Uint8Array();
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > bytesMax) {
      await reader.cancel();
      throw new TidemarkError("protocol-error", `the answer has more than ${bytesMax} bytes`);
    }
    chunks.push(value);
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : concat(chunks);
}

/** An answer that is not frames: the server's problem document, or what some proxy on the way had to say. */
export async function refusal(response: Response): Promise<TidemarkError> {
  const retryAfterSeconds = Number(response.headers.get("retry-after"));
  const details = retryAfterSeconds > 0 ? { retryAfterMs: retryAfterSeconds * MS_PER_SECOND } : {};
  const problem = await readProblem(response);
  const code = asErrorCode(problem?.["code"]);
  if (code !== undefined)
    return new TidemarkError(code, typeof problem?.["detail"] === "string" ? problem["detail"] : undefined, details);
  const message = `the server answered with status ${response.status} and no reason that this client knows`;
  switch (response.status) {
    case 401:
      return new TidemarkError("unauthorized", message, details);
    case 429:
      return new TidemarkError("overloaded", message, { ...details, outcome: "unknown" });
    case 502:
    case 503:
    case 504:
      return new TidemarkError("unavailable", message, { ...details, outcome: "unknown" });
    default:
      return new TidemarkError("protocol-error", message, details);
  }
}

async function readProblem(response: Response): Promise<Record<string, unknown> | undefined> {
  try {
    const parsed: unknown = JSON.parse(
      new TextDecoder().decode(await readBody(response, CLIENT_LIMITS.problemBytesMax)),
    );
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A request that failed without an answer: whether it may have been sent is in the code. */
export function connectionError(thrown: unknown, baseUrl: URL): TidemarkError {
  const cause: unknown = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
  const reason = systemText(cause, "code") ?? messageOf(cause);
  if (isNeverSent(cause)) {
    return new TidemarkError("connection-failed", `cannot connect to ${baseUrl.origin}: ${reason}`, { cause: thrown });
  }
  return new TidemarkError("connection-lost", `the connection to ${baseUrl.origin} failed: ${reason}`, {
    cause: thrown,
  });
}

function isNeverSent(cause: unknown): boolean {
  // One for each address of the host.
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.every(isNeverSent);
  const code = systemText(cause, "code");
  const syscall = systemText(cause, "syscall");
  if ((code !== undefined && NEVER_SENT.has(code)) || (syscall !== undefined && CONNECTING.has(syscall))) return true;
  return cause instanceof Error && cause.message === FORBIDDEN_PORT;
}

function systemText(cause: unknown, field: "code" | "syscall"): string | undefined {
  const value: unknown =
    typeof cause === "object" && cause !== null ? (cause as Readonly<Record<string, unknown>>)[field] : undefined;
  return typeof value === "string" ? value : undefined;
}
