/**
 * The text of server-sent events (section 5.8). Payloads are other people's bytes: every line break in them, of any
 * kind, becomes a new `data:` line, so nothing in them can end an event or begin another.
 */
import { isText } from "../content-type.ts";

export type ControlEvent = {
  readonly streamNextOffset: string;
  readonly streamCursor?: string;
  readonly upToDate?: true;
  readonly streamClosed?: true;
};

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DATA_EVENT = Buffer.from("event: data\n");
const DATA_LINE = Buffer.from("data:");
const END_OF_LINE = Buffer.from("\n");
const END_OF_EVENT = Buffer.from("\n\n");

/** Whether a stream's data events carry base64. */
export function isBase64(contentType: string): boolean {
  return !isText(contentType);
}

/** One data event with all of a piece: complete by itself, whatever the content type. */
export function dataEvent(body: Uint8Array, contentType: string): Uint8Array {
  const payload = isBase64(contentType) ? base64(body) : body;
  return Buffer.concat([DATA_EVENT, ...dataLines(payload), END_OF_EVENT]);
}

export function controlEvent(event: ControlEvent): Uint8Array {
  return Buffer.from(`event: control\ndata:${JSON.stringify(event)}\n\n`);
}

function base64(bytes: Uint8Array): Uint8Array {
  return Buffer.from(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64"), "latin1");
}

function dataLines(payload: Uint8Array): Uint8Array[] {
  if (payload.indexOf(LF) < 0 && payload.indexOf(CR) < 0) return dataLine(payload);
  const parts: Uint8Array[] = [];
  let start = 0;
  for (let place = 0; place <= payload.length; place += 1) {
    const byte = payload[place];
    if (place < payload.length && byte !== LF && byte !== CR) continue;
    if (parts.length > 0) parts.push(END_OF_LINE);
    parts.push(...dataLine(payload.subarray(start, place)));
    if (byte === CR && payload[place + 1] === LF) place += 1;
    start = place + 1;
  }
  return parts;
}

/** Readers strip one space after the colon, so a line that begins with one gets another. */
function dataLine(line: Uint8Array): Uint8Array[] {
  return line[0] === SPACE ? [DATA_LINE, Buffer.from(" "), line] : [DATA_LINE, line];
}
