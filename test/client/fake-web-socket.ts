/**
 * WebSockets to a `FakeServer`, in virtual time: each message takes a millisecond, and the connection breaks where a
 * test says so. Subscriptions send while they have credit (W101).
 */
import { encodeResponse } from "../../src/wire/response.ts";
import { decodeRequest, type ReadRequest } from "../../src/wire/request.ts";
import { splitFrames, type Frame } from "../../src/wire/frame.ts";
import {
  decodeSocketRequest,
  encodeSocketResponse,
  isSocketRequest,
  type SubscribeRequest,
} from "../../src/wire/socket-frames.ts";
import type { SimClock } from "../../src/sim/clock.ts";
import type { FakeServer } from "./fake-server.ts";

/** What becomes of an opening or of a message, in the order in which they come. `break`: it and the connection are lost. */
export type SocketFault = "none" | "break";

type Listener = (event: { data: ArrayBuffer; code: number; reason: string }) => void;
type Subscription = { readonly incarnation: number; readonly stream: string; next: number; credit: number };

const LATENCY_MS = 1;
const BYTES_MAX = 1 << 30;

/** What is on the other side of all sockets. */
export class FakeSocketServer {
  readonly server: FakeServer;
  readonly clock: SimClock;
  readonly faults: SocketFault[] = [];
  /** While true nothing can be opened. */
  down = false;
  openings = 0;
  opening = 0;
  openingsAtOnceMax = 0;
  /** Bytes of batches that subscriptions sent. */
  sentBytes = 0;
  readonly sockets = new Set<FakeWebSocket>();

  constructor(server: FakeServer, clock: SimClock) {
    this.server = server;
    this.clock = clock;
  }

  /** What the SDK is given for `WebSocket`. */
  get constructorFor(): typeof WebSocket {
    const open = (): FakeWebSocket => new FakeWebSocket(this);
    return function () {
      return open();
    } as unknown as typeof WebSocket;
  }

  /** Under way, over all sockets. */
  get subscriptions(): number {
    return [...this.sockets].reduce((sum, socket) => sum + socket.subscriptions, 0);
  }

  breakAll(): void {
    for (const socket of this.sockets) socket.break();
  }
}

export class FakeWebSocket {
  binaryType = "blob";
  readonly #world: FakeSocketServer;
  readonly #listeners = new Map<string, Listener[]>();
  readonly #subscriptions = new Map<number, Subscription>();
  #over = false;

  constructor(world: FakeSocketServer) {
    this.#world = world;
    world.openings += 1;
    world.opening += 1;
    world.openingsAtOnceMax = Math.max(world.openingsAtOnceMax, world.opening);
    world.clock.schedule(LATENCY_MS, () => {
      world.opening -= 1;
      if (this.#over) return;
      if (world.down || world.faults.shift() === "break") {
        this.break();
        return;
      }
      world.sockets.add(this);
      this.#tell("open");
    });
  }

  addEventListener(name: string, listener: Listener): void {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }

  send(message: Uint8Array): void {
    const bytes = message.slice();
    this.#later(() => this.#receive(bytes));
  }

  close(): void {
    this.#end();
  }

  break(): void {
    if (!this.#over) this.#end();
  }

  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  /** Sends what credit and stream allow. */
  pump(): void {
    for (const [id, subscription] of this.#subscriptions) this.#pumpOne(id, subscription);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#world.sockets.delete(this);
    this.#world.clock.schedule(LATENCY_MS, () => this.#tell("close"));
  }

  #tell(name: string, data: ArrayBuffer = new ArrayBuffer()): void {
    for (const listener of this.#listeners.get(name) ?? []) listener({ data, code: 1006, reason: "" });
  }

  #later(run: () => void): void {
    this.#world.clock.schedule(LATENCY_MS, () => {
      if (this.#over) return;
      if (this.#world.faults.shift() === "break") this.break();
      else run();
    });
  }

  #answer(frame: Uint8Array): void {
    const { buffer } = frame.slice();
    this.#later(() => this.#tell("message", buffer));
  }

  #receive(bytes: Uint8Array): void {
    const frames = splitFrames(bytes, BYTES_MAX, BYTES_MAX);
    if (!frames.ok) throw new Error(frames.error.message);
    for (const frame of frames.value) {
      if (isSocketRequest(frame)) this.#onSocketRequest(frame);
      else this.#onRequest(frame);
    }
    for (const socket of this.#world.sockets) socket.pump();
  }

  #onRequest(frame: Frame): void {
    const request = decodeRequest(frame, { batchBytesMax: BYTES_MAX });
    if (!request.ok) throw new Error(request.error.message);
    this.#answer(encodeResponse(this.#world.server.handle(request.value), frame.requestId));
  }

  #onSocketRequest(frame: Frame): void {
    const request = decodeSocketRequest(frame);
    if (!request.ok) throw new Error(request.error.message);
    const { position } = this.#world.server;
    switch (request.value.kind) {
      case "subscribe":
        this.#subscribe(frame.requestId, request.value);
        break;
      case "credit": {
        const subscription = this.#subscriptions.get(frame.requestId);
        if (subscription !== undefined) subscription.credit += request.value.bytes;
        break;
      }
      case "unsubscribe":
        this.#subscriptions.delete(frame.requestId);
        break;
      case "session":
        this.#answer(encodeSocketResponse({ kind: "session", position, token: `fake.0.${position}` }, frame.requestId));
        break;
      case "ping":
        this.#answer(encodeSocketResponse({ kind: "pong", position }, frame.requestId));
        break;
      default:
        throw new Error(`no "${request.value.kind}" here`);
    }
  }

  #read(stream: string, from: ReadRequest["from"], offset: number): ReturnType<FakeServer["handle"]> {
    return this.#world.server.handle({ kind: "read", stream, from, offset, maxBytes: 1, waitMs: 0 });
  }

  #subscribe(id: number, { stream, from, offset, credit }: SubscribeRequest): void {
    const facts = this.#read(stream, from, offset);
    if (facts.kind !== "records") {
      this.#answer(encodeResponse(facts, id));
      return;
    }
    const next = { offset, start: facts.firstOffset, now: facts.tail }[from];
    this.#subscriptions.set(id, { incarnation: facts.incarnation, stream, next, credit });
    this.#answer(encodeSocketResponse({ ...facts, kind: "subscribed", offset: next }, id));
  }

  #pumpOne(id: number, subscription: Subscription): void {
    while (subscription.credit > 0) {
      const found = this.#read(subscription.stream, "offset", subscription.next);
      if (found.kind !== "records") throw new Error(found.kind);
      if (found.batches.length === 0) {
        if (found.closed) this.#endSubscription(id, subscription, found.position);
        return;
      }
      for (const { bytes } of found.batches) {
        subscription.credit -= bytes.length;
        this.#world.sentBytes += bytes.length;
      }
      subscription.next = found.nextOffset;
      this.#answer(encodeResponse(found, id));
    }
  }

  #endSubscription(id: number, { next }: Subscription, position: number): void {
    this.#subscriptions.delete(id);
    this.#answer(encodeSocketResponse({ kind: "end", position, reason: "closed", nextOffset: next }, id));
  }
}
