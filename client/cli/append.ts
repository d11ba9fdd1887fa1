/** `tidemark append`: what standard input or files hold, as records of a stream, each exactly once and in order. */
import { createReadStream, statSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { utf8 } from "../../src/lib/bytes.ts";
import { messageOf } from "../../src/lib/thrown.ts";
import { holdsJson } from "../../src/record/record-json.ts";
import type { RecordHeader, StreamRecord } from "../../src/record/record.ts";
import { TidemarkError } from "../error.ts";
import type { Stream } from "../stream.ts";
import { AppendJob } from "./append-job.ts";
import { INPUT_FORMATS, InputError, readRecords, type InputFormat, type InputOptions } from "./append-input.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "./connection-options.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";
import { newVerb } from "./verb.ts";

type AppendOptions = ConnectionOptions & {
  readonly format: InputFormat;
  readonly keyField?: string;
  readonly key?: string;
  readonly header: readonly RecordHeader[];
  readonly delimiter: string;
  readonly create?: boolean;
  readonly contentType?: string;
};

const CONTENT_TYPES: Readonly<Record<InputFormat, string>> = {
  lines: "text/plain",
  ndjson: "application/json",
  records: "application/octet-stream",
  csv: "application/json",
  whole: "application/octet-stream",
};
const STANDARD_INPUT = "-";
const COMMA = ",";

const FORMAT_HELP = `
Formats:
  lines    each line is a record's value (the default)
  ndjson   each line is a record's value, and is JSON
  records  each line is a record in full, as read -o json prints it:
           {"value": …, "key": …, "headers": {…}, "timestamp": …}; base64 instead of value for bytes
  csv      the first line names the fields; every other row is a record, a JSON object of texts
  whole    the whole of each file is one record's value`;

export function appendCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "append",
    "append records to a stream: lines, NDJSON, CSV or whole files",
    "echo hello | tidemark append greetings --create",
    "tidemark append orders --create --ndjson --key-field id orders.ndjson",
    "tidemark append prices --csv --key-field symbol monday.csv tuesday.csv",
  )
    .argument("<stream>", "the stream's name, such as orders/eu")
    .argument("[files...]", "what to append; standard input without any, or for -")
    .addHelpText("after", FORMAT_HELP);
  return withConnectionOptions(command)
    .addOption(new Option("--format <format>", "what the input is").choices(INPUT_FORMATS).default("lines"))
    .addOption(new Option("--ndjson", "short for --format ndjson").implies({ format: "ndjson" }).conflicts("csv"))
    .addOption(new Option("--csv", "short for --format csv").implies({ format: "csv" }).conflicts("ndjson"))
    .option("--key-field <field>", "with ndjson and csv: the field whose value is the record's key")
    .addOption(new Option("--key <key>", "the key of every record").conflicts("keyField"))
    .addOption(
      new Option("--header <name=value>", "a header of every record; may be given often")
        .argParser(collectHeader)
        .default([], "none"),
    )
    .option("--delimiter <character>", "with csv: what stands between fields; \\t for a tab", parseDelimiter, COMMA)
    .option("--create", "create the stream if there is none")
    .option("--content-type <type>", "with --create: the stream's content type (default: by format)")
    .action(async (stream: string, files: string[], options: AppendOptions) => {
      onDone(await append(io, stream, files, options));
    });
}

async function append(io: Io, name: string, files: readonly string[], options: AppendOptions): Promise<number> {
  checkOptions(options);
  const sources = files.length === 0 ? [STANDARD_INPUT] : files;
  const bytesTotal = totalBytes(sources);
  await using client = openClient(io, options);
  const stream = client.stream(name);
  const input = await inputOptions(stream, options);
  const job = new AppendJob(io, stream.producer(), bytesTotal);
  let failure: TidemarkError | undefined;
  try {
    for (const source of sources) await appendSource(io, job, source, input, options);
    await job.finish();
    // Nothing has asked the server yet; that there is no such stream is to be heard all the same.
    if (job.records === 0 && !io.interrupted.aborted) await stream.describe({ signal: io.interrupted });
  } catch (thrown) {
    failure = await job.settle(thrown);
  }
  job.clearBar();
  if (failure !== undefined) throw job.describeFailure(name, failure);
  await write(io.stdout, job.report(name, options.output));
  return io.interrupted.aborted ? EXIT.interrupted : EXIT.ok;
}

function checkOptions(options: AppendOptions): void {
  const { format, keyField, key, delimiter, create, contentType } = options;
  const fault =
    keyField !== undefined && format !== "ndjson" && format !== "csv"
      ? "--key-field needs --format ndjson or csv"
      : key !== undefined && format === "records"
        ? "--key is not for --format records, which has keys of its own"
        : delimiter !== COMMA && format !== "csv"
          ? "--delimiter needs --format csv"
          : contentType !== undefined && create !== true
            ? "--content-type needs --create"
            : undefined;
  if (fault !== undefined) throw new TidemarkError("invalid-argument", fault);
}

async function inputOptions(stream: Stream, options: AppendOptions): Promise<InputOptions> {
  const { format, keyField, delimiter } = options;
  const created = options.create === true ? await createIfAbsent(stream, options) : undefined;
  // Only records in full depend on it.
  const contentType = format === "records" ? (created ?? (await stream.describe()).contentType) : "";
  return { format, keyField, delimiter, json: holdsJson(contentType) };
}

/** One that exists is taken as it is, unless a content type was asked for. Returns the content type if it is known. */
async function createIfAbsent(stream: Stream, options: AppendOptions): Promise<string | undefined> {
  try {
    return (await stream.create({ contentType: options.contentType ?? CONTENT_TYPES[options.format] })).contentType;
  } catch (thrown) {
    if (!(thrown instanceof TidemarkError) || thrown.code !== "stream-exists" || options.contentType !== undefined)
      throw thrown;
    return undefined;
  }
}

async function appendSource(
  io: Io,
  job: AppendJob,
  source: string,
  input: InputOptions,
  { key, header }: AppendOptions,
): Promise<void> {
  const shared = {
    ...(key !== undefined && { key: utf8(key) }),
    ...(header.length > 0 && { headers: header }),
  };
  try {
    for await (const record of readRecords(chunksOf(io, source, job), input)) {
      await job.append({ ...record, ...shared, ...withHeaders(record, header) });
    }
  } catch (thrown) {
    // The whole records before it are appended; of the one that was cut off, nothing.
    if (!(thrown instanceof InputInterrupted)) throw located(thrown, source);
  }
}

function withHeaders(record: StreamRecord, more: readonly RecordHeader[]): Pick<StreamRecord, "headers"> {
  return record.headers === undefined ? {} : { headers: [...record.headers, ...more] };
}

class InputInterrupted extends Error {
  override readonly name = "InputInterrupted";
}

/** Fails, between chunks or in the middle of a wait, when the user interrupts: ending would make a record of half a line. */
async function* chunksOf(io: Io, source: string, job: AppendJob): AsyncGenerator<Uint8Array> {
  const { interrupted } = io;
  const stream = source === STANDARD_INPUT ? io.stdin : createReadStream(source);
  const stop = (): void => void stream.destroy();
  interrupted.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      if (interrupted.aborted) break;
      job.onRead(chunk.length);
      yield chunk;
    }
  } catch (thrown) {
    if (!interrupted.aborted) throw thrown;
  } finally {
    interrupted.removeEventListener("abort", stop);
  }
  if (interrupted.aborted) throw new InputInterrupted();
}

/** Says where in the input it happened, if it was the input. */
function located(thrown: unknown, source: string): TidemarkError {
  const where = source === STANDARD_INPUT ? "standard input" : source;
  if (thrown instanceof InputError) {
    const place = thrown.line === undefined ? where : `line ${thrown.line} of ${where}`;
    return new TidemarkError(thrown.code, `${place} ${thrown.message}`, { cause: thrown });
  }
  if (thrown instanceof TidemarkError) return thrown;
  return new TidemarkError("invalid-argument", `${where} cannot be read: ${messageOf(thrown)}`, { cause: thrown });
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

function collectHeader(given: string, before: readonly RecordHeader[]): readonly RecordHeader[] {
  const equals = given.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("It must be NAME=VALUE.");
  return [...before, [given.slice(0, equals), utf8(given.slice(equals + 1))]];
}

function parseDelimiter(given: string): string {
  const delimiter = given === "\\t" ? "\t" : given;
  if (!/^[^"\r\n\p{C}]$|^\t$/u.test(delimiter)) throw new InvalidArgumentError("It must be one character, or \\t.");
  return delimiter;
}
