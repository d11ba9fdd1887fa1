/**
 * What must hold of any entries whatever: the same prefix gives the same bytes (I10), however it was reached; offsets
 * are dense (I7); what is refused changes nothing (I11); the digest and the changes told are those of the rows.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, hex } from "../../src/lib/bytes.ts";
import { decodeCommands, encodeCommands } from "../../src/wire/command-codec.ts";
import type { CommandResult } from "../../src/wire/command.ts";
import type { StreamsLimits } from "../../log-server/streams/limits.ts";
import { StreamsMachine } from "../../log-server/streams/machine.ts";
import type { Row } from "../../src/record/row.ts";
import type { AppTaskInfo } from "../../src/wire/app-look-up.ts";
import type { Applied } from "../../log-server/streams/views.ts";
import { anyCommand } from "../wire/command-arbitraries.ts";
import { digestOf, restored, rowTexts } from "./driver.ts";
import { NAMES, type RandomEntry, randomEntries, TIGHT, TIGHT_BUT_PROMPT } from "./random-entries.ts";

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** Everything that others can see of a machine, as text. */
function lookOf(machine: StreamsMachine): string {
  return JSON.stringify({
    rows: rowTexts(machine.rows()),
    streams: [...machine.streams()],
    subscriptions: machine.subscriptions().map((view) => ({ ...view, links: view.streams() })),
    wakeable: machine.wakeable().map(({ id }) => id),
    groups: [...machine.groups()].map((view) => ({
      ...view,
      members: view.members(),
      streams: view.streams(),
      takeableAt: machine.takeableAt(view.config.id),
    })),
    groupTotals: machine.groupTotals(),
    apps: [...machine.apps()].map((view) => ({ ...view, tasks: view.tasks().map(taskText) })),
    dead: machine.deadRecords(10),
    deadline: machine.nextDeadline(),
    retained: machine.retainedStreams(),
    live: [...machine.streams()].map(({ id }) => [0, 1, 2, 3, 4, 5].map((offset) => machine.isLive(id, offset))),
    ranges: [...machine.streams()].map(({ id, nextOffset }) => machine.readRanges(id, 0, nextOffset)),
    position: machine.position,
    logTime: machine.logTime,
  });
}

function taskText(task: AppTaskInfo): string {
  return JSON.stringify(task, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}

function applyAll(machine: StreamsMachine, entries: readonly RandomEntry[]): string[] {
  return entries.map((entry) => JSON.stringify(machine.apply(entry, entry.commands)));
}

function answersIn(applied: Applied): string[] {
  return applied.results.map((result) => {
    if (result.kind === "rejected") return result.code;
    return result.kind === "appended" && result.duplicate ? "duplicate" : result.kind;
  });
}

/** What is rare, and must be met all the same. */
function sightsOf(machine: StreamsMachine): string[] {
  const streams = [...machine.streams()];
  const seen = machine
    .subscriptions()
    .flatMap(({ phase, status, unlinked }) => [
      `${phase.kind} subscription`,
      `${status} subscription`,
      ...(unlinked > 0 ? ["full subscription"] : []),
    ]);
  for (const { members, streams: links, unlinked, dropped, deadLettered } of machine.groups()) {
    if (members().length > 1) seen.push("shared group");
    if (links().some(({ owner }) => owner !== undefined)) seen.push("owned partition");
    if (links().some(({ inFlight }) => inFlight > 0)) seen.push("leased record");
    if (links().some(({ resting }) => resting > 0)) seen.push("resting record");
    if (links().some(({ dead }) => dead > 0)) seen.push("dead record");
    if (unlinked > 0) seen.push("full group");
    if (dropped > 0) seen.push("dropped record");
    if (deadLettered > 0) seen.push("dead letter");
  }
  for (const { paused, tasks } of machine.apps()) {
    if (paused) seen.push("paused app");
    if (tasks().some(({ commits }) => commits > 1)) seen.push("task that moved on");
    if (tasks().some(({ digests }) => digests.length === TIGHT.digestsPerTaskMax)) seen.push("digests that are let go");
    if (tasks().some(({ start }) => start.position > 0)) seen.push("task that began anew");
    if (tasks().some(({ snapshot }) => snapshot !== undefined)) seen.push("snapshot that waits");
    if (tasks().some(({ verified }) => verified !== undefined)) seen.push("verified snapshot");
    if (tasks().some(({ trimmed }) => trimmed)) seen.push("snapshot that is needed");
    if (tasks().some(({ nextDue }) => nextDue !== undefined && nextDue + 1 === machine.nextDeadline()))
      seen.push("task that is due next");
  }
  if (machine.streamCount > streams.length) seen.push("something late");
  if (machine.members.length > 1) seen.push("members");
  if (machine.configuration.length > 0) seen.push("configuration");
  for (const { deleted, forkedFrom, firstOffset, retention, expiresAtMs, ...frontiers } of streams) {
    if (frontiers.compactedBefore > 0) seen.push("compacted stream");
    if (frontiers.tombstonesBefore > 0) seen.push("stream without old tombstones");
    if (retention.compaction !== undefined) seen.push("compaction");
    if (deleted) seen.push("soft-deleted stream");
    if (forkedFrom !== undefined) seen.push(forkedFrom.partialBytes > 0 ? "fork in a record" : "fork");
    if (firstOffset > 0) seen.push("trimmed stream");
    if (retention.maxBytes !== undefined || retention.maxAgeMs !== undefined) seen.push("retention");
    if (expiresAtMs !== undefined) seen.push("expiry");
  }
  return seen;
}

describe("the same entries", () => {
  it("give the same rows, digest and results, from the commands or from their bytes (I10)", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const entries = randomEntries(seed, 60, TIGHT);
        const first = new StreamsMachine(TIGHT);
        const second = new StreamsMachine(TIGHT);
        for (const entry of entries) {
          const { head, batches } = encodeCommands(entry.commands);
          const decoded = decodeCommands(head, batches);
          if (!decoded.ok) throw new Error(decoded.error.message);
          const results = JSON.stringify(first.apply(entry, entry.commands));
          expect(JSON.stringify(second.apply(entry, decoded.value))).toBe(results);
        }
        expect(lookOf(second)).toBe(lookOf(first));
        expect(second.digest()).toBe(first.digest());
      }),
      { numRuns: 40 },
    );
  });

  it("after a snapshot at any position give the same as all of them (I10)", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const entries = randomEntries(seed, 40, TIGHT);
        const whole = new StreamsMachine(TIGHT);
        const snapshots: Row[][] = [[...whole.rows()]];
        const results: string[] = [];
        for (const entry of entries) {
          results.push(JSON.stringify(whole.apply(entry, entry.commands)));
          snapshots.push([...whole.rows()]);
        }
        const look = lookOf(whole);
        snapshots.forEach((rows, cut) => {
          const part = StreamsMachine.restore(rows, TIGHT);
          if (!part.ok) throw new Error(part.error);
          expect(part.value.drainChanges()).toEqual([]);
          expect(applyAll(part.value, entries.slice(cut))).toEqual(results.slice(cut));
          expect(lookOf(part.value)).toBe(look);
          expect(part.value.digest()).toBe(whole.digest());
        });
      }),
      { numRuns: 30 },
    );
  });

  it("that make no sense at all are refused without a throw, and leave a state that restores", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(anyCommand, { maxLength: 6 }), { maxLength: 6 }),
        fc.maxSafeNat(),
        (entries, logTime) => {
          const machine = new StreamsMachine(TIGHT);
          entries.forEach((commands, place) => {
            const { results, placements } = machine.apply({ index: place + 1, logTime }, commands);
            expect(results).toHaveLength(commands.length);
            expect(placements).toHaveLength(encodeCommands(commands).batches.length);
          });
          expect(lookOf(restored(machine, TIGHT))).toBe(lookOf(machine));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("give every kind of answer: the draws are not vacuous (P46)", () => {
    const met = new Set<string>();
    let accepted = 0;
    for (let seed = 0; seed < 250; seed += 1) {
      const machine = new StreamsMachine(TIGHT);
      for (const entry of randomEntries(seed, 80, TIGHT)) {
        const applied = machine.apply(entry, entry.commands);
        for (const what of [...answersIn(applied), ...sightsOf(machine)]) met.add(what);
        accepted += applied.placements.filter((placement) => placement.accepted).length;
      }
    }
    const expected = [
      "created",
      "appended",
      "done",
      "trimmed",
      "transaction",
      "appended-run",
      "subscription-created",
      "subscription-claimed",
      "subscription-acked",
      "group-created",
      "group-assigned",
      "group-settled",
      "group-taken",
      "group-exists",
      "group-busy",
      "invalid-group",
      "stream-not-found",
      "stream-gone",
      "stream-exists",
      "stream-closed",
      "stream-has-forks",
      "fork-too-deep",
      "invalid-fork",
      "offset-trimmed",
      "content-type-mismatch",
      "producer-fenced",
      "sequence-gap",
      "invalid-producer",
      "stream-sequence-conflict",
      "offset-mismatch",
      "condition-failed",
      "too-many",
      "subscription-exists",
      "subscription-not-found",
      "already-claimed",
      "fenced",
      "malformed-offset",
      "duplicate",
      "idle subscription",
      "woken subscription",
      "leased subscription",
      "failed subscription",
      "full subscription",
      "shared group",
      "owned partition",
      "leased record",
      "resting record",
      "dead record",
      "full group",
      "dropped record",
      "dead letter",
      "something late",
      "members",
      "configuration",
      "soft-deleted stream",
      "fork",
      "fork in a record",
      "trimmed stream",
      "retention",
      "compaction",
      "compacted stream",
      "stream without old tombstones",
      "expiry",
      "app-epoch",
      "app-not-found",
      "app-exists",
      "app-changed",
      "app-paused",
      "task-moved",
      "task-fenced",
      "invalid-app",
      "paused app",
      "task that moved on",
      "digests that are let go",
      "task that began anew",
      "task that is due next",
      "snapshot that waits",
      "verified snapshot",
      "snapshot that is needed",
      "snapshot-needed",
    ];
    expect(expected.filter((what) => !met.has(what))).toEqual([]);
    expect(accepted).toBeGreaterThan(500);
  });
});

describe("placements", () => {
  it("are dense in each stream, in log order, one for each batch (I7)", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const machine = new StreamsMachine(TIGHT);
        const ends = new Map<number, number>();
        for (const entry of randomEntries(seed, 80, TIGHT)) {
          const batches = encodeCommands(entry.commands).batches;
          const { placements } = machine.apply(entry, entry.commands);
          expect(placements).toHaveLength(batches.length);
          placements.forEach((placement, place) => {
            if (!placement.accepted) return;
            const { streamId, firstOffset, span } = placement;
            const view = machine.streamById(streamId);
            const origin = view?.forkedFrom;
            const start = origin === undefined ? 0 : origin.offset + (origin.partialBytes > 0 ? 1 : 0);
            if (view !== undefined || ends.has(streamId)) expect(firstOffset).toBe(ends.get(streamId) ?? start);
            expect(span).toBe(batches[place]?.span);
            ends.set(streamId, firstOffset + span);
          });
          for (const view of machine.streams()) {
            if (ends.has(view.id)) expect(view.nextOffset).toBe(ends.get(view.id));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("never give a name and incarnation to two streams that are no forks", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const machine = new StreamsMachine(TIGHT);
        const seen = new Map<string, number>();
        for (const entry of randomEntries(seed, 80, TIGHT)) {
          machine.apply(entry, entry.commands);
          for (const { id, name, incarnation, forkedFrom } of machine.streams()) {
            if (forkedFrom !== undefined) continue;
            expect(seen.get(`${name}/${incarnation}`) ?? id).toBe(id);
            seen.set(`${name}/${incarnation}`, id);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe("streams", () => {
  it("have the content type of their view, as long as there is one", () => {
    const met = new Set<string>();
    fc.assert(
      fc.property(seeds, (seed) => {
        const machine = new StreamsMachine(TIGHT);
        for (const entry of randomEntries(seed, 80, TIGHT)) {
          machine.apply(entry, entry.commands);
          for (const name of NAMES) {
            const view = machine.stream(name);
            expect(machine.contentTypeOf(name)).toBe(view?.contentType);
            met.add(view === undefined ? "none" : view.deleted ? "deleted, with forks" : "there");
          }
        }
      }),
      { numRuns: 40 },
    );
    expect(met).toEqual(new Set(["none", "there", "deleted, with forks"]));
  });
});

describe("a refused command", () => {
  const refusedAlone = (result: CommandResult | undefined): boolean => result?.kind === "rejected";

  it("changes nothing: its entry is like one that only moves the time (I11)", () => {
    let refused = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        const machine = new StreamsMachine(TIGHT_BUT_PROMPT);
        for (const entry of randomEntries(seed, 60, TIGHT_BUT_PROMPT, 1)) {
          const twin = restored(machine, TIGHT_BUT_PROMPT);
          const applied = machine.apply(entry, entry.commands);
          if (!refusedAlone(applied.results[0])) continue;
          refused += 1;
          const ticked = twin.apply(entry, []);
          expect(lookOf(machine)).toBe(lookOf(twin));
          expect(applied.changed).toEqual(ticked.changed);
          expect(applied.placements.every((placement) => !placement.accepted)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
    expect(refused).toBeGreaterThan(300);
  });
});

describe("rows", () => {
  const limitsToTry: readonly StreamsLimits[] = [TIGHT, TIGHT_BUT_PROMPT];

  it("are sorted, and their digest and drained changes are those that were told (P25, P26)", () => {
    fc.assert(
      fc.property(
        seeds,
        fc.constantFrom(...limitsToTry),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        (seed, limits, drainEvery, digestEvery) => {
          const machine = new StreamsMachine(limits);
          const kept = new Map<string, string>();
          for (const entry of randomEntries(seed, 60, limits)) {
            machine.apply(entry, entry.commands);
            const rows = [...machine.rows()];
            const keys = rows.map(([key]) => key);
            expect(keys).toEqual(keys.toSorted(compareBytes));
            if (entry.index % digestEvery === 0) expect(machine.digest()).toBe(digestOf(rows));
            if (entry.index % drainEvery !== 0) continue;
            for (const { key, value } of machine.drainChanges()) {
              if (value === undefined) expect(kept.delete(hex(key))).toBe(true);
              else kept.set(hex(key), hex(value));
            }
            expect([...kept].map(([key, value]) => `${key}=${value}`).toSorted()).toEqual(rowTexts(rows).toSorted());
            expect(machine.drainChanges()).toEqual([]);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("that are damaged are refused, or mean a state whose rows they are", () => {
    const damage = fc.record({
      row: fc.nat(),
      inKey: fc.boolean(),
      place: fc.nat(),
      flip: fc.integer({ min: 1, max: 255 }),
      cut: fc.boolean(),
    });
    const states = Array.from({ length: 41 }, (_, seed) => {
      const machine = new StreamsMachine(TIGHT);
      applyAll(machine, randomEntries(seed, 30, TIGHT));
      return [...machine.rows()];
    });
    fc.assert(
      fc.property(fc.nat(states.length - 1), damage, (seed, { row, inKey, place, flip, cut }) => {
        const rows = [...(states[seed] as readonly Row[])];
        const [key, value] = rows[row % rows.length] as Row;
        const target = (inKey ? key : value).slice();
        if (target.length > 0) target[place % target.length]! ^= flip;
        const changed = cut ? target.subarray(0, place % (target.length + 1)) : target;
        rows[row % rows.length] = inKey ? [changed, value] : [key, changed];
        const result = StreamsMachine.restore(rows, TIGHT);
        if (!result.ok) return;
        expect(rowTexts(result.value.rows()).toSorted()).toEqual(rowTexts(rows).toSorted());
        expect(result.value.digest()).toBe(digestOf(rows));
      }),
      { numRuns: 1_500 },
    );
  });

  it("that are missing, twice there, or any bytes are refused or fit", () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(fc.array(fc.tuple(bytes, bytes), { maxLength: 5 }), (rows) => {
        const result = StreamsMachine.restore(rows, TIGHT);
        if (result.ok && rows.length > 0)
          expect(rowTexts(result.value.rows()).toSorted()).toEqual(rowTexts(rows).toSorted());
      }),
      { numRuns: 1_000 },
    );
    const machine = new StreamsMachine(TIGHT);
    applyAll(machine, randomEntries(3, 40, TIGHT));
    const rows = [...machine.rows()];
    expect(StreamsMachine.restore([...rows, rows[0] as Row], TIGHT)).toEqual({
      ok: false,
      error: "a key is there twice",
    });
    expect(StreamsMachine.restore(rows.slice(1), TIGHT)).toEqual({
      ok: false,
      error: "the row of the position is missing",
    });
    expect(StreamsMachine.restore(rows.toReversed(), TIGHT).ok).toBe(true);
  });

  it("of the empty state are the position's alone", () => {
    const machine = new StreamsMachine(TIGHT);
    expect(rowTexts(machine.rows())).toEqual(["00=0100000101"]);
    expect(machine.drainChanges()).toHaveLength(1);
    const again = StreamsMachine.restore([], TIGHT);
    expect(again.ok && again.value.digest()).toBe(machine.digest());
  });
});
