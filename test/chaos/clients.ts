/**
 * The load: clients on every face, each with its own history. Whoever cannot get on at one node goes on at the next, as an
 * application behind a load balancer would. Rates are bounded; what is under test is right and wrong, not speed.
 */
import { type Client, connect, TidemarkError } from "../../client/index.ts";
import { parseOffset } from "../../src/record/offset.ts";
import type { Append, History, Look, Outcome, Reading, Seen } from "./history.ts";

/** A call that has not come back after this long is given up: its outcome is not known. */
const CALL_MS = 10_000;
const PAUSE_MS = 20;
const IN_FLIGHT = 8;
const DS_PRODUCER_EPOCH = "0";
/** What each record carries beside its value: segments fill up, and there is something to damage. */
const PADDING = ` ${"x".repeat(1_000)}`;

export class Clients {
  readonly #urls: readonly string[];
  readonly #appends: Append[] = [];
  readonly #readings: Reading[] = [];
  readonly #looks: Look[] = [];
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>[] = [];
  /** When the newest append was acknowledged, and how long the longest wait for one was since `measure`. */
  #acknowledgedAt = performance.now();
  #longestMs = 0;

  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  get streams(): readonly string[] {
    return ["by-socket", "by-http", "by-protocol"];
  }

  get history(): History {
    return { appends: this.#appends, readings: this.#readings, looks: this.#looks };
  }

  get acknowledged(): number {
    return this.#appends.filter(({ outcome }) => outcome.kind === "acknowledged").length;
  }

  async createStreams(): Promise<void> {
    const client = connect(this.#url(0));
    for (const stream of this.streams) await client.stream(stream).create({ contentType: "text/plain" });
    await client.close();
  }

  start(): void {
    const works = [
      () => this.#produce("socket-1", "by-socket", "ws", 0),
      () => this.#produce("socket-2", "by-socket", "ws", 1),
      () => this.#produce("http-1", "by-http", "http", 2),
      () => this.#callOneByOne("http-2", "by-http", 0),
      () => this.#protocol("protocol-1", "by-protocol", 1),
      () => this.#tail("socket", "ws", 2),
      () => this.#tail("http", "http", 0),
      ...this.streams.map((stream) => () => this.#look(stream)),
    ];
    this.#running.push(...works.map((work) => work()));
  }

  /** The longest time without an acknowledgement since this was asked last. */
  longestPauseMs(): number {
    const longest = Math.max(this.#longestMs, performance.now() - this.#acknowledgedAt);
    this.#longestMs = 0;
    return longest;
  }

  /** Resolves once an append that was asked for after the call is acknowledged: in all streams. */
  async progress(signal: AbortSignal): Promise<void> {
    const askedAt = performance.now();
    const first = this.#appends.length;
    for (;;) {
      signal.throwIfAborted();
      const done = new Set<string>();
      for (const append of this.#appends.slice(first))
        if (append.askedAt >= askedAt && append.outcome.kind === "acknowledged") done.add(append.stream);
      if (done.size === this.streams.length) return;
      await pause(PAUSE_MS);
    }
  }

  /** Ends the load; what is under way comes to its end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
  }

  /** What the stream holds, as this node serves it. */
  async contents(url: string, stream: string): Promise<readonly string[]> {
    const client = connect(url);
    try {
      const values: string[] = [];
      for await (const record of client.stream(stream).read()) values.push(valueOf(record.text()));
      return values;
    } finally {
      await client.close();
    }
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  #url(turn: number): string {
    return this.#urls[turn % this.#urls.length] as string;
  }

  #note(append: Omit<Append, "outcome">, outcome: Outcome): void {
    this.#appends.push({ ...append, outcome });
    if (outcome.kind !== "acknowledged") return;
    this.#longestMs = Math.max(this.#longestMs, outcome.at - this.#acknowledgedAt);
    this.#acknowledgedAt = Math.max(this.#acknowledgedAt, outcome.at);
  }

  /** The SDK's batching producer; a new one, of another name, where one has failed. */
  async #produce(name: string, stream: string, scheme: "ws" | "http", first: number): Promise<void> {
    let sequence = 0;
    for (let life = 0; !this.#stopped; life += 1) {
      const client = this.#connect(scheme, first + life);
      const producer = client.stream(stream).producer();
      let failed = false;
      const waiting = new Set<Promise<void>>();
      while (!this.#stopped && !failed) {
        sequence += 1;
        const append = {
          stream,
          value: `${name}:${sequence}`,
          producer: `${name}/${life}`,
          sequence,
          askedAt: performance.now(),
        };
        const settled = producer.append(append.value + PADDING, { timeout: CALL_MS }).then(
          (offset) => this.#note(append, { kind: "acknowledged", at: performance.now(), offset }),
          (error: unknown) => {
            failed = true;
            this.#note(append, outcomeOf(error));
          },
        );
        waiting.add(settled);
        void settled.finally(() => waiting.delete(settled));
        await (waiting.size >= IN_FLIGHT ? Promise.race(waiting) : pause(PAUSE_MS));
      }
      await Promise.all(waiting);
      await client.close().catch(() => undefined);
    }
  }

  /** One call after the other, without a producer: what is in doubt stays so. */
  async #callOneByOne(name: string, stream: string, first: number): Promise<void> {
    let turn = first;
    let client = this.#connect("http", turn);
    for (let sequence = 1; !this.#stopped; sequence += 1) {
      const value = `${name}:${sequence}`;
      // Calls have no order among them: one in doubt may take effect after the next.
      const append = { stream, value, producer: value, sequence, askedAt: performance.now() };
      try {
        const { offset } = await client.stream(stream).append(value + PADDING, { timeout: CALL_MS });
        this.#note(append, { kind: "acknowledged", at: performance.now(), offset });
      } catch (error) {
        this.#note(append, outcomeOf(error));
        await client.close().catch(() => undefined);
        client = this.#connect("http", (turn += 1));
      }
      await pause(PAUSE_MS);
    }
    await client.close().catch(() => undefined);
  }

  /** The open protocol by hand, with its idempotent producer: tried again, anywhere, until it is certain. */
  async #protocol(name: string, stream: string, first: number): Promise<void> {
    let turn = first;
    for (let sequence = 0; !this.#stopped; sequence += 1) {
      const value = `${name}:${sequence}`;
      const append = { stream, value, producer: name, sequence, askedAt: performance.now() };
      for (let outcome: Outcome = { kind: "unknown" }; outcome.kind === "unknown";) {
        outcome = await this.#post(this.#url(turn), stream, name, sequence, value);
        if (outcome.kind === "unknown") {
          turn += 1;
          if (this.#stopped) {
            this.#note(append, outcome);
            return;
          }
          await pause(PAUSE_MS);
        } else {
          this.#note(append, outcome);
        }
      }
      await pause(PAUSE_MS);
    }
  }

  async #post(url: string, stream: string, producer: string, sequence: number, body: string): Promise<Outcome> {
    try {
      const answer = await fetch(`${url}/v1/stream/${stream}`, {
        method: "POST",
        headers: {
          "content-type": "text/plain",
          "producer-id": producer,
          "producer-epoch": DS_PRODUCER_EPOCH,
          "producer-seq": String(sequence),
        },
        body: body + PADDING,
        signal: AbortSignal.timeout(CALL_MS),
      });
      await answer.arrayBuffer();
      if (!answer.ok) return { kind: "unknown" };
      return { kind: "acknowledged", at: performance.now(), offset: undefined };
    } catch {
      return { kind: "unknown" };
    }
  }

  /** Live readers of every stream, each of which goes on elsewhere from where it was. */
  async #tail(name: string, scheme: "ws" | "http", first: number): Promise<void> {
    await Promise.all(this.streams.map((stream) => this.#tailOne(`${name} ${stream}`, stream, scheme, first)));
  }

  async #tailOne(reader: string, stream: string, scheme: "ws" | "http", first: number): Promise<void> {
    const seen: Seen[] = [];
    this.#readings.push({ reader, stream, seen });
    for (let turn = first; !this.#stopped; turn += 1) {
      const client = this.#connect(scheme, turn);
      try {
        // For so long at one node, so that every node serves live readers.
        const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(CALL_MS)]);
        for await (const record of client.stream(stream).subscribe({ from: seen.length, signal }))
          seen.push({ offset: record.offset, value: valueOf(record.text()) });
      } catch {
        // Elsewhere.
      }
      await client.close().catch(() => undefined);
    }
  }

  async #look(stream: string): Promise<void> {
    for (let turn = 0; !this.#stopped; turn += 1) {
      const askedAt = performance.now();
      try {
        const url = `${this.#url(turn)}/v1/stream/${stream}`;
        const answer = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(CALL_MS) });
        const token = parseOffset(answer.headers.get("stream-next-offset") ?? "");
        if (answer.ok && token.ok) this.#looks.push({ stream, askedAt, nextOffset: token.value.offset });
      } catch {
        // At the next one.
      }
      await pause(PAUSE_MS * 2);
    }
  }

  #connect(scheme: "ws" | "http", turn: number): Client {
    return connect(this.#url(turn).replace("http", scheme));
  }
}

function outcomeOf(error: unknown): Outcome {
  return error instanceof TidemarkError && error.outcome === "not-applied" ? { kind: "refused" } : { kind: "unknown" };
}

function valueOf(text: string): string {
  return text.slice(0, text.indexOf(" "));
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
