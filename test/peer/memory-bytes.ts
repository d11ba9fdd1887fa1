/** Sources and sinks of transfers in memory. */
import type { ByteSink } from "../../log-server/node/catch-up/incoming-transfer.ts";
import type { ByteSource } from "../../log-server/node/catch-up/outgoing-transfer.ts";

export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    length: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
  };
}

/** Keeps what it gets behind what it had. */
export class MemorySink implements ByteSink {
  finished = false;
  abandoned = false;
  writtenBytes = 0;
  readonly #parts: Uint8Array[];

  constructor(had: Uint8Array = new Uint8Array(0)) {
    this.#parts = [had];
  }

  get offset(): number {
    return this.bytes.length;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes.slice());
    this.writtenBytes += bytes.length;
    return Promise.resolve();
  }

  finish(): Promise<string | undefined> {
    this.finished = true;
    return Promise.resolve(undefined);
  }

  abandon(): Promise<void> {
    this.abandoned = true;
    return Promise.resolve();
  }
}
