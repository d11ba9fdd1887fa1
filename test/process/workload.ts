/**
 * Clients for a server that is killed under them: Durable Streams producers over HTTP, the SDK's producer and
 * subscription, streams that are made, closed and deleted, and transactions. Each goes on until told to stop, and
 * repeats whatever it does not know the outcome of, with the same sequence or condition, until it does. What they were
 * told goes into a history, which is then held against what can be read.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { connect } from "../../client/index.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { CommandResult, TransactionCommand } from "../../src/wire/command.ts";
import { History, payloadOf, type SentBatch } from "../sim/history.ts";
import { ask, batchOf } from "./frames.ts";
import { type Answer, append, create, describe, head, nextOffset, readAll, remove } from "./http.ts";

const PRODUCERS = 4;
const SHARED = "shared";
const SDK_STREAM = "sdk";
const PAIR = ["pair/left", "pair/right"] as const;
const CURSOR = "pairs";
/** Fills the first segments by itself, and is deleted: they can be dropped. */
const BULK = "bulk";
const BULK_APPENDS = 3;
const BULK_BYTES = 1024 * 1024;
const FILLER_MAX = 6_000;
const BATCH_RECORDS_MAX = 4;
const REPEATED = 0.05;
/** More failures in a row than restarts can explain. */
const FAILURES_MAX = 200;
/** A client's manners while a server is going down. */
const BACKOFF_MS = 10;

/** Where the server is now, and whether anything more should be begun. */
export interface Target {
  /** Resolves once a server serves. */
  url(): Promise<string>;
  readonly stopping: boolean;
  /** Something was acknowledged. */
  progress(): void;
}

/** What a run must have met to prove anything. */
export type Counts = { acknowledged: number; unknown: number; repeated: number; closed: number; deleted: number };

export class Workload {
  readonly counts: Counts = { acknowledged: 0, unknown: 0, repeated: 0, closed: 0, deleted: 0 };
  readonly #target: Target;
  readonly #prng: Prng;
  readonly #history = new History();
  readonly #sent = new Map<string, SentBatch[]>();
  readonly #closed = new Set<string>();
  readonly #deleted: string[] = [];
  #pairs = 0;

  constructor(target: Target, seed: number) {
    this.#target = target;
    this.#prng = new Prng(seed);
  }

  /** Before anything is killed. */
  async prepare(): Promise<void> {
    const url = await this.#target.url();
    const own = Array.from({ length: PRODUCERS }, (_, place) => `own/${place}`);
    for (const name of [SHARED, ...own, ...PAIR]) expect((await create(url, name)).status).toBe(201);
    expect((await create(url, SDK_STREAM, "text/plain")).status).toBe(201);
    expect((await create(url, BULK, "application/octet-stream")).status).toBe(201);
    for (let count = 0; count < BULK_APPENDS; count += 1) {
      expect((await append(url, BULK, { body: new Uint8Array(BULK_BYTES) })).status).toBe(204);
    }
  }

  /** Resolves once all clients have stopped, and know what became of everything they sent. */
  async run(): Promise<void> {
    const producers = Array.from({ length: PRODUCERS }, (_, place) => this.#produce(place));
    await Promise.all([...producers, this.#useSdk(), this.#makeStreams(), this.#transact()]);
  }

  /** What can be read must be what was acknowledged: all of it, once, in order, and nothing else (I5 to I8). */
  async check(): Promise<void> {
    const url = await this.#target.url();
    for (const [name, batches] of this.#sent) {
      expect(batches.filter((batch) => batch.acknowledgedAt === undefined)).toEqual([]);
      const { payloads, next, closed } = await readPayloads(url, name);
      this.#history.check(
        name,
        0,
        payloads.map((payload, offset) => ({ offset, payload })),
        false,
      );
      // Each record is of a batch that was sent, once; and so many were.
      expect(payloads, name).toHaveLength(batches.reduce((sum, batch) => sum + batch.payloads.length, 0));
      expect({ name, next, closed }).toEqual({ name, next: payloads.length, closed: this.#closed.has(name) });
      expect(nextOffset(await head(url, name)), name).toBe(payloads.length);
    }
    for (const name of this.#deleted) expect((await head(url, name)).status, name).toBe(404);
    for (const name of PAIR) {
      const { payloads } = await readPayloads(url, name);
      expect(payloads, name).toEqual(Array.from({ length: this.#pairs }, (_, number) => pairOf(number)));
    }
  }

  /** A producer: a batch at a time; half of the producers into one stream. */
  async #produce(place: number): Promise<void> {
    const prng = this.#prng.fork(`producer ${place}`);
    const stream = place % 2 === 0 ? SHARED : `own/${place}`;
    for (let sequence = 0; !this.#target.stopping; sequence += 1) {
      const batch = this.#batch(prng, stream, `producer-${place}`, sequence);
      this.#willAppend(batch);
      await this.#append(batch);
      if (!prng.chance(REPEATED)) continue;
      // Long known, and asked once more: the first answer again, and no second effect (I8).
      await this.#append(batch);
      this.counts.repeated += 1;
    }
  }

  #batch(prng: Prng, stream: string, producer: string, sequence: number): SentBatch {
    const payloads = Array.from({ length: 1 + prng.below(BATCH_RECORDS_MAX) }, (_, place) =>
      payloadOf(producer, sequence, place, "x".repeat(prng.below(FILLER_MAX))),
    );
    return { stream, producer, sequence, payloads };
  }

  #willAppend(batch: SentBatch): void {
    this.#history.sent(batch);
    this.#sent.set(batch.stream, [...(this.#sent.get(batch.stream) ?? []), batch]);
  }

  async #append(batch: SentBatch, close: boolean = false): Promise<void> {
    const { stream, payloads, sequence } = batch;
    const producer = { id: batch.producer, epoch: 0, sequence };
    const request = { body: JSON.stringify(payloads), producer, close };
    const answer = await this.#insist((url) => append(url, stream, request), [200, 204]);
    this.#history.acknowledged(batch, nextOffset(answer) - payloads.length);
    expect(answer.headers.get("stream-closed")).toBe(close ? "true" : null);
  }

  /** The SDK: its producer and its subscription need no help from here (I7). */
  async #useSdk(): Promise<void> {
    const prng = this.#prng.fork("sdk");
    const base = "http://tidemark.test";
    const toServer: typeof fetch = async (input, init) => {
      const server = await this.#target.url();
      return fetch((input as string | URL).toString().replace(base, server), init);
    };
    await using client = connect(base, { fetch: toServer, timeout: 60_000 });
    const stream = client.stream(SDK_STREAM);
    const seen: string[] = [];
    const subscribed = (async (): Promise<void> => {
      for await (const record of stream.subscribe()) {
        expect(record.offset).toBe(seen.length);
        seen.push(record.text());
      }
    })();
    const producer = stream.producer({ batchBytes: 8_192, unacknowledgedBytes: 65_536 });
    for (let sequence = 0; !this.#target.stopping; sequence += 1) {
      await producer.ready();
      const payload = payloadOf("sdk", sequence, 0, "y".repeat(prng.below(FILLER_MAX)));
      const batch: SentBatch = { stream: SDK_STREAM, producer: "sdk", sequence, payloads: [payload] };
      this.#willAppend(batch);
      void producer.append(payload).then((offset) => {
        this.#history.acknowledged(batch, offset);
        this.#acknowledged();
      });
    }
    await producer.close();
    await stream.close();
    this.#closed.add(SDK_STREAM);
    await subscribed;
    expect(seen).toEqual((this.#sent.get(SDK_STREAM) ?? []).flatMap(({ payloads }) => payloads));
  }

  /** Streams with a life of their own: made, appended to, then left, closed, or deleted. */
  async #makeStreams(): Promise<void> {
    const prng = this.#prng.fork("makes");
    await this.#delete(BULK);
    for (let number = 0; !this.#target.stopping; number += 1) {
      const name = `made/${number}`;
      await this.#insist((url) => create(url, name), [200, 201]);
      const fate = prng.pick(["left", "closed", "deleted"] as const);
      const batch = this.#batch(prng, name, "maker", 0);
      if (fate !== "deleted") this.#willAppend(batch);
      await this.#append(batch, fate === "closed");
      if (fate === "closed") {
        this.#closed.add(name);
        this.counts.closed += 1;
        const late = await this.#insist((url) => append(url, name, { body: '["late"]' }), [409]);
        expect(late.code).toBe("stream-closed");
      } else if (fate === "deleted") {
        await this.#delete(name);
      }
    }
  }

  async #delete(name: string): Promise<void> {
    // Not there is as good: an earlier attempt that had no answer has done it.
    await this.#insist((url) => remove(url, name), [204, 404]);
    this.#deleted.push(name);
    this.counts.deleted += 1;
  }

  /** The same record into two streams and a cursor, or nothing (I11): the cursor's value is the condition. */
  async #transact(): Promise<void> {
    while (!this.#target.stopping) {
      const number = this.#pairs;
      const batch = batchOf(JSON.stringify(pairOf(number)));
      const result = await this.#insistOn({
        kind: "transaction",
        conditions: [{ kind: "cursor", name: CURSOR, value: number === 0 ? null : utf8(pairOf(number - 1)) }],
        operations: [
          ...PAIR.map((stream) => ({ kind: "append" as const, stream, batch, close: false })),
          { kind: "cursor", name: CURSOR, value: utf8(pairOf(number)) },
        ],
      });
      // The cursor has moved on: an attempt that had no answer had taken effect.
      if (result.kind === "rejected") expect(result.code).toBe("condition-failed");
      this.#pairs += 1;
    }
  }

  /** Until the answer is one of these. Anything that is not for later is a failure. */
  async #insist(attempt: (url: string) => Promise<Answer>, statuses: readonly number[]): Promise<Answer> {
    for (let failures = 0; ; failures += 1) {
      const answer = await this.#attempt(attempt);
      if (answer !== undefined && statuses.includes(answer.status)) {
        this.#acknowledged();
        return answer;
      }
      const later = answer === undefined || [429, 503, 504].includes(answer.status);
      if (!later || failures === FAILURES_MAX) throw new Error(answer === undefined ? "no answer" : describe(answer));
      await this.#failed();
    }
  }

  async #insistOn(command: TransactionCommand): Promise<CommandResult> {
    for (let failures = 0; failures < FAILURES_MAX; failures += 1) {
      const answered = await this.#attempt((url) => ask(url, { kind: "command", command }));
      if (answered?.kind === "result") {
        this.#acknowledged();
        return answered.result;
      }
      await this.#failed();
    }
    throw new Error("no result");
  }

  /** Undefined: the server was gone before it had answered. */
  async #attempt<T>(attempt: (url: string) => Promise<T>): Promise<T | undefined> {
    const url = await this.#target.url();
    try {
      return await attempt(url);
    } catch (error) {
      // `fetch` says nothing else of a broken connection.
      if (error instanceof TypeError) return undefined;
      throw error;
    }
  }

  async #failed(): Promise<void> {
    this.counts.unknown += 1;
    await sleep(BACKOFF_MS);
  }

  #acknowledged(): void {
    this.counts.acknowledged += 1;
    this.#target.progress();
  }
}

function pairOf(number: number): string {
  return `pair ${number}`;
}

type Payloads = { readonly payloads: readonly string[]; readonly next: number; readonly closed: boolean };

/** Of a stream of JSON texts, or of lines without ends: those the SDK wrote are told apart by their marks. */
async function readPayloads(url: string, name: string): Promise<Payloads> {
  const { bodies, next, closed } = await readAll(url, name);
  const texts = bodies.map((body) => Buffer.from(body).toString());
  const payloads =
    name === SDK_STREAM ? texts.join("").split(/(?=sdk\/)/) : texts.flatMap((text) => JSON.parse(text) as string[]);
  return { payloads, next, closed };
}
