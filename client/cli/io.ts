/**
 * What the command line reads and writes, as an object, so that tests can stand in for a terminal. Writing waits for
 * whoever reads, and a reader that went away (`| head`) is the end of the work, not a failure.
 */
import type { Readable, Writable } from "node:stream";
import type { connect } from "../client.ts";

export type Io = {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Fires at the first Ctrl-C or termination. */
  readonly interrupted: AbortSignal;
  /** Instead of the SDK's. */
  readonly connect?: typeof connect;
};

/** The reader of our output went away. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}

export function write(stream: Writable, chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(isClosedPipe(error) ? new OutputClosedError() : error);
    });
  });
}

function isClosedPipe(error: Error): boolean {
  const code = "code" in error ? error.code : undefined;
  return code === "EPIPE" || code === "ERR_STREAM_DESTROYED" || code === "ERR_STREAM_WRITE_AFTER_END";
}

function ignore(): void {}

/** The process's own. A second interrupt ends the process at once, for a first one may wait for answers. */
export function processIo(): Io {
  let interrupted: AbortSignal | undefined;
  // Each write hears of its own failure; without a listener the first would end the process.
  process.stdout.on("error", ignore);
  process.stderr.on("error", ignore);
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    // Until somebody asks, nothing has begun, and a signal ends the process; a server has handlers of its own.
    get interrupted() {
      return (interrupted ??= firstInterrupt());
    },
  };
}

function firstInterrupt(): AbortSignal {
  const controller = new AbortController();
  const onSignal = (): void => controller.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  return controller.signal;
}
