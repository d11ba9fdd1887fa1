/**
 * The life of one data folder: servers that follow one another on it, killed, stopped or failing. Clients see one server
 * that is now and then away, and later somewhere else.
 */
import { expect } from "vitest";
import { type Ended, Server, type ServerOptions } from "./server.ts";
import type { Target } from "./workload.ts";

/** Small enough that rolls, seals, images, snapshots and trims happen all the time. */
const SMALL: ServerOptions = {
  limits: { imageEveryBytes: 128 * 1024, snapshotEveryBytes: 512 * 1024, housekeepingEveryMs: 50 },
};

/** The server as clients see it: now and then away, and later somewhere else. */
export class Life implements Target {
  stopping = false;
  readonly events = new Map<string, number>();
  readonly #data: string;
  #server: Server | undefined;
  #serving: PromiseWithResolvers<string> = Promise.withResolvers();
  #isServing = false;
  #acknowledged = 0;
  #wanted: { readonly at: number; readonly reached: () => void } | undefined;

  constructor(data: string) {
    this.#data = data;
  }

  url(): Promise<string> {
    return this.#serving.promise;
  }

  /** The one that serves. */
  get server(): Server {
    if (this.#server === undefined) throw new Error("none was started");
    return this.#server;
  }

  progress(): void {
    this.#acknowledged += 1;
    if (this.#wanted !== undefined && this.#acknowledged >= this.#wanted.at) this.#wanted.reached();
  }

  /** Resolves once this much more was acknowledged. */
  more(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wanted = { at: this.#acknowledged + count, reached: resolve };
    });
  }

  async start(options: ServerOptions = {}): Promise<void> {
    this.#server = await Server.start(this.#data, { ...SMALL, ...options });
    this.#isServing = true;
    this.#serving.resolve(this.#server.url);
  }

  /** Starts, and is killed when this is logged, or as soon as it serves. */
  async startAndDie(event: string): Promise<void> {
    this.#server = Server.spawn(this.#data, SMALL);
    await this.#server.logged(event);
    await this.kill();
  }

  async kill(): Promise<void> {
    this.#leave();
    const ended = await this.#server?.kill();
    expect(ended?.signal).toBe("SIGKILL");
    this.#count();
  }

  async stop(): Promise<void> {
    this.#leave();
    const ended = await this.#server?.stop();
    expect(ended, ended?.stderr).toMatchObject({ code: 0, signal: null });
    this.#count();
  }

  /** Resolves once it has ended by itself. */
  async ended(): Promise<Ended | undefined> {
    const ended = await this.#server?.ended();
    this.#leave();
    this.#count();
    return ended;
  }

  /** Whoever waits for a server goes on waiting for the same one. */
  #leave(): void {
    if (this.#isServing) this.#serving = Promise.withResolvers();
    this.#isServing = false;
  }

  #count(): void {
    for (const { event } of this.#server?.events ?? []) {
      this.events.set(String(event), (this.events.get(String(event)) ?? 0) + 1);
    }
  }
}
