/**
 * One connection to a peer: handshake, frames out as the socket takes them, messages in, pings, and its end. Whose
 * connection it is and whether another is better is the business of `peers.ts`.
 */
import type { Socket } from "node:net";
import { unreachable } from "../../src/lib/assert.ts";
import type { Clock, Timer } from "../../src/ports/clock.ts";
import type { Lane } from "../../src/ports/link.ts";
import { Assembler } from "./assembler.ts";
import { encodeFrame, type Frame, type FrameKind } from "./frame.ts";
import { FrameParser } from "./frame-parser.ts";
import { decodeHello, decodeRefusal, encodeHello, encodeRefusal, type Hello, type Refusal } from "./hello.ts";
import type { PeerLimits } from "./limits.ts";
import { PING_BYTES, PingClock } from "./ping-clock.ts";
import { SendQueue } from "./send-queue.ts";

const EMPTY: Uint8Array = new Uint8Array(0);

/** Why a connection ended. */
export type End =
  | { readonly kind: "closed"; readonly detail: string }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refused"; readonly by: "us" | "them"; readonly refusal: Refusal };

export type Traffic = { bytesIn: number; bytesOut: number; messagesIn: number; messagesOut: number };

/** What a connection asks of whoever owns it. */
export interface ConnectionOwner {
  /** The hello for this peer; of an accepted connection it is asked once the peer is known. */
  helloFor(peer: string): Hello;
  judge(hello: Hello, connection: Connection): Refusal | undefined;
  /** Both have agreed. */
  opened(connection: Connection, hello: Hello): void;
  message(connection: Connection, lane: Lane, bytes: Uint8Array): void;
  /** The queue has got shorter. */
  sent(connection: Connection, lane: Lane): void;
  /** Once, whatever came before. */
  ended(connection: Connection, end: End): void;
}

/** Who speaks next. A dialler begins; an acceptor waits. */
type Phase = "await-hello" | "await-answer" | "await-welcome" | "open" | "ended";

export class Connection {
  readonly socket: Socket;
  /** Whom we dialled; undefined of an accepted connection. */
  readonly dialled: string | undefined;
  readonly queue: SendQueue;
  readonly traffic: Traffic = { bytesIn: 0, bytesOut: 0, messagesIn: 0, messagesOut: 0 };
  /** The peer, once its hello was accepted. */
  hello: Hello | undefined;
  /** The name in its hello, accepted or not. */
  claimed: string | undefined;

  readonly #owner: ConnectionOwner;
  readonly #clock: Clock;
  readonly #limits: PeerLimits;
  readonly #parser: FrameParser;
  readonly #assemblers: Readonly<Record<Lane, Assembler>> = {
    control: new Assembler("control"),
    entries: new Assembler("entries"),
    requests: new Assembler("requests"),
    bulk: new Assembler("bulk"),
  };
  readonly #pings: PingClock;
  #phase: Phase;
  #timer: Timer | undefined;
  #pumping = false;
  #full = false;
  #pingDue = false;
  #pongDue: Uint8Array | undefined;

  constructor(
    socket: Socket,
    dialled: string | undefined,
    parts: { readonly owner: ConnectionOwner; readonly clock: Clock; readonly limits: PeerLimits },
  ) {
    this.socket = socket;
    this.dialled = dialled;
    this.#owner = parts.owner;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.queue = new SendQueue(parts.limits);
    this.#parser = new FrameParser(parts.limits.handshakePayloadBytesMax);
    this.#pings = new PingClock(parts.clock);
    this.#phase = dialled === undefined ? "await-hello" : "await-answer";
    this.#timer = this.#clock.schedule(parts.limits.handshakeMs, () =>
      this.#end({ kind: "closed", detail: `no agreement within ${parts.limits.handshakeMs} ms` }),
    );
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    socket.on("drain", () => {
      this.#full = false;
      this.#pump();
    });
    socket.on("error", (error) => this.#end({ kind: "closed", detail: error.message }));
    socket.on("close", () => this.#end({ kind: "closed", detail: "the connection was closed" }));
    socket.on("end", () => this.#end({ kind: "closed", detail: "the peer closed the connection" }));
  }

  get open(): boolean {
    return this.#phase === "open";
  }

  /** The last round trip, in milliseconds; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#pings.rttMs;
  }

  /** Begins the handshake of a dialled connection, whose socket has connected. */
  begin(): void {
    if (this.dialled !== undefined && this.#phase === "await-answer") {
      this.#write("hello", encodeHello(this.#owner.helloFor(this.dialled)));
    }
  }

  /** Frames go out behind everything that is queued in this turn. */
  wake(): void {
    if (this.#pumping || this.#full || this.#phase !== "open") return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  /** Says goodbye behind what the socket has already taken, and cuts off a peer that does not follow. */
  close(end: End): void {
    if (this.#phase === "ended") return;
    if (this.#phase === "open") this.#write("goodbye", Buffer.from(end.kind));
    this.#end(end);
  }

  #onData(bytes: Buffer): void {
    if (this.#phase === "ended") return;
    this.traffic.bytesIn += bytes.length;
    const violation = this.#parser.push(bytes, (frame) => this.#onFrame(frame));
    if (violation !== undefined) this.#end({ kind: "closed", detail: `the peer broke the protocol: ${violation}` });
  }

  /** False once nothing more is to be read. */
  #onFrame(frame: Frame): boolean {
    const phase = this.#phase;
    switch (phase) {
      case "await-hello":
      case "await-answer":
      case "await-welcome":
        this.#onHandshake(phase, frame);
        break;
      case "open":
        this.#onOpenFrame(frame);
        break;
      case "ended":
        break;
      default:
        unreachable(phase);
    }
    return this.#stillReads();
  }

  #onHandshake(phase: "await-hello" | "await-answer" | "await-welcome", frame: Frame): void {
    if (frame.kind === "refusal" && phase !== "await-hello") {
      this.#end({ kind: "refused", by: "them", refusal: decodeRefusal(frame.payload) });
    } else if (frame.kind === "hello" && phase !== "await-welcome") {
      this.#onHello(decodeHello(frame.payload));
    } else if (frame.kind === "welcome" && phase === "await-welcome") {
      this.#agree();
    } else if (frame.kind === "goodbye") {
      this.#end({ kind: "closed", detail: "the peer said goodbye" });
    } else {
      this.#refuse({ code: "not-a-hello", detail: "a node says hello first" });
    }
  }

  #onHello(hello: Hello | undefined): void {
    this.claimed = hello?.node;
    const refusal =
      hello === undefined || (this.dialled !== undefined && hello.node !== this.dialled)
        ? {
            code: "not-a-hello" as const,
            detail: hello === undefined ? "this is no hello" : `node ${JSON.stringify(hello.node)} answered`,
          }
        : this.#owner.judge(hello, this);
    // A hello that is none has no name to be judged by.
    if (refusal !== undefined || hello === undefined) {
      this.#refuse(refusal ?? { code: "not-a-hello", detail: "this is no hello" });
      return;
    }
    this.hello = hello;
    if (this.dialled === undefined) {
      this.#write("hello", encodeHello(this.#owner.helloFor(hello.node)));
      this.#phase = "await-welcome";
    } else {
      this.#write("welcome", EMPTY);
      this.#agree();
    }
  }

  #agree(): void {
    this.#phase = "open";
    this.#parser.allow(this.#limits.framePayloadBytesMax);
    this.#timer?.cancel();
    this.#pings.start();
    this.#schedulePing();
    if (this.hello !== undefined) this.#owner.opened(this, this.hello);
  }

  #onOpenFrame(frame: Frame): void {
    const { kind, payload } = frame;
    switch (kind) {
      case "control":
      case "entries":
      case "requests":
      case "bulk": {
        const message = this.#assemblers[kind].add(payload, frame.more);
        if (message === "too-long") {
          this.#end({ kind: "closed", detail: `the peer broke the protocol: a message of ${kind} is too long` });
        } else if (message !== undefined) {
          this.traffic.messagesIn += 1;
          this.#owner.message(this, kind, message);
        }
        return;
      }
      case "ping":
        // The newest alone is owed: a peer that asks and does not read takes no memory.
        this.#pongDue = payload.slice(0, PING_BYTES);
        this.wake();
        return;
      case "pong":
        this.#pings.onPong(payload);
        return;
      case "goodbye":
        this.#end(
          Buffer.from(payload).toString("latin1") === "duplicate"
            ? { kind: "duplicate" }
            : { kind: "closed", detail: "the peer said goodbye" },
        );
        return;
      case "hello":
      case "welcome":
      case "refusal":
        this.#end({ kind: "closed", detail: `the peer broke the protocol: ${kind} after the handshake` });
        return;
      case undefined:
        // Of a newer version.
        return;
      default:
        unreachable(kind);
    }
  }

  #schedulePing(): void {
    this.#timer = this.#clock.schedule(this.#limits.pingEveryMs, () => {
      if (this.#pings.silentMs > this.#limits.silenceMs) {
        this.#end({ kind: "closed", detail: `no ping was answered for ${this.#limits.silenceMs} ms` });
        return;
      }
      this.#pingDue = true;
      this.wake();
      this.#schedulePing();
    });
  }

  /** Writes until the socket has enough: then what comes later can still overtake what waits here. */
  #pump(): void {
    if (this.#phase !== "open") return;
    this.socket.cork();
    // These two are small, and go before all else.
    if (this.#pongDue !== undefined && !this.#full) {
      this.#write("pong", this.#pongDue);
      this.#pongDue = undefined;
    }
    if (this.#pingDue && !this.#full) {
      this.#pingDue = false;
      this.#write("ping", this.#pings.next());
    }
    for (;;) {
      if (this.#full) break;
      const next = this.queue.next();
      if (next === undefined) break;
      for (const chunk of next.chunks) this.#put(chunk);
      if (next.last) this.traffic.messagesOut += 1;
      this.#owner.sent(this, next.lane);
    }
    this.socket.uncork();
  }

  #write(kind: FrameKind, payload: Uint8Array): void {
    this.#put(encodeFrame(kind, payload));
  }

  #put(bytes: Uint8Array): void {
    if (!this.socket.writable) return;
    this.traffic.bytesOut += bytes.length;
    if (!this.socket.write(bytes)) this.#full = true;
  }

  #refuse(refusal: Refusal): void {
    this.#write("refusal", encodeRefusal(refusal));
    this.#end({ kind: "refused", by: "us", refusal });
  }

  #stillReads(): boolean {
    return this.#phase !== "ended";
  }

  #end(end: End): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#timer?.cancel();
    const { socket } = this;
    if (!socket.destroyed) {
      socket.end();
      // What is still unread would make the system reset the connection before the last words are delivered.
      socket.resume();
      const timer = this.#clock.schedule(this.#limits.closeGraceMs, () => socket.destroy());
      socket.once("close", () => timer.cancel());
    }
    this.#owner.ended(this, end);
  }
}
