/**
 * One WebSocket from its opening to its end: frames out, gathered; frames in; and whether the other side is still there.
 * It neither opens again nor knows what the frames are for: that is `web-socket-transport.ts`'s.
 */
import type { Clock, Timer } from "../../src/ports/clock.ts";
import type { FrameParts } from "./bounded-frame.ts";
import { type Frame, splitFrames } from "../../src/wire/frame.ts";
import { encodeSocketRequest } from "../../src/wire/socket-frames.ts";
import { asTidemarkError, TidemarkError, withOutcome } from "../error.ts";
import { askForToken, type HttpOptions, refusal } from "./http-exchange.ts";
import { Gathering } from "../gathering.ts";
import { CLIENT_LIMITS } from "../limits.ts";

export type WebSocketOptions = HttpOptions & {
  readonly webSocket: typeof WebSocket;
};

export type LinkEvents = {
  readonly onFrame: (frame: Frame) => void;
  /** The last event; what was sent and not answered may have taken effect. */
  readonly onEnd: (error: TidemarkError) => void;
};

const WS_PATH = "v1/ws";
const SUBPROTOCOL = "tidemark.v1";
/** The number of our own pings; nobody waits for their answers. */
const PING_ID = 0xffff_ffff;

export class WebSocketLink {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  /** Parts of whole frames. */
  #gathered: Uint8Array[] = [];
  #gatheredFrames = 0;
  #gatheredBytes = 0;
  readonly #gathering = new Gathering();
  readonly #onGathered = (): void => this.#flush();
  /** For messages, again and again: memory of its own for each would make the collector run. */
  readonly #buffer = new Uint8Array(CLIENT_LIMITS.messageBufferBytes);
  #heardAtMs: number;
  #check: Timer | undefined;
  #ended = false;

  /** Of an open socket; see `openLink`. */
  constructor(socket: WebSocket, clock: Clock, events: LinkEvents) {
    this.#socket = socket;
    this.#clock = clock;
    this.#events = events;
    this.#heardAtMs = clock.monotonic();
    socket.addEventListener("message", ({ data }) => this.#onMessage(data));
    socket.addEventListener("close", ({ code, reason }) => this.#end(lost(code, reason)));
    this.#planCheck();
  }

  /** For how long nothing was heard. */
  get silentMs(): number {
    return this.#clock.monotonic() - this.#heardAtMs;
  }

  /** The parts stay as they are until it is answered. */
  send(frame: FrameParts): void {
    if (this.#ended) return;
    if (
      this.#gatheredFrames >= CLIENT_LIMITS.messageFramesMax ||
      (this.#gatheredFrames > 0 && this.#gatheredBytes + frame.length > CLIENT_LIMITS.messageBytesMax)
    ) {
      this.#flush();
    }
    for (const part of frame.parts) this.#gathered.push(part);
    this.#gatheredFrames += 1;
    this.#gatheredBytes += frame.length;
    this.#gathering.join(this.#onGathered);
  }

  /** Ends it; `onEnd` is called with the reason. */
  close(error: TidemarkError): void {
    this.#flush();
    this.#socket.close();
    this.#end(error);
  }

  #flush(): void {
    const parts = this.#gathered;
    if (parts.length === 0 || this.#ended) return;
    const message = this.#memory(this.#gatheredBytes);
    let place = 0;
    for (const part of parts) {
      message.set(part, place);
      place += part.length;
    }
    this.#gathered = [];
    this.#gatheredFrames = 0;
    this.#gatheredBytes = 0;
    this.#socket.send(message);
  }

  /** For one message. What was sent before may still be in the buffer, unless the socket says that all of it is gone. */
  #memory(length: number): Uint8Array<ArrayBuffer> {
    const fits = length <= this.#buffer.length && this.#socket.bufferedAmount === 0;
    return fits ? this.#buffer.subarray(0, length) : new Uint8Array(length);
  }

  #onMessage(data: unknown): void {
    if (this.#ended) return;
    this.#heardAtMs = this.#clock.monotonic();
    if (!(data instanceof ArrayBuffer)) return;
    const frames = splitFrames(new Uint8Array(data), CLIENT_LIMITS.responseBytesMax, CLIENT_LIMITS.framesPerMessageMax);
    if (!frames.ok) {
      this.close(new TidemarkError("protocol-error", `the server's message is not frames: ${frames.error.message}`));
      return;
    }
    for (const frame of frames.value) this.#events.onFrame(frame);
  }

  /** A connection can be gone without a word: silence is broken by a ping, and if that is not, it is over. */
  #planCheck(): void {
    this.#check = this.#clock.schedule(CLIENT_LIMITS.pingAfterMs / 2, () => {
      const { silentMs } = this;
      if (silentMs >= CLIENT_LIMITS.pingAfterMs + CLIENT_LIMITS.attemptTimeoutMs) {
        this.close(
          new TidemarkError("connection-lost", `nothing was heard from the server for ${Math.round(silentMs)} ms`),
        );
        return;
      }
      if (silentMs >= CLIENT_LIMITS.pingAfterMs) this.#ping();
      this.#planCheck();
    });
  }

  #ping(): void {
    const ping = encodeSocketRequest({ kind: "ping" }, PING_ID);
    this.send({ parts: [ping], length: ping.length });
  }

  #end(error: TidemarkError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#check?.cancel();
    this.#events.onEnd(error);
  }
}

/** Opens a link to the node at `url`, or rejects with why there is none: nothing was sent then. */
export async function openLink(
  url: URL,
  options: WebSocketOptions,
  events: LinkEvents,
  signal: AbortSignal,
): Promise<WebSocketLink> {
  const { token, clock } = options;
  const controller = new AbortController();
  const timer = clock.schedule(CLIENT_LIMITS.attemptTimeoutMs, () => {
    controller.abort(new TidemarkError("connection-failed", "the server did not open the connection in time"));
  });
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const value = typeof token === "function" ? await askForToken(token, controller.signal) : token;
    const socket = new options.webSocket(endpoint(url), protocols(value));
    socket.binaryType = "arraybuffer";
    if (await opened(socket, controller.signal)) return new WebSocketLink(socket, clock, events);
    throw await whyRefused(url, options, value, controller.signal);
  } catch (thrown) {
    if (controller.signal.aborted) throw withOutcome(asTidemarkError(controller.signal.reason), "not-applied");
    throw withOutcome(asTidemarkError(thrown), "not-applied");
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
  }
}

function opened(socket: WebSocket, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (open: boolean): void => {
      signal.removeEventListener("abort", onAbort);
      if (!open) socket.close();
      resolve(open);
    };
    const onAbort = (): void => finish(false);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.addEventListener("open", () => finish(true));
    socket.addEventListener("error", () => finish(false));
    socket.addEventListener("close", () => finish(false));
    if (signal.aborted) finish(false);
  });
}

/** The platform does not tell: a plain request to the same place does. */
async function whyRefused(
  url: URL,
  options: WebSocketOptions,
  token: string | undefined,
  signal: AbortSignal,
): Promise<TidemarkError> {
  const failed = `cannot connect to ${url.origin}`;
  try {
    const response = await options.fetch(endpoint(url).replace(/^ws/, "http"), {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal,
    });
    const error = await refusal(response);
    return error.code === "upgrade-required" ? new TidemarkError("connection-failed", failed) : error;
  } catch (cause) {
    return new TidemarkError("connection-failed", failed, { cause });
  }
}

function endpoint(baseUrl: URL): string {
  const url = new URL(WS_PATH, baseUrl.href.endsWith("/") ? baseUrl : `${baseUrl.href}/`);
  return url.href.replace(/^http/, "ws");
}

/** Pages cannot set headers here, so the token travels as a subprotocol (W103). */
function protocols(token: string | undefined): string[] {
  if (token === undefined) return [SUBPROTOCOL];
  const encoded = encodeURIComponent(token).replace(/[()]/g, (one) => (one === "(" ? "%28" : "%29"));
  return [SUBPROTOCOL, `bearer.${encoded}`];
}

function lost(code: number, reason: string): TidemarkError {
  return new TidemarkError(
    "connection-lost",
    `the connection was closed (${code})${reason === "" ? "" : `: ${reason}`}`,
  );
}
