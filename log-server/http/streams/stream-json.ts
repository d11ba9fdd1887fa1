/** A stream as native answers show it. */
import { Type } from "typebox";
import { formatOffset } from "../../../src/record/offset.ts";
import type { Expiry } from "../../../src/wire/command.ts";
import type { StreamDetails, StreamFacts } from "../../../src/wire/stream-facts.ts";
import { Count, Retention } from "../schemas.ts";

const LISTED = {
  name: Type.String(),
  contentType: Type.String(),
  first: Type.Integer({ description: "the first offset still kept" }),
  next: Type.Integer({ description: "the offset that the next record will have" }),
  token: Type.String({ description: "the same as a token" }),
  closed: Type.Boolean(),
  createdAtMs: Count,
};

export const ListedStream = Type.Object(LISTED);

export const DescribedStream = Type.Object({
  ...LISTED,
  ttlSeconds: Type.Optional(Type.Integer({ description: "it ends this long after its last use" })),
  expiresAtMs: Type.Optional(Type.Integer({ description: "it ends then, unless a ttl begins anew before" })),
  retention: Retention,
  compactedBefore: Type.Integer({ description: "before this only the newest record of each key is kept" }),
  forkedFrom: Type.Optional(Type.Object({ stream: Type.String(), offset: Count, partialBytes: Count })),
});

export function listedJson(stream: StreamFacts & { readonly name: string; readonly createdAtMs: number }): object {
  const { name, incarnation, contentType, firstOffset, tail, closed, createdAtMs } = stream;
  const token = formatOffset(incarnation, tail);
  return { name, contentType, first: firstOffset, next: tail, token, closed, createdAtMs };
}

export function describedJson(name: string, stream: StreamFacts & StreamDetails): object {
  const { expiry, expiresAtMs, retention, compactedBefore, forkedFrom } = stream;
  return {
    ...listedJson({ ...stream, name }),
    ...ttlOf(expiry),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    retention,
    compactedBefore,
    ...(forkedFrom !== undefined && { forkedFrom }),
  };
}

function ttlOf(expiry: Expiry): object {
  return expiry.kind === "sliding" ? { ttlSeconds: expiry.ttlSeconds } : {};
}
