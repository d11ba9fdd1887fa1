/** Answers as the text mode shows them: JSON objects that name what they answer. */
import { assert, unreachable } from "../../src/lib/assert.ts";
import { decodeBatch } from "../../src/record/batch-codec.ts";
import { formatOffset, type Offset } from "../../src/record/offset.ts";
import { holdsJson, recordText } from "../../src/record/record-json.ts";
import type { CommandResult } from "../../src/wire/command.ts";
import { problemOf } from "../../src/wire/problem.ts";
import type { ErrorResponse, RecordsResponse, Response } from "../../src/wire/response.ts";
import type { WsContext } from "./ports.ts";
import type { SubscriptionEvent } from "./subscription.ts";

export type Answer = {
  readonly [key: string]: unknown;
  /** Texts already: they have been through no parser, so that their numbers are as they were written (W125). */
  readonly records?: readonly string[];
};

/** An answer as it is sent. */
export function answerText({ records, ...rest }: Answer): string {
  const head = JSON.stringify(rest);
  return records === undefined ? head : `${head.slice(0, -1)},"records":[${records.join(",")}]}`;
}

/** The answer to a command or query about `stream`. */
export function answerOf(context: WsContext, stream: string, from: Offset, response: Response): Answer {
  switch (response.kind) {
    case "result":
      return resultAnswer(stream, response.result);
    case "records":
      return { read: stream, ...recordsAnswer(context, response, from), closed: response.closed };
    case "description": {
      const { incarnation, contentType, firstOffset, tail, closed, createdAtMs } = response;
      const next = { next: tail, token: formatOffset(incarnation, tail) };
      return { described: stream, contentType, first: firstOffset, ...next, closed, createdAtMs };
    }
    // The text mode asks for none of these.
    case "stream-list":
    case "located":
    case "cursor":
    case "groups":
    case "group":
    case "apps":
    case "app":
      return { done: stream };
    case "error":
      return errorAnswer(response);
    default:
      return unreachable(response);
  }
}

export function errorAnswer({
  code,
  message,
  firstOffset,
}: Pick<ErrorResponse, "code" | "message" | "firstOffset">): Answer {
  return { error: { ...problemOf(code, message), ...(firstOffset !== undefined && { firstOffset }) } };
}

function resultAnswer(stream: string, result: CommandResult): Answer {
  switch (result.kind) {
    case "created": {
      const { created, incarnation, nextOffset, contentType, closed } = result;
      return { created: stream, existed: !created, contentType, ...place(incarnation, nextOffset), closed };
    }
    case "appended": {
      const { incarnation, firstOffset, nextOffset, tail, closed, duplicate } = result;
      return {
        appended: stream,
        ...(firstOffset !== undefined && { offset: firstOffset }),
        ...place(incarnation, nextOffset ?? tail),
        closed,
        ...(duplicate && { duplicate }),
      };
    }
    case "rejected": {
      const { kind: _, code, message, ...members } = result;
      return { error: { ...problemOf(code, message), ...members } };
    }
    // Of the others the text mode asks for none.
    default:
      return { done: stream };
  }
}

function place(incarnation: number, next: Offset): Answer {
  return { next, token: formatOffset(incarnation, next) };
}

/** An event of a subscription; `from` is where the records before it ended. */
export function eventAnswer(context: WsContext, subscription: number, from: Offset, event: SubscriptionEvent): Answer {
  switch (event.kind) {
    case "subscribed": {
      const { offset, tail, contentType, closed } = event;
      return { subscription, offset, tail, contentType, closed };
    }
    case "records":
      return { subscription, ...recordsAnswer(context, event, from) };
    case "gap":
      return { subscription, gap: { from: event.from, to: event.to } };
    case "end":
      return { subscription, end: event.reason, next: event.nextOffset };
    case "error":
      return { subscription, ...errorAnswer(event) };
    default:
      return unreachable(event);
  }
}

function recordsAnswer(context: WsContext, response: RecordsResponse, from: Offset): Answer {
  const { incarnation, nextOffset, upToDate, contentType } = response;
  // The first batch may begin before what was asked for, and before what is still kept.
  const first = Math.max(from, response.firstOffset);
  const json = holdsJson(contentType);
  const records = response.batches.flatMap((batch) => {
    const decoded = decodeBatch(batch.bytes, {
      rawBytesMax: context.limits.rawBatchBytesMax,
      ...(context.zstd !== undefined && { zstd: context.zstd }),
    });
    assert(decoded.ok, "W32: what is in the log can be decoded");
    return decoded.value.records
      .map(({ offsetDelta, record }) => ({ offset: batch.firstOffset + offsetDelta, record }))
      .filter(({ offset }) => offset >= first)
      .map(({ offset, record }) => recordText(offset, record, batch.logTime, json));
  });
  return { records, ...place(incarnation, nextOffset), upToDate };
}
