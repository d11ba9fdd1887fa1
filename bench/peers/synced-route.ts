/**
 * The floor of what is promised: a bare route that answers once the body is synced. One gathered write and one
 * `fdatasync` at a time into a preallocated file, and whatever comes meanwhile joins the next; no checksum, no order,
 * no state, no recovery. `node bench/peers/synced-route.ts FILE`
 */
import { open } from "node:fs/promises";
import { fastify } from "fastify";

const FILE_BYTES = 64 * 1024 * 1024;

const file = await open(process.argv[2] as string, "w");
await file.write(Buffer.alloc(FILE_BYTES), 0, FILE_BYTES, 0);
await file.sync();

let waiting: { readonly body: Buffer; readonly done: () => void }[] = [];
let writing = false;
let position = 0;

async function writeGroups(): Promise<void> {
  writing = true;
  while (waiting.length > 0) {
    const group = waiting;
    waiting = [];
    const bytes = Buffer.concat(group.map(({ body }) => body));
    if (position + bytes.length > FILE_BYTES) position = 0;
    await file.write(bytes, 0, bytes.length, position);
    await file.datasync();
    position += bytes.length;
    for (const { done } of group) done();
  }
  writing = false;
}

const app = fastify({ logger: false, exposeHeadRoutes: false });
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
app.post("/v1/stream/*", async (request, reply) => {
  await new Promise<void>((done) => {
    waiting.push({ body: request.body as Buffer, done });
    // At the end of the turn, so that what arrived together is written together.
    if (!writing) setImmediate(() => (writing ? undefined : void writeGroups()));
  });
  return reply.code(204).send();
});
console.log(`ready ${await app.listen({ host: "127.0.0.1", port: 0 })}`);
process.once("SIGTERM", () => void app.close().then(() => file.close()));
