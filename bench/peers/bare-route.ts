/**
 * What an append is measured against: the same framework with one route that takes the body and keeps nothing. Prints
 * `ready http://HOST:PORT` as our server does.
 */
import { fastify } from "fastify";

const app = fastify({ logger: false, exposeHeadRoutes: false });
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
app.post("/v1/stream/*", async (_request, reply) => reply.code(204).send());
console.log(`ready ${await app.listen({ host: "127.0.0.1", port: 0 })}`);
process.once("SIGTERM", () => void app.close());
