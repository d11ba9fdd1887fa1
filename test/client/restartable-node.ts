/** A real node that is stopped and started again where it was: at the same address, on the same data. Who does not need that takes `startNode()`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../client/examples/server-child.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";

const SEGMENT_BYTES = 4 * 1024 * 1024;

export class RestartableNode {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "tidemark-restartable-"));
  #node: RunningNode | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<RestartableNode> {
    const node = new RestartableNode(await freePort());
    await node.start();
    return node;
  }

  /** Running or not. */
  url(scheme: "http" | "ws"): string {
    return `${scheme}://${this.#listen}`;
  }

  async start(token?: string): Promise<void> {
    const place = { dataDirectory: this.#folder, listen: this.#listen, segmentBytes: SEGMENT_BYTES };
    this.#node = await startNode({ ...place, ...(token !== undefined && { token }) });
  }

  /** Gracefully. */
  async stop(): Promise<void> {
    await this.#node?.close();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** For good. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #listen(): string {
    return `127.0.0.1:${this.port}`;
  }
}
