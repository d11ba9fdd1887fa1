/**
 * Prints records as `read` and `tail` do: values a line each, JSON that `append --format records` takes back, or the
 * bytes as they are. What is no record (gaps, the connection) goes to standard error, except in JSON, where a gap has its
 * place between the records.
 */
import { text, utf8 } from "../../src/lib/bytes.ts";
import { decodeKey } from "../../src/operators/encoding/key-codec.ts";
import { keyText } from "../../src/operators/encoding/key-text.ts";
import { holdsJson, recordText } from "../../src/record/record-json.ts";
import type { Gap } from "../error.ts";
import type { ReceivedRecord } from "../reading/received-record.ts";
import type { ReadStatus } from "../reading/record-stream.ts";
import { write, type Io } from "./io.ts";
import { jsonLine } from "./output.ts";

export type RecordFormat = "text" | "json" | "raw";
export const RECORD_FORMATS: readonly RecordFormat[] = ["text", "json", "raw"];

const NEWLINE: Uint8Array = Buffer.from("\n");
const TAB: Uint8Array = Buffer.from("\t");
/** No text that is anybody's key has these; what is encoded mostly does. */
const CONTROL = /\p{Cc}/u;

export class RecordPrinter {
  readonly #io: Io;
  readonly #format: RecordFormat;
  readonly #keys: boolean;
  /** Told of between two portions of records; printed with the next. */
  #gaps: Gap[] = [];
  #disconnected = false;

  /** `keys`: in text, each value is preceded by its key and a tab. */
  constructor(io: Io, format: RecordFormat, keys: boolean) {
    this.#io = io;
    this.#format = format;
    this.#keys = keys;
  }

  async records(records: readonly ReceivedRecord[], contentType: string | undefined): Promise<void> {
    await this.flush();
    if (this.#format === "json") {
      const json = contentType !== undefined && holdsJson(contentType);
      await write(this.#io.stdout, records.map((record) => `${recordLine(record, json)}\n`).join(""));
      return;
    }
    const chunks: Uint8Array[] = [];
    for (const record of records) {
      if (this.#keys && this.#format === "text") chunks.push(shownKey(record.key), TAB);
      chunks.push(record.bytes());
      if (this.#format === "text") chunks.push(NEWLINE);
    }
    await write(this.#io.stdout, Buffer.concat(chunks));
  }

  gap(gap: Gap): void {
    if (this.#format === "json") {
      this.#gaps.push(gap);
      return;
    }
    const range = gap.to - gap.from === 1 ? `record ${gap.from} is` : `records ${gap.from} to ${gap.to - 1} are`;
    this.#io.stderr.write(`tidemark: ${range} gone\n`);
  }

  async flush(): Promise<void> {
    if (this.#gaps.length === 0) return;
    const lines = this.#gaps.map((gap) => jsonLine({ gap })).join("");
    this.#gaps = [];
    await write(this.#io.stdout, lines);
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

/**
 * Texts are as they are. Operators encode keys of other kinds (`src/operators/encoding/key-codec.ts`), which are hardly ever texts:
 * what has been encoded so is shown for what it is, and any other bytes as they are.
 */
function shownKey(key: Uint8Array = new Uint8Array()): Uint8Array {
  const plain = text(key);
  if (plain !== undefined && !CONTROL.test(plain)) return key;
  const decoded = decodeKey(key);
  return decoded.ok ? utf8(keyText(decoded.value)) : key;
}

/** The form of a record in full, with where and when the log took it. */
export function recordLine(record: ReceivedRecord, json: boolean): string {
  const shown = recordText(
    record.offset,
    {
      value: record.value,
      timestamp: record.timestamp,
      ...(record.key !== undefined && { key: record.key }),
      ...(record.headers.length > 0 && { headers: record.headers }),
    },
    record.logTime,
    json,
  );
  return `${shown.slice(0, -1)},"logTime":${record.logTime},"token":${JSON.stringify(record.token)}}`;
}
