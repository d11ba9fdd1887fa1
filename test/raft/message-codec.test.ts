/** Messages between cores as bytes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { configurationOf } from "../../log-server/raft/configuration.ts";
import { encodeConfiguration } from "../../log-server/raft/configuration-codec.ts";
import { GATHERED_BATCH_BYTES_MAX } from "../../log-server/raft/limits.ts";
import { decodeMessage, encodeMessage } from "../../log-server/raft/message-codec.ts";
import type { PeerMessage } from "../../log-server/raft/message.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Entry } from "../../src/wire/entry.ts";

const bytes = fc.uint8Array({ maxLength: 20 });
const int = fc.nat(1_000_000);
const point = fc.record({ index: int, term: int });
const id = fc.constantFrom("n1", "n2", "käse");
const envelope = { from: id, to: id, term: int };

const batch = fc
  .tuple(fc.bigInt(0n, 2n ** 64n - 1n), bytes, fc.nat(1_000))
  .map(([hash, content, span]): BatchRef => ({ hash, length: content.length, span, bytes: content }));

/** An append whose entries could stand behind `prev` in a log of its term. */
const append = fc
  .record({
    ...envelope,
    prev: fc.record({ index: int, term: fc.nat(5) }),
    committed: int,
    entries: fc.array(
      fc.record({
        step: fc.nat(2),
        kind: fc.constantFrom("noop" as const, "commands" as const, "configuration" as const),
        logTime: int,
        head: bytes,
        batches: fc.array(batch, { maxLength: 3 }),
      }),
      { maxLength: 5 },
    ),
  })
  .map(({ entries, prev, ...rest }): PeerMessage => {
    let term = Math.max(1, prev.term);
    const whole = entries.map(({ step, kind, logTime, head, batches }, place): Entry => {
      term += step;
      const content = kind === "configuration" ? encodeConfiguration(configurationOf(["n1"])) : head;
      return { index: prev.index + 1 + place, term, kind, logTime, head: content, batches };
    });
    return { ...rest, kind: "append", prev, term: term + (rest.term % 3), entries: whole };
  });

const message: fc.Arbitrary<PeerMessage> = fc.oneof(
  append,
  fc.record({ ...envelope, kind: fc.constant("pre-vote" as const), last: point, committed: point }),
  fc.record({ ...envelope, kind: fc.constant("vote" as const), last: point, committed: point, transfer: fc.boolean() }),
  fc.record({
    ...envelope,
    kind: fc.constantFrom("pre-vote-answer" as const, "vote-answer" as const),
    granted: fc.boolean(),
    committed: point,
  }),
  fc.record({ ...envelope, kind: fc.constant("append-accepted" as const), index: int }),
  fc.record({ ...envelope, kind: fc.constant("append-refused" as const), index: int, hint: point, lost: fc.boolean() }),
  fc.record({ ...envelope, kind: fc.constant("heartbeat" as const), committed: int, round: int }),
  fc.record({ ...envelope, kind: fc.constant("heartbeat-answer" as const), round: int, standsBack: fc.boolean() }),
  fc.record({ ...envelope, kind: fc.constantFrom("campaign-now" as const, "outdated" as const) }),
  fc.record({ ...envelope, kind: fc.constant("read" as const), session: int, context: int }),
  fc.record({
    ...envelope,
    kind: fc.constant("read-answer" as const),
    session: int,
    context: int,
    index: fc.option(int, { nil: undefined }),
  }),
  fc.record({ ...envelope, index: int, of: fc.nat(5) }).map(({ index, of, ...rest }): PeerMessage => ({
    ...rest,
    kind: "snapshot",
    term: rest.term + of,
    snapshot: { index, term: of, configuration: configurationOf(["n1", "n2"]) },
  })),
);

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

describe("a message", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(message, int, (sent, log) => {
        const decoded = decodeMessage(joined(encodeMessage(log, sent)));
        expect(decoded).toEqual({ ok: true, value: { kind: "message", log, message: sent } });
      }),
      { numRuns: 1_000 },
    );
  });

  it("carries large batches as they are, not copied, and small ones between them in order", () => {
    const large = new Uint8Array(GATHERED_BATCH_BYTES_MAX + 1).fill(1);
    const contents = [Uint8Array.of(2, 2), large, Uint8Array.of(3), Uint8Array.of(4), large, large, Uint8Array.of(5)];
    const batches = contents.map((bytes) => ({ hash: 1n, length: bytes.length, span: 1, bytes }));
    const entry: Entry = {
      index: 2,
      term: 1,
      kind: "commands",
      logTime: 5,
      head: new Uint8Array([9]),
      batches,
    };
    const prev = { index: 1, term: 1 };
    const append = { kind: "append", from: "a", to: "b", term: 1, prev, committed: 1, entries: [entry] } as const;
    const pieces = encodeMessage(0, append);
    expect(pieces.filter((piece) => piece === large)).toHaveLength(3);
    expect(decodeMessage(joined(pieces))).toEqual({ ok: true, value: { kind: "message", log: 0, message: append } });
    const damaged = { ...entry, batches: [{ hash: 1n, length: 3, span: 1 }] };
    expect(() => encodeMessage(0, { ...append, entries: [damaged] })).toThrow("I13");
  });

  it("has these bytes", () => {
    const heartbeat: PeerMessage = { kind: "heartbeat", from: "n1", to: "n2", term: 3, committed: 300, round: 7 };
    expect(joined(encodeMessage(0, heartbeat))).toEqual(
      new Uint8Array([1, 8, 0, 2, 0x6e, 0x31, 2, 0x6e, 0x32, 3, 0xac, 0x02, 7]),
    );
  });

  it("of an unknown kind is told apart from damage; an unknown version is refused", () => {
    const outdated = joined(encodeMessage(0, { kind: "outdated", from: "a", to: "b", term: 1 }));
    const newer = outdated.slice();
    newer[1] = 99;
    expect(decodeMessage(newer)).toEqual({ ok: true, value: { kind: "unknown", code: 99 } });
    const other = outdated.slice();
    other[0] = 2;
    expect(decodeMessage(other)).toEqual({ ok: false, error: "unsupported-version" });
  });

  it("that is damaged or cut short is an error or another message, never an exception", () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), (sent, place, change, length) => {
        const whole = joined(encodeMessage(0, sent));
        const flipped = whole.slice();
        flipped[place % whole.length]! ^= change;
        decodeMessage(flipped);
        const cut = length % whole.length;
        expect(decodeMessage(whole.subarray(0, cut))).toMatchObject({ ok: false });
      }),
      { numRuns: 1_000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => void decodeMessage(noise)));
  });

  it("claims no entries that could not stand in a log", () => {
    const entry = { index: 2, kind: "noop", logTime: 0, head: new Uint8Array(0), batches: [] } as const;
    const prev = { index: 1, term: 3 };
    const encode = (term: number, of: number): Uint8Array =>
      joined(
        encodeMessage(0, {
          kind: "append",
          from: "a",
          to: "b",
          term,
          prev,
          committed: 0,
          entries: [{ ...entry, term: of }],
        }),
      );
    expect(decodeMessage(encode(4, 3))).toMatchObject({ ok: true });
    expect(decodeMessage(encode(4, 2))).toEqual({ ok: false, error: "malformed" });
    expect(decodeMessage(encode(4, 5))).toEqual({ ok: false, error: "malformed" });
    expect(decodeMessage(encode(2, 3))).toEqual({ ok: false, error: "malformed" });
  });
});
