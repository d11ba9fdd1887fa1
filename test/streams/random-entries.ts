/**
 * Random entries that mean something: each command is drawn with the state before it in view, so that offsets, epochs
 * and generations are often right, sometimes old, and sometimes nonsense. The same seed gives the same entries.
 */
import { Prng } from "../../src/lib/prng.ts";
import type {
  AppendedResult,
  Command,
  CommandResult,
  Condition,
  CreateCommand,
  Expiry,
  ProducerTag,
  Retention,
  TransactionOperation,
} from "../../src/wire/command.ts";
import type { AppOperation } from "../../src/wire/app-command.ts";
import type { GroupLease, GroupOutcome, GroupSettlement } from "../../src/wire/group-command.ts";
import type { AppView } from "../../log-server/streams/apps/app-views.ts";
import { STREAMS_LIMITS, type StreamsLimits } from "../../log-server/streams/limits.ts";
import { StreamsMachine } from "../../log-server/streams/machine.ts";
import { START_MS } from "./driver.ts";

export type RandomEntry = {
  readonly index: number;
  readonly term: number;
  readonly logTime: number;
  readonly commands: readonly Command[];
  /** Raft's own: who votes, and no commands. */
  readonly kind?: "configuration";
  readonly head?: Uint8Array;
};

/** So small that all of them are met. */
export const TIGHT: StreamsLimits = {
  ...STREAMS_LIMITS,
  streamsMax: 9,
  forkDepthMax: 1,
  producersMax: 8,
  producersPerStreamMax: 2,
  producerAnswersMax: 3,
  producerIdleMs: 400,
  cursorsMax: 2,
  transactionOperationsMax: 6,
  subscriptionsMax: 3,
  explicitStreamsMax: 3,
  linksPerSubscriptionMax: 4,
  linksMax: 7,
  leaseMsMin: 50,
  groupsMax: 3,
  groupStreamsMax: 3,
  linksPerGroupMax: 4,
  groupLinksMax: 8,
  membersPerGroupMax: 3,
  groupMembersMax: 4,
  groupLeaseMsMin: 50,
  groupTakeMax: 4,
  groupSettleMax: 6,
  groupOutstandingPerStreamMax: 5,
  groupOutstandingMax: 8,
  groupOutstandingAssured: 1,
  appsMax: 2,
  tasksPerAppMax: 2,
  tasksMax: 3,
  taskInputsMax: 2,
  replicaBytesMax: 3,
  digestsPerCommitMax: 2,
  digestsPerTaskMax: 3,
  duePerEntryMax: 2,
  membersMax: 2,
};

/** As tight, but whatever is due is done at once. */
export const TIGHT_BUT_PROMPT: StreamsLimits = { ...TIGHT, duePerEntryMax: 1_000 };

/** Of the streams. */
export const NAMES = ["a", "b", "events/a", "events/b", "events/c", "wake"];
/** Those of snapshots come up only where these are tried. */
const SNAPSHOTS = "apps/x/snapshots/0.0";
const PATTERNS = ["events/*", "**", "*", "none/*"];
const RETENTIONS: readonly Retention[] = [
  {},
  { maxBytes: 5 },
  { maxAgeMs: 7 },
  { compaction: { tombstoneMs: 9 } },
  { maxAgeMs: 7, compaction: { tombstoneMs: 3 } },
];
const CONTENT_TYPES = ["text/plain", "application/json"];
const PRODUCERS = ["p", "q", "r"];
const CURSORS = ["c", "d", "e"];
const SUBSCRIPTIONS = ["s", "t", "u", "v"];
const GROUPS = ["g", "h", "i", "j"];
const MEMBERS = ["m", "n", "o", "p"];
const NODES = ["n1", "n2", "n3"];
const DISKS = ["", "d1", "d2"];
const APPS = ["x", "y", "z"];
const TASKS = ["0.0", "0.1", "1.0"];
const REPLICAS = ["r", "q", "long"];

export function randomEntries(seed: number, count: number, limits: StreamsLimits, commandsMax = 4): RandomEntry[] {
  const prng = new Prng(seed);
  const cluster = new Prng(seed).fork("cluster");
  const apps = new Prng(seed).fork("apps");
  const machine = new StreamsMachine(limits);
  const entries: RandomEntry[] = [];
  const sequences: Sequences = new Map();
  const taken: Taken = new Map();
  let logTime = START_MS;
  for (let index = 1; index <= count; index += 1) {
    logTime += prng.chance(0.3) ? prng.below(200) : prng.below(5);
    const draw = new Draw(prng, machine, logTime, sequences, taken);
    const appDraw = new Draw(apps, machine, logTime, sequences, taken);
    if (commandsMax > 1 && cluster.chance(0.04)) {
      const head = cluster.bytes(1 + cluster.below(6));
      const configuration: RandomEntry = { index, term: 1, logTime, commands: [], kind: "configuration", head };
      machine.apply(configuration, []);
      entries.push(configuration);
      continue;
    }
    const commands =
      commandsMax === 1 && apps.chance(0.3)
        ? [drawApp(apps, machine, appDraw)]
        : Array.from({ length: commandsMax === 1 ? 1 : prng.below(commandsMax + 1) }, () => draw.command());
    if (commandsMax > 1 && apps.chance(0.2)) commands.push(drawApp(apps, machine, appDraw));
    if (commandsMax > 1 && cluster.chance(0.06)) commands.push(drawMember(cluster));
    const entry = { index, term: 1, logTime, commands };
    note(commands, machine.apply(entry, commands).results, sequences, taken);
    entries.push(entry);
  }
  return entries;
}

function drawMember(prng: Prng): Command {
  const node = prng.pick(NODES);
  const was = prng.pick(DISKS);
  const isMeant = prng.chance(0.3);
  if (prng.chance(0.3)) return { kind: "member-remove", node, ...(isMeant && { was }) };
  const set = { kind: "member-set", node, disk: prng.pick(DISKS), host: "h", port: prng.below(9) } as const;
  return { ...set, ...(isMeant && { was: prng.chance(0.3) ? null : was }) };
}

function drawApp(prng: Prng, machine: StreamsMachine, draw: Draw): Command {
  const app = prng.chance(0.5) ? "x" : prng.pick(APPS);
  const view = machine.app(app);
  if (view?.task("0.0") !== undefined && app === "x" && prng.chance(0.6))
    return prng.chance(0.1) ? drawTaskWrite(prng, view, machine, draw) : drawSnapshot(prng, view, machine, draw);
  const command = prng.chance(0.8) && view !== undefined ? drawCommit(prng, view, machine) : manageApp(prng, app, view);
  if (prng.chance(0.5)) return command;
  const operations: TransactionOperation[] = [draw.append(), command];
  if (prng.chance(0.5)) operations.push(draw.append());
  return { kind: "transaction", conditions: [], operations };
}

/** What a replica does besides commits. */
function drawTaskWrite(prng: Prng, view: AppView, machine: StreamsMachine, draw: Draw): Command {
  const who = { app: "x", task: "0.0", epoch: view.epoch - prng.below(2), replica: prng.pick(REPLICAS) };
  if (prng.chance(0.5)) {
    const operations = [{ kind: "task-statement", ...who } as const, draw.append()];
    return { kind: "transaction", conditions: [], operations };
  }
  const stream = prng.pick(["a", "b"]);
  const { incarnation = 1, nextOffset = 0 } = machine.stream(stream) ?? {};
  return { kind: "task-trim", ...who, stream, incarnation, before: prng.below(nextOffset + 2) };
}

/** Of one task, in a stream that comes and goes. */
function drawSnapshot(prng: Prng, view: AppView, machine: StreamsMachine, draw: Draw): Command {
  const stream = machine.stream(SNAPSHOTS);
  if (stream === undefined || stream.nextOffset === 0) {
    const batch = { hash: BigInt(prng.u32()), length: 50, span: 5 };
    if (stream !== undefined) return { kind: "append", stream: SNAPSHOTS, close: false, batch };
    return { kind: "create", stream: SNAPSHOTS, closed: false, retention: { maxBytes: 5 }, batch };
  }
  const { firstOffset, nextOffset } = stream;
  const standing = view.task("0.0");
  const roll = prng.below(12);
  if (roll < 1) return { kind: "delete", stream: SNAPSHOTS };
  if (standing?.trimmed === true && prng.chance(0.5)) return { kind: "trim", stream: SNAPSHOTS, before: nextOffset };
  if (roll < 3) return { kind: "trim", stream: SNAPSHOTS, before: firstOffset + prng.below(3) };
  if (roll < 4) return { ...draw.append(), stream: SNAPSHOTS, close: false };
  const who = { app: "x", task: "0.0", epoch: view.epoch, replica: prng.pick(REPLICAS.slice(0, 2)) };
  if (roll < 7) return { kind: "task-trimmed", ...who, manifest: standing?.verified?.manifest ?? prng.below(3) };
  const known = standing?.digests.at(-1)?.point;
  const fresh = { records: prng.below(9), logTime: machine.logTime, state: 1n, outputs: 2n };
  const point = known === undefined || prng.chance(0.3) ? fresh : prng.chance(0.9) ? known : { ...known, state: 1n };
  const manifest = Math.max(firstOffset, nextOffset - (prng.chance(0.9) ? 1 : 0));
  const neededFrom = Math.max(prng.chance(0.9) ? firstOffset : 0, manifest - prng.below(3));
  return { kind: "task-snapshot", ...who, manifest, neededFrom, point, verified: prng.chance(0.6) };
}

function manageApp(prng: Prng, app: string, view: AppView | undefined): AppOperation {
  const roll = prng.below(10);
  if (roll < 1) return { kind: "app-delete", app };
  if (roll < 3) return { kind: "app-state", app, paused: prng.chance(0.3) };
  if (roll < 5) {
    const start = { position: prng.below(20), ordinal: prng.below(2), index: 0 };
    return { kind: "app-reset", app, tasks: prng.chance(0.5) ? [] : [{ task: prng.pick(TASKS), start }] };
  }
  const version = (view?.version ?? 1) + prng.below(2);
  const tasks = TASKS.filter(() => prng.chance(0.6)).map((task) => ({ task, inputs: prng.chance(0.5) ? ["a"] : [] }));
  const shape = [{ stage: 0, name: "n", text: version === view?.version || prng.chance(0.5) ? "a" : "b" }];
  return { kind: "app-put", app, version, tasks, description: "", options: prng.chance(0.9) ? "" : "o", shape };
}

function drawCommit(prng: Prng, view: AppView, machine: StreamsMachine): AppOperation {
  const task = prng.pick(TASKS);
  const known = view.task(task);
  const from = known !== undefined && prng.chance(0.9) ? known.place : { ...NO_PLACE, outputs: prng.below(3) };
  const position = Math.max(from.cursor.position, machine.position - prng.below(3) + (prng.chance(0.05) ? 5 : 0));
  const cursor = { position, ordinal: prng.below(3), index: prng.below(3) };
  const digests = Array.from({ length: prng.below(prng.chance(0.05) ? 5 : 3) }, () => ({
    records: prng.below(9),
    logTime: machine.logTime,
    state: BigInt(prng.u32()),
    outputs: BigInt(prng.u32()),
  }));
  return {
    kind: "task-commit",
    ...{ app: view.app, task, epoch: prng.chance(0.9) ? view.epoch : view.epoch - 1 },
    replica: prng.chance(0.95) ? prng.pick(REPLICAS.slice(0, 2)) : prng.pick(REPLICAS),
    from,
    to: { cursor: prng.chance(0.9) ? cursor : from.cursor, outputs: from.outputs + prng.below(3) },
    chain: BigInt(prng.u32()),
    digests,
    ...(prng.chance(0.5) && { nextDue: machine.logTime + prng.below(100) - 10 }),
  };
}

/** The newest tag accepted of a stream and producer, as far as their answers tell. */
type Sequences = Map<string, { readonly epoch: number; readonly sequence: number }>;

/** The newest leases of each group. */
type Taken = Map<string, { readonly lease: GroupLease; readonly generation: number }[]>;

const TAKEN_KEPT = 6;
const NO_PLACE = { cursor: { position: 0, ordinal: 0, index: 0 }, outputs: 0 };
const NOWHERE = { stream: "nowhere", incarnation: 1, tail: 1 } as const;

function note(
  commands: readonly Command[],
  results: readonly CommandResult[],
  sequences: Sequences,
  taken: Taken,
): void {
  commands.forEach((command, place) => {
    const result = results[place];
    if (command.kind === "group-take" && result?.kind === "group-taken") {
      const { generation, leases } = result;
      const newest = [...(taken.get(command.id) ?? []), ...leases.map((lease) => ({ lease, generation }))];
      taken.set(command.id, newest.slice(-TAKEN_KEPT));
    }
    if (command.kind === "transaction" && result?.kind === "transaction") {
      note(command.operations, result.results, sequences, taken);
    }
    if (command.kind === "append-run" && result?.kind === "appended-run") {
      const newest = result.parts.findLast((part) => part.result.kind === "appended")?.result as
        | AppendedResult
        | undefined;
      if (newest?.producer !== undefined) sequences.set(`${command.stream} ${command.producer.id}`, newest.producer);
    }
    if (command.kind !== "append" || result?.kind !== "appended" || result.producer === undefined) return;
    sequences.set(`${command.stream} ${command.producer?.id}`, result.producer);
  });
}

class Draw {
  readonly #prng: Prng;
  readonly #machine: StreamsMachine;
  readonly #logTime: number;
  readonly #sequences: Sequences;
  readonly #taken: Taken;

  constructor(prng: Prng, machine: StreamsMachine, logTime: number, sequences: Sequences, taken: Taken) {
    this.#prng = prng;
    this.#machine = machine;
    this.#logTime = logTime;
    this.#sequences = sequences;
    this.#taken = taken;
  }

  command(): Command {
    const roll = this.#prng.below(100);
    if (roll < 15) return this.#create();
    if (roll < 40) return this.#prng.chance(0.15) ? this.#run() : this.append();
    if (roll < 44) return { kind: "delete", stream: this.#name(), ...this.#incarnation() };
    if (roll < 46) return { kind: "touch", streams: [this.#name(), this.#name()] };
    if (roll < 49) return { kind: "trim", stream: this.#name(), before: this.#prng.below(6) };
    if (roll < 51) return { kind: "settings", stream: this.#name(), retention: this.#prng.pick(RETENTIONS) };
    if (roll < 54) return this.#compact();
    if (roll < 56) return this.#cursor();
    if (roll < 63) return this.#transaction();
    if (roll < 79) return this.#subscription();
    return this.#group();
  }

  #group(): Command {
    const id = this.#prng.pick(GROUPS);
    const view = this.#machine.group(id);
    if (view === undefined || this.#prng.chance(0.05)) return this.#groupCreate(id);
    if (this.#prng.chance(0.03)) return { kind: "group-delete", id };
    if (this.#prng.chance(0.1)) {
      const streams = view.streams();
      const { stream, incarnation, tail } = streams.length > 0 ? this.#prng.pick(streams) : NOWHERE;
      const offset = this.#prng.below(tail + (this.#prng.chance(0.1) ? 2 : 1));
      return { kind: "group-reset", id, force: this.#prng.chance(0.5), positions: [{ stream, incarnation, offset }] };
    }
    const isQueue = (view.config.mode.kind === "queue") !== this.#prng.chance(0.02);
    return isQueue ? this.#queue(id) : this.#partitions(id);
  }

  #groupCreate(id: string): Command {
    const { chance } = this.#coins();
    return {
      kind: "group-create",
      id,
      mode: chance(0.4)
        ? { kind: "partitions" }
        : {
            kind: "queue",
            attemptsMax: this.#prng.below(3),
            retryDelayMs: this.#prng.below(100),
            ...(chance(0.6) && { deadLetter: "wake" }),
          },
      streams: chance(0.5) ? [] : [this.#name(), this.#name()],
      ...(chance(0.8) && { pattern: this.#prng.pick(PATTERNS) }),
      from: chance(0.7) ? "start" : "now",
      leaseMs: 50 + this.#prng.below(200),
    };
  }

  #partitions(id: string): Command {
    const member = this.#prng.pick(MEMBERS);
    const view = this.#machine.group(id);
    const known = view?.members().find(({ name }) => name === member);
    if (known === undefined || this.#prng.chance(0.1)) return { kind: "group-join", id, member };
    const session = this.#prng.chance(0.95) ? known.session : 1;
    if (this.#prng.chance(0.1)) return { kind: "group-leave", id, member, session };
    if (this.#prng.chance(0.2)) return { kind: "group-heartbeat", id, member, session };
    const streams = (view?.streams() ?? []).filter(({ owner }) => owner === member || this.#prng.chance(0.1));
    const acks = streams.map(({ stream, incarnation, generation, committed, tail }) => ({
      stream,
      incarnation,
      generation: this.#prng.chance(0.95) ? generation : 1,
      offset: committed + this.#prng.below(tail - committed + (this.#prng.chance(0.05) ? 2 : 1)),
    }));
    return { kind: "group-ack", id, member, session, acks };
  }

  #queue(id: string): Command {
    const dead = this.#machine.deadRecords(2).find(({ group }) => group === id);
    if (dead !== undefined && this.#prng.chance(0.4)) {
      const { stream, incarnation, offset } = dead;
      const generation = this.#prng.chance(0.9) ? dead.generation : 1;
      return {
        kind: "group-dead-letter",
        ...{ id, stream, incarnation, offset, generation },
        ...(this.#prng.chance(0.8) && { batch: this.#batch() }),
      };
    }
    const taken = this.#taken.get(id) ?? [];
    if (taken.length === 0 || this.#prng.chance(0.5)) {
      return { kind: "group-take", id, member: this.#prng.pick(MEMBERS), count: 1 + this.#prng.below(4) };
    }
    const settlements = Array.from({ length: 1 + this.#prng.below(2) }, (): GroupSettlement => {
      const { lease, generation } = this.#prng.pick(taken);
      const { stream, incarnation } = lease;
      const offset = lease.offset + this.#prng.below(lease.count);
      return { stream, incarnation, offset, count: 1 + this.#prng.below(3), generation, outcome: this.#outcome() };
    });
    return { kind: "group-settle", id, settlements };
  }

  #outcome(): GroupOutcome {
    const { chance } = this.#coins();
    if (chance(0.5)) return { kind: "ack" };
    if (chance(0.2)) return { kind: "release" };
    if (chance(0.3)) return { kind: "extend", ...(chance(0.5) && { leaseMs: 50 + this.#prng.below(200) }) };
    return {
      kind: "nack",
      ...(chance(0.5) && { delayMs: this.#prng.below(100) }),
      ...(chance(0.3) && { reason: "no" }),
    };
  }

  #create(): CreateCommand {
    const { chance } = this.#coins();
    const fork = chance(0.4);
    return {
      kind: "create",
      stream: this.#name(),
      closed: chance(0.1),
      ...(chance(0.4) && { contentType: this.#prng.pick(CONTENT_TYPES) }),
      ...(chance(0.3) && { expiry: this.#expiry() }),
      ...(chance(0.4) && { retention: this.#prng.pick(RETENTIONS) }),
      ...(fork && { fork: this.#fork() }),
      ...(chance(0.5) && { batch: this.#batch() }),
    };
  }

  #compact(): Command {
    // Tombstones go only where something was compacted before.
    const compacted = [...this.#machine.streams()].filter(({ compactedBefore }) => compactedBefore > 0);
    const stream = compacted.length > 0 && this.#prng.chance(0.3) ? this.#prng.pick(compacted).name : this.#name();
    const view = this.#machine.stream(stream);
    return {
      kind: "compact",
      stream,
      incarnation: this.#prng.chance(0.9) ? (view?.incarnation ?? 0) : 1,
      before: this.#prng.below((view?.nextOffset ?? 2) + 2),
      tombstonesBefore: this.#prng.below((view?.compactedBefore ?? 0) + 2),
    };
  }

  #fork(): NonNullable<CreateCommand["fork"]> {
    const source = this.#name();
    const view = this.#machine.stream(source);
    const offset = this.#prng.below((view?.nextOffset ?? 2) + 1);
    return {
      source,
      incarnation: this.#prng.chance(0.9) ? (view?.incarnation ?? 0) : 1,
      partialBytes: this.#prng.chance(0.3) ? 1 + this.#prng.below(3) : 0,
      ...(this.#prng.chance(0.7) && { offset }),
    };
  }

  append(): Extract<Command, { kind: "append" }> {
    const { chance } = this.#coins();
    const stream = this.#name();
    const view = this.#machine.stream(stream);
    const close = chance(0.05);
    return {
      kind: "append",
      stream,
      close,
      ...(!(close && chance(0.5)) && { batch: this.#batch() }),
      ...(chance(0.2) && { contentType: view?.contentType ?? "text/plain" }),
      ...(chance(0.6) && { producer: this.#tag(stream) }),
      ...(chance(0.1) && { streamSequence: String(this.#prng.below(20)) }),
      ...(chance(0.2) && { expectedOffset: view?.nextOffset ?? 0 }),
      ...(chance(0.2) && this.#incarnation(stream)),
    };
  }

  #run(): Command {
    const stream = this.#name();
    const { sequence, ...producer } = this.#tag(stream);
    // Often a retry, of some that are there and some that are not.
    const first = Math.max(0, sequence - (this.#prng.chance(0.4) ? this.#prng.below(5) : 0));
    return {
      kind: "append-run",
      stream,
      producer: { ...producer, sequence: first },
      batches: Array.from({ length: 1 + this.#prng.below(5) }, () => this.#batch()),
      ...(this.#prng.chance(0.4) && { contentType: this.#prng.pick(CONTENT_TYPES) }),
      ...(this.#prng.chance(0.2) && this.#incarnation(stream)),
    };
  }

  #transaction(): Command {
    const operations: TransactionOperation[] = [];
    // Things that mostly go well, so that what is undone is more than the first of them.
    const streams = [...this.#machine.streams()].filter(({ closed, deleted }) => !closed && !deleted);
    while (streams.length > 0 && operations.length < 3 && this.#prng.chance(0.6)) {
      const stream = this.#prng.pick(streams).name;
      operations.push({ kind: "append", stream, close: false, batch: this.#batch(), producer: this.#tag(stream) });
    }
    for (let count = this.#prng.below(6); count > 0; count -= 1) {
      const roll = this.#prng.below(10);
      if (roll < 3) operations.push(this.#create());
      else if (roll < 7) operations.push(this.append());
      else if (roll < 8) operations.push({ kind: "delete", stream: this.#name() });
      else operations.push(this.#cursor());
    }
    const conditions: Condition[] = [];
    if (this.#prng.chance(0.2)) conditions.push({ kind: "stream-exists", stream: this.#name() });
    if (this.#prng.chance(0.1)) conditions.push({ kind: "stream-absent", stream: this.#name() });
    if (this.#prng.chance(0.1)) conditions.push({ kind: "cursor", name: this.#prng.pick(CURSORS), value: null });
    return { kind: "transaction", conditions, operations };
  }

  #cursor(): Extract<Command, { kind: "cursor" }> {
    const name = this.#prng.pick(CURSORS);
    const expected = this.#prng.chance(0.3) ? (this.#machine.cursor(name) ?? null) : undefined;
    return {
      kind: "cursor",
      name,
      ...(this.#prng.chance(0.7) && { value: this.#prng.bytes(this.#prng.below(3)) }),
      ...(expected !== undefined && { expected }),
    };
  }

  #subscription(): Command {
    const id = this.#prng.pick(SUBSCRIPTIONS);
    const view = this.#machine.subscription(id);
    const generation = view?.generation ?? 0;
    const phase = view?.phase ?? { kind: "idle" };
    const fence = {
      id,
      generation: this.#prng.chance(0.9) ? generation : 1,
      wakeId: phase.kind === "idle" ? "old" : phase.wakeId,
    };
    const isPull = view?.delivery.kind === "pull-wake";
    switch (isPull && this.#prng.chance(0.2) ? 5 : this.#prng.below(9)) {
      case 0:
        return {
          kind: "subscription-create",
          id,
          delivery: this.#prng.chance(0.5) ? { kind: "webhook", url: "u" } : { kind: "pull-wake", wakeStream: "wake" },
          leaseMs: 50 + this.#prng.below(100),
          streams: this.#prng.chance(0.5) ? [] : [this.#name(), this.#name()],
          ...(this.#prng.chance(0.7) && { pattern: this.#prng.pick(PATTERNS) }),
        };
      case 1:
        return this.#prng.chance(0.2)
          ? { kind: "subscription-delete", id }
          : { kind: "subscription-link", id, streams: [this.#name(), this.#name()] };
      case 2:
        return { kind: "subscription-unlink", id, stream: this.#name() };
      case 3:
      case 4: {
        const batch = isPull === this.#prng.chance(0.95) ? { batch: this.#batch() } : {};
        return {
          kind: "subscription-wake",
          id,
          generation: generation + 1,
          wakeId: `w${this.#prng.below(99)}`,
          ...batch,
        };
      }
      case 5:
        if (!isPull) return this.append();
        return { kind: "subscription-claim", id, worker: "k", wakeId: `c${this.#prng.below(99)}` };
      case 6:
      case 7: {
        const acks = (view?.streams() ?? []).map(({ stream, incarnation, tailOffset }) => ({
          stream,
          incarnation,
          offset: this.#prng.chance(0.8) ? tailOffset : this.#prng.below(tailOffset + 2),
        }));
        return { kind: "subscription-ack", ...fence, acks, done: this.#prng.chance(0.6) };
      }
      default:
        return this.#prng.chance(0.3)
          ? { kind: "subscription-release", ...fence }
          : { kind: "subscription-failed", ...fence, retryAtMs: this.#logTime + this.#prng.below(300) };
    }
  }

  #coins(): { readonly chance: (probability: number) => boolean } {
    return { chance: (probability) => this.#prng.chance(probability) };
  }

  #name(): string {
    return this.#prng.pick(NAMES);
  }

  #incarnation(stream: string = this.#name()): { readonly incarnation?: number } {
    const incarnation = this.#machine.stream(stream)?.incarnation;
    return incarnation !== undefined && this.#prng.chance(0.5) ? { incarnation } : {};
  }

  #expiry(): Expiry {
    if (this.#prng.chance(0.5)) return { kind: "sliding", ttlSeconds: this.#prng.below(4) };
    return this.#prng.chance(0.7)
      ? { kind: "absolute", atMs: this.#logTime + this.#prng.below(300) }
      : { kind: "never" };
  }

  /** Mostly the next one. */
  #tag(stream: string): ProducerTag {
    const id = this.#prng.pick(PRODUCERS);
    const known = this.#sequences.get(`${stream} ${id}`);
    if (known !== undefined && this.#prng.chance(0.7)) return { id, epoch: known.epoch, sequence: known.sequence + 1 };
    return { id, epoch: this.#prng.below(2), sequence: this.#prng.pick([0, 0, 1, 2]) };
  }

  #batch(): { readonly hash: bigint; readonly length: number; readonly span: number } {
    return { hash: BigInt(this.#prng.u32()), length: 50, span: 1 + this.#prng.below(2) };
  }
}
