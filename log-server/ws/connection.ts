/**
 * One connection's life: messages in, pauses while too much is under way, pings, and its end. What messages mean is the
 * business of the two modes; what they ask for is counted at the desk.
 */
import { CLOSE, type CloseCode, closeReason } from "./close-code.ts";
import { Desk } from "./desk.ts";
import { takeFrames } from "./frame-mode.ts";
import { Outbox, type Sender } from "./outbox.ts";
import type { WsContext } from "./ports.ts";
import { TextMode } from "./text-mode.ts";

/** The part of `ws`'s WebSocket that is used here. */
export interface Socket extends Sender {
  readonly readyState: number;
  readonly isPaused: boolean;
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): void;
  on(event: "pong" | "ping", listener: () => void): void;
  on(event: "close", listener: () => void): void;
  ping(): void;
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

const OPEN = 1;

export class Connection {
  readonly #context: WsContext;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #desk: Desk;
  readonly #text: TextMode;
  readonly #gone: Promise<void>;
  #heardAtMs: number;
  #pinged = false;
  #closing = false;

  constructor(context: WsContext, socket: Socket) {
    this.#context = context;
    this.#socket = socket;
    this.#outbox = new Outbox(socket, context.limits, context.clock);
    this.#desk = new Desk(context, this.#outbox, () => this.#ease());
    this.#text = new TextMode(this.#desk);
    this.#heardAtMs = context.clock.monotonic();
    socket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    socket.on("pong", () => this.#heard());
    socket.on("ping", () => this.#heard());
    this.#gone = new Promise((resolve) => {
      socket.on("close", () => {
        this.#desk.abandon();
        resolve();
      });
    });
  }

  /** Resolves when the socket is closed. */
  get gone(): Promise<void> {
    return this.#gone;
  }

  /** Now and then: is the peer there, and does it take what it asked for? */
  check(): void {
    const { limits, clock, observer } = this.#context;
    if (this.#closing) return;
    if (this.#outbox.stalledMs() > limits.stalledPeerMs) {
      observer.slowReaderDropped();
      this.#desk.endAll("slow");
      this.close(CLOSE.policy, `nothing was taken for ${limits.stalledPeerMs} ms`);
      return;
    }
    // What a paused peer says is not heard.
    if (this.#socket.isPaused) this.#heard();
    const silentMs = clock.monotonic() - this.#heardAtMs;
    if (silentMs > 2 * limits.silenceMs) {
      this.close(CLOSE.policy, `nothing was heard for ${2 * limits.silenceMs} ms`);
    } else if (silentMs > limits.silenceMs && !this.#pinged) {
      this.#pinged = true;
      this.#socket.ping();
    }
  }

  /** Ends subscriptions, each with its place, lets what is under way be answered, and closes. */
  async stop(why: string): Promise<void> {
    this.#desk.endAll("stopping");
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = this.#context.clock.schedule(this.#context.limits.closeGraceMs, resolve);
    await Promise.race([this.#desk.settled(), late]);
    timer.cancel();
    this.close(CLOSE.goingAway, why);
    await this.#gone;
  }

  /** Says goodbye with what is already written, and cuts the peer off if it does not answer in time. */
  close(code: CloseCode, reason: string): void {
    if (this.#closing) return;
    this.#outbox.flush();
    // What is not answered by now never is.
    this.#desk.abandon();
    // The peer's goodbye must be heard.
    if (this.#socket.isPaused) this.#socket.resume();
    this.#socket.close(code, closeReason(reason));
    this.cutOffSoon();
  }

  /** The platform has given the connection up, and says goodbye itself. */
  cutOffSoon(): void {
    this.#closing = true;
    const timer = this.#context.clock.schedule(this.#context.limits.closeGraceMs, () => this.#socket.terminate());
    void this.#gone.then(() => timer.cancel());
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    this.#heard();
    if (this.#closing) return;
    if (isBinary) {
      const violation = takeFrames(this.#desk, data);
      if (violation !== undefined) this.close(violation.close, violation.reason);
    } else if (data.length > this.#context.limits.textBytesMax) {
      this.close(CLOSE.tooLarge, `body-too-large: a text has at most ${this.#context.limits.textBytesMax} bytes`);
    } else {
      this.#text.take(data.toString("utf8"));
    }
    if (this.#desk.full && this.#socket.readyState === OPEN) this.#pause();
  }

  #pause(): void {
    this.#socket.pause();
    // Room in the outbox comes without any answer.
    void this.#outbox.room().then(() => this.#ease());
  }

  #ease(): void {
    if (!this.#socket.isPaused || this.#desk.full || this.#closing) return;
    this.#heard();
    this.#socket.resume();
  }

  #heard(): void {
    this.#heardAtMs = this.#context.clock.monotonic();
    this.#pinged = false;
  }
}
