/** The ports' small real implementations. */
import { describe, expect, it } from "vitest";
import { PLATFORM_ZSTD } from "../../client/reading/platform-zstd.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY, SYSTEM_ZSTD, THREADED_ZSTD } from "../../log-server/system.ts";
import { Prng } from "../../src/lib/prng.ts";

describe("zstd", () => {
  const raw = new Uint8Array(100_000).fill(7);
  const compressed = SYSTEM_ZSTD.compress(raw);

  it("gives back what it was given", () => {
    expect(compressed.length).toBeLessThan(100);
    expect(SYSTEM_ZSTD.decompress(compressed, raw.length)).toEqual(Buffer.from(raw));
    expect(SYSTEM_ZSTD.decompress(SYSTEM_ZSTD.compress(new Uint8Array(0)), 0)).toHaveLength(0);
  });

  it("gives back what it makes 16 KiB of, and any length near that: where Node's own chunks end", async () => {
    // Nothing is to be saved of it, so each byte more is one more of what comes out.
    const noise = new Prng(1).bytes(16_500);
    const lengths = new Set<number>();
    for (let length = 16_300; length <= noise.length; length += 1) {
      const bytes = noise.subarray(0, length);
      const packed = [
        SYSTEM_ZSTD.compress(bytes),
        await THREADED_ZSTD.compressAside?.(bytes),
        PLATFORM_ZSTD?.compress(bytes),
      ];
      for (const each of packed) expect(SYSTEM_ZSTD.decompress(each as Uint8Array, length)).toHaveLength(length);
      lengths.add(packed[0]?.length ?? 0);
    }
    expect(lengths).toContain(16_384);
  });

  it.each([
    ["longer than said", compressed, raw.length - 1],
    ["shorter than said", compressed, raw.length + 1],
    ["cut", compressed.subarray(0, compressed.length - 1), raw.length],
    ["followed by something", Buffer.concat([compressed, Buffer.of(1)]), raw.length],
    ["followed by another frame", Buffer.concat([compressed, compressed]), raw.length * 2],
    ["not zstd", new Uint8Array(64), 64],
    ["empty", new Uint8Array(0), 0],
  ])("refuses what is %s", (_, bytes, rawLength) => {
    expect(SYSTEM_ZSTD.decompress(bytes, rawLength)).toBeUndefined();
  });

  it("stops a bomb at the length that was said, not at the one it has", () => {
    const bomb = SYSTEM_ZSTD.compress(new Uint8Array(256 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(64 * 1024);
    expect(SYSTEM_ZSTD.decompress(bomb, 1_000)).toBeUndefined();
  });
});

it("defers behind what is waiting, and schedules until cancelled", async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    SYSTEM_CLOCK.defer(() => {
      order.push("deferred");
      resolve();
    });
    SYSTEM_CLOCK.schedule(0, () => order.push("cancelled")).cancel();
    queueMicrotask(() => order.push("this turn"));
  });
  await new Promise<void>((resolve) => {
    SYSTEM_CLOCK.schedule(1, resolve);
  });
  expect(order).toEqual(["this turn", "deferred"]);
});

it("draws as many bytes as asked, never the same", () => {
  expect(SYSTEM_ENTROPY.bytes(16)).toHaveLength(16);
  expect(SYSTEM_ENTROPY.bytes(16)).not.toEqual(SYSTEM_ENTROPY.bytes(16));
});
