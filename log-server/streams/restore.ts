/**
 * The state from its rows. Rows may come in any order and may be anything: what does not decode, does not fit together
 * or is not exactly what encoding it again gives is an error.
 */
import { compareBytes, equalBytes, text } from "../../src/lib/bytes.ts";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Row } from "../../src/record/row.ts";
import { readApp } from "./apps/app.ts";
import { readAppTask } from "./apps/app-task.ts";
import { readMember } from "./cluster-members.ts";
import { restoreFeatureLevel } from "./feature-level.ts";
import { readFormerDisk } from "./former-disks.ts";
import { Cursor } from "./cursor.ts";
import { type Group, readGroupRow } from "./groups/group.ts";
import { readGroupMember } from "./groups/group-member.ts";
import { readGroupPartition } from "./groups/group-partition.ts";
import { readGroupQueue } from "./groups/group-queue.ts";
import type { StreamsLimits } from "./limits.ts";
import { Link } from "./subscriptions/link.ts";
import { readPosition } from "./position-row.ts";
import { readProducer } from "./producer.ts";
import { FAMILY, type RowOwner } from "./rows.ts";
import { State } from "./state.ts";
import { indexStream } from "./stream-lifecycle.ts";
import { readStream } from "./stream.ts";
import { readSubscription } from "./subscriptions/subscription.ts";

/** What a row means, now part of the state; undefined: it is malformed, or does not fit. */
type RestoreRow = (state: State, key: ByteReader, value: ByteReader) => RowOwner | undefined;

const RESTORE = new Map<number, RestoreRow>([
  [FAMILY.position, restorePosition],
  [FAMILY.stream, restoreStream],
  [FAMILY.producer, restoreProducer],
  [FAMILY.cursor, restoreCursor],
  [FAMILY.subscription, restoreSubscription],
  [FAMILY.explicitStream, restoreExplicitStream],
  [FAMILY.link, restoreLink],
  [FAMILY.group, restoreGroup],
  [FAMILY.groupMember, restoreGroupMember],
  [FAMILY.groupLink, restoreGroupLink],
  [FAMILY.configuration, restoreConfiguration],
  [FAMILY.member, restoreMember],
  [FAMILY.featureLevel, restoreLevel],
  [FAMILY.formerDisk, restoreFormerDisk],
  [FAMILY.app, restoreApp],
  [FAMILY.appTask, restoreAppTask],
]);

export function restoreState(rows: Iterable<Row>, limits: StreamsLimits): Result<State, string> {
  // In order of their keys, what a row refers to comes before it.
  const sorted = [...rows].sort((a, b) => compareBytes(a[0], b[0]));
  const state = new State(limits);
  let before: Uint8Array | undefined;
  for (const [key, value] of sorted) {
    if (before !== undefined && equalBytes(before, key)) return err("a key is there twice");
    before = key;
    const keyReader = new ByteReader(key);
    const family = keyReader.u8();
    const owner = RESTORE.get(family)?.(state, keyReader, new ByteReader(value));
    if (owner === undefined || keyReader.failed) return err(`a row of family ${family} is malformed`);
    if (!equalBytes(owner.rowKey(), key) || !equalBytes(owner.rowValue(), value)) {
      return err(`a row of family ${family} is not in its one form`);
    }
    state.ledger.adopt(owner, key, value);
  }
  // A state without rows is that before the first entry, and has its row all the same.
  if (before === undefined) state.ledger.put(state.position);
  else if (!sorted.some(([key]) => key[0] === FAMILY.position)) return err("the row of the position is missing");
  for (const stream of state.streams.values()) {
    if (stream.id >= state.position.nextStreamId) return err(`stream ${stream.id} is ahead of the counter`);
    if (stream.deleted && !stream.hasForks) state.doomed.add(stream);
  }
  for (const subscription of state.subscriptions.all()) {
    state.subscriptions.settle(subscription, state.position.logTime);
  }
  for (const group of state.groups.all()) {
    // It would be given a second time (P39).
    if (newestGeneration(group) >= state.position.nextGeneration) return err("a generation is ahead of the counter");
  }
  for (const { facts } of state.apps.all()) {
    if (facts.epoch >= state.position.nextGeneration) return err("an epoch is ahead of the counter");
  }
  return ok(state);
}

function newestGeneration({ members, links }: Group): number {
  let newest = 0;
  for (const { session } of members.values()) newest = Math.max(newest, session);
  for (const link of links.values()) {
    if (link.kind === "partitions") newest = Math.max(newest, link.generation);
    else
      for (const { state } of link.records.all)
        if (state.kind !== "resting") newest = Math.max(newest, state.generation);
  }
  return newest;
}

function restorePosition(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  return key.complete && readPosition(value, state.position) ? state.position : undefined;
}

function restoreStream(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const read = readStream(readKeyNumber(key), value, (id) => state.streams.get(id));
  if (read === undefined || !key.complete || state.names.has(read.stream.name)) return undefined;
  const { stream, expiresAtMs } = read;
  indexStream(state, stream);
  if (stream.deadline !== undefined && expiresAtMs !== undefined) state.expiries.set(stream.deadline, expiresAtMs);
  return stream;
}

function restoreProducer(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const stream = state.streams.get(readKeyNumber(key));
  const id = readRest(key);
  if (stream === undefined || stream.deleted || id === undefined) return undefined;
  const producer = readProducer(stream, id, value, state.limits.producerAnswersMax);
  if (!value.complete) return undefined;
  stream.producers ??= new Map();
  stream.producers.set(id, producer);
  state.producerCount += 1;
  state.producerExpiries.set(producer.deadline, producer.usedAtMs + state.limits.producerIdleMs);
  return producer;
}

function restoreCursor(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const name = readRest(key);
  if (name === undefined) return undefined;
  const cursor = new Cursor(name, value.bytes(value.remaining).slice());
  state.cursors.set(name, cursor);
  return cursor;
}

function restoreSubscription(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const id = readRest(key);
  const subscription = id === undefined ? undefined : readSubscription(id, value);
  if (subscription !== undefined) state.subscriptions.add(subscription);
  return subscription;
}

function restoreExplicitStream(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const subscription = state.subscriptions.get(key.string(key.remaining));
  const name = readRest(key);
  if (subscription === undefined || name === undefined || !value.complete) return undefined;
  return state.subscriptions.addExplicit(subscription, name);
}

function restoreLink(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const stream = state.streams.get(readKeyNumber(key));
  const id = readRest(key);
  const subscription = id === undefined ? undefined : state.subscriptions.get(id);
  const acked = value.varint();
  if (stream === undefined || subscription === undefined || !value.complete) return undefined;
  if (stream.deleted || acked > stream.nextOffset) return undefined;
  const link = new Link(subscription, stream, acked);
  state.subscriptions.insertLink(link);
  return link;
}

function restoreGroup(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const id = readRest(key);
  const group = id === undefined ? undefined : readGroupRow(id, value);
  if (group !== undefined) state.groups.add(group);
  return group;
}

function restoreGroupMember(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const group = state.groups.get(key.string(key.remaining));
  const name = readRest(key);
  if (group === undefined || name === undefined || group.config.mode.kind !== "partitions") return undefined;
  const member = readGroupMember(group, name, value);
  if (member !== undefined) state.groups.addMember(member);
  return member;
}

function restoreGroupLink(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const stream = state.streams.get(readKeyNumber(key));
  const id = readRest(key);
  const group = id === undefined ? undefined : state.groups.get(id);
  if (stream === undefined || stream.deleted || group === undefined) return undefined;
  const link =
    group.config.mode.kind === "partitions"
      ? readGroupPartition(group, stream, value)
      : readGroupQueue(group, stream, value, state.limits.groupOutstandingPerStreamMax);
  if (link !== undefined) state.groups.insertLink(link);
  return link;
}

function restoreConfiguration(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  if (!key.complete || value.remaining === 0) return undefined;
  state.configuration.head = value.bytes(value.remaining).slice();
  return state.configuration;
}

function restoreMember(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const node = readRest(key);
  const member = node === undefined ? undefined : readMember(node, value, state.limits);
  if (member !== undefined) state.members.set(member.node, member);
  return member;
}

function restoreLevel(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  return key.complete && restoreFeatureLevel(state.featureLevel, value) ? state.featureLevel : undefined;
}

function restoreFormerDisk(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const disk = readRest(key);
  const row = disk === undefined ? undefined : readFormerDisk(disk, value);
  if (row !== undefined) state.formerDisks.set(row.disk, row);
  return row;
}

function restoreApp(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const name = readRest(key);
  const app = name === undefined ? undefined : readApp(name, value);
  if (app !== undefined) state.apps.insert(app);
  return app;
}

function restoreAppTask(state: State, key: ByteReader, value: ByteReader): RowOwner | undefined {
  const app = state.apps.get(key.string(key.remaining));
  const name = readRest(key);
  const task = app === undefined || name === undefined ? undefined : readAppTask(app, name, value);
  if (task !== undefined) state.apps.insertTask(task, state.position.logTime);
  return task;
}

const HIGH = 0x1_0000_0000;

/** The inverse of `writeKeyNumber`; what is no safe integer encodes differently again, and is refused for that. */
function readKeyNumber(key: ByteReader): number {
  const bytes = key.bytes(8);
  let high = 0;
  let low = 0;
  for (let place = 0; place < bytes.length; place += 1) {
    if (place < 4) high = high * 0x100 + (bytes[place] as number);
    else low = low * 0x100 + (bytes[place] as number);
  }
  const value = high * HIGH + low;
  if (!Number.isSafeInteger(value)) key.fail();
  return value;
}

function readRest(key: ByteReader): string | undefined {
  if (key.failed) return undefined;
  return text(key.bytes(key.remaining));
}
