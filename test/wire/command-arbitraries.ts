/** Commands and results of every kind, for properties of their encoding. They need not make sense. */
import fc from "fast-check";
import type { BatchRef } from "../../src/record/batch.ts";
import type { DigestPoint } from "../../src/record/digest-point.ts";
import type { RecordPlace } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import type {
  AppendCommand,
  AppendedResult,
  AppendRunCommand,
  Command,
  CommandResult,
  Condition,
  CreateCommand,
  CursorCommand,
  DeleteCommand,
  Expiry,
  ForkPoint,
  Rejection,
  TransactionOperation,
} from "../../src/wire/command.ts";
import type { AppCommand } from "../../src/wire/app-command.ts";
import { type ErrorCode, ERRORS } from "../../src/wire/errors.ts";
import type { GroupConfig, GroupMode, GroupOutcome } from "../../src/wire/group-command.ts";

const name = fc.string({ unit: "grapheme", maxLength: 12 });
const int = fc.oneof(fc.nat(300), fc.maxSafeNat());
const blob = fc.uint8Array({ maxLength: 20 });
const names = fc.array(name, { maxLength: 4 });

/** Fields that may be absent are absent, not undefined. */
function shape<T>(
  required: Record<string, fc.Arbitrary<unknown>>,
  optional: Record<string, fc.Arbitrary<unknown>> = {},
): fc.Arbitrary<T> {
  return fc.record(
    { ...required, ...optional },
    { requiredKeys: Object.keys(required), noNullPrototype: true },
  ) as fc.Arbitrary<T>;
}

function kind<T extends string>(value: T): Record<"kind", fc.Arbitrary<T>> {
  return { kind: fc.constant(value) };
}

const batch = shape<BatchRef>(
  { hash: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), length: int, span: int },
  { bytes: blob },
);
const expiry = fc.oneof(
  shape<Expiry>(kind("never")),
  shape<Expiry>({ ...kind("sliding"), ttlSeconds: int }),
  shape<Expiry>({ ...kind("absolute"), atMs: int }),
);
const retention = shape<object>({}, { maxAgeMs: int, maxBytes: int, compaction: shape({ tombstoneMs: int }) });
const fork = shape<ForkPoint>({ source: name, incarnation: int, partialBytes: int }, { offset: int });
const create = shape<CreateCommand>(
  { ...kind("create"), stream: name, closed: fc.boolean() },
  { contentType: name, expiry, retention, fork, batch },
);
const append = shape<AppendCommand>(
  { ...kind("append"), stream: name, close: fc.boolean() },
  {
    incarnation: int,
    contentType: name,
    batch,
    producer: shape({ id: name, epoch: int, sequence: int }),
    streamSequence: name,
    expectedOffset: int,
  },
);
const run = shape<AppendRunCommand>(
  {
    ...kind("append-run"),
    stream: name,
    producer: shape({ id: name, epoch: int, sequence: fc.nat(300) }),
    batches: fc.array(batch, { minLength: 1, maxLength: 5 }),
  },
  { incarnation: int, contentType: name },
);
const remove = shape<DeleteCommand>({ ...kind("delete"), stream: name }, { incarnation: int });
const cursor = shape<CursorCommand>(
  { ...kind("cursor"), name },
  { value: blob, expected: fc.option(blob, { nil: null }) },
);
const condition = fc.oneof(
  shape<Condition>({ ...kind("stream-exists"), stream: name }, { incarnation: int }),
  shape<Condition>({ ...kind("stream-absent"), stream: name }),
  shape<Condition>({ ...kind("next-offset"), stream: name, offset: int }),
  shape<Condition>({ ...kind("cursor"), name, value: fc.option(blob, { nil: null }) }),
);
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const recordPlace = shape<RecordPlace>({ position: int, ordinal: int, index: int });
const taskPlace = shape<TaskPlace>({ cursor: recordPlace, outputs: int });
const digestPoint = shape<DigestPoint>({ records: int, logTime: int, state: u64, outputs: u64 });

const taskReplica = { app: name, task: name, epoch: int, replica: name };

const APP_COMMANDS: { readonly [K in AppCommand["kind"]]: fc.Arbitrary<Extract<AppCommand, { kind: K }>> } = {
  "app-put": shape({
    ...kind("app-put"),
    app: name,
    version: int,
    tasks: fc.array(shape({ task: name, inputs: names }), { maxLength: 4 }),
    description: name,
    options: name,
    shape: fc.array(shape({ stage: int, name, text: name }), { maxLength: 3 }),
  }),
  "app-state": shape({ ...kind("app-state"), app: name, paused: fc.boolean() }),
  "app-reset": shape({
    ...kind("app-reset"),
    app: name,
    tasks: fc.array(shape({ task: name, start: recordPlace }), { maxLength: 4 }),
  }),
  "app-delete": shape({ ...kind("app-delete"), app: name }),
  "task-commit": shape(
    {
      ...kind("task-commit"),
      ...taskReplica,
      from: taskPlace,
      to: taskPlace,
      chain: u64,
      digests: fc.array(digestPoint, { maxLength: 3 }),
    },
    { nextDue: int },
  ),
  "task-snapshot": shape({
    ...kind("task-snapshot"),
    ...taskReplica,
    manifest: int,
    neededFrom: int,
    point: digestPoint,
    verified: fc.boolean(),
  }),
  "task-trimmed": shape({ ...kind("task-trimmed"), ...taskReplica, manifest: int }),
  "task-statement": shape({ ...kind("task-statement"), ...taskReplica }),
  "task-trim": shape({ ...kind("task-trim"), ...taskReplica, stream: name, incarnation: int, before: int }),
};
const { "task-trim": _, ...appOperations } = APP_COMMANDS;
const operation: fc.Arbitrary<TransactionOperation> = fc.oneof(
  ...[create, append, remove, cursor, ...Object.values(appOperations)],
);
const fence = { id: name, generation: int, wakeId: name };

const groupMode = fc.oneof(
  shape<GroupMode>(kind("partitions")),
  shape<GroupMode>({ ...kind("queue"), attemptsMax: int, retryDelayMs: int }, { deadLetter: name }),
);
const groupOutcome = fc.oneof(
  shape<GroupOutcome>(kind("ack")),
  shape<GroupOutcome>(kind("nack"), { delayMs: int, reason: name }),
  shape<GroupOutcome>(kind("extend"), { leaseMs: int }),
  shape<GroupOutcome>(kind("release")),
);
const session = { id: name, member: name, session: int };

const groupConfig = {
  id: name,
  mode: groupMode,
  streams: names,
  from: fc.constantFrom("start" as const, "now" as const),
  leaseMs: int,
};
export const anyGroupConfig: fc.Arbitrary<GroupConfig> = shape<GroupConfig>(groupConfig, { pattern: name });

const COMMANDS: { readonly [K in Command["kind"]]: fc.Arbitrary<Command> } = {
  "create": create,
  "append": append,
  "append-run": run,
  "delete": remove,
  "touch": shape({ ...kind("touch"), streams: names }),
  "tick": shape(kind("tick")),
  "member-set": shape(
    { ...kind("member-set"), node: name, disk: name, host: name, port: int },
    { was: fc.option(name) },
  ),
  "member-remove": shape({ ...kind("member-remove"), node: name }, { was: name }),
  "feature-level": shape({ ...kind("feature-level"), level: int }),
  "settings": shape({ ...kind("settings"), stream: name, retention }),
  "trim": shape({ ...kind("trim"), stream: name, before: int }, { incarnation: int }),
  "cursor": cursor,
  "transaction": shape({
    ...kind("transaction"),
    conditions: fc.array(condition, { maxLength: 4 }),
    operations: fc.array(operation, { maxLength: 5 }),
  }),
  "subscription-create": shape(
    {
      ...kind("subscription-create"),
      id: name,
      delivery: fc.oneof(shape({ ...kind("webhook"), url: name }), shape({ ...kind("pull-wake"), wakeStream: name })),
      streams: names,
      leaseMs: int,
    },
    { pattern: name, description: name },
  ),
  "subscription-delete": shape({ ...kind("subscription-delete"), id: name }),
  "subscription-link": shape({ ...kind("subscription-link"), id: name, streams: names }),
  "subscription-unlink": shape({ ...kind("subscription-unlink"), id: name, stream: name }),
  "subscription-wake": shape({ ...kind("subscription-wake"), ...fence }, { batch }),
  "subscription-claim": shape({ ...kind("subscription-claim"), id: name, worker: name, wakeId: name }),
  "subscription-ack": shape({
    ...kind("subscription-ack"),
    ...fence,
    acks: fc.array(shape({ stream: name, incarnation: int, offset: int }), { maxLength: 4 }),
    done: fc.boolean(),
  }),
  "subscription-release": shape({ ...kind("subscription-release"), ...fence }),
  "subscription-failed": shape({ ...kind("subscription-failed"), ...fence, retryAtMs: int }),
  "compact": shape({ ...kind("compact"), stream: name, incarnation: int, before: int, tombstonesBefore: int }),
  "group-create": shape({ ...kind("group-create"), ...groupConfig }, { pattern: name }),
  "group-delete": shape({ ...kind("group-delete"), id: name }),
  "group-join": shape({ ...kind("group-join"), id: name, member: name }),
  "group-leave": shape({ ...kind("group-leave"), ...session }),
  "group-heartbeat": shape({ ...kind("group-heartbeat"), ...session }),
  "group-ack": shape({
    ...kind("group-ack"),
    ...session,
    acks: fc.array(shape({ stream: name, incarnation: int, generation: int, offset: int }), { maxLength: 4 }),
  }),
  "group-take": shape({ ...kind("group-take"), id: name, member: name, count: int }),
  "group-settle": shape({
    ...kind("group-settle"),
    id: name,
    settlements: fc.array(
      shape({ stream: name, incarnation: int, offset: int, count: int, generation: int, outcome: groupOutcome }),
      { maxLength: 4 },
    ),
  }),
  "group-reset": shape({
    ...kind("group-reset"),
    id: name,
    force: fc.boolean(),
    positions: fc.array(shape({ stream: name, incarnation: int, offset: int }), { maxLength: 4 }),
  }),
  "group-dead-letter": shape(
    { ...kind("group-dead-letter"), id: name, stream: name, incarnation: int, offset: int, generation: int },
    { batch },
  ),
  ...APP_COMMANDS,
};

const code = fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[]));
const appended = shape<AppendedResult>(
  { ...kind("appended"), incarnation: int, tail: int, closed: fc.boolean(), duplicate: fc.boolean() },
  { firstOffset: int, nextOffset: int, producer: shape({ epoch: int, sequence: int }) },
);
const rejected = shape<Rejection>(
  { ...kind("rejected"), code, message: name },
  {
    incarnation: int,
    tail: int,
    closed: fc.constant(true),
    firstOffset: int,
    epoch: int,
    expectedSequence: int,
    holder: name,
    generation: int,
    place: taskPlace,
  },
);

const RESULTS: { readonly [K in CommandResult["kind"]]: fc.Arbitrary<CommandResult> } = {
  "created": shape({
    ...kind("created"),
    created: fc.boolean(),
    incarnation: int,
    nextOffset: int,
    contentType: name,
    closed: fc.boolean(),
    expiry,
  }),
  "appended": appended,
  "appended-run": shape({
    ...kind("appended-run"),
    parts: fc.array(shape({ count: int, result: fc.oneof(appended, rejected) }), { maxLength: 4 }),
  }),
  "done": shape(kind("done")),
  "trimmed": shape({ ...kind("trimmed"), firstOffset: int }),
  "transaction": shape({ ...kind("transaction"), results: fc.array(fc.oneof(appended, rejected), { maxLength: 4 }) }),
  "subscription-created": shape({ ...kind("subscription-created"), created: fc.boolean() }),
  "subscription-claimed": shape({ ...kind("subscription-claimed"), generation: int, wakeId: name, leaseMs: int }),
  "subscription-acked": shape({ ...kind("subscription-acked"), nextWake: fc.boolean() }),
  "rejected": rejected,
  "group-created": shape({ ...kind("group-created"), created: fc.boolean() }),
  "group-assigned": shape({
    ...kind("group-assigned"),
    session: int,
    leaseMs: int,
    assignments: fc.array(shape({ stream: name, incarnation: int, generation: int, committed: int }), { maxLength: 4 }),
  }),
  "group-settled": shape({
    ...kind("group-settled"),
    refused: fc.array(shape({ item: int, offset: int, count: int }), { maxLength: 4 }),
  }),
  "group-taken": shape({
    ...kind("group-taken"),
    generation: int,
    untilMs: int,
    leases: fc.array(shape({ stream: name, incarnation: int, offset: int, count: int, attempt: int }), {
      maxLength: 4,
    }),
  }),
  "app-epoch": shape({ ...kind("app-epoch"), changed: fc.boolean(), epoch: int }),
};

export const anyCommand: fc.Arbitrary<Command> = fc.oneof(...Object.values(COMMANDS));
export const anyResult: fc.Arbitrary<CommandResult> = fc.oneof(...Object.values(RESULTS));
export const commandKinds = Object.keys(COMMANDS) as readonly Command["kind"][];

export function commandOf(wanted: Command["kind"]): fc.Arbitrary<Command> {
  return COMMANDS[wanted];
}
