/** The one encoding of commands and results: fixed bytes, exact round trips, and any bytes at all. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { hex } from "../../src/lib/bytes.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { TaskCommit } from "../../src/wire/app-command.ts";
import { decodeTaskCommit, encodeTaskCommit } from "../../src/wire/app-command-codec.ts";
import { checkCommand, COMMAND_LIMITS } from "../../src/wire/check-command.ts";
import { decodeCommands, encodeCommand, encodeCommands } from "../../src/wire/command-codec.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import { decodeResult, encodeResult } from "../../src/wire/result-codec.ts";
import { WIRE_LIMITS } from "../../src/wire/limits.ts";
import { anyCommand, anyResult, commandKinds, commandOf } from "./command-arbitraries.ts";

const BATCH: BatchRef = { hash: 0x0123_4567_89ab_cdefn, length: 100, span: 3 };
const OTHER: BatchRef = { hash: 7n, length: 40, span: 1 };

const REPLICA = { app: "a", task: "0.0", epoch: 7, replica: "r" };
const POINT = { records: 5, logTime: 9, state: 11n, outputs: 12n };
const COMMIT: TaskCommit = {
  ...REPLICA,
  from: { cursor: { position: 0, ordinal: 0, index: 0 }, outputs: 0 },
  to: { cursor: { position: 300, ordinal: 1, index: 2 }, outputs: 3 },
  chain: 10n,
  digests: [POINT],
  nextDue: 300,
};

/** These bytes are in logs: they may be added to, and never change. */
const GOLDEN: readonly (readonly [command: Command, head: string])[] = [
  [{ kind: "create", stream: "a", closed: false }, "01" + "00" + "0161" + "00"],
  [
    {
      kind: "create",
      stream: "a/é",
      closed: true,
      contentType: "t",
      expiry: { kind: "sliding", ttlSeconds: 300 },
      retention: { maxAgeMs: 1, maxBytes: 128 },
      fork: { source: "s", incarnation: 9, offset: 4, partialBytes: 2 },
      batch: BATCH,
    },
    "01" + "00" + "04612fc3a9" + "3f" + "0174" + "01ac02" + "03018001" + "017309020104",
  ],
  [{ kind: "append", stream: "a", close: false, batch: BATCH }, "01" + "01" + "0161" + "02"],
  [
    {
      kind: "append",
      stream: "a",
      close: true,
      incarnation: 5,
      contentType: "t",
      producer: { id: "p", epoch: 1, sequence: 2 },
      streamSequence: "q",
      expectedOffset: 7,
    },
    "01" + "01" + "0161" + "7d" + "05" + "0174" + "01700102" + "0171" + "07",
  ],
  [
    {
      kind: "append-run",
      stream: "a",
      incarnation: 5,
      contentType: "t",
      producer: { id: "p", epoch: 1, sequence: 2 },
      batches: [BATCH, OTHER],
    },
    "01" + "37" + "0161" + "03" + "05" + "0174" + "01700102" + "02",
  ],
  [
    { kind: "append-run", stream: "a", producer: { id: "p", epoch: 0, sequence: 300 }, batches: [OTHER] },
    "01" + "37" + "0161" + "00" + "017000ac02" + "01",
  ],
  [{ kind: "delete", stream: "a", incarnation: 3 }, "01" + "02" + "0161" + "0103"],
  [{ kind: "touch", streams: ["a", "b"] }, "01" + "03" + "02" + "0161" + "0162"],
  [{ kind: "tick" }, "01" + "04"],
  [
    { kind: "member-set", node: "n", disk: "d", host: "h", port: 1 },
    "01" + "28" + "016e" + "00" + "0164" + "0168" + "01",
  ],
  [
    { kind: "member-set", node: "n", was: null, disk: "d", host: "h", port: 1 },
    "01" + "28" + "016e" + "01" + "0164" + "0168" + "01",
  ],
  [
    { kind: "member-set", node: "n", was: "e", disk: "", host: "h", port: 1 },
    "01" + "28" + "016e" + "03" + "0165" + "00" + "0168" + "01",
  ],
  [{ kind: "member-remove", node: "n" }, "01" + "29" + "016e" + "00"],
  [{ kind: "member-remove", node: "n", was: "d" }, "01" + "29" + "016e" + "01" + "0164"],
  [{ kind: "feature-level", level: 2 }, "01" + "2a" + "02"],
  [{ kind: "settings", stream: "a", retention: { maxBytes: 5 } }, "01" + "05" + "0161" + "0205"],
  [{ kind: "trim", stream: "a", before: 6 }, "01" + "06" + "0161" + "00" + "06"],
  [{ kind: "cursor", name: "c", value: Uint8Array.of(1, 2), expected: null }, "01" + "07" + "0163" + "03" + "020102"],
  [{ kind: "cursor", name: "c", expected: Uint8Array.of(9) }, "01" + "07" + "0163" + "06" + "0109"],
  [
    {
      kind: "transaction",
      conditions: [
        { kind: "stream-exists", stream: "a", incarnation: 2 },
        { kind: "stream-absent", stream: "b" },
        { kind: "next-offset", stream: "a", offset: 4 },
        { kind: "cursor", name: "c", value: null },
      ],
      operations: [
        { kind: "append", stream: "a", close: false, batch: OTHER },
        { kind: "delete", stream: "b" },
      ],
    },
    "01" + "08" + "04" + "0001610102" + "010162" + "02016104" + "03016300" + "02" + "01016102" + "02016200",
  ],
  [
    {
      kind: "subscription-create",
      id: "s",
      delivery: { kind: "webhook", url: "u" },
      pattern: "*",
      streams: [],
      leaseMs: 1000,
      description: "d",
    },
    "01" + "09" + "0173" + "06" + "0175" + "012a" + "0164" + "e807" + "00",
  ],
  [
    {
      kind: "subscription-create",
      id: "s",
      delivery: { kind: "pull-wake", wakeStream: "w" },
      streams: ["a"],
      leaseMs: 1000,
    },
    "01" + "09" + "0173" + "01" + "0177" + "e807" + "010161",
  ],
  [{ kind: "subscription-delete", id: "s" }, "01" + "0a" + "0173"],
  [{ kind: "subscription-link", id: "s", streams: ["a"] }, "01" + "0b" + "0173" + "010161"],
  [{ kind: "subscription-unlink", id: "s", stream: "a" }, "01" + "0c" + "0173" + "0161"],
  [
    { kind: "subscription-wake", id: "s", generation: 2, wakeId: "w", batch: OTHER },
    "01" + "0d" + "0173" + "02" + "0177" + "01",
  ],
  [{ kind: "subscription-claim", id: "s", worker: "k", wakeId: "w" }, "01" + "0e" + "0173" + "016b" + "0177"],
  [
    {
      kind: "subscription-ack",
      id: "s",
      generation: 2,
      wakeId: "w",
      acks: [{ stream: "a", incarnation: 3, offset: 4 }],
      done: true,
    },
    "01" + "0f" + "0173" + "02" + "0177" + "01" + "01" + "01610304",
  ],
  [{ kind: "subscription-release", id: "s", generation: 2, wakeId: "w" }, "01" + "10" + "0173" + "02" + "0177"],
  [
    { kind: "subscription-failed", id: "s", generation: 2, wakeId: "w", retryAtMs: 5 },
    "01" + "11" + "0173" + "02" + "0177" + "05",
  ],
  [
    { kind: "settings", stream: "a", retention: { maxBytes: 5, compaction: { tombstoneMs: 7 } } },
    "01" + "05" + "0161" + "060507",
  ],
  [
    { kind: "compact", stream: "a", incarnation: 3, before: 6, tombstonesBefore: 2 },
    "01" + "12" + "0161" + "03" + "06" + "02",
  ],
  [
    { kind: "group-create", id: "g", mode: { kind: "partitions" }, streams: ["a"], from: "start", leaseMs: 1000 },
    "01" + "13" + "0167" + "00" + "00" + "e807" + "010161",
  ],
  [
    {
      kind: "group-create",
      id: "g",
      mode: { kind: "queue", attemptsMax: 5, retryDelayMs: 300, deadLetter: "d" },
      streams: [],
      pattern: "*",
      from: "now",
      leaseMs: 1000,
    },
    "01" + "13" + "0167" + "07" + "05" + "ac02" + "012a" + "0164" + "01" + "e807" + "00",
  ],
  [{ kind: "group-delete", id: "g" }, "01" + "14" + "0167"],
  [{ kind: "group-join", id: "g", member: "m" }, "01" + "15" + "0167" + "016d"],
  [{ kind: "group-leave", id: "g", member: "m", session: 2 }, "01" + "16" + "0167" + "016d" + "02"],
  [{ kind: "group-heartbeat", id: "g", member: "m", session: 2 }, "01" + "17" + "0167" + "016d" + "02"],
  [
    {
      kind: "group-ack",
      id: "g",
      member: "m",
      session: 2,
      acks: [{ stream: "a", incarnation: 3, generation: 4, offset: 5 }],
    },
    "01" + "18" + "0167" + "016d" + "02" + "01" + "0161" + "030405",
  ],
  [{ kind: "group-take", id: "g", member: "m", count: 9 }, "01" + "19" + "0167" + "016d" + "09"],
  [
    {
      kind: "group-settle",
      id: "g",
      settlements: [
        { stream: "a", incarnation: 3, offset: 4, count: 5, generation: 6, outcome: { kind: "ack" } },
        { stream: "a", incarnation: 3, offset: 4, count: 5, generation: 6, outcome: { kind: "nack" } },
        {
          stream: "a",
          incarnation: 3,
          offset: 4,
          count: 5,
          generation: 6,
          outcome: { kind: "nack", delayMs: 300, reason: "no" },
        },
        { stream: "a", incarnation: 3, offset: 4, count: 5, generation: 6, outcome: { kind: "extend" } },
        { stream: "a", incarnation: 3, offset: 4, count: 5, generation: 6, outcome: { kind: "extend", leaseMs: 7 } },
        { stream: "a", incarnation: 3, offset: 4, count: 5, generation: 6, outcome: { kind: "release" } },
      ],
    },
    "01" +
      "1a" +
      "0167" +
      "06" +
      ("0161" + "03040506" + "00") +
      ("0161" + "03040506" + "01" + "00") +
      ("0161" + "03040506" + "01" + "03" + "ac02" + "026e6f") +
      ("0161" + "03040506" + "02" + "00") +
      ("0161" + "03040506" + "02" + "01" + "07") +
      ("0161" + "03040506" + "03"),
  ],
  [
    { kind: "group-reset", id: "g", force: true, positions: [{ stream: "a", incarnation: 3, offset: 4 }] },
    "01" + "1b" + "0167" + "01" + "01" + "0161" + "0304",
  ],
  [
    { kind: "group-dead-letter", id: "g", stream: "a", incarnation: 3, offset: 4, generation: 5, batch: OTHER },
    "01" + "1c" + "0167" + "0161" + "030405" + "01",
  ],
  [
    { kind: "group-dead-letter", id: "g", stream: "a", incarnation: 3, offset: 4, generation: 5 },
    "01" + "1c" + "0167" + "0161" + "030405" + "00",
  ],
  [
    {
      kind: "app-put",
      app: "a",
      version: 2,
      tasks: [
        { task: "0.0", inputs: ["in", "b"] },
        { task: "0.1", inputs: [] },
      ],
      description: "d",
      options: "{}",
      shape: [{ stage: 1, name: "n", text: "t" }],
    },
    "01" +
      "3d" +
      "0161" +
      "02" +
      "0164" +
      "027b7d" +
      "01" +
      "01" +
      "016e" +
      "0174" +
      "02" +
      "03302e30" +
      "02" +
      "02696e" +
      "0162" +
      "03302e31" +
      "00",
  ],
  [{ kind: "app-state", app: "a", paused: true }, "01" + "3e" + "0161" + "01"],
  [
    { kind: "app-reset", app: "a", tasks: [{ task: "0.0", start: { position: 300, ordinal: 1, index: 2 } }] },
    "01" + "3f" + "0161" + "01" + "03302e30" + "ac020102",
  ],
  [{ kind: "app-delete", app: "a" }, "01" + "40" + "0161"],
  [
    { kind: "task-commit", ...COMMIT },
    "01" +
      "41" +
      "0161" +
      "03302e30" +
      "07" +
      "0172" +
      "000000" +
      "00" +
      "ac020102" +
      "03" +
      "0a00000000000000" +
      "01" +
      "0509" +
      "0b00000000000000" +
      "0c00000000000000" +
      "01" +
      "ac02",
  ],
  [
    { kind: "task-snapshot", ...REPLICA, manifest: 300, neededFrom: 2, point: POINT, verified: true },
    "01" +
      "42" +
      "0161" +
      "03302e30" +
      "07" +
      "0172" +
      "ac02" +
      "02" +
      "0509" +
      "0b00000000000000" +
      "0c00000000000000" +
      "01",
  ],
  [{ kind: "task-trimmed", ...REPLICA, manifest: 300 }, "01" + "43" + "0161" + "03302e30" + "07" + "0172" + "ac02"],
  [{ kind: "task-statement", ...REPLICA }, "01" + "44" + "0161" + "03302e30" + "07" + "0172"],
  [
    { kind: "task-trim", ...REPLICA, stream: "s", incarnation: 5, before: 300 },
    "01" + "45" + "0161" + "03302e30" + "07" + "0172" + "0173" + "05" + "ac02",
  ],
];

const GOLDEN_RESULTS: readonly (readonly [result: CommandResult, bytes: string])[] = [
  [
    {
      kind: "created",
      created: true,
      incarnation: 3,
      nextOffset: 1,
      contentType: "t",
      closed: false,
      expiry: { kind: "absolute", atMs: 9 },
    },
    "00" + "01" + "03" + "01" + "0174" + "0209",
  ],
  [
    {
      kind: "appended",
      incarnation: 3,
      firstOffset: 4,
      nextOffset: 6,
      tail: 8,
      closed: true,
      duplicate: true,
      producer: { epoch: 1, sequence: 2 },
    },
    "01" + "1f" + "03" + "08" + "04" + "06" + "0102",
  ],
  [{ kind: "done" }, "02"],
  [{ kind: "trimmed", firstOffset: 5 }, "0305"],
  [{ kind: "transaction", results: [{ kind: "done" }] }, "04" + "0102"],
  [{ kind: "subscription-created", created: false }, "0500"],
  [{ kind: "subscription-claimed", generation: 1, wakeId: "w", leaseMs: 2 }, "06" + "01" + "0177" + "02"],
  [{ kind: "subscription-acked", nextWake: true }, "0701"],
  [{ kind: "rejected", code: "fenced", message: "m", generation: 4 }, "08" + "0666656e636564" + "016d" + "8000" + "04"],
  [
    {
      kind: "rejected",
      code: "task-moved",
      message: "m",
      place: { cursor: { position: 300, ordinal: 1, index: 2 }, outputs: 3 },
    },
    "08" + "0a7461736b2d6d6f766564" + "016d" + "0001" + "ac020102" + "03",
  ],
  [{ kind: "group-created", created: true }, "0901"],
  [
    {
      kind: "group-assigned",
      session: 2,
      leaseMs: 300,
      assignments: [{ stream: "a", incarnation: 3, generation: 4, committed: 5 }],
    },
    "0a" + "02" + "ac02" + "01" + "0161" + "030405",
  ],
  [{ kind: "group-settled", refused: [{ item: 1, offset: 2, count: 3 }] }, "0b" + "01" + "010203"],
  [
    {
      kind: "group-taken",
      generation: 2,
      untilMs: 300,
      leases: [{ stream: "a", incarnation: 3, offset: 4, count: 5, attempt: 6 }],
    },
    "0c" + "02" + "ac02" + "01" + "0161" + "03040506",
  ],
  [
    {
      kind: "appended-run",
      parts: [
        {
          count: 300,
          result: {
            kind: "appended",
            incarnation: 3,
            firstOffset: 4,
            nextOffset: 6,
            tail: 8,
            closed: false,
            duplicate: true,
            producer: { epoch: 1, sequence: 2 },
          },
        },
        { count: 1, result: { kind: "rejected", code: "fenced", message: "m" } },
      ],
    },
    "0d" +
      "02" +
      "ac02" +
      "01" +
      "1e" +
      "03" +
      "08" +
      "04" +
      "06" +
      "0102" +
      "01" +
      "08" +
      "0666656e636564" +
      "016d" +
      "0000",
  ],
  [{ kind: "app-epoch", epoch: 300, changed: true }, "0e" + "01" + "ac02"],
];

function batchesOf(command: Command): readonly BatchRef[] {
  if (command.kind === "transaction") return command.operations.flatMap(batchesOf);
  if (command.kind === "append-run") return command.batches;
  return "batch" in command && command.batch !== undefined ? [command.batch] : [];
}

function run(count: number, sequence: number): Command {
  const batches = Array.from({ length: count }, () => OTHER);
  return { kind: "append-run", stream: "a", producer: { id: "p", epoch: 0, sequence }, batches };
}

describe("the encoding of commands", () => {
  it.each(GOLDEN.map(([command, head]) => [command.kind, head, command] as const))(
    "of %s is fixed: %s",
    (_kind, head, command) => {
      const encoded = encodeCommand(command);
      expect(hex(encoded.head)).toBe(head);
      expect(encoded.batches).toEqual(batchesOf(command));
      expect(decodeCommands(encoded.head, encoded.batches)).toEqual({ ok: true, value: [command] });
    },
  );

  it("has golden bytes for every kind", () => {
    expect(new Set(GOLDEN.map(([command]) => command.kind))).toEqual(new Set(commandKinds));
  });

  it.each(commandKinds)("round-trips %s", (kind) => {
    fc.assert(
      fc.property(commandOf(kind), (command) => {
        const { head, batches } = encodeCommand(command);
        expect(batches).toEqual(batchesOf(command));
        expect(decodeCommands(head, batches)).toEqual({ ok: true, value: [command] });
      }),
      { numRuns: 60 },
    );
  });

  it("round-trips the commands of an entry, and gives each its own batches", () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 8 }), (commands) => {
        const { head, batches } = encodeCommands(commands);
        expect(decodeCommands(head, batches)).toEqual({ ok: true, value: commands });
      }),
    );
  });

  it("of a commit is also that of its record (W203)", () => {
    const { head } = encodeCommand({ kind: "task-commit", ...COMMIT });
    expect(hex(encodeTaskCommit(COMMIT))).toBe(hex(head.subarray(1)));
    expect(decodeTaskCommit(encodeTaskCommit(COMMIT))).toEqual({ ok: true, value: COMMIT });
    const bytes = encodeTaskCommit(COMMIT);
    for (const wrong of [bytes.subarray(1), bytes.subarray(0, -1), Uint8Array.of(...bytes, 0), new Uint8Array(0)])
      expect(decodeTaskCommit(wrong)).toMatchObject({ ok: false, error: { code: "malformed-command" } });
  });

  it("refuses too few batches and too many", () => {
    const { head } = encodeCommands([
      { kind: "append", stream: "a", close: false, batch: BATCH },
      { kind: "append", stream: "b", close: false, batch: OTHER },
    ]);
    expect(decodeCommands(head, [BATCH, OTHER]).ok).toBe(true);
    for (const batches of [[], [BATCH], [BATCH, OTHER, OTHER]]) {
      expect(decodeCommands(head, batches)).toMatchObject({ ok: false, error: { code: "malformed-command" } });
    }
  });

  it("survives any bytes with an error value", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.constant(BATCH), { maxLength: 3 }),
        (bytes, batches) => {
          const decoded = decodeCommands(bytes, batches);
          if (!decoded.ok) expect(decoded.error.code).toBe("malformed-command");
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("survives damaged commands: what still decodes encodes to the same bytes again", () => {
    fc.assert(
      fc.property(anyCommand, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), (command, where, flip, cut) => {
        const { head, batches } = encodeCommand(command);
        head[where % head.length]! ^= flip;
        for (const bytes of [head, head.subarray(0, cut % head.length)]) {
          const decoded = decodeCommands(bytes, batches);
          if (decoded.ok) expect(encodeCommands(decoded.value).head).toEqual(bytes);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("allocates no more than the input holds, whatever counts it claims", () => {
    const claims = (prefix: readonly number[], count: number): Uint8Array => {
      const writer = new ByteWriter();
      for (const byte of prefix) writer.u8(byte);
      return writer.varint(count).finish();
    };
    const huge = 2 ** 40;
    for (const bytes of [
      claims([], huge),
      claims([1, 3], huge),
      claims([1, 3], COMMAND_LIMITS.itemsMax),
      claims([1, 8], huge),
      claims([1, 8, 0], huge),
      claims([1, 0], huge),
      claims([1, 7, 0, 1], huge),
      claims([1, 55, 0, 0, 0, 0, 0], huge),
      // Streams of a group-create, acknowledgements, settlements, positions of a reset.
      claims([1, 19, 0, 0, 0, 0], huge),
      claims([1, 24, 0, 0, 0], huge),
      claims([1, 26, 0], huge),
      claims([1, 27, 0, 0], huge),
    ]) {
      expect(decodeCommands(bytes, []).ok).toBe(false);
    }
  });
});

describe("checkCommand", () => {
  it("passes what has an encoding", () => {
    fc.assert(
      fc.property(anyCommand, (command) => {
        expect(checkCommand(command)).toEqual({ ok: true, value: command });
      }),
    );
  });

  it.each([
    ["a lone surrogate", { kind: "subscription-delete", id: "\ud800" }],
    ["a long text", { kind: "subscription-delete", id: "x".repeat(COMMAND_LIMITS.textBytesMax + 1) }],
    [
      "a long text of wide characters",
      { kind: "subscription-delete", id: "€".repeat(COMMAND_LIMITS.textBytesMax / 3 + 1) },
    ],
    ["a long list", { kind: "touch", streams: new Array<string>(COMMAND_LIMITS.itemsMax + 1).fill("a") }],
    ["a long value", { kind: "cursor", name: "c", value: new Uint8Array(COMMAND_LIMITS.blobBytesMax + 1) }],
    ["a negative number", { kind: "trim", stream: "a", before: -1 }],
    ["a fraction", { kind: "trim", stream: "a", before: 0.5 }],
    ["no number", { kind: "trim", stream: "a", before: Number.NaN }],
    ["an unsafe number", { kind: "trim", stream: "a", before: 2 ** 53 }],
    ["a run of nothing", run(0, 0)],
    ["a long run", run(WIRE_LIMITS.runBatchesMax + 1, 0)],
    ["a run past all sequences", run(2, Number.MAX_SAFE_INTEGER - 1)],
    [
      "a lone surrogate deep inside",
      { kind: "transaction", conditions: [], operations: [{ kind: "delete", stream: "\udfff" }] },
    ],
  ] as readonly (readonly [string, Command])[])("refuses %s, which is then never encoded", (_what, command) => {
    expect(checkCommand(command)).toMatchObject({ ok: false, error: { code: "malformed-command" } });
    expect(() => encodeCommand(command)).toThrow("I10");
  });
});

describe("the encoding of results", () => {
  it.each(GOLDEN_RESULTS.map(([result, bytes]) => [result.kind, bytes, result] as const))(
    "of %s is fixed: %s",
    (_kind, bytes, result) => {
      expect(hex(encodeResult(result))).toBe(bytes);
      expect(decodeResult(encodeResult(result))).toEqual({ ok: true, value: result });
    },
  );

  it("round-trips", () => {
    fc.assert(
      fc.property(anyResult, (result) => {
        expect(decodeResult(encodeResult(result))).toEqual({ ok: true, value: result });
      }),
      { numRuns: 500 },
    );
  });

  it("survives any bytes with an error value", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const decoded = decodeResult(bytes);
        if (!decoded.ok) expect(decoded.error.code).toBe("malformed-command");
      }),
      { numRuns: 2_000 },
    );
  });

  it("has no parts of a run but appends and refusals", () => {
    expect(decodeResult(Uint8Array.of(13, 1, 1, 2)).ok).toBe(false);
    expect(decodeResult(Uint8Array.of(13, 1, 1, 13, 0)).ok).toBe(false);
  });

  it("does not follow transactions inside transactions", () => {
    expect(decodeResult(Uint8Array.of(4, 1, 4, 1, 4, 0)).ok).toBe(false);
  });
});
