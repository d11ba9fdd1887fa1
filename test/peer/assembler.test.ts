/** Messages put together from frames: what they are made of, and what they keep alive. */
import { describe, expect, it } from "vitest";
import { Assembler } from "../../log-server/peer/assembler.ts";
import { LINK_LIMITS } from "../../src/ports/link.ts";

/** A part of what was read from a socket, as long as its `bytes`. */
function payload(bytes: readonly number[], readBytes: number): Buffer {
  const read = Buffer.alloc(readBytes);
  read.set(bytes, 100);
  return read.subarray(100, 100 + bytes.length);
}

function bufferBytes(message: Uint8Array | "too-long" | undefined): number | undefined {
  return message instanceof Uint8Array ? message.buffer.byteLength : undefined;
}

describe("a lane's assembler", () => {
  it("does not keep all that was read alive for a small message", () => {
    const message = new Assembler("control").add(payload([1, 2, 3], 65_536), false);
    expect(message).toEqual(Uint8Array.of(1, 2, 3));
    expect(bufferBytes(message)).toBe(3);
  });

  it("copies none that is most of what was read", () => {
    const part = payload(
      Array.from({ length: 300 }, (_, at) => at % 256),
      500,
    );
    const message = new Assembler("entries").add(part, false);
    expect(message).toEqual(new Uint8Array(part));
    expect(bufferBytes(message)).toBe(500);
  });

  it("puts parts together in order, and begins anew behind each message", () => {
    const assembler = new Assembler("entries");
    for (let time = 0; time < 2; time += 1) {
      expect(assembler.add(Uint8Array.of(1), true)).toBeUndefined();
      expect(assembler.add(Uint8Array.of(2, 3), true)).toBeUndefined();
      expect(assembler.add(Uint8Array.of(4), false)).toEqual(Uint8Array.of(1, 2, 3, 4));
    }
  });

  it("takes no more than a message's bound, nor parts of nothing (I15)", () => {
    const part = new Uint8Array(LINK_LIMITS.messageBytesMax.control);
    const assembler = new Assembler("control");
    expect(assembler.add(part, true)).toBeUndefined();
    expect(assembler.add(Uint8Array.of(1), false)).toBe("too-long");
    expect(new Assembler("control").add(new Uint8Array(0), true)).toBe("too-long");
  });
});
