/** What `read` and `tail` share: where to begin and end, how to print, and the loop that does it. */
import { type Command, Option } from "commander";
import { parseOffset } from "../../src/record/offset.ts";
import { TidemarkError, type Gap } from "../error.ts";
import type { Place, Stream } from "../stream.ts";
import { openQuietClient, timeoutMs, withServerOptions, type ServerOptions } from "./connection-options.ts";
import { EXIT } from "./exit-codes.ts";
import type { Io } from "./io.ts";
import { countArgument, PLACE_HELP, placeOf, whereArgument, type Where } from "./places.ts";
import { RECORD_FORMATS, RecordPrinter, type RecordFormat } from "./record-printer.ts";
import { outputOption } from "./verb.ts";

export type ReadingOptions = ServerOptions & {
  readonly output: RecordFormat;
  readonly from?: Where;
  /** The newest so many, instead of `from`. */
  readonly last?: number;
  readonly limit?: number;
  readonly keys?: boolean;
};

export type Reading = ReadingOptions & {
  readonly follow: boolean;
  /** Where to end, short of this place. */
  readonly to?: Where;
};

export function withReadingOptions(command: Command): Command {
  return withServerOptions(command)
    .addOption(outputOption(RECORD_FORMATS))
    .addOption(new Option("--from <place>", `${PLACE_HELP} (default: start)`).argParser(whereArgument))
    .addOption(new Option("--last <count>", "begin with the newest so many").argParser(countArgument).conflicts("from"))
    .option("--limit <count>", "end after so many records", countArgument)
    .option("--keys", "in text, print each record's key and a tab before its value");
}

export async function printStream(io: Io, name: string, options: Reading): Promise<number> {
  await using client = openQuietClient(io, options);
  const stream = client.stream(name);
  const printer = new RecordPrinter(io, options.output, options.keys === true);
  try {
    const from = await beginning(stream, options);
    const end = options.to === undefined ? Number.POSITIVE_INFINITY : await offsetOf(stream, options.to);
    await print(stream, printer, { from, end, signal: io.interrupted, options });
    return EXIT.ok;
  } catch (thrown) {
    if (io.interrupted.aborted && thrown instanceof TidemarkError && thrown.code === "aborted") return EXIT.interrupted;
    throw thrown;
  }
}

async function print(
  stream: Stream,
  printer: RecordPrinter,
  work: { readonly from: Place; readonly end: number; readonly signal: AbortSignal; readonly options: Reading },
): Promise<void> {
  const { from, end, signal, options } = work;
  const shared = { from, signal, timeout: timeoutMs(options), onGap: (gap: Gap) => printer.gap(gap) };
  const reader = options.follow
    ? stream.subscribe({ ...shared, onStatus: (status) => printer.status(status) })
    : stream.read(shared);
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for await (const records of reader.batches()) {
    const first = records[0]?.offset ?? 0;
    const count = Math.min(records.length, left, Math.max(0, end - first));
    if (count > 0) await printer.records(records.slice(0, count), reader.contentType);
    left -= count;
    if (left <= 0 || count < records.length) break;
  }
  await printer.flush();
}

async function beginning(stream: Stream, options: Reading): Promise<Place> {
  if (options.last === undefined) return options.from === undefined ? "start" : placeOf(stream, options.from);
  const { firstOffset, nextOffset } = await stream.describe();
  return Math.max(firstOffset, nextOffset - options.last);
}

/** A token names its stream's incarnation, which the reading checks by itself only for where it begins. */
export async function offsetOf(stream: Stream, where: Where): Promise<number> {
  const place = await placeOf(stream, where);
  if (typeof place === "number") return place;
  if (place === "start" || place === "now") {
    const { firstOffset, nextOffset } = await stream.describe();
    return place === "now" ? nextOffset : firstOffset;
  }
  const token = parseOffset(place);
  return token.ok ? token.value.offset : 0;
}
