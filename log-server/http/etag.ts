/**
 * Entity tags of reads: which stream, from where, to where, and whether the end was shown, so that a stream closed
 * without new data is never hidden behind a 304 (section 10.1).
 */
import type { Offset } from "../../src/record/offset.ts";

/** Stream ids are never reused within a cluster. */
export function readEtag(clusterId: string, streamId: number, from: Offset, to: Offset, closed: boolean): string {
  return `"${clusterId}.${streamId}:${from}:${to}${closed ? ":c" : ""}"`;
}

/** Whether an `If-None-Match` header names this tag. Comparison is weak (RFC 9110, section 13.1.2). */
export function matchesEtag(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch === etag || ifNoneMatch.trim() === "*") return true;
  return ifNoneMatch.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === etag);
}
