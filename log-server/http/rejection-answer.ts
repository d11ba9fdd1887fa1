/** Turns a refused command into its problem document, with the headers that the protocol wants beside it. */
import { formatOffset } from "../../src/record/offset.ts";
import type { ProducerTag, Rejection } from "../../src/wire/command.ts";
import { type FlatHeaders, HttpError } from "./http-error.ts";

export function rejectionError(rejection: Rejection, producer?: ProducerTag): HttpError {
  const { code, message, incarnation, tail, closed, epoch, expectedSequence, firstOffset } = rejection;
  const headers: FlatHeaders = [];
  const members: Record<string, unknown> = {};
  if (incarnation !== undefined && tail !== undefined)
    headers.push("Stream-Next-Offset", formatOffset(incarnation, tail));
  if (closed === true) headers.push("Stream-Closed", "true");
  if (epoch !== undefined) headers.push("Producer-Epoch", String(epoch));
  if (expectedSequence !== undefined) {
    headers.push("Producer-Expected-Seq", String(expectedSequence));
    if (producer !== undefined) headers.push("Producer-Received-Seq", String(producer.sequence));
  }
  if (incarnation !== undefined && firstOffset !== undefined)
    members["firstOffset"] = formatOffset(incarnation, firstOffset);
  return new HttpError(code, message, headers, members);
}
