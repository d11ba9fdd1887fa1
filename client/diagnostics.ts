/**
 * What the SDK does, told to whoever listens: Node's diagnostics channels, where tracers pick it up. Each kind of work is
 * one tracing channel (`tracing:tidemark:append:start`, `…:end`, `…:asyncStart`, `…:asyncEnd`, `…:error`); its messages carry
 * attributes named as OpenTelemetry names them for messaging. Without listeners, and in browsers, nothing is made.
 */
import type { DiagnosticChannel, Environment } from "./environment.ts";
import { asTidemarkError } from "./error.ts";

/**
 * `append`: one call's records, or a producer's batch, with the retries. `read`: one portion, with its retries and the wait at the tail. `request`: one
 * attempt at anything. `reconnect`: opening a WebSocket again.
 */
export const DIAGNOSTIC_CHANNELS = {
  append: "tidemark:append",
  read: "tidemark:read",
  request: "tidemark:request",
  reconnect: "tidemark:reconnect",
} as const;

/** The message on a channel: one object for all events of one piece of work. Node adds `result` or `error` to it. */
export type DiagnosticMessage = {
  /** Complete when the work has ended: `error.type` is a `TidemarkError`'s code. */
  readonly attributes: Record<string, string | number | boolean>;
};

export class Diagnostics {
  readonly #channels: Readonly<Record<keyof typeof DIAGNOSTIC_CHANNELS, DiagnosticChannel | undefined>>;
  readonly #server: DiagnosticMessage["attributes"];

  constructor({ channel }: Environment, url: URL) {
    const { append, read, request, reconnect } = DIAGNOSTIC_CHANNELS;
    this.#channels = {
      append: channel?.(append),
      read: channel?.(read),
      request: channel?.(request),
      reconnect: channel?.(reconnect),
    };
    this.#server = {
      "messaging.system": "tidemark",
      "server.address": url.hostname,
      ...(url.port !== "" && { "server.port": Number(url.port) }),
    };
  }

  /** Whether someone listens; only then is it worth making a message. */
  hears(kind: keyof typeof DIAGNOSTIC_CHANNELS): boolean {
    return this.#channels[kind]?.hasSubscribers === true;
  }

  /** Does the work between a start and an end. `run` may add to the attributes. */
  trace<T>(
    kind: keyof typeof DIAGNOSTIC_CHANNELS,
    attributes: DiagnosticMessage["attributes"],
    run: (attributes: DiagnosticMessage["attributes"]) => Promise<T>,
  ): Promise<T> {
    const message: DiagnosticMessage = { attributes: { ...this.#server, ...attributes } };
    const channel = this.#channels[kind];
    if (channel === undefined) return run(message.attributes);
    return channel.tracePromise(async () => {
      try {
        return await run(message.attributes);
      } catch (thrown) {
        message.attributes["error.type"] = asTidemarkError(thrown).code;
        throw thrown;
      }
    }, message);
  }
}
