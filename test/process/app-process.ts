/** One `tidemark run` as a child process of a test, and what it told so far. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "../source-tree.ts";

const COMMAND_LINE = join(ROOT, "client/cli/bin.ts");

export type AppEvent = {
  readonly event: string;
  readonly url?: string;
  readonly worker?: number;
  readonly process?: number;
  readonly why?: string;
};

export type AppProcessOptions = {
  /** Where it runs. */
  readonly folder: string;
  readonly url: string;
  readonly env?: NodeJS.ProcessEnv;
};

export class AppProcess {
  readonly child: ChildProcess;
  readonly events: AppEvent[] = [];
  readonly done: Promise<{ readonly status: number | null; readonly err: string }>;
  #told: () => void = () => undefined;

  constructor({ folder, url, env }: AppProcessOptions, file: string, ...options: readonly string[]) {
    const args = [COMMAND_LINE, "run", file, "--url", url, "-o", "json", ...options];
    this.child = spawn(process.execPath, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let err = "";
    this.child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.events.push(JSON.parse(line) as AppEvent);
      this.#told();
    });
    this.done = new Promise((resolve) => {
      this.child.once("close", (status) => {
        this.#told();
        resolve({ status, err });
      });
    });
  }

  /** Of a kind, the one with this number, from 0. */
  async event(kind: string, place = 0): Promise<AppEvent> {
    for (;;) {
      const found = this.events.filter(({ event }) => event === kind)[place];
      if (found !== undefined) return found;
      if (this.child.exitCode !== null) throw new Error(`it ended: ${JSON.stringify([this.events, await this.done])}`);
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
    }
  }
}
