/** Apps as native HTTP takes and shows them. */
import { type Static, Type } from "typebox";
import { hex64 } from "../../../src/lib/bytes.ts";
import type { DigestPoint } from "../../../src/record/digest-point.ts";
import type { RecordPlace } from "../../../src/record/record-place.ts";
import type { TaskPlace } from "../../../src/record/task-place.ts";
import type { AppPutCommand } from "../../../src/wire/app-command.ts";
import type { WrittenSnapshot } from "../../../src/wire/app-facts.ts";
import type { AppResponse, AppTaskInfo, ListedApp } from "../../../src/wire/app-look-up.ts";
import { Count } from "../schemas.ts";

const State = Type.Union([Type.Literal("running"), Type.Literal("paused")]);

/** A record's place in the log's one order. */
export const RecordPlaceJson = Type.Object(
  {
    position: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: "of its entry" }),
    ordinal: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: "of its batch in the entry" }),
    index: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: "of the record in the batch" }),
  },
  { additionalProperties: false },
);

export const TaskPlaceOut = Type.Object({
  cursor: RecordPlaceJson,
  outputs: Type.Integer({ description: "handed over since its beginning" }),
});

const TaskSpecIn = Type.Object(
  {
    task: Type.String({ description: "`<stage>.<partition>`" }),
    inputs: Type.Array(Type.String(), { description: "the streams that it reads" }),
  },
  { additionalProperties: false },
);

const ShapePartJson = Type.Object(
  {
    stage: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    name: Type.String({ description: "of the operator" }),
    text: Type.String({ description: "what it is" }),
  },
  { additionalProperties: false },
);

export const DeployBody = Type.Object(
  {
    version: Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: "a higher one than is deployed takes its place",
    }),
    tasks: Type.Array(TaskSpecIn),
    description: Type.Optional(Type.String({ description: "the topology, for people" })),
    options: Type.Optional(Type.String({ description: "what all replicas are to have alike" })),
    shape: Type.Optional(
      Type.Array(ShapePartJson, { description: "what another version must have alike to go on with its tasks' state" }),
    ),
  },
  { additionalProperties: false },
);

export function deployCommand(app: string, body: Static<typeof DeployBody>): AppPutCommand {
  const { version, tasks, description = "", options = "", shape = [] } = body;
  return { kind: "app-put", app, version, tasks, description, options, shape };
}

const LISTED = {
  app: Type.String(),
  version: Count,
  epoch: Type.Integer({ description: "what commits of its replicas name" }),
  state: State,
  createdAtMs: Count,
  deployedAtMs: Type.Integer({ description: "when this version was" }),
};

export const ListedAppOut = Type.Object({ ...LISTED, tasks: Count });

const Hash = Type.String({ pattern: "^[0-9a-f]{16}$" });

const PointOut = Type.Object({
  records: Type.Integer({ description: "taken in until there" }),
  logTimeMs: Count,
  state: Type.String({ pattern: "^[0-9a-f]{16}$", description: "of all its rows" }),
  outputs: Type.String({ pattern: "^[0-9a-f]{16}$", description: "of all its outputs" }),
  replica: Type.String({ description: "whose it is" }),
});

const SnapshotOut = Type.Object({
  manifest: Type.Integer({ description: "the offset of its last record in the task's stream of snapshots" }),
  neededFrom: Type.Integer({ description: "the first offset there that it needs" }),
  ...PointOut.properties,
});

const TaskOut = Type.Object({
  task: Type.String(),
  inputs: Type.Array(Type.String()),
  begins: Type.Array(Count, { description: "by input, the offset of the first record that is the task's to read" }),
  born: Type.Integer({ description: "the epoch in which it began with nothing" }),
  start: RecordPlaceJson,
  place: TaskPlaceOut,
  chain: Hash,
  commits: Count,
  committedBy: Type.Optional(Type.String()),
  committedAtMs: Type.Optional(Type.Integer({ description: "log time of the newest commit" })),
  nextDueMs: Type.Optional(Type.Integer({ description: "log time at which it goes on even if no record comes" })),
  verified: Type.Optional(SnapshotOut),
  snapshot: Type.Optional(SnapshotOut),
  trimmed: Type.Boolean({ description: "input was trimmed on a snapshot: the verified one cannot be deleted" }),
  digests: Type.Array(PointOut, { description: "what replicas had at the newest digest points" }),
});

export const DescribedApp = Type.Object({
  ...LISTED,
  description: Type.String(),
  options: Type.String(),
  shape: Type.Array(ShapePartJson),
  logTimeMs: Type.Integer({ description: "of the log" }),
  tasks: Type.Array(TaskOut),
});

export function listedAppJson({ app, version, epoch, paused, tasks, createdAtMs, deployedAtMs }: ListedApp): object {
  return { app, version, epoch, state: stateOf(paused), createdAtMs, deployedAtMs, tasks };
}

export function describedAppJson(described: AppResponse): object {
  const { app, version, epoch, paused, createdAtMs, deployedAtMs, description, options, shape } = described;
  const { logTime, tasks } = described;
  return {
    ...{ app, version, epoch, state: stateOf(paused), createdAtMs, deployedAtMs },
    ...{ description, options, shape, logTimeMs: logTime },
    tasks: tasks.map(taskJson),
  };
}

export function taskPlaceJson({ cursor, outputs }: TaskPlace): object {
  return { cursor: recordPlaceJson(cursor), outputs };
}

function taskJson(task: AppTaskInfo): object {
  const { inputs, begins, born, start, place, chain, commits, commit, nextDue, digests } = task;
  const { verified, snapshot, trimmed } = task;
  return {
    task: task.task,
    inputs,
    begins,
    born,
    start: recordPlaceJson(start),
    place: taskPlaceJson(place),
    chain: hex64(chain),
    commits,
    ...(commit !== undefined && { committedBy: commit.replica, committedAtMs: commit.atMs }),
    ...(nextDue !== undefined && { nextDueMs: nextDue }),
    ...(verified !== undefined && { verified: snapshotJson(verified) }),
    ...(snapshot !== undefined && { snapshot: snapshotJson(snapshot) }),
    trimmed,
    digests: digests.map(({ replica, point }) => ({ ...pointJson(point), replica })),
  };
}

function snapshotJson({ manifest, neededFrom, point, replica }: WrittenSnapshot): object {
  return { manifest, neededFrom, ...pointJson(point), replica };
}

function pointJson({ records, logTime, state, outputs }: DigestPoint): object {
  return { records, logTimeMs: logTime, state: hex64(state), outputs: hex64(outputs) };
}

function recordPlaceJson({ position, ordinal, index }: RecordPlace): object {
  return { position, ordinal, index };
}

function stateOf(paused: boolean): Static<typeof State> {
  return paused ? "paused" : "running";
}
