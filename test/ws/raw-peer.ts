/** A peer that does as it likes: WebSocket by hand on a raw socket, for what no client library would send. */
import { createHash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

export type RawFrame = { readonly opcode: number; readonly payload: Buffer };

export const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The bytes of a client's frame. */
export function rawMessage(
  opcode: number,
  payload: Uint8Array,
  options: { readonly fin?: boolean; readonly masked?: boolean; readonly rsv?: number; readonly claim?: bigint } = {},
): Buffer {
  const { fin = true, masked = true, rsv = 0, claim } = options;
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const mask = masked ? 0x80 : 0;
  let head: Buffer;
  if (claim !== undefined || payload.length > 65_535) {
    head = Buffer.alloc(10);
    head[1] = mask | 127;
    head.writeBigUInt64BE(claim ?? BigInt(payload.length), 2);
  } else if (payload.length > 125) {
    head = Buffer.alloc(4);
    head[1] = mask | 126;
    head.writeUInt16BE(payload.length, 2);
  } else {
    head = Buffer.of(0, mask | payload.length);
  }
  head[0] = first;
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([head, masked ? Buffer.alloc(4) : Buffer.alloc(0), payload]);
}

/** What the server says to an opening request with these headers: its status line, and the whole answer. */
export async function handshake(
  url: string,
  headers: Readonly<Record<string, string | undefined>> = {},
  path = "/v1/ws",
): Promise<{
  readonly status: number;
  readonly head: string;
  readonly body: string;
  readonly socket: Socket;
  readonly rest: Buffer;
}> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  const all = {
    "Host": `${hostname}:${port}`,
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    "Sec-WebSocket-Version": "13",
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
  let received = Buffer.alloc(0);
  const parsed = await new Promise<{ head: string; rest: Buffer }>((resolve, reject) => {
    const look = (): void => {
      const end = received.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = received.subarray(0, end).toString("latin1");
      const rest = received.subarray(end + 4);
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
      if (!head.startsWith("HTTP/1.1 101") && rest.length < length) return;
      socket.off("data", onData);
      resolve({ head, rest });
    };
    const onData = (data: Buffer): void => {
      received = Buffer.concat([received, data]);
      look();
    };
    socket.on("data", onData);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed without an answer")));
  });
  socket.removeAllListeners("error");
  socket.removeAllListeners("close");
  socket.on("error", () => undefined);
  const status = Number(parsed.head.split(" ")[1]);
  if (status === 101) {
    const accept = createHash("sha1")
      .update(all["Sec-WebSocket-Key"] + GUID)
      .digest("base64");
    if (!parsed.head.includes(accept)) throw new Error("the server has not understood the key");
  }
  return { status, head: parsed.head, body: parsed.rest.toString(), socket, rest: parsed.rest };
}

export class RawPeer {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #received: Buffer;
  #isClosed = false;
  #onChange: (() => void) | undefined;

  constructor(socket: Socket, rest: Buffer) {
    this.socket = socket;
    this.#received = rest;
    socket.on("data", (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#onChange?.();
    });
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#isClosed = true;
        this.#onChange?.();
        resolve();
      });
    });
  }

  static async open(url: string): Promise<RawPeer> {
    const { status, head, socket, rest } = await handshake(url);
    if (status !== 101) throw new Error(head);
    return new RawPeer(socket, rest);
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next frame, or undefined at the end of the connection. */
  async next(): Promise<RawFrame | undefined> {
    for (;;) {
      const frame = this.#take();
      if (frame !== undefined) return frame;
      if (this.#isClosed) return undefined;
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }

  /** Reads on to the close frame; its code and reason, or undefined where the connection ended without one. */
  async closing(): Promise<{ readonly code: number; readonly reason: string } | undefined> {
    for (let frame = await this.next(); frame !== undefined; frame = await this.next()) {
      if (frame.opcode !== OPCODE.close) continue;
      this.socket.end();
      const code = frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE(0);
      return { code, reason: frame.payload.subarray(2).toString() };
    }
    return undefined;
  }

  #take(): RawFrame | undefined {
    const bytes = this.#received;
    if (bytes.length < 2) return undefined;
    const short = (bytes[1] as number) & 127;
    const start = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (bytes.length < start) return undefined;
    const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
    if (bytes.length < start + length) return undefined;
    this.#received = bytes.subarray(start + length);
    return { opcode: (bytes[0] as number) & 15, payload: bytes.subarray(start, start + length) };
  }
}
