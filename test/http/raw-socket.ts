/** A client of bare sockets, for what no HTTP client would send. */
import { connect, type Socket } from "node:net";

export type RawAnswer = { readonly status: number; readonly body: string };

/** Connects, and collects what comes until the other side ends the connection. */
export class RawSocket {
  readonly #socket: Socket;
  readonly #ended: Promise<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => undefined);
    this.#ended = new Promise((resolve) => {
      socket.on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
    });
  }

  static open(url: string): Promise<RawSocket> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", () => resolve(new RawSocket(socket)));
    });
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Takes nothing more of what comes. */
  pause(): void {
    this.#socket.pause();
  }

  /** Sends no more, but still listens. */
  halfClose(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** All that came, once the server has closed the connection. */
  ended(): Promise<string> {
    return this.#ended;
  }
}

/** Sends the bytes on a connection of its own and waits for the server to close it. */
export async function rawRequest(url: string, bytes: string | Uint8Array): Promise<RawAnswer> {
  const socket = await RawSocket.open(url);
  socket.send(bytes);
  return parseAnswer(await socket.ended());
}

export function parseAnswer(text: string): RawAnswer {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
  const end = text.indexOf("\r\n\r\n");
  return { status, body: end < 0 ? "" : text.slice(end + 4) };
}
