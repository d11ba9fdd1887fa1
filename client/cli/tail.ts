/** `tidemark tail`: prints a stream's records, and goes on as they come. */
import { Command, InvalidArgumentError } from "commander";
import { text } from "../../src/lib/bytes.ts";
import { parseOffset } from "../../src/record/offset.ts";
import { TidemarkError, type Gap } from "../error.ts";
import type { ReceivedRecord } from "../received-record.ts";
import type { ReadStatus } from "../record-stream.ts";
import type { Place } from "../stream.ts";
import {
  openClient,
  timeoutMs,
  withConnectionOptions,
  type ConnectionOptions,
  type OutputFormat,
} from "./connection-options.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";

type TailOptions = ConnectionOptions & { readonly from: Place; readonly follow: boolean; readonly limit?: number };

const NEWLINE = "\n";

export function tailCommand(io: Io, onDone: (exitCode: number) => void): Command {
  return withConnectionOptions(new Command("tail"))
    .description("print a stream's records, one a line, and follow it")
    .argument("<stream>", "the stream's name, such as orders/eu")
    .option("--from <place>", "start, now, an offset or an offset token", parseFrom, "start")
    .option("--no-follow", "end at the stream's tail instead of waiting for more")
    .option("--limit <count>", "end after so many records", parseCount)
    .addHelpText("after", "\nExample:\n  $ tidemark tail orders --from now -o json")
    .action(async (stream: string, options: TailOptions) => {
      onDone(await tail(io, stream, options));
    });
}

async function tail(io: Io, name: string, options: TailOptions): Promise<number> {
  await using client = openClient(io, options);
  const stream = client.stream(name);
  const printer = new Printer(io, options.output);
  const shared = {
    from: options.from,
    signal: io.interrupted,
    timeout: timeoutMs(options),
    onGap: (gap: Gap) => printer.gap(gap),
  };
  const reader = options.follow
    ? stream.subscribe({ ...shared, onStatus: (status) => printer.status(status) })
    : stream.read(shared);
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  try {
    for await (const records of reader.batches()) {
      await printer.records(records.slice(0, left));
      left -= records.length;
      if (left <= 0) break;
    }
    await printer.flush();
  } catch (thrown) {
    if (io.interrupted.aborted && thrown instanceof TidemarkError && thrown.code === "aborted") return EXIT.interrupted;
    throw thrown;
  }
  return EXIT.ok;
}

class Printer {
  readonly #io: Io;
  readonly #output: OutputFormat;
  /** Told of between two portions of records; printed with the next. */
  #gaps: string[] = [];
  #disconnected = false;

  constructor(io: Io, output: OutputFormat) {
    this.#io = io;
    this.#output = output;
  }

  async records(records: readonly ReceivedRecord[]): Promise<void> {
    await this.flush();
    if (this.#output === "json") {
      await write(this.#io.stdout, records.map(jsonLine).join(""));
      return;
    }
    const chunks: Uint8Array[] = [];
    for (const record of records) chunks.push(record.bytes(), Buffer.from(NEWLINE));
    await write(this.#io.stdout, Buffer.concat(chunks));
  }

  gap(gap: Gap): void {
    if (this.#output === "json") this.#gaps.push(`${JSON.stringify({ gap })}\n`);
    else this.#io.stderr.write(`tidemark: records ${gap.from} to ${gap.to - 1} are gone\n`);
  }

  async flush(): Promise<void> {
    if (this.#gaps.length === 0) return;
    await write(this.#io.stdout, this.#gaps.join(""));
    this.#gaps = [];
  }

  status(status: ReadStatus): void {
    switch (status.kind) {
      case "connected":
        if (this.#disconnected) this.#io.stderr.write("tidemark: connected again\n");
        this.#disconnected = false;
        break;
      case "disconnected":
        if (!this.#disconnected) this.#io.stderr.write(`tidemark: ${status.error.message}; trying again\n`);
        this.#disconnected = true;
        break;
    }
  }
}

/** Bytes that are no text are printed in base64, under another name. */
function jsonLine(record: ReceivedRecord): string {
  const headers = record.headers.map(([name, value]) => ({ name, ...printable("value", value) }));
  return `${JSON.stringify({
    offset: record.offset,
    token: record.token,
    timestamp: record.timestamp,
    logTime: record.logTime,
    ...(record.key !== undefined && printable("key", record.key)),
    ...(record.value === null ? { value: null } : printable("value", record.value)),
    ...(headers.length > 0 && { headers }),
  })}\n`;
}

function printable(name: string, bytes: Uint8Array): Record<string, string> {
  const decoded = text(bytes);
  return decoded === undefined ? { [`${name}Base64`]: Buffer.from(bytes).toString("base64") } : { [name]: decoded };
}

function parseFrom(value: string): Place {
  if (value === "start" || value === "now") return value;
  if (/^\d+$/.test(value) && Number.isSafeInteger(Number(value))) return Number(value);
  if (parseOffset(value).ok) return value;
  throw new InvalidArgumentError("It must be start, now, an offset or an offset token.");
}

function parseCount(value: string): number {
  const count = Number(value);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError("It must be a whole number from 1.");
  return count;
}
