/**
 * A client that reads at one node what it wrote at another: none of it may be missing, nor anything that it has read before,
 * though nothing but its session says so.
 */
import type { Client } from "../../client/index.ts";
import type { Seen } from "./history.ts";
import { CALL_MS, type Load, outcomeOf, OWN, PADDING, PAUSE_MS, valueOf } from "./load.ts";
import { pause } from "./pause.ts";

export class SessionClient {
  readonly #load: Load;
  readonly #name: string;
  readonly #client: Client;
  readonly #seen: Seen[];
  /** So far it was told, or has read, that the stream reaches. */
  #shown = 0;

  constructor(load: Load, name: string, first: number) {
    this.#load = load;
    this.#name = name;
    this.#client = load.connectToAll(first, "session");
    this.#seen = load.journal.reading(name, OWN);
  }

  /** Until no more is to be appended. */
  async writeAndRead(): Promise<void> {
    for (let sequence = 1; !this.#load.written.aborted; sequence += 1) {
      await this.#write(sequence);
      await this.#read();
      await pause(PAUSE_MS);
    }
  }

  /** Reads what others append, until the run is over. */
  async readOn(): Promise<void> {
    while (!this.#load.over.aborted) {
      await this.#read();
      await pause(PAUSE_MS);
    }
    await this.#client.close().catch(() => undefined);
  }

  async #write(sequence: number): Promise<void> {
    const { journal } = this.#load;
    const value = `${this.#name}:${sequence}`;
    const append = { stream: OWN, value, producer: value, sequence, askedAt: performance.now() };
    try {
      const { offset } = await this.#client.stream(OWN).append(value + PADDING, { timeout: CALL_MS });
      journal.append(append, { kind: "acknowledged", at: performance.now(), offset });
      this.#shown = Math.max(this.#shown, offset + 1);
    } catch (error) {
      journal.append(append, outcomeOf(error));
    }
  }

  async #read(): Promise<void> {
    const { journal, over } = this.#load;
    const seen = this.#seen;
    try {
      const options = { from: seen.length, timeout: CALL_MS, signal: over };
      for await (const record of this.#client.stream(OWN).read(options))
        seen.push({ offset: record.offset, value: valueOf(record.text()) });
      journal.sessionRead({ client: this.#name, stream: OWN, shown: this.#shown, nextOffset: seen.length });
      this.#shown = Math.max(this.#shown, seen.length);
    } catch {
      // At another one.
    }
  }
}
