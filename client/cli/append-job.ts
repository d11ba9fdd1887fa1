/**
 * One run of `append`: a producer fed at the pace at which it is acknowledged, the progress bar, and the account of what
 * was appended, which is also what a failure has to tell.
 */
import type { StreamRecord } from "../../src/record/record.ts";
import { asTidemarkError, type TidemarkError } from "../error.ts";
import type { Producer } from "../appending/producer.ts";
import { PartialFailure } from "./failure.ts";
import type { Io } from "./io.ts";
import { counted, jsonLine } from "./output.ts";
import { ProgressBar } from "./progress-bar.ts";
import type { OutputFormat } from "./verb.ts";

export class AppendJob {
  readonly #producer: Producer;
  readonly #bar: ProgressBar;
  readonly #bytesTotal: number | undefined;
  #bytes = 0;
  #records = 0;
  #firstOffset: number | undefined;
  #lastOffset: number | undefined;

  /** `bytesTotal`: of the whole input, if that is known. */
  constructor(io: Io, producer: Producer, bytesTotal: number | undefined) {
    this.#producer = producer;
    this.#bytesTotal = bytesTotal;
    this.#bar = new ProgressBar(io.stderr);
  }

  /** So many bytes of the input were read. */
  onRead(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Resolves when there is room for more, not when it is appended. */
  async append(record: StreamRecord): Promise<void> {
    await this.#producer.ready();
    this.#producer.append(record).then(
      (offset) => this.#onAppended(offset),
      () => undefined,
    );
  }

  /** Resolves when all of it is durable. */
  finish(): Promise<void> {
    return this.#producer.close();
  }

  /** After a failure: what was taken before it is still appended, as far as it can be. */
  async settle(thrown: unknown): Promise<TidemarkError> {
    const error = asTidemarkError(thrown);
    try {
      await this.#producer.close();
      return error;
    } catch (later) {
      return asTidemarkError(later);
    }
  }

  clearBar(): void {
    this.#bar.clear();
  }

  /** Those that are durable. */
  get records(): number {
    return this.#records;
  }

  describeFailure(stream: string, error: TidemarkError): TidemarkError {
    const before = this.#records === 0 ? "nothing was appended" : `${this.#range()} before this`;
    const doubt =
      this.#records === 0 ? "it is not known whether anything was appended" : `${before}; perhaps more after it`;
    const done = error.outcome === "unknown" ? doubt : before;
    return new PartialFailure(error, `${error.message}; ${done}`, { appended: this.#account(stream) });
  }

  report(stream: string, output: OutputFormat): string {
    return output === "text" ? `${this.#range()} to ${stream}\n` : jsonLine(this.#account(stream));
  }

  #account(stream: string): object {
    const firstOffset = this.#firstOffset ?? null;
    const lastOffset = this.#lastOffset ?? null;
    return { stream, records: this.#records, firstOffset, lastOffset };
  }

  #range(): string {
    const records = `appended ${counted(this.#records, "record")}`;
    if (this.#records === 0) return records;
    if (this.#records === 1) return `${records} (offset ${this.#firstOffset})`;
    return `${records} (offsets ${this.#firstOffset} to ${this.#lastOffset})`;
  }

  #onAppended(offset: number): void {
    this.#records += 1;
    this.#firstOffset ??= offset;
    this.#lastOffset = offset;
    this.#bar.show({
      phase: "append",
      done: this.#bytes,
      note: counted(this.#records, "record"),
      ...(this.#bytesTotal !== undefined && { total: this.#bytesTotal }),
    });
  }
}
