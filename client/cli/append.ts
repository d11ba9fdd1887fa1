/** `tidemark append`: lines or NDJSON, from standard input or files, into a stream, each exactly once and in order. */
import { createReadStream, statSync } from "node:fs";
import { Command, Option } from "commander";
import { text } from "../../src/lib/bytes.ts";
import { asTidemarkError, TidemarkError, type TidemarkErrorCode } from "../error.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import type { Producer } from "../producer.ts";
import type { RecordInput } from "../record-input.ts";
import type { Stream } from "../stream.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "./connection-options.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";
import { LineTooLongError, splitLines } from "./lines.ts";
import { ProgressBar } from "./progress-bar.ts";

type LineFormat = "lines" | "ndjson";

type AppendOptions = ConnectionOptions & {
  readonly format: LineFormat;
  readonly keyField?: string;
  readonly create?: boolean;
  readonly contentType?: string;
};

const CONTENT_TYPES: Readonly<Record<LineFormat, string>> = { lines: "text/plain", ndjson: "application/json" };
const STANDARD_INPUT = "-";

export function appendCommand(io: Io, onDone: (exitCode: number) => void): Command {
  return withConnectionOptions(new Command("append"))
    .description("append each line to a stream, as one record")
    .argument("<stream>", "the stream's name, such as orders/eu")
    .argument("[files...]", "what to append; standard input without any, or for -")
    .addOption(new Option("--format <format>", "what a line is").choices(["lines", "ndjson"]).default("lines"))
    .option("--key-field <field>", "with ndjson: the field whose value is the record's key")
    .option("--create", "create the stream if there is none")
    .option("--content-type <type>", "with --create: the stream's content type (default: by format)")
    .addHelpText(
      "after",
      "\nExample:\n  $ tidemark append orders --create --format ndjson --key-field id orders.ndjson",
    )
    .action(async (stream: string, files: string[], options: AppendOptions) => {
      onDone(await append(io, stream, files, options));
    });
}

async function append(io: Io, name: string, files: readonly string[], options: AppendOptions): Promise<number> {
  if (options.keyField !== undefined && options.format !== "ndjson") {
    throw new TidemarkError("invalid-argument", "--key-field needs --format ndjson");
  }
  if (options.contentType !== undefined && options.create !== true) {
    throw new TidemarkError("invalid-argument", "--content-type needs --create");
  }
  const sources = files.length === 0 ? [STANDARD_INPUT] : files;
  const bytesTotal = totalBytes(sources);
  await using client = openClient(io, options);
  const stream = client.stream(name);
  if (options.create === true) await createIfAbsent(stream, options);
  const job = new AppendJob(io, stream.producer(), bytesTotal);
  let failure: TidemarkError | undefined;
  try {
    for (const source of sources) await job.appendSource(source, options);
    await job.producer.close();
  } catch (thrown) {
    failure = await job.settle(thrown);
  }
  job.bar.clear();
  if (failure !== undefined) throw job.describeFailure(failure);
  await write(io.stdout, job.report(name, options.output));
  return io.interrupted.aborted ? EXIT.interrupted : EXIT.ok;
}

/** One that exists is taken as it is, unless a content type was asked for. */
async function createIfAbsent(stream: Stream, options: AppendOptions): Promise<void> {
  try {
    await stream.create({ contentType: options.contentType ?? CONTENT_TYPES[options.format] });
  } catch (thrown) {
    const error = asTidemarkError(thrown);
    if (error.code !== "stream-exists" || options.contentType !== undefined) throw error;
  }
}

class AppendJob {
  readonly producer: Producer;
  readonly bar: ProgressBar;
  readonly #io: Io;
  readonly #bytesTotal: number | undefined;
  #bytes = 0;
  #records = 0;
  #firstOffset: number | undefined;
  #lastOffset: number | undefined;

  constructor(io: Io, producer: Producer, bytesTotal: number | undefined) {
    this.#io = io;
    this.#bytesTotal = bytesTotal;
    this.producer = producer;
    this.bar = new ProgressBar(io.stderr);
  }

  async appendSource(source: string, options: AppendOptions): Promise<void> {
    let line = 0;
    try {
      for await (const bytes of splitLines(this.#read(source), CLIENT_LIMITS.recordBytesMax)) {
        line += 1;
        const record = toInput(bytes, options);
        if (record === undefined) continue;
        await this.producer.ready();
        this.producer.append(record).then(
          (offset) => this.#onAppended(offset),
          () => undefined,
        );
      }
    } catch (thrown) {
      throw located(thrown, source, line);
    }
  }

  /** After a failure: what was taken before it is still appended, as far as it can be. */
  async settle(thrown: unknown): Promise<TidemarkError> {
    const error = asTidemarkError(thrown);
    try {
      await this.producer.close();
      return error;
    } catch (later) {
      return asTidemarkError(later);
    }
  }

  describeFailure(error: TidemarkError): TidemarkError {
    const before = this.#records === 0 ? "nothing was appended" : `${this.#range()} before this`;
    const doubt = error.outcome === "unknown" ? "; it is not known whether those under way were" : "";
    return new TidemarkError(error.code, `${error.message} (${before}${doubt})`, {
      outcome: error.outcome,
      cause: error,
    });
  }

  report(stream: string, output: ConnectionOptions["output"]): string {
    if (output === "text") return `${this.#range()} to ${stream}\n`;
    const { firstOffset, lastOffset } = {
      firstOffset: this.#firstOffset ?? null,
      lastOffset: this.#lastOffset ?? null,
    };
    return `${JSON.stringify({ stream, records: this.#records, firstOffset, lastOffset })}\n`;
  }

  #range(): string {
    if (this.#records === 0) return "appended 0 records";
    if (this.#records === 1) return `appended 1 record (offset ${this.#firstOffset})`;
    return `appended ${this.#records} records (offsets ${this.#firstOffset} to ${this.#lastOffset})`;
  }

  #onAppended(offset: number): void {
    this.#records += 1;
    this.#firstOffset ??= offset;
    this.#lastOffset = offset;
    this.bar.show({
      phase: "append",
      done: this.#bytes,
      note: `${this.#records} records`,
      ...(this.#bytesTotal !== undefined && { total: this.#bytesTotal }),
    });
  }

  /** Ends early, between chunks or in the middle of a wait, when the user interrupts: what was read is still appended. */
  async *#read(source: string): AsyncGenerator<Uint8Array> {
    const { interrupted } = this.#io;
    const stream = source === STANDARD_INPUT ? this.#io.stdin : createReadStream(source);
    const stop = (): void => void stream.destroy();
    interrupted.addEventListener("abort", stop, { once: true });
    try {
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        if (interrupted.aborted) return;
        this.#bytes += chunk.length;
        yield chunk;
      }
    } catch (thrown) {
      if (!interrupted.aborted) throw thrown;
    } finally {
      interrupted.removeEventListener("abort", stop);
    }
  }
}

/** A line as a record; undefined for a blank line between JSON values. */
function toInput(line: Uint8Array, options: AppendOptions): RecordInput | undefined {
  if (options.format === "lines") return line;
  const source = text(line);
  if (source === undefined) throw inputError("not-text", "is not UTF-8 text");
  if (source.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw inputError("malformed-json", "is not valid JSON");
  }
  if (options.keyField === undefined) return line;
  return { key: keyOf(value, options.keyField), value: line };
}

function keyOf(value: unknown, field: string): string {
  const key: unknown =
    typeof value === "object" && value !== null && Object.hasOwn(value, field)
      ? (value as Record<string, unknown>)[field]
      : undefined;
  if (typeof key === "string") return key;
  if (typeof key === "number" || typeof key === "boolean") return String(key);
  throw inputError("invalid-argument", `has no text, number or boolean in its field "${field}"`);
}

function inputError(code: TidemarkErrorCode, message: string): TidemarkError {
  return new TidemarkError(code, message);
}

/** Says where in the input it happened, if it was the input. */
function located(thrown: unknown, source: string, line: number): TidemarkError {
  const where = source === STANDARD_INPUT ? "standard input" : source;
  if (thrown instanceof LineTooLongError) return new TidemarkError("record-too-large", `${where}: ${thrown.message}`);
  if (!(thrown instanceof TidemarkError)) {
    return new TidemarkError("invalid-argument", `${where} cannot be read: ${(thrown as Error).message}`, {
      cause: thrown,
    });
  }
  if (thrown.code !== "malformed-json" && thrown.code !== "not-text" && thrown.code !== "invalid-argument")
    return thrown;
  return new TidemarkError(thrown.code, `line ${line} of ${where} ${thrown.message}`, { cause: thrown });
}

/** Of all sources together, if each is a file; a file that is not there is told of now, before anything is appended. */
function totalBytes(sources: readonly string[]): number | undefined {
  let total = 0;
  let known = true;
  for (const source of sources) {
    if (source === STANDARD_INPUT) {
      known = false;
      continue;
    }
    try {
      total += statSync(source).size;
    } catch (cause) {
      throw new TidemarkError("invalid-argument", `${source} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
  return known ? total : undefined;
}
