/**
 * What the native protocol's requests mean, whatever carries their frames: the frames route uses it, and the root hands
 * it to the WebSocket face, which knows it by a port of its own.
 */
import { unreachable } from "../../../src/lib/assert.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import type { QueryRequest } from "../../../src/wire/request.ts";
import type { ErrorResponse, Response } from "../../../src/wire/response.ts";
import type { StreamView } from "../../streams/views.ts";
import { atLevel } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import type { LiveResponse } from "../live-responses.ts";
import { awaitSession } from "../session-token.ts";
import { findStreamToRead, refreshStream } from "../stream-routes/find-stream.ts";
import { waitForChange } from "../stream-routes/live-wait.ts";
import { answerDescribe, answerRead } from "./answer-read.ts";
import { answerApp, answerApps } from "./answer-apps.ts";
import { answerGroup, answerGroups } from "./answer-groups.ts";
import { answerCursor, answerList, answerLocate } from "./answer-look-up.ts";
import { CommandLane } from "./command-lane.ts";
import { errorResponse } from "./error-response.ts";

type OpenWait = (milliseconds: number) => Pick<LiveResponse, "signal" | "finish">;

export class NativeRequests {
  readonly #context: HttpContext;

  constructor(context: HttpContext) {
    this.#context = context;
  }

  /** For the commands of one sender. */
  lane(): CommandLane {
    return new CommandLane(this.#context);
  }

  /** Never rejects. `wait` opens a wait at the tail, and is called only where there is something to wait for. */
  async query(request: QueryRequest, wait: OpenWait, level: Consistency): Promise<Response> {
    try {
      return await atLevel(level, (reached) => this.#answer(request, wait, reached));
    } catch (error) {
      return this.failure(error);
    }
  }

  #answer(request: QueryRequest, wait: OpenWait, level: Consistency): Promise<Response> {
    switch (request.kind) {
      case "read":
        return answerRead(this.#context, request, wait, level);
      case "describe":
        return answerDescribe(this.#context, request, level);
      case "list":
        return answerList(this.#context, request, level);
      case "locate":
        return answerLocate(this.#context, request, level);
      case "cursor-get":
        return answerCursor(this.#context, request, level);
      case "groups":
        return answerGroups(this.#context, request, level);
      case "group":
        return answerGroup(this.#context, request, wait, level);
      case "apps":
        return answerApps(this.#context, request, level);
      case "app":
        return answerApp(this.#context, request, level);
      default:
        return unreachable(request);
    }
  }

  /** The stream at a linearizable point, to be read; throws where there is none. */
  find(name: string): Promise<StreamView> {
    return findStreamToRead(this.#context, name, undefined);
  }

  /** Resolves when what the token's holder has seen is applied here; rejects where it is not in time, or is no such token. */
  reachSession(token: string): Promise<void> {
    return awaitSession(this.#context.node, token, this.#context.limits.sessionWaitMs);
  }

  /** The token of what is applied here. */
  get session(): string {
    return this.#context.answers.session;
  }

  /** The stream as it is now; throws if it is gone. */
  refresh(known: StreamView): StreamView {
    return refreshStream(this.#context, known);
  }

  /** Resolves when the stream goes on, or the signal aborts; throws where too many wait. */
  changed(stream: StreamView, signal: AbortSignal): Promise<void> {
    return waitForChange(this.#context, stream, signal);
  }

  /** The answer for whatever was thrown. */
  failure(error: unknown): ErrorResponse {
    return errorResponse(this.#context, error);
  }
}
