/** The queue of one peer: its bounds (I15), what it gives up, and in which order frames go. */
import { describe, expect, it } from "vitest";
import { type FrameHeader, intact, readHeader } from "../../log-server/peer/frame.ts";
import { FrameParser } from "../../log-server/peer/frame-parser.ts";
import { PEER_LIMITS } from "../../log-server/peer/limits.ts";
import { SendQueue } from "../../log-server/peer/send-queue.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";

const LIMITS = {
  ...PEER_LIMITS,
  framePayloadBytesMax: 4,
  otherFramesPerBulkFrame: 4,
  queues: {
    control: { messagesMax: 3, bytesMax: 100 },
    entries: { messagesMax: 3, bytesMax: 20 },
    requests: { messagesMax: 3, bytesMax: 20 },
    bulk: { messagesMax: 100, bytesMax: 1_000 },
  },
};

/** All frames that are left, as "c:text", with "+" where the message goes on. */
function drain(queue: SendQueue): string[] {
  const seen: string[] = [];
  for (let next = queue.next(); next !== undefined; next = queue.next()) {
    const violation = new FrameParser(LIMITS.framePayloadBytesMax).push(
      Buffer.concat(next.chunks),
      ({ kind, more, payload }) => {
        seen.push(`${kind?.[0]}:${text(payload)}${more ? "+" : ""}`);
        return true;
      },
    );
    expect(violation).toBeUndefined();
  }
  return seen;
}

describe("the send queue", () => {
  it("N9: keeps the newest of control", () => {
    const queue = new SendQueue(LIMITS);
    const dropped = ["1", "2", "3", "4", "5"].map((each) => queue.push("control", [utf8(each)]).dropped);
    expect(dropped).toEqual([0, 0, 0, 1, 1]);
    expect(drain(queue)).toEqual(["c:3", "c:4", "c:5"]);
    expect(queue.bytes).toBe(0);
  });

  it("finishes a message that it has begun", () => {
    const queue = new SendQueue(LIMITS);
    queue.push("control", [utf8("abcdef")]);
    const first = queue.next();
    expect(first?.last).toBe(false);
    for (const each of ["1", "2", "3", "4"]) queue.push("control", [utf8(each)]);
    expect(drain(queue)).toEqual(["c:ef", "c:3", "c:4"]);
  });

  it("puts the same frames on the wire, whatever of them is copied (N1)", () => {
    const pieces = ["a", "bcdefg", "", "hi", "j", "klmnopqrstuvw", "x"].map((each) => utf8(each));
    const frames = [0, 1, 2, 4, 100].map((copiedBytesMax) => {
      const queue = new SendQueue({ ...LIMITS, framePayloadBytesMax: 10, copiedBytesMax });
      queue.push("entries", pieces);
      const all: Uint8Array[] = [];
      for (let next = queue.next(); next !== undefined; next = queue.next()) all.push(...next.chunks);
      return Buffer.concat(all).toString("hex");
    });
    expect(new Set(frames).size).toBe(1);
    const queue = new SendQueue({ ...LIMITS, copiedBytesMax: 1 });
    queue.push("entries", [utf8("a"), utf8("bcd")]);
    expect(drain(queue)).toEqual(["e:abcd"]);
  });

  it("N1: says of each frame how much of it proves itself", () => {
    const pieces = ["a", "bcdefg", "", "hi", "jklmnopqrstuvwx"].map((each) => utf8(each));
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    for (let proven = 0; proven <= bytes; proven += 1) {
      for (const copiedBytesMax of [0, 4, 100]) {
        const queue = new SendQueue({ ...LIMITS, framePayloadBytesMax: 10, copiedBytesMax });
        queue.push("entries", pieces, proven);
        const guarded: number[] = [];
        for (let next = queue.next(); next !== undefined; next = queue.next()) {
          const frame = Buffer.concat(next.chunks);
          const header = readHeader(frame, 0) as FrameHeader;
          expect(intact(frame, 0, header)).toBe(true);
          guarded.push(header.length - header.proven);
        }
        const all = bytes - proven;
        expect(guarded).toEqual([0, 10, 20].map((from) => Math.max(0, Math.min(10, all - from))));
      }
    }
  });

  it("refuses entries beyond messages and beyond bytes, but for one that is alone", () => {
    const queue = new SendQueue(LIMITS);
    expect(queue.push("entries", [new Uint8Array(50)])).toEqual({ accepted: true, dropped: 0 });
    expect(queue.push("entries", [utf8("x")])).toEqual({ accepted: false, dropped: 1 });
    drain(queue);
    for (let count = 0; count < 3; count += 1) expect(queue.push("entries", [utf8("x")]).accepted).toBe(true);
    expect(queue.push("entries", [utf8("x")]).accepted).toBe(false);
    expect(queue.messages).toBe(3);
  });

  it("gives entries and requests one frame after the other, and bulk its share beside both", () => {
    const queue = new SendQueue(LIMITS);
    queue.push("bulk", [utf8("bbbb")]);
    queue.push("requests", [utf8("rrrrssss")]);
    queue.push("requests", [utf8("tttt")]);
    queue.push("entries", [utf8("00001111")]);
    const seen = drain(queue);
    expect(seen).toEqual(["e:0000+", "r:rrrr+", "e:1111", "r:ssss", "b:bbbb", "r:tttt"]);
  });

  it("lets control overtake between frames, and bulk have its share beside entries", () => {
    const queue = new SendQueue(LIMITS);
    queue.push("bulk", [utf8("aaaabbbbcccc")]);
    queue.push("entries", [utf8("0000"), utf8("111122223333444455")]);
    expect(queue.next()?.lane).toBe("entries");
    queue.push("control", [utf8("!")]);
    expect(drain(queue)).toEqual([
      "c:!",
      "e:1111+",
      "e:2222+",
      "e:3333+",
      "b:aaaa+",
      "e:4444+",
      "e:55",
      "b:bbbb+",
      "b:cccc",
    ]);
  });
});
