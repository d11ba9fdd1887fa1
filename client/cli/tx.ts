/** `tidemark tx`: commits a transaction that is written as JSON, whole or not at all. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { text } from "../../src/lib/bytes.ts";
import { parseExactJson } from "../../src/record/exact-json.ts";
import { TidemarkError } from "../error.ts";
import type { OperationResult } from "../appending/transaction.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "./connection-options.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";
import { counted, jsonLine } from "./output.ts";
import { buildTransaction } from "./transaction-file.ts";
import { newVerb } from "./verb.ts";

type TxOptions = ConnectionOptions;

const STANDARD_INPUT = "-";
/** Far more than a transaction may hold. */
const INPUT_BYTES_MAX = 64 * 1_024 * 1_024;

const FORMAT_HELP = `
The JSON, which is also what POST /v1/transactions takes:
  {"conditions": [{"stream": "orders", "next": 7},         the stream's next record gets this offset
                  {"stream": "orders", "exists": true},    there is such a stream, or (false) none
                  {"cursor": "job", "value": "6"}],        a cursor's value; null: there is none
   "operations": [{"create": "archive", "contentType": "application/json"},
                  {"append": "orders", "records": [{"value": {"id": 7}, "key": "7"}], "close": false},
                  {"delete": "old"},
                  {"cursor": "job", "value": "7"}]}
The first that does not hold refuses the whole, with exit status 3 or 4.`;

export function txCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "tx",
    "change several streams and cursors at once, all or nothing",
    "tidemark tx transfer.json",
    `echo '{"operations": [{"append": "a", "records": [1]}, {"append": "b", "records": [2]}]}' | tidemark tx`,
  )
    .argument("[file]", "the transaction as JSON; standard input without it, or for -", STANDARD_INPUT)
    .addHelpText("after", FORMAT_HELP);
  return withConnectionOptions(command).action(async (file: string, options: TxOptions) => {
    onDone(await tx(io, file, options));
  });
}

async function tx(io: Io, file: string, options: TxOptions): Promise<number> {
  const written = parse(file, await readInput(io, file));
  await using client = openClient(io, options);
  const transaction = await buildTransaction(client, written);
  const results = await transaction.commit({ signal: io.interrupted });
  if (options.output === "json") await write(io.stdout, results.map((result) => jsonLine(resultJson(result))).join(""));
  else await write(io.stdout, `committed ${counted(results.length, "operation")}\n${results.map(resultLine).join("")}`);
  return EXIT.ok;
}

async function readInput(io: Io, file: string): Promise<Uint8Array> {
  if (file !== STANDARD_INPUT) {
    try {
      return readFileSync(file);
    } catch (cause) {
      throw new TidemarkError("invalid-argument", `${file} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of io.stdin as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > INPUT_BYTES_MAX) throw new TidemarkError("batch-too-large", "standard input is too long");
  }
  return Buffer.concat(chunks, length);
}

function parse(file: string, bytes: Uint8Array): unknown {
  const where = file === STANDARD_INPUT ? "standard input" : file;
  const source = text(bytes);
  if (source === undefined) throw new TidemarkError("not-text", `${where} is not UTF-8 text`);
  const parsed = parseExactJson(source);
  if (!parsed.ok) {
    const { kind, message } = parsed.error;
    const fault = kind === "inexact" ? "cannot be read exactly" : "is not valid JSON";
    throw new TidemarkError("malformed-json", `${where} ${fault}: ${message}`);
  }
  return parsed.value;
}

/** As the native HTTP interface names it, with what it was about. */
function resultJson(result: OperationResult): object {
  switch (result.kind) {
    case "create": {
      const { stream, created, nextOffset, nextToken, closed } = result;
      return { create: stream, created, next: nextOffset, token: nextToken, closed };
    }
    case "append": {
      const { stream, offset, nextOffset, nextToken } = result;
      return { append: stream, offset, next: nextOffset, token: nextToken };
    }
    case "close":
      return { append: result.stream, next: result.nextOffset, closed: true };
    case "delete":
      return { delete: result.stream };
    case "cursor":
      return { cursor: result.name };
  }
}

function resultLine(result: OperationResult): string {
  switch (result.kind) {
    case "create":
      return `  ${result.created ? "created" : "there is already"} ${result.stream}\n`;
    case "append": {
      const { stream, offset, nextOffset } = result;
      const last = nextOffset - 1;
      return `  appended to ${stream} (${last === offset ? `offset ${offset}` : `offsets ${offset} to ${last}`})\n`;
    }
    case "close":
      return `  closed ${result.stream}\n`;
    case "delete":
      return `  deleted ${result.stream}\n`;
    case "cursor":
      return `  moved the cursor ${result.name}\n`;
  }
}
