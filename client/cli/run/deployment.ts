/** What `tidemark run` has deployed: puts it there again where it was reset, and sees when something else is. */
import type { Topology } from "../../../src/operators/build/topology.ts";
import type { Client } from "../../client.ts";
import type { CallOptions } from "../../deadline.ts";
import { TidemarkError } from "../../error.ts";
import { deploy, type AppOptions } from "./deploy.ts";

export class Deployment {
  readonly #client: Client;
  readonly #app: Topology;
  readonly #name: string;
  readonly #options: AppOptions;
  readonly #signal: AbortSignal;
  #epoch = 0;
  #putting: Promise<void> | undefined;

  constructor(client: Client, app: Topology, options: AppOptions, signal: AbortSignal) {
    this.#client = client;
    this.#app = app;
    this.#name = app.build().app;
    this.#options = options;
    this.#signal = signal;
  }

  /** In which it was when it was put last. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Deploys it, or finds it deployed. All who ask meanwhile are answered together. */
  put(): Promise<void> {
    this.#putting ??= deploy(this.#client, this.#app, this.#options, this.#signal)
      .then((epoch) => {
        this.#epoch = epoch;
      })
      .finally(() => {
        this.#putting = undefined;
      });
    return this.#putting;
  }

  /** Whether it was reset since it was put, or deployed by others. Throws `app-not-found` where it was deleted. */
  async isOver(call: Pick<CallOptions, "timeout"> = {}): Promise<boolean> {
    // Not all of its tasks are asked for, for one number; its own name is the first of those that begin with it.
    const options = { ...call, prefix: this.#name, limit: 1, signal: this.#signal };
    for await (const { name, epoch } of this.#client.apps(options))
      // The answer may have been given before it was put.
      if (name === this.#name) return epoch > this.#epoch;
    throw new TidemarkError("app-not-found", `there is no app "${this.#name}"`);
  }
}
