/** A real server as a child process: started, asked, killed, at the latest when its test ends. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { COMPILE_CACHE } from "../compile-cache.ts";

const COMMAND = join(import.meta.dirname, "..", "..", "client", "cli", "bin.ts");

export type Ended = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** Gone when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Made in a test. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  readonly #firstLine: Promise<string | undefined>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const child = spawn(process.execPath, [COMMAND, "serve", ...args], {
      env: { PATH: process.env["PATH"] ?? "", NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    onTestFinished(async () => {
      const gone = once(child, "exit");
      if (child.kill("SIGKILL")) await gone;
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const lines = createInterface(child.stdout);
    this.#firstLine = new Promise((resolve) => {
      lines.once("line", resolve);
      lines.once("close", () => resolve(undefined));
    });
    this.#ended = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        resolve({ code, signal, stdout, stderr });
      });
    });
  }

  /** The URL of its first line. Fails with what it said if it ends instead. */
  async ready(): Promise<string> {
    const line = await this.#firstLine;
    if (line?.startsWith("ready http://") !== true) {
      const { code, stderr } = await this.#ended;
      throw new Error(`not ready: first line ${JSON.stringify(line)}, exit code ${code}\n${stderr}`);
    }
    return line.slice("ready ".length);
  }

  ended(): Promise<Ended> {
    return this.#ended;
  }

  kill(signal: NodeJS.Signals): Promise<Ended> {
    this.#child.kill(signal);
    return this.#ended;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }
}

/** Starts a server on a free port and waits until it serves. */
export async function startServer(
  data: string,
  ...args: readonly string[]
): Promise<{ process: ServerProcess; url: string }> {
  const server = new ServerProcess(["--data", data, "--listen", "127.0.0.1:0", ...args]);
  return { process: server, url: await server.ready() };
}

/* A stream of JSON messages, by hand: these tests are about the process, not about the SDK. */

const JSON_TYPE = { "content-type": "application/json" };

export async function createStream(url: string, name: string): Promise<void> {
  const answer = await fetch(`${url}/v1/stream/${name}`, { method: "PUT", headers: JSON_TYPE });
  if (!answer.ok) throw new Error(`create: ${answer.status} ${await answer.text()}`);
}

export async function append(url: string, name: string, message: unknown): Promise<void> {
  const answer = await fetch(`${url}/v1/stream/${name}`, {
    method: "POST",
    headers: JSON_TYPE,
    body: JSON.stringify(message),
  });
  if (!answer.ok) throw new Error(`append: ${answer.status} ${await answer.text()}`);
}

export async function readAll(url: string, name: string): Promise<unknown[]> {
  const messages: unknown[] = [];
  for (let offset = "-1"; ;) {
    const answer = await fetch(`${url}/v1/stream/${name}?offset=${offset}`);
    if (!answer.ok) throw new Error(`read: ${answer.status} ${await answer.text()}`);
    messages.push(...((await answer.json()) as unknown[]));
    if (answer.headers.get("stream-up-to-date") === "true") return messages;
    offset = answer.headers.get("stream-next-offset") ?? "";
  }
}
