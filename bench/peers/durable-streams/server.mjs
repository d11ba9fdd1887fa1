/** The official server on files, as its README starts it. `node server.mjs FOLDER` prints `ready URL`. */
import { DurableStreamTestServer } from "@durable-streams/server";

const server = new DurableStreamTestServer({ host: "127.0.0.1", port: 0, dataDir: process.argv[2] });
console.log(`ready ${await server.start()}`);
process.once("SIGTERM", () => process.exit(0));
