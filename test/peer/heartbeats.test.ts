/** N9: what is urgent overtakes what is long, counted in bytes and not in time. */
import { afterEach, expect, it } from "vitest";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { connectAll, TestPeer } from "./test-peers.ts";

const MESSAGE_BYTES = 512 * 1024;
const MESSAGES = 512;

let opened: TestPeer[] = [];

afterEach(async () => {
  await Promise.all(opened.map(({ peers }) => peers.close()));
});

it("a heartbeat arrives before any bulk that still waited when it was sent, of 256 MB", async () => {
  const [one, two] = [new TestPeer({ node: "n1" }), new TestPeer({ node: "n2" })];
  opened = [one, two];
  await connectAll(one, two);
  let sent = 0;
  let received = 0;
  let overtook = 0;
  let heartbeats = 0;
  const late: string[] = [];
  const piece = new Uint8Array(MESSAGE_BYTES);

  two.heard.onBulk = (_from, bytes) => {
    received += bytes.length;
    if (received === MESSAGES * MESSAGE_BYTES) two.heard.notify();
  };
  two.heard.message = (from, lane, bytes) => {
    if (lane === "bulk") return two.heard.onBulk?.(from, bytes);
    const reader = new ByteReader(bytes);
    const [number, gone, waiting] = [reader.varint(), reader.varint(), reader.varint()];
    heartbeats += 1;
    if (waiting > 0) overtook += 1;
    if (received > gone - waiting) late.push(`${number}: ${received} had come, ${gone - waiting} were before it`);
  };

  let number = 0;
  const push = (): void => {
    while (sent < MESSAGES * MESSAGE_BYTES && one.peers.send("n2", "bulk", [piece])) {
      sent += MESSAGE_BYTES;
      number += 1;
      // Earlier heartbeats that wait, too, are not bulk.
      const waiting = Math.floor(one.status("n2").queuedBytes / MESSAGE_BYTES) * MESSAGE_BYTES;
      one.peers.send("n2", "control", [new ByteWriter().varint(number).varint(sent).varint(waiting).finish()]);
    }
  };
  one.heard.onRoom = push;
  push();
  await two.heard.until(() => received === MESSAGES * MESSAGE_BYTES);

  expect(late).toEqual([]);
  expect(heartbeats).toBe(MESSAGES);
  // Otherwise nothing was tried: the queue must have been long most of the time.
  expect(overtook).toBeGreaterThan(MESSAGES / 2);
  expect(one.connects).toHaveLength(1);
});
