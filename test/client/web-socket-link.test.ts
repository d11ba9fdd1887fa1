/** The way out over one WebSocket: messages in memory that is used again. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CLIENT_LIMITS } from "../../client/limits.ts";
import { WebSocketLink } from "../../client/transport/web-socket-link.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { turn } from "./virtual-time.ts";

/** Takes messages as a platform may: it looks at what it was given only when it has room, and says until then how much waits. */
class SlowSocket {
  bufferedAmount = 0;
  readonly taken: Uint8Array[] = [];
  #waiting: Uint8Array[] = [];

  addEventListener(): void {
    // Nothing is heard here.
  }

  send(message: Uint8Array): void {
    this.#waiting.push(message);
    this.bufferedAmount += message.length;
  }

  take(): void {
    this.taken.push(...this.#waiting.map((message) => message.slice()));
    this.#waiting = [];
    this.bufferedAmount = 0;
  }
}

describe("what a link sends", () => {
  it("I6: is what it was given, whenever the socket takes it", async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("send" as const),
        lengths: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }),
      }),
      fc.record({ kind: fc.constant("send" as const), lengths: fc.constant([CLIENT_LIMITS.messageBufferBytes]) }),
      fc.constant({ kind: "turn" as const }),
      fc.constant({ kind: "take" as const }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const socket = new SlowSocket();
        const link = new WebSocketLink(socket as unknown as WebSocket, new SimClock(), {
          onFrame: () => undefined,
          onEnd: () => undefined,
        });
        const given: number[] = [];
        for (const each of steps) {
          if (each.kind === "take") socket.take();
          else if (each.kind === "turn") await turn();
          else {
            const parts = each.lengths.map((length) => new Uint8Array(length).fill(given.push(length)));
            link.send({ parts, length: parts.reduce((sum, { length }) => sum + length, 0) });
          }
        }
        await turn();
        socket.take();
        const heard = Buffer.concat(socket.taken);
        expect(heard.equals(Buffer.concat(given.map((length, place) => Buffer.alloc(length, place + 1))))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
