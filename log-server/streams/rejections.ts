/** Refusals, with what their error answers show. */
import type { Rejection } from "../../src/wire/command.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import type { Stream } from "./stream.ts";

export type RejectionDetail = Omit<Rejection, "kind" | "code" | "message">;

export function reject(code: ErrorCode, message: string, detail: RejectionDetail = {}): Rejection {
  return { kind: "rejected", code, message, ...detail };
}

export function tooMany(what: string, max: number): Rejection {
  return reject("too-many", `there may be at most ${max} ${what}`);
}

/** Where a stream stands, for the answers to its writers. */
export function whereabouts(stream: Stream): RejectionDetail {
  return {
    incarnation: stream.incarnation,
    tail: stream.nextOffset,
    firstOffset: stream.firstOffset,
    ...(stream.closed && { closed: true }),
  };
}
