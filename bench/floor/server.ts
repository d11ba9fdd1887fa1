/**
 * The bare floor of a durable append: length-prefixed TCP, one xxh64 per batch, a preallocated file, group-commit
 * `fdatasync`, and nothing else: no order among connections, no streams, no state, no recovery.
 *
 *     node bench/floor/server.ts FILE [FOLLOWER...]     prints `ready tcp://HOST:PORT`
 *
 * With followers, which are such servers without any, it is the floor of a cluster: each group goes to them as one batch
 * while it is written here, and is answered once a majority of all has synced it.
 */
import { once } from "node:events";
import { open } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { xxh64 } from "../../src/record/checksum.ts";
import { ACKNOWLEDGED, LENGTH_BYTES } from "./protocol.ts";

const FILE_BYTES = 256 * 1024 * 1024;
const STEP_BYTES = 1024 * 1024;
const HASH_BYTES = 8;

const file = await open(process.argv[2] as string, "w");
for (let at = 0; at < FILE_BYTES; at += STEP_BYTES) await file.write(Buffer.alloc(STEP_BYTES), 0, STEP_BYTES, at);
await file.sync();

/** Of this server and its followers, those whose sync a batch needs. */
const majority = Math.floor((process.argv.length - 2) / 2) + 1;
const followers = await Promise.all(process.argv.slice(3).map((url) => follow(new URL(url))));

/** Clients of a group, each with how many batches it has there, and how many servers have synced it. */
type Group = { readonly clients: Map<Socket, number>; copies: number };

let waiting: { readonly socket: Socket; readonly batch: Buffer }[] = [];
let writing = false;
let position = 0;

async function writeGroups(): Promise<void> {
  writing = true;
  while (waiting.length > 0) {
    const group = waiting;
    waiting = [];
    const bytes = gather(group.map(({ batch }) => batch));
    const { length } = bytes;
    if (position + length > FILE_BYTES) position = 0;
    const clients = new Map<Socket, number>();
    for (const { socket } of group) clients.set(socket, (clients.get(socket) ?? 0) + 1);
    const shared: Group = { clients, copies: 0 };
    for (const send of followers) send(shared, bytes);
    await file.write(bytes, 0, length, position);
    await file.datasync();
    position += length;
    onSynced(shared);
  }
  writing = false;
}

function onSynced(group: Group): void {
  group.copies += 1;
  if (group.copies !== majority) return;
  for (const [socket, count] of group.clients) socket.write(Buffer.alloc(count, ACKNOWLEDGED));
}

/** What sends groups to a follower. It answers each in order, with a byte. */
async function follow({ hostname, port }: URL): Promise<(group: Group, bytes: Buffer) => void> {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");
  const unanswered: Group[] = [];
  socket.on("data", (answers: Buffer) => {
    for (const group of unanswered.splice(0, answers.length)) onSynced(group);
  });
  return (group, bytes) => {
    const head = Buffer.allocUnsafe(LENGTH_BYTES);
    head.writeUInt32LE(bytes.length, 0);
    unanswered.push(group);
    socket.cork();
    socket.write(head);
    socket.write(bytes);
    socket.uncork();
  };
}

/** The batches as they are written: each behind its hash. */
function gather(batches: readonly Buffer[]): Buffer {
  let length = 0;
  for (const batch of batches) length += HASH_BYTES + batch.length;
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const batch of batches) {
    at = bytes.writeBigUInt64LE(xxh64(batch), at);
    at += batch.copy(bytes, at);
  }
  return bytes;
}

function take(socket: Socket, batch: Buffer): void {
  waiting.push({ socket, batch });
  // At the end of the turn, so that what arrived together is written together.
  if (!writing) setImmediate(() => (writing ? undefined : void writeGroups()));
}

const server = createServer({ noDelay: true }, (socket) => {
  let parts: Buffer[] = [];
  let held = 0;
  let needed = LENGTH_BYTES;
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    parts.push(chunk);
    held += chunk.length;
    // A follower's batches are long: their parts are put together once.
    if (held < needed) return;
    const pending = parts.length === 1 ? chunk : Buffer.concat(parts, held);
    let at = 0;
    needed = LENGTH_BYTES;
    while (pending.length - at >= LENGTH_BYTES) {
      const length = LENGTH_BYTES + pending.readUInt32LE(at);
      if (at + length > pending.length) {
        needed = length;
        break;
      }
      take(socket, pending.subarray(at + LENGTH_BYTES, at + length));
      at += length;
    }
    held = pending.length - at;
    parts = held === 0 ? [] : [pending.subarray(at)];
  });
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log(`ready tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
process.once("SIGTERM", () => process.exit(0));
