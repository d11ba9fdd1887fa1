/**
 * Clients of two consumer groups. Takers share a stream of jobs: they take, settle, lose interest, come too late, and
 * know of each job what they were told of it. A reader owns streams by a session, and commits offsets. What they were
 * told must stay true: what is acknowledged is never given again, nothing is with two at a time, what had all its
 * attempts is in the dead-letter stream once, and no committed offset goes back.
 */
import { text, utf8 } from "../../src/lib/bytes.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import type { GroupAssignedResult, GroupLease, GroupOutcome } from "../../src/wire/group-command.ts";
import { DEAD_LETTER_HEADERS } from "../../log-server/node/dead-letters.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { Violation } from "./history.ts";

export const JOBS_STREAM = "jobs";
export const DEAD_STREAM = "jobs-dead";
export const TAKERS = "takers";
const READERS = "readers";
const LEASE_MS = 1_000;
const ATTEMPTS_MAX = 3;
const MEMBERS = ["one", "two"] as const;

type Job = {
  /** Of the newest lease that anyone was told of. */
  generation: number;
  attempt: number;
  untilMs: number;
  /** In that lease: something else than an acknowledgement was asked for, so that it may be over at any time. */
  givenUp: boolean;
  ackAsked: boolean;
  ackTold: boolean;
};

type Held = { readonly lease: GroupLease; readonly generation: number };

/** Answers undefined where nothing, or nothing certain, came of it. */
type Propose = (command: Command) => Promise<CommandResult | undefined>;

export class Jobs {
  readonly #prng: Prng;
  #made = false;
  readonly #jobs = new Map<number, Job>();
  readonly #held: Held[] = [];
  #sent = 0;
  #session: GroupAssignedResult | undefined;
  readonly #committed = new Map<string, { asked: number; told: number }>();
  readonly counts = { taken: 0, acknowledged: 0, refused: 0, deadLetters: 0, committed: 0 };

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  async begin(propose: Propose): Promise<void> {
    for (const stream of [JOBS_STREAM, DEAD_STREAM]) await propose({ kind: "create", stream, closed: false });
    const shared = { from: "start", leaseMs: LEASE_MS } as const;
    const mode = { kind: "queue", attemptsMax: ATTEMPTS_MAX, retryDelayMs: 300, deadLetter: DEAD_STREAM } as const;
    const takers = await propose({ kind: "group-create", id: TAKERS, mode, streams: [JOBS_STREAM], ...shared });
    const readers = await propose({
      kind: "group-create",
      id: READERS,
      mode: { kind: "partitions" },
      streams: [],
      pattern: "own/*",
      ...shared,
    });
    if (takers?.kind === "rejected" || readers?.kind === "rejected")
      throw new Violation("a group is another than it was");
    this.#made ||= takers !== undefined && readers !== undefined;
  }

  /** The next jobs to append; some may never be there. */
  next(): readonly StreamRecord[] {
    return Array.from({ length: 1 + this.#prng.below(3) }, () => {
      this.#sent += 1;
      return { value: utf8(`job ${this.#sent}`) };
    });
  }

  async act(node: LogNode, propose: Propose): Promise<void> {
    const dice = this.#prng.below(100);
    if (dice < 35) return this.#take(propose);
    if (dice < 75) return this.#settle(node, propose);
    return this.#read(node, propose);
  }

  /**
   * `dead`: all that can be read of the dead-letter stream, where `lettersBefore` were counted before it was read.
   * `partial`: damage hides the rest.
   */
  check(node: LogNode, lettersBefore: number, dead: readonly StreamRecord[], partial: boolean): void {
    this.#checkLetters(dead);
    if (partial || !this.#made) return;
    const takers = node.machine.group(TAKERS);
    const readers = node.machine.group(READERS);
    if (takers === undefined || readers === undefined) throw new Violation("I5: a group is gone");
    const [jobs] = takers.streams();
    const { deadLettered, dropped } = takers;
    const done = (jobs?.tail ?? 0) - takers.lag;
    const all = [...this.#jobs.values()];
    const told = all.filter(({ ackTold }) => ackTold).length;
    const asked = all.filter(({ ackAsked }) => ackAsked).length;
    if (done < told + deadLettered || done > asked + deadLettered || dropped > 0) {
      throw new Violation(
        `I5: ${done} jobs are done and ${dropped} dropped; ${told} were acknowledged, ${asked} asked to be, ${deadLettered} are dead letters`,
      );
    }
    if (dead.length < lettersBefore || dead.length > deadLettered)
      throw new Violation(`I8: ${deadLettered} dead letters are counted, and ${dead.length} are there`);
    for (const { stream, committed } of readers.streams()) {
      const known = this.#committed.get(stream) ?? { asked: 0, told: 0 };
      const first = node.machine.stream(stream)?.firstOffset ?? 0;
      if (committed < known.told || committed > Math.max(known.asked, first))
        throw new Violation(
          `I5: ${stream} is committed to ${committed}; to ${known.told} was told, ${known.asked} asked`,
        );
    }
  }

  async #take(propose: Propose): Promise<void> {
    const member = this.#prng.pick(MEMBERS);
    const taken = await propose({ kind: "group-take", id: TAKERS, member, count: 1 + this.#prng.below(4) });
    if (taken?.kind !== "group-taken") return;
    for (const lease of taken.leases) {
      this.#held.push({ lease, generation: taken.generation });
      for (let offset = lease.offset; offset < lease.offset + lease.count; offset += 1) {
        this.#given(offset, lease.attempt, taken.generation, taken.untilMs);
      }
    }
  }

  #given(offset: number, attempt: number, generation: number, untilMs: number): void {
    const job = this.#jobs.get(offset);
    this.counts.taken += 1;
    if (job === undefined) {
      const asked = { givenUp: false, ackAsked: false, ackTold: false };
      this.#jobs.set(offset, { generation, attempt, untilMs, ...asked });
      return;
    }
    const what = `job ${offset} is given a ${attempt}th time, until ${untilMs}`;
    if (job.ackTold) throw new Violation(`I5: ${what}; it was acknowledged`);
    if (job.generation >= generation) throw new Violation(`P39: ${what}, under generation ${generation} again`);
    if (job.attempt >= attempt || attempt > ATTEMPTS_MAX)
      throw new Violation(`I5: ${what}; it had ${job.attempt} before`);
    if (!job.givenUp && job.untilMs > untilMs - LEASE_MS)
      throw new Violation(`P39: ${what}; another has it until ${job.untilMs}`);
    Object.assign(job, { generation, attempt, untilMs, givenUp: false, ackAsked: false });
  }

  async #settle(node: LogNode, propose: Propose): Promise<void> {
    if (this.#held.length === 0) return;
    // Mostly what was taken last; sometimes what is long over, or was settled before.
    const held = this.#held.at(-1 - this.#prng.below(Math.min(this.#held.length, 6))) as Held;
    const { lease, generation } = held;
    if (this.#prng.chance(0.8)) this.#held.splice(this.#held.indexOf(held), 1);
    const { attempt: _attempt, ...place } = lease;
    const outcome = this.#prng.pick<GroupOutcome>([
      { kind: "ack" },
      { kind: "ack" },
      { kind: "nack", reason: "not now" },
      { kind: "extend" },
    ]);
    const jobs = Array.from({ length: lease.count }, (_, at) => this.#jobs.get(lease.offset + at) as Job);
    const holds = jobs.map((job) => job.generation === generation && !job.givenUp && !job.ackAsked);
    for (const job of jobs) {
      if (job.generation !== generation) continue;
      if (outcome.kind === "ack") job.ackAsked = true;
      if (outcome.kind === "nack") job.givenUp = true;
    }
    const result = await propose({
      kind: "group-settle",
      id: TAKERS,
      settlements: [{ ...place, generation, outcome }],
    });
    if (result === undefined) return;
    const refused = new Set<number>();
    if (result.kind === "rejected") jobs.forEach((_, at) => refused.add(at));
    if (result.kind === "group-settled") {
      for (const part of result.refused)
        for (let at = 0; at < part.count; at += 1) refused.add(part.offset - lease.offset + at);
    }
    jobs.forEach((job, at) => {
      if (!refused.has(at)) {
        if (outcome.kind !== "ack") return;
        job.ackTold = true;
        this.counts.acknowledged += 1;
        return;
      }
      this.counts.refused += 1;
      if (holds[at] === true && node.machine.logTime < job.untilMs && job.generation === generation)
        throw new Violation(`P39: job ${lease.offset + at} is refused to who has it until ${job.untilMs}`);
    });
  }

  async #read(node: LogNode, propose: Propose): Promise<void> {
    const session = this.#session;
    if (session === undefined || this.#prng.chance(0.2)) {
      const joined = await propose({ kind: "group-join", id: READERS, member: "reader" });
      if (joined?.kind === "group-assigned") this.#session = joined;
      return;
    }
    if (session.assignments.length === 0) {
      this.#session = undefined;
      return;
    }
    const { stream, incarnation, generation } = this.#prng.pick(session.assignments);
    const offset = this.#prng.below((node.machine.stream(stream)?.nextOffset ?? 0) + 1);
    const known = this.#committed.get(stream) ?? { asked: 0, told: 0 };
    this.#committed.set(stream, known);
    known.asked = Math.max(known.asked, offset);
    const acks = [{ stream, incarnation, generation, offset }];
    const result = await propose({ kind: "group-ack", id: READERS, member: "reader", session: session.session, acks });
    if (result?.kind === "rejected") this.#session = undefined;
    if (result?.kind !== "group-settled" || result.refused.length > 0) return;
    known.told = Math.max(known.told, offset);
    this.counts.committed += 1;
  }

  #checkLetters(dead: readonly StreamRecord[]): void {
    const seen = new Set<string>();
    for (const { value, headers = [] } of dead) {
      const payload = text(value ?? new Uint8Array()) ?? "";
      const number = Number(/^job (\d+)$/.exec(payload)?.[1]);
      if (!(number >= 1 && number <= this.#sent)) throw new Violation(`I6: nobody sent the dead letter "${payload}"`);
      if (seen.has(payload)) throw new Violation(`I8: the dead letter "${payload}" is there twice`);
      seen.add(payload);
      const header = (name: string): string =>
        text(headers.find(([known]) => known === name)?.[1] ?? new Uint8Array()) ?? "";
      const offset = Number(header(DEAD_LETTER_HEADERS.offset).split("_")[1]);
      if (this.#jobs.get(offset)?.ackTold === true)
        throw new Violation(`I5: job ${offset} was acknowledged, and is dead`);
      if (header(DEAD_LETTER_HEADERS.attempts) !== String(ATTEMPTS_MAX))
        throw new Violation(`the dead letter "${payload}" had not all its attempts`);
    }
    this.counts.deadLetters = Math.max(this.counts.deadLetters, dead.length);
  }
}
