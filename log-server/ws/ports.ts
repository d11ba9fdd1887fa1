/**
 * What this face needs from others: what requests mean, and who is told of it. The root passes both in, so that the
 * faces do not know each other.
 */
import type { Clock } from "../../src/ports/clock.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { Command } from "../../src/wire/command.ts";
import type { Consistency } from "../../src/wire/consistency.ts";
import type { QueryRequest } from "../../src/wire/request.ts";
import type { ErrorResponse, Response } from "../../src/wire/response.ts";
import type { LogNode } from "../node/log-node.ts";
import type { StreamView } from "../streams/views.ts";
import type { WsLimits } from "./limits.ts";

/** Proposes the commands of one sender in their order. */
export interface Lane {
  /** Resolves to the answer; never rejects. */
  submit(command: Command): Promise<Response>;
}

/** A wait at a stream's tail: over when the signal fires; `finish` must be called once. */
export interface Wait {
  readonly signal: AbortSignal;
  finish(): void;
}

/** What the native protocol's requests mean. */
export interface Requests {
  lane(): Lane;
  /** Never rejects. `wait` is called only where there is something to wait for. */
  query(request: QueryRequest, wait: (milliseconds: number) => Wait, level: Consistency): Promise<Response>;
  /** Resolves when what the token's holder has seen is applied here; rejects where it is not in time, or is no such token. */
  reachSession(token: string): Promise<void>;
  /** The token of what is applied here. */
  readonly session: string;
  /** The stream at a linearizable point; throws where there is none. */
  find(name: string): Promise<StreamView>;
  /** The stream as it is now; throws if it is gone. */
  refresh(known: StreamView): StreamView;
  /** Resolves when the stream goes on, or the signal aborts; throws where too many wait. */
  changed(stream: StreamView, signal: AbortSignal): Promise<void>;
  /** The answer for whatever was thrown. */
  failure(error: unknown): ErrorResponse;
}

/** Called on the hot path: implementations only count. */
export interface WsObserver {
  read(records: number, bytes: number): void;
  /** A subscription came (1) or went (-1). */
  liveReaders(change: 1 | -1): void;
  /** A peer was dropped because it took nothing for too long. */
  slowReaderDropped(): void;
  /** An event worth a log line: `code` is stable, the rest is detail. */
  event(code: string, detail: Readonly<Record<string, unknown>>): void;
}

export type WsContext = {
  readonly node: LogNode;
  readonly requests: Requests;
  readonly limits: WsLimits;
  readonly observer: WsObserver;
  readonly clock: Clock;
  /** For the text mode, which shows what is in batches. */
  readonly zstd: Zstd | undefined;
};
