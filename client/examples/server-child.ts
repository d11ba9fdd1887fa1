/** A server as a child process. */
import { createServer } from "node:net";
import { TidemarkChild } from "./tidemark-child.ts";

const READY = /^ready (http:\/\/\S+)$/;

export class ServerChild {
  readonly url: string;
  readonly #child: TidemarkChild;

  private constructor(child: TidemarkChild) {
    this.#child = child;
    this.url = child.ready[0] ?? "";
  }

  /** `options`: of `tidemark serve`. Resolves when it serves. */
  static async start(options: readonly string[]): Promise<ServerChild> {
    return new ServerChild(await TidemarkChild.start(["serve", ...options, "--log-level", "warn"], READY));
  }

  get processId(): number | undefined {
    return this.#child.processId;
  }

  /** `kill -9`: nothing is flushed, nobody is told. */
  kill(): Promise<void> {
    return this.#child.kill();
  }

  /** As an operator would. */
  stop(): Promise<void> {
    return this.#child.stop();
  }

  /** For the last moment of a process, when nothing can be awaited. */
  killNow(): void {
    this.#child.killNow();
  }
}

/** A loopback port that nobody uses at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
