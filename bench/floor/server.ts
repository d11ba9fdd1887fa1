/**
 * The bare floor of a durable append: length-prefixed TCP, one xxh64 per batch, a preallocated file, group-commit
 * `fdatasync`, and nothing else: no order among connections, no streams, no state, no recovery.
 *
 *     node bench/floor/server.ts FILE      prints `ready tcp://HOST:PORT`
 */
import { once } from "node:events";
import { open } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { xxh64 } from "../../src/record/checksum.ts";
import { ACKNOWLEDGED, LENGTH_BYTES } from "./protocol.ts";

const FILE_BYTES = 256 * 1024 * 1024;
const STEP_BYTES = 1024 * 1024;
const HASH_BYTES = 8;
const EMPTY = Buffer.alloc(0);

const file = await open(process.argv[2] as string, "w");
for (let at = 0; at < FILE_BYTES; at += STEP_BYTES) await file.write(Buffer.alloc(STEP_BYTES), 0, STEP_BYTES, at);
await file.sync();

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
    await file.write(bytes, 0, length, position);
    await file.datasync();
    position += length;
    const synced = new Map<Socket, number>();
    for (const { socket } of group) synced.set(socket, (synced.get(socket) ?? 0) + 1);
    for (const [socket, count] of synced) socket.write(Buffer.alloc(count, ACKNOWLEDGED));
  }
  writing = false;
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
  let pending: Buffer = EMPTY;
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let at = 0;
    while (pending.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + pending.readUInt32LE(at);
      if (end > pending.length) break;
      take(socket, pending.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
    pending = pending.subarray(at);
  });
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log(`ready tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
process.once("SIGTERM", () => process.exit(0));
