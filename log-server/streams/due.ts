/**
 * What is due at an entry's log time: done before its commands, in an order that depends on the state alone (I14).
 * Leases, sessions and retries are all done, for their number is bounded. Of the rest, not more than one entry may do;
 * what is left over is done by the entries that follow, and meanwhile commands and views already treat it as done.
 */
import { forgetProducer } from "./producer-state.ts";
import { balanceGroups } from "./groups/group-balance.ts";
import { endSession } from "./groups/serve-partitions.ts";
import { endLeases } from "./groups/serve-queue.ts";
import { endLease } from "./subscriptions/serve-subscription.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";
import { endStream, removeDoomed } from "./stream-lifecycle.ts";

export function doWhatIsDue(state: State, step: Step): void {
  const { logTime } = step;
  removeDoomed(state, step);
  const { deadlines } = state.subscriptions;
  for (let due = deadlines.first(); due !== undefined && due.atMs <= logTime; due = deadlines.first()) {
    endLease(state, step, due.owner);
    // Of one that waited for its retry, only that it is ready now is new.
    state.subscriptions.refresh(due.owner, step);
  }
  const { expiries } = state;
  for (let due = expiries.first(); due !== undefined && due.atMs <= logTime && step.spend(); due = expiries.first()) {
    endStream(state, step, due.owner);
  }
  // After the streams: what is gone with them is nobody's. Their number has a bound, and all are done.
  const { sessions, leases } = state.groups;
  for (let due = leases.first(); due !== undefined && due.atMs <= logTime; due = leases.first()) {
    endLeases(state, step, due.owner);
  }
  for (let due = sessions.first(); due !== undefined && due.atMs <= logTime; due = sessions.first()) {
    endSession(state, step, due.owner);
  }
  balanceGroups(state, step);
  // Who runs these tasks sees that log time has come so far.
  const { deadlines: tasks } = state.apps;
  for (let due = tasks.first(); due !== undefined && due.atMs <= logTime; due = tasks.first()) tasks.cancel(due);
  const { producerExpiries } = state;
  for (
    let due = producerExpiries.first();
    due !== undefined && due.atMs <= logTime && step.spend();
    due = producerExpiries.first()
  ) {
    forgetProducer(state, due.owner);
  }
}

const NEVER = Number.POSITIVE_INFINITY;

/** When something that others can see is due next; idle producers can wait for whatever entry comes. */
export function nextDeadline(state: State): number | undefined {
  if (state.doomed.size > 0) return state.position.logTime;
  const expiry = state.expiries.first()?.atMs;
  const lease = state.subscriptions.deadlines.first()?.atMs;
  const session = state.groups.sessions.first()?.atMs;
  const record = state.groups.leases.first()?.atMs;
  const task = state.apps.deadlines.first()?.atMs;
  const first = Math.min(expiry ?? NEVER, lease ?? NEVER, session ?? NEVER, record ?? NEVER, task ?? NEVER);
  return first === NEVER ? undefined : first;
}
