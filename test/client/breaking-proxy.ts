/** A way to a server whose connections break when a test says so. */
import { connect as connectSocket, createServer, type Server, type Socket } from "node:net";

export class BreakingProxy {
  readonly port: number;
  broken = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(target: number): Promise<BreakingProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const proxy = new BreakingProxy(server, (server.address() as { port: number }).port);
    server.on("connection", (inner) => {
      const outer = connectSocket({ host: "127.0.0.1", port: target });
      for (const [from, to] of [
        [inner, outer],
        [outer, inner],
      ] as const) {
        proxy.#sockets.add(from);
        from.on("error", () => undefined);
        from.on("close", () => {
          proxy.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
    return proxy;
  }

  breakAll(): void {
    for (const socket of this.#sockets) {
      socket.resetAndDestroy();
      this.broken += 1;
    }
  }

  async close(): Promise<void> {
    this.breakAll();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}
