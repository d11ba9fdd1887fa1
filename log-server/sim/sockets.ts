/**
 * WebSockets in memory between clients and nodes, with the delays and ends of TCP: what is sent arrives in order or the
 * connection breaks, and a connection over which nothing passes stays open until somebody gives it up. The client's end is
 * what the SDK takes for the platform's `WebSocket`, the node's end what the production face takes for `ws`'s.
 */
import type { Socket } from "../ws/connection.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { SimClock } from "../../src/sim/clock.ts";

/** The node's end of the world: takes a connection, or there is nobody. */
export type Accept = (socket: Socket) => void;

type Run = (work: () => void) => void;

/** A process that listens: `run` is what its life lets happen, now, later or never. */
export type Listener = {
  readonly node: string;
  /** A node that recovers listens to nobody yet. */
  readonly listens: () => boolean;
  readonly accept: Accept;
  readonly run: Run;
};

export type SocketCounts = { opened: number; refused: number; broken: number; swallowed: number };

type ClientListener = (event: { readonly data: ArrayBuffer; readonly code: number; readonly reason: string }) => void;

const DELAY_MS_MIN = 0.2;
const DELAY_MS_MORE = 3;
const OPEN = 1;
const CLOSED = 3;
const ABNORMAL = 1006;

export class Sockets {
  readonly counts: SocketCounts = { opened: 0, refused: 0, broken: 0, swallowed: 0 };
  readonly clock: SimClock;
  readonly #prng: Prng;
  readonly #listeners = new Map<string, Listener>();
  readonly #connections = new Set<Connection>();
  /** Between clients and these nodes nothing passes. */
  readonly #silent = new Set<string>();

  constructor(clock: SimClock, prng: Prng) {
    this.clock = clock;
    this.#prng = prng;
  }

  listen(listener: Listener): void {
    this.#listeners.set(listener.node, listener);
  }

  /** The process is gone: its connections break. */
  end(listener: Listener): void {
    if (this.#listeners.get(listener.node) === listener) this.#listeners.delete(listener.node);
    for (const connection of [...this.#connections]) if (connection.listener === listener) this.break(connection);
  }

  listenerOf(node: string): Listener | undefined {
    return this.#listeners.get(node);
  }

  /**
   * What a client is given for `WebSocket`; `dial` says, for each opening, which node it reaches, `run` what the client's process
   * lets happen, now, later or never.
   */
  constructorFor(client: string, dial: (url: string) => string, run: Run = atOnce): typeof WebSocket {
    const open = (url: string): ClientSocket => new ClientSocket(this, client, dial(url), run);
    return function (url: string | URL) {
      return open(String(url));
    } as unknown as typeof WebSocket;
  }

  silence(node: string): void {
    this.#silent.add(node);
  }

  unsilence(node: string): void {
    this.#silent.delete(node);
  }

  /** Each connection that `isBad` says of. */
  breakWhere(isBad: (client: string, node: string) => boolean): void {
    for (const connection of [...this.#connections])
      if (isBad(connection.client, connection.listener.node)) this.break(connection);
  }

  break(connection: Connection): void {
    this.counts.broken += 1;
    connection.end(ABNORMAL, "");
  }

  /* For the two ends. */

  add(connection: Connection): void {
    this.#connections.add(connection);
  }

  remove(connection: Connection): void {
    this.#connections.delete(connection);
  }

  isSilent(node: string): boolean {
    return this.#silent.has(node);
  }

  delayMs(): number {
    return DELAY_MS_MIN + this.#prng.float() * DELAY_MS_MORE;
  }
}

/** One direction: in order, whatever each takes. */
class Line {
  readonly #sockets: Sockets;
  #lastAtMs = 0;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  carry(run: () => void): void {
    const { clock } = this.#sockets;
    const now = clock.monotonic();
    this.#lastAtMs = Math.max(this.#lastAtMs, now + this.#sockets.delayMs());
    clock.schedule(this.#lastAtMs - now, run);
  }
}

/** Both ends of one connection that was accepted. */
class Connection {
  readonly client: string;
  readonly listener: Listener;
  readonly #sockets: Sockets;
  readonly #up: Line;
  readonly #down: Line;
  readonly #near: ClientSocket;
  readonly #far: NodeSocket;
  /** Sent while nothing passes; it comes when something does again, or never. */
  readonly #held: (() => void)[] = [];
  #over = false;

  constructor(sockets: Sockets, client: string, listener: Listener, near: ClientSocket) {
    this.#sockets = sockets;
    this.client = client;
    this.listener = listener;
    this.#near = near;
    this.#up = new Line(sockets);
    this.#down = new Line(sockets);
    this.#far = new NodeSocket(this);
    sockets.add(this);
  }

  accept(): void {
    this.listener.accept(this.#far);
  }

  toNode(run: (socket: NodeSocket) => void): void {
    this.#pass(this.#up, () => this.listener.run(() => run(this.#far)));
  }

  toClient(run: (socket: ClientSocket) => void): void {
    this.#pass(this.#down, () => this.#near.run(() => run(this.#near)));
  }

  end(code: number, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#sockets.remove(this);
    // Each end finds out for itself; a process that stands still does when it goes on.
    this.#down.carry(() => this.#near.run(() => this.#near.closed(code, reason)));
    this.#up.carry(() => this.listener.run(() => this.#far.closed()));
  }

  #pass(line: Line, run: () => void): void {
    if (this.#over) return;
    const arrive = (): void => {
      if (this.#over) return;
      if (this.#sockets.isSilent(this.listener.node)) {
        this.#sockets.counts.swallowed += 1;
        this.#held.push(() => line.carry(arrive));
      } else {
        for (const send of this.#held.splice(0)) send();
        run();
      }
    };
    if (this.#held.length > 0) this.#held.push(() => line.carry(arrive));
    else line.carry(arrive);
  }
}

/** The client's end, from the moment it is wanted. */
class ClientSocket {
  binaryType = "blob";
  readonly run: Run;
  readonly #listeners = new Map<string, ClientListener[]>();
  #connection: Connection | undefined;
  #over = false;

  constructor(sockets: Sockets, client: string, node: string, run: Run) {
    this.run = run;
    const { clock } = sockets;
    clock.schedule(sockets.delayMs(), () => {
      if (this.#over) return;
      const listener = sockets.listenerOf(node);
      if (listener?.listens() !== true) {
        sockets.counts.refused += 1;
        clock.schedule(sockets.delayMs(), () => run(() => this.closed(ABNORMAL, "refused")));
        return;
      }
      // What cannot pass, or stands still, does not answer.
      if (sockets.isSilent(node)) return;
      listener.run(() => {
        if (this.#over) return;
        const connection = new Connection(sockets, client, listener, this);
        this.#connection = connection;
        sockets.counts.opened += 1;
        connection.accept();
        connection.toClient(() => this.#tell("open"));
      });
    });
  }

  addEventListener(name: string, listener: ClientListener): void {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }

  send(message: Uint8Array): void {
    const bytes = message.slice();
    this.#connection?.toNode((socket) => socket.received(bytes));
  }

  close(): void {
    if (this.#connection !== undefined) this.#connection.end(1000, "");
    else this.closed(ABNORMAL, "");
  }

  received(bytes: Uint8Array): void {
    if (!this.#over) this.#tell("message", bytes.buffer as ArrayBuffer);
  }

  closed(code: number, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#tell("close", new ArrayBuffer(), code, reason);
  }

  #tell(name: string, data: ArrayBuffer = new ArrayBuffer(), code = 0, reason = ""): void {
    for (const listener of this.#listeners.get(name) ?? []) listener({ data, code, reason });
  }
}

type NodeListener = (data: Buffer, isBinary: boolean) => void;

/** The node's end. Pings are answered by the client's platform, not by the client. */
class NodeSocket implements Socket {
  readyState = OPEN;
  bufferedAmount = 0;
  isPaused = false;
  readonly #connection: Connection;
  readonly #listeners = new Map<string, NodeListener[]>();
  readonly #unread: Uint8Array[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  on(event: string, listener: NodeListener | (() => void)): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  send(data: Uint8Array | string, _options: { readonly binary: boolean }, done: (error?: Error) => void): void {
    const bytes = typeof data === "string" ? Buffer.from(data) : data.slice();
    this.bufferedAmount += bytes.length;
    this.#connection.toClient((socket) => {
      this.bufferedAmount -= bytes.length;
      this.#connection.toNode(() => done());
      socket.received(bytes);
    });
  }

  ping(): void {
    this.#connection.toClient(() => this.#connection.toNode(() => this.#tell("pong")));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    while (!this.isPaused) {
      const bytes = this.#unread.shift();
      if (bytes === undefined) return;
      this.#tell("message", bytes);
    }
  }

  close(code: number, reason: string): void {
    this.#connection.toClient(() => this.#connection.end(code, reason));
  }

  terminate(): void {
    this.#connection.end(ABNORMAL, "");
  }

  received(bytes: Uint8Array): void {
    if (this.isPaused) this.#unread.push(bytes);
    else this.#tell("message", bytes);
  }

  closed(): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#tell("close");
  }

  #tell(event: string, bytes: Uint8Array = new Uint8Array()): void {
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const listener of this.#listeners.get(event) ?? []) listener(data, true);
  }
}

function atOnce(work: () => void): void {
  work();
}
