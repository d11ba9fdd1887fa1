/** Reads the headers of creations and appends (sections 5.1, 5.2 and 5.2.1). */
import type { IncomingHttpHeaders } from "node:http";
import type { Expiry, ProducerTag } from "../../../src/wire/command.ts";
import { checkJsonEncoding, normalizeContentType } from "../content-type.ts";
import { header, integerHeader, parseTimestamp } from "../header-values.ts";
import { HttpError } from "../http-error.ts";
import type { HttpLimits } from "../limits.ts";

/** Visible characters and spaces inside: what goes through proxies unchanged. */
const PRINTABLE = /^[\x20-\x7e\x80-\xff]+$/;

export function contentTypeHeader(headers: IncomingHttpHeaders, limits: HttpLimits): string | undefined {
  const value = headers["content-type"];
  if (value === undefined) return undefined;
  const normalized = value.length > limits.contentTypeBytesMax ? undefined : normalizeContentType(value);
  if (normalized === undefined) throw new HttpError("malformed-header", "Content-Type is not a media type");
  checkJsonEncoding(normalized);
  return normalized;
}

/** All three headers, or none. */
export function producerHeaders(headers: IncomingHttpHeaders, limits: HttpLimits): ProducerTag | undefined {
  const id = header(headers, "producer-id");
  const epoch = integerHeader(headers, "producer-epoch");
  const sequence = integerHeader(headers, "producer-seq");
  if (id === undefined && epoch === undefined && sequence === undefined) return undefined;
  if (id === undefined || epoch === undefined || sequence === undefined) {
    throw new HttpError(
      "malformed-header",
      "Producer-Id, Producer-Epoch and Producer-Seq are given together or not at all",
    );
  }
  if (id.length > limits.producerIdBytesMax || !PRINTABLE.test(id)) {
    throw new HttpError(
      "malformed-header",
      `Producer-Id must have 1 to ${limits.producerIdBytesMax} printable characters`,
    );
  }
  return { id, epoch, sequence };
}

export function streamSequenceHeader(headers: IncomingHttpHeaders, limits: HttpLimits): string | undefined {
  const value = header(headers, "stream-seq");
  if (value === undefined) return undefined;
  if (value.length > limits.streamSequenceBytesMax || !PRINTABLE.test(value)) {
    throw new HttpError(
      "malformed-header",
      `Stream-Seq must have 1 to ${limits.streamSequenceBytesMax} printable characters`,
    );
  }
  return value;
}

/** Undefined where the client asks for none. */
export function expiryHeaders(headers: IncomingHttpHeaders, limits: HttpLimits): Expiry | undefined {
  const ttlSeconds = integerHeader(headers, "stream-ttl");
  const expiresAt = header(headers, "stream-expires-at");
  if (ttlSeconds !== undefined && expiresAt !== undefined) {
    throw new HttpError("malformed-header", "Stream-TTL and Stream-Expires-At cannot both be given");
  }
  if (ttlSeconds !== undefined) {
    if (ttlSeconds > limits.ttlSecondsMax)
      throw new HttpError("malformed-header", `Stream-TTL may be at most ${limits.ttlSecondsMax}`);
    return { kind: "sliding", ttlSeconds };
  }
  if (expiresAt === undefined) return undefined;
  const atMs = parseTimestamp(expiresAt);
  if (atMs === undefined) throw new HttpError("malformed-header", "Stream-Expires-At must be an RFC 3339 timestamp");
  return { kind: "absolute", atMs };
}
