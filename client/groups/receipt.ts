/** A lease as text: whoever has it can settle the record, in another process or by hand. */
import { formatOffset, parseOffset } from "../../src/record/offset.ts";
import { TidemarkError } from "../error.ts";
import type { GroupPlace } from "./group-record.ts";

const RECEIPT = /^(\d{1,16})\.(\d{16}_\d{16})\.(.+)$/s;

/** The lease's generation, the record's token, the stream's name. */
export function formatReceipt({ stream, incarnation, offset, generation }: GroupPlace): string {
  return `${generation}.${formatOffset(incarnation, offset)}.${stream}`;
}

export function parseReceipt(receipt: string): GroupPlace {
  const [, generation, token, stream] = RECEIPT.exec(receipt) ?? [];
  const place = parseOffset(token ?? "");
  if (stream === undefined || !place.ok || !Number.isSafeInteger(Number(generation)))
    throw new TidemarkError("invalid-argument", `"${receipt}" is not a receipt`);
  return { stream, ...place.value, generation: Number(generation) };
}
