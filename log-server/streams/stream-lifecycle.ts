/**
 * How streams begin, grow and end, with all that hangs on them: names, forks, producers, links, expiry. Every change of
 * a stream's state goes through here, and each can be undone while a transaction runs.
 */
import { assert } from "../../src/lib/assert.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { StreamName } from "../../src/wire/command.ts";
import type { Producer } from "./producer.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";
import { expiresAt, losesRecords, type Stream } from "./stream.ts";

/** The stream of that name, ended if it is past its time: being late never makes a stream live longer. */
export function findStream(state: State, step: Step, name: StreamName): Stream | undefined {
  const stream = state.names.get(name);
  if (stream === undefined || !stream.isDue(step.logTime)) return stream;
  endStream(state, step, stream);
  return state.names.get(name);
}

export function addStream(state: State, step: Step, stream: Stream): void {
  assert(stream.id === state.position.nextStreamId, "ids are given in order, each once");
  state.position.nextStreamId += 1;
  indexStream(state, stream);
  state.ledger.put(stream);
  step.changed.add(stream.id);
  step.journal?.record(() => {
    unindexStream(state, stream);
    state.ledger.remove(stream);
    state.position.nextStreamId -= 1;
  });
  refreshExpiry(state, step, stream);
  state.subscriptions.linkNewStream(stream, step);
  state.groups.linkNewStream(stream, step);
}

/** Puts a stream where it is found by id, name, source and retention. */
export function indexStream(state: State, stream: Stream): void {
  assert(!state.names.has(stream.name), "a name is one stream's");
  state.streams.set(stream.id, stream);
  state.names.set(stream.name, stream);
  state.nameOrder.add(stream.name);
  const source = stream.origin?.source;
  if (source !== undefined) {
    source.forks ??= new Set();
    source.forks.add(stream);
  }
  indexRetention(state, stream);
}

export function indexRetention(state: State, stream: Stream): void {
  if (!stream.deleted && losesRecords(stream.retention)) state.retained.add(stream);
  else state.retained.delete(stream);
}

function unindexStream(state: State, stream: Stream): void {
  state.streams.delete(stream.id);
  state.names.delete(stream.name);
  state.nameOrder.remove(stream.name);
  state.retained.delete(stream);
  state.doomed.delete(stream);
  if (stream.deadline !== undefined) state.expiries.cancel(stream.deadline);
  stream.origin?.source.forks?.delete(stream);
}

/** Its state as it is now is what a rolled back transaction leaves. */
export function saveStream(state: State, step: Step, stream: Stream): void {
  if (step.journal === undefined) return;
  const restore = stream.beforeImage();
  const expiresAtMs = stream.deadline?.atMs;
  step.journal.record(() => {
    restore();
    indexRetention(state, stream);
    if (stream.deadline !== undefined && expiresAtMs !== undefined) state.expiries.set(stream.deadline, expiresAtMs);
    state.ledger.touch(stream);
  });
}

/** A use of the stream: a sliding expiry starts anew. */
export function refreshExpiry(state: State, step: Step, stream: Stream): void {
  const atMs = expiresAt(stream.expiry, step.logTime);
  if (atMs === undefined || stream.deadline === undefined || stream.deadline.atMs === atMs) return;
  state.expiries.set(stream.deadline, atMs);
  state.ledger.touch(stream);
}

/** A batch, the end of writing, or both: accepted. Offsets are dense and in log order (I7). */
export function growStream(
  state: State,
  step: Step,
  stream: Stream,
  batch: BatchRef | undefined,
  close: boolean,
): void {
  assert(!stream.closed && !stream.deleted, "I9: only an open stream grows");
  saveStream(state, step, stream);
  if (batch !== undefined) {
    step.place(stream, stream.nextOffset, batch.span);
    stream.nextOffset += batch.span;
  }
  if (close) stream.closed = true;
  state.ledger.touch(stream);
  step.changed.add(stream.id);
  refreshExpiry(state, step, stream);
  if (batch === undefined) return;
  state.subscriptions.grown(stream, step);
  state.groups.grown(stream, step);
}

/** Deleted or expired: gone, or kept for the forks that need its records. */
export function endStream(state: State, step: Step, stream: Stream): void {
  assert(!stream.deleted, "a stream ends once");
  step.changed.add(stream.id);
  state.subscriptions.unlinkStream(stream, step);
  state.groups.unlinkStream(stream, step);
  state.apps.endSnapshots(stream.name, step);
  dropProducers(state, step, stream);
  if (!stream.hasForks) {
    removeStreams(state, step, stream);
    return;
  }
  saveStream(state, step, stream);
  stream.deleted = true;
  stream.lastSequence = undefined;
  indexRetention(state, stream);
  if (stream.deadline !== undefined) state.expiries.cancel(stream.deadline);
  state.ledger.touch(stream);
}

/** Removes it, and the sources that only it had kept; those there is no room for wait for a later entry. */
function removeStreams(state: State, step: Step, stream: Stream): void {
  removeStream(state, step, stream);
  for (let source = stream.origin?.source; source !== undefined; source = source.origin?.source) {
    if (!source.deleted || source.hasForks) return;
    if (!step.spend()) {
      const waiting = source;
      state.doomed.add(waiting);
      step.journal?.record(() => state.doomed.delete(waiting));
      return;
    }
    removeStream(state, step, source);
  }
}

function removeStream(state: State, step: Step, stream: Stream): void {
  const expiresAtMs = stream.deadline?.atMs;
  const wasDoomed = state.doomed.has(stream);
  unindexStream(state, stream);
  state.ledger.remove(stream);
  step.changed.add(stream.id);
  step.ended(stream);
  step.journal?.record(() => {
    indexStream(state, stream);
    if (wasDoomed) state.doomed.add(stream);
    if (stream.deadline !== undefined && expiresAtMs !== undefined) state.expiries.set(stream.deadline, expiresAtMs);
    state.ledger.put(stream);
  });
}

/** Goes on with what earlier entries had no room for. */
export function removeDoomed(state: State, step: Step): void {
  if (state.doomed.size === 0) return;
  for (const stream of [...state.doomed].sort((a, b) => a.id - b.id)) {
    if (!state.doomed.has(stream)) continue;
    if (!step.spend()) return;
    removeStreams(state, step, stream);
  }
}

function dropProducers(state: State, step: Step, stream: Stream): void {
  const { producers } = stream;
  if (producers === undefined) return;
  saveStream(state, step, stream);
  for (const producer of producers.values()) dropProducer(state, producer);
  stream.producers = undefined;
  step.journal?.record(() => {
    for (const producer of producers.values()) keepProducer(state, producer);
  });
}

/** Forgets a producer. Its place in the stream's map is the caller's. */
export function dropProducer(state: State, producer: Producer): void {
  state.producerExpiries.cancel(producer.deadline);
  state.producerCount -= 1;
  state.ledger.remove(producer);
}

export function keepProducer(state: State, producer: Producer): void {
  state.producerExpiries.set(producer.deadline, producer.usedAtMs + state.limits.producerIdleMs);
  state.producerCount += 1;
  state.ledger.put(producer);
}
