/** A shell in memory for tests of the command line: fake standard streams, and a fake server or a real one. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { onTestFinished } from "vitest";
import type { Io } from "../../client/cli/io.ts";
import { main } from "../../client/cli/main.ts";
import { connect } from "../../client/client.ts";
import { SYSTEM_ENVIRONMENT } from "../../client/environment.ts";
import { FakeServer } from "../client/fake-server.ts";
import { FakeTransport } from "../client/fake-transport.ts";

export class Sink extends Writable {
  text = "";
  readonly isTTY: boolean;
  readonly columns = 200;
  /** What happens at the next write, if not just this. */
  onWrite: (() => void) | undefined;

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.text += chunk.toString();
    done();
    this.onWrite?.();
  }
}

/** As a pipe whose reader has gone. */
export class BrokenSink extends Sink {
  override _write(_chunk: Buffer, _: string, done: (error?: Error) => void): void {
    done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  }
}

export type Shell = {
  readonly server: FakeServer;
  readonly transport: FakeTransport;
  readonly stdin: PassThrough;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly interrupt: AbortController;
  readonly connected: { url: string; token: unknown };
  readonly tidemark: (...args: string[]) => Promise<number>;
};

export type ShellOptions = {
  readonly stdout?: Sink;
  readonly terminal?: boolean;
  readonly env?: Io["env"];
  /** A real server's, instead of the fake one. */
  readonly url?: string;
};

export function shell(options: ShellOptions = {}): Shell {
  const server = new FakeServer();
  const transport = new FakeTransport(server, SYSTEM_ENVIRONMENT.clock);
  const stdin = new PassThrough();
  const stdout = options.stdout ?? new Sink();
  stdout.on("error", () => undefined);
  const stderr = new Sink(options.terminal);
  const interrupt = new AbortController();
  const connected = { url: "", token: undefined as unknown };
  const io: Io = {
    stdin,
    stdout,
    stderr,
    env: options.url === undefined ? (options.env ?? {}) : { TIDEMARK_URL: options.url },
    interrupted: interrupt.signal,
    connect: (url, given) => {
      connected.url = String(url);
      connected.token = given?.token;
      return connect(url, options.url === undefined ? { ...given, transport } : given);
    },
  };
  return { server, transport, stdin, stdout, stderr, interrupt, connected, tidemark: (...args) => main(args, io) };
}

/** Gone when the test ends. */
export function file(name: string, content: string | Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}
