/** Requests and responses as properties draw them. */
import fc from "fast-check";
import { checkBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import { ERRORS, type ErrorCode } from "../../src/wire/errors.ts";
import type { Request } from "../../src/wire/request.ts";
import type { Response } from "../../src/wire/response.ts";
import { arbitraryRecords } from "../record/arbitrary-records.ts";
import { anyGroupConfig } from "./command-arbitraries.ts";

const number = fc.oneof(fc.nat(300), fc.maxSafeNat());
const word = fc.string({ unit: "binary", maxLength: 20 });
const name = fc.constantFrom("a", "orders/eu", "café/🌊", "x".repeat(1_024));
const contentType = fc.constantFrom("application/json", "text/plain");

export function batchOf(bytes: Uint8Array): BatchRef {
  const checked = checkBatch(bytes, { batchBytesMax: bytes.length });
  if (!checked.ok) throw new Error(checked.error.message);
  const { hash, length, span } = checked.value;
  return { hash, length, span, bytes };
}

const batch = arbitraryRecords.map((records) => batchOf(encodeBatch(records)));

const operation = fc.oneof(
  fc.record(
    {
      kind: fc.constant("append" as const),
      stream: name,
      close: fc.boolean(),
      batch,
      incarnation: number,
      contentType,
      producer: fc.record({ id: word, epoch: number, sequence: number }),
      streamSequence: word,
      expectedOffset: number,
    },
    { requiredKeys: ["kind", "stream", "close"] },
  ),
  fc.record(
    { kind: fc.constant("create" as const), stream: name, closed: fc.boolean(), contentType, batch },
    { requiredKeys: ["kind", "stream", "closed"] },
  ),
  fc.record({ kind: fc.constant("delete" as const), stream: name }),
  fc.record({ kind: fc.constant("cursor" as const), name: word, value: fc.uint8Array({ maxLength: 20 }) }),
);

const command: fc.Arbitrary<Command> = fc.oneof(
  operation,
  fc.record({
    kind: fc.constant("transaction" as const),
    conditions: fc.array(fc.record({ kind: fc.constant("next-offset" as const), stream: name, offset: number }), {
      maxLength: 2,
    }),
    operations: fc.array(operation, { maxLength: 4 }),
  }),
);

export const arbitraryRequest: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ kind: fc.constant("command" as const), command }),
  fc.record(
    {
      kind: fc.constant("read" as const),
      stream: name,
      incarnation: number,
      from: fc.constantFrom("offset" as const, "start" as const, "now" as const),
      offset: number,
      maxBytes: number,
      waitMs: number,
    },
    { requiredKeys: ["kind", "stream", "from", "offset", "maxBytes", "waitMs"] },
  ),
  fc.record({ kind: fc.constant("describe" as const), stream: name }),
  fc.record({ kind: fc.constant("list" as const), prefix: word, after: word, limit: number }),
  fc.record(
    { kind: fc.constant("locate" as const), stream: name, incarnation: number, atMs: number },
    { requiredKeys: ["kind", "stream", "atMs"] },
  ),
  fc.record({ kind: fc.constant("cursor-get" as const), name: word }),
  fc.record({ kind: fc.constant("groups" as const), prefix: word, after: word, limit: number }),
  fc.record({ kind: fc.constant("group" as const), id: word, waitMs: number, brief: fc.boolean() }),
  fc.record({ kind: fc.constant("apps" as const), prefix: word, after: word, limit: number }),
  fc.record({ kind: fc.constant("app" as const), app: word, task: word }, { requiredKeys: ["kind", "app"] }),
);

const facts = { incarnation: number, contentType, firstOffset: number, tail: number, closed: fc.boolean() };

const result: fc.Arbitrary<CommandResult> = fc.oneof(
  fc.constant({ kind: "done" as const }),
  fc.record(
    {
      kind: fc.constant("appended" as const),
      incarnation: number,
      firstOffset: number,
      nextOffset: number,
      tail: number,
      closed: fc.boolean(),
      duplicate: fc.boolean(),
    },
    { requiredKeys: ["kind", "incarnation", "tail", "closed", "duplicate"] },
  ),
  fc.record({
    kind: fc.constant("rejected" as const),
    code: fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[])),
    message: word,
  }),
);

const totals = { lag: number, inFlight: number, resting: number, dead: number };
const groupMember = fc.record({ name: word, session: number, untilMs: number, holds: number });
const groupStream = fc.record(
  {
    stream: name,
    incarnation: number,
    owner: word,
    generation: number,
    committed: number,
    tail: number,
    lagMs: number,
    ...totals,
  },
  { requiredKeys: ["stream", "incarnation", "generation", "committed", "tail", "lag", "inFlight", "resting", "dead"] },
);
const listedGroup = fc.record({
  id: word,
  mode: fc.constantFrom("partitions" as const, "queue" as const),
  members: number,
  streams: number,
  ...totals,
});

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const recordPlace = fc.record({ position: number, ordinal: number, index: number });
const appHead = {
  app: word,
  version: number,
  epoch: number,
  paused: fc.boolean(),
  createdAtMs: number,
  deployedAtMs: number,
};
const listedApp = fc.record({ ...appHead, tasks: number });
const committedPoint = fc.record({
  replica: word,
  point: fc.record({ records: number, logTime: number, state: u64, outputs: u64 }),
});
const written = fc.record({
  replica: word,
  manifest: number,
  neededFrom: number,
  point: fc.record({ records: number, logTime: number, state: u64, outputs: u64 }),
});
const appTask = fc.record(
  {
    task: word,
    inputs: fc.array(name, { maxLength: 3 }),
    begins: fc.array(number, { maxLength: 3 }),
    born: number,
    start: recordPlace,
    place: fc.record({ cursor: recordPlace, outputs: number }),
    chain: u64,
    digests: fc.array(committedPoint, { maxLength: 3 }),
    commits: number,
    nextDue: number,
    verified: written,
    snapshot: written,
    trimmed: fc.boolean(),
    commit: fc.record({ replica: word, atMs: number }),
  },
  { requiredKeys: ["task", "inputs", "begins", "born", "start", "place", "chain", "digests", "commits", "trimmed"] },
);

export const arbitraryResponse: fc.Arbitrary<Response> = fc.oneof(
  fc.record({ kind: fc.constant("result" as const), position: number, result }),
  fc.record({
    kind: fc.constant("records" as const),
    position: number,
    ...facts,
    nextOffset: number,
    upToDate: fc.boolean(),
    batches: fc.array(fc.record({ firstOffset: number, logTime: number, bytes: fc.uint8Array({ maxLength: 60 }) }), {
      maxLength: 4,
    }),
  }),
  fc.record(
    {
      kind: fc.constant("description" as const),
      position: number,
      ...facts,
      createdAtMs: number,
      expiry: fc.oneof(
        fc.record({ kind: fc.constant("sliding" as const), ttlSeconds: number }),
        fc.record({ kind: fc.constant("absolute" as const), atMs: number }),
        fc.constant({ kind: "never" as const }),
      ),
      expiresAtMs: number,
      retention: fc.record(
        { maxAgeMs: number, maxBytes: number, compaction: fc.record({ tombstoneMs: number }) },
        { requiredKeys: [] },
      ),
      compactedBefore: number,
      forkedFrom: fc.record({ stream: name, offset: number, partialBytes: number }),
    },
    {
      requiredKeys: [
        "kind",
        "position",
        "incarnation",
        "contentType",
        "firstOffset",
        "tail",
        "closed",
        "createdAtMs",
        "expiry",
        "retention",
        "compactedBefore",
      ],
    },
  ),
  fc.record(
    {
      kind: fc.constant("stream-list" as const),
      position: number,
      streams: fc.array(fc.record({ name, ...facts, createdAtMs: number }), { maxLength: 4 }),
      next: name,
    },
    { requiredKeys: ["kind", "position", "streams"] },
  ),
  fc.record({ kind: fc.constant("located" as const), position: number, incarnation: number, offset: number }),
  fc.record(
    {
      kind: fc.constant("groups" as const),
      position: number,
      groups: fc.array(listedGroup, { maxLength: 4 }),
      next: word,
    },
    { requiredKeys: ["kind", "position", "groups"] },
  ),
  fc.record({
    kind: fc.constant("group" as const),
    position: number,
    config: anyGroupConfig,
    createdAtMs: number,
    deadLettered: number,
    dropped: number,
    unlinked: number,
    ready: fc.boolean(),
    members: fc.array(groupMember, { maxLength: 4 }),
    streams: fc.array(groupStream, { maxLength: 4 }),
  }),
  fc.record(
    { kind: fc.constant("apps" as const), position: number, apps: fc.array(listedApp, { maxLength: 4 }), next: word },
    { requiredKeys: ["kind", "position", "apps"] },
  ),
  fc.record({
    kind: fc.constant("app" as const),
    position: number,
    logTime: number,
    ...appHead,
    description: word,
    options: word,
    shape: fc.array(fc.record({ stage: number, name: word, text: word }), { maxLength: 3 }),
    tasks: fc.array(appTask, { maxLength: 3 }),
  }),
  fc.record(
    { kind: fc.constant("cursor" as const), position: number, value: fc.uint8Array({ maxLength: 20 }) },
    { requiredKeys: ["kind", "position"] },
  ),
  fc.record(
    {
      kind: fc.constant("error" as const),
      position: number,
      code: fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[])),
      message: word,
      firstOffset: number,
      retryAfterSeconds: number,
    },
    { requiredKeys: ["kind", "position", "code", "message"] },
  ),
);
