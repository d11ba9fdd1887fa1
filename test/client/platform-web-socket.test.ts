/** The WebSocket of the platform: what it puts on the wire. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { isPrivate, platformWebSocket } from "../../client/transport/platform-web-socket.ts";

describe("the WebSocket that the SDK opens in Node", () => {
  it("W185: leaves frames unmasked only where nobody between could read them", () => {
    const hidden = [
      "ws://localhost:1/v1/ws",
      "ws://127.0.0.1/v1/ws",
      "ws://127.8.9.1/",
      "ws://[::1]:80/",
      "wss://far.example/",
    ];
    const open = [
      "ws://far.example/",
      "ws://10.0.0.1/",
      "ws://localhost.example/",
      "ws://1127.0.0.1.example/",
      "ws://[::2]/",
    ];
    expect(hidden.filter((url) => !isPrivate(new URL(url)))).toEqual([]);
    expect(open.filter((url) => isPrivate(new URL(url)))).toEqual([]);
  });

  it("W185: sends to this machine what it was given, with a mask of zeros", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    const { proxy, heard } = await listenIn((server.address() as AddressInfo).port);
    const socket = new (platformWebSocket() as typeof WebSocket)(`ws://127.0.0.1:${proxy.port}`, ["tidemark.v1"]);
    const said = once(server, "connection").then(([peer]) => once(peer, "message"));
    await new Promise((resolve) => {
      socket.addEventListener("open", resolve);
    });
    socket.send(new TextEncoder().encode("as it is"));
    expect(String((await said)[0])).toBe("as it is");
    expect(Buffer.concat(heard).toString("latin1")).toContain("\x82\x88\0\0\0\0as it is");
    socket.close();
    server.close();
    proxy.close();
  });
});

/** Passes on what goes to this port, and keeps it. */
async function listenIn(port: number): Promise<{ proxy: { port: number; close: () => void }; heard: Buffer[] }> {
  const heard: Buffer[] = [];
  const open: Socket[] = [];
  const server = createServer((from) => {
    const to = new (from.constructor as typeof Socket)().connect(port, "127.0.0.1");
    open.push(from, to);
    from.on("data", (bytes) => heard.push(bytes));
    from.pipe(to).pipe(from);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = (): void => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  return { proxy: { port: (server.address() as AddressInfo).port, close }, heard };
}
