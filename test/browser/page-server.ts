/**
 * Serves a page with the SDK as it is published: built, not bundled, its one dependency found through an import map.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import { ROOT } from "../source-tree.ts";

const CHECKSUM = "node_modules/xxhash-wasm/esm/xxhash-wasm.js";

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Tidemark in a browser</title>
<script type="importmap">{ "imports": { "xxhash-wasm": "/${CHECKSUM}", "tidemark": "/client/index.js" } }</script>
<script type="module">
  import * as tidemark from "tidemark";
  globalThis.tidemark = tidemark;
</script>
`;

export class PageServer {
  readonly port: number;
  readonly #server: Server;
  readonly #folder: string;

  constructor(server: Server, port: number, folder: string) {
    this.#server = server;
    this.port = port;
    this.#folder = folder;
  }

  static async start(): Promise<PageServer> {
    const folder = mkdtempSync(join(tmpdir(), "tidemark-page-"));
    const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
    const options = ["-p", join(ROOT, ".ci/tsconfig.build.json"), "--outDir", folder];
    execFileSync(process.execPath, [compiler, ...options], { stdio: "inherit" });
    const server = createServer((request, response) => {
      const path = normalize(new URL(request.url ?? "/", "http://page").pathname);
      if (path === "/") {
        response.setHeader("content-type", "text/html");
        response.end(PAGE);
        return;
      }
      const file = path === `/${CHECKSUM}` ? join(ROOT, CHECKSUM) : join(folder, path);
      try {
        response.setHeader("content-type", "text/javascript");
        response.end(readFileSync(file));
      } catch {
        response.statusCode = 404;
        response.end();
      }
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return new PageServer(server, (server.address() as { port: number }).port, folder);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
